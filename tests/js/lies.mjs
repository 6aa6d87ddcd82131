// The lies that a client can tell by what its messages say, told over a real socket to any edge; what is answered, and that nothing
// else has happened: what the edge holds is as it was, and an honest user's writes are acknowledged while the lie is told.
//
// A world is an edge with an honest user linked to it by a socket of their own, who has written the key `kept` first:
//   connect(token)          a WebSocket to the edge, as it opens
//   ticket({ user, space }) a sealed token of a session that begins there
//   end(token)              ends the session
//   state()                 { id, vectors, entries: [[key, value, version], …], errors: { code: how often } }
//   honest                  the honest user's replica
//   served()                the honest user writes, and the edge has it
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { DEADLINE, within } from './support.mjs';
import { frame, idOf, messagesOf, stamp } from './wire.mjs';

const SEQUENCE_MAX = 2 ** 53 - 1;

/** What the edge holds beside the honest user's traffic. Its own checkpoints say nothing. */
async function held(world) {
  const { id, vectors, entries } = await world.state();
  const own = vectors.default?.[id] ?? 0;
  assert.ok(own < 1_000_000, 'the edge goes on with its own sequences');
  const others = Object.entries(vectors).map(([space, known]) => [space, Object.entries(known).filter(([of]) => of !== world.honest.id && of !== id)]);
  return { id, others, entries: entries.filter(([key]) => key !== 'honest') };
}

async function until(what, ask) {
  for (const end = Date.now() + DEADLINE; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 20))) if (await ask()) return;
  throw new Error(`waited in vain: ${what}`);
}

/** A client that says what it likes, under an id that it proves. */
class Liar {
  heard = [];
  closed = undefined;
  #heed = () => {};

  static async join(t, world, token) {
    const liar = new Liar();
    const socket = world.connect(token);
    t.after(() => socket.terminate());
    socket.on('error', () => {});
    socket.on('message', (data) => liar.#hear(messagesOf(new Uint8Array(data))));
    socket.on('close', (code, reason) => {
      liar.closed = [code, String(reason)];
      liar.#heed();
    });
    liar.socket = socket;
    liar.world = world;
    liar.token = token;
    liar.secret = randomBytes(16);
    liar.id = idOf('liar', liar.secret);
    await within(once(socket, 'open'), 'the liar to be let in');
    liar.says(['bind', { [liar.id]: liar.secret }]);
    return liar;
  }

  #hear(messages) {
    this.heard.push(...messages);
    this.#heed();
  }

  says(...messages) {
    this.sends(frame(this.id, messages));
  }

  sends(bytes) {
    this.socket.send(bytes);
  }

  /** The first message of a kind that it hears from now on, or has not looked at yet. */
  async hears(what, wanted) {
    const found = async () => {
      for (;;) {
        const at = this.heard.findIndex(wanted);
        if (at >= 0) return this.heard.splice(at, 1)[0];
        await new Promise((resolve) => (this.#heed = resolve));
      }
    };
    return within(found(), what);
  }

  refusal = () => this.hears('a refusal', ({ kind }) => kind === 'refused');

  entry = (sequence, value = 'v', at = stamp(Date.now())) => ({ id: this.id, sequence, value, at });

  /** A delta of the default space since what the edge holds. */
  async delta(to, keys, more = {}) {
    const { vectors } = await this.world.state();
    const from = { ...vectors.default, ...more.from };
    return ['delta', { space: 'default', hlc: stamp(Date.now() + 30_000), ...more, from, to: { ...from, ...to }, keys }];
  }

  write = (key, entry) => this.delta({ [entry.id]: entry.sequence }, [[key, [entry]]]);

  /** Speaks the truth for once, and is heard. */
  async isHeard() {
    this.says(await this.write(`truth of ${this.id}`, this.entry(1)));
    await until('the truth to be heard', async () => (await this.world.state()).vectors.default[this.id] === 1);
  }
}

/** The edge is as it was after the lie is told, and the honest user was served meanwhile; answers what `lie` does. */
async function unmoved(world, lie) {
  const before = await held(world);
  const [answer] = await Promise.all([lie(), world.served()]);
  await world.served();
  assert.deepEqual(await held(world), before, 'what the edge holds has changed');
  return answer;
}

/** Tells one lie and answers its refusal; the liar is heard again once it tells the truth. */
async function refused(t, world, lie) {
  const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
  const message = await lie(liar);
  const refusal = await unmoved(world, () => {
    liar.says(message);
    return liar.refusal();
  });
  await liar.isHeard();
  return { code: refusal.code, dots: refusal.dots, liar };
}

const LIES = {
  async "writing under another's id"(t, world) {
    const dot = [world.honest.id, 100_000];
    const { code, dots, liar } = await refused(t, world, (liar) => liar.delta({ [dot[0]]: dot[1] }, [['honest', [{ ...liar.entry(1, 'forged'), id: dot[0], sequence: dot[1] }]]]));
    assert.deepEqual([code, dots], ['STALE_REPLICA', [dot]]);
    assert.ok(liar.heard.some(({ kind, ids }) => kind === 'ask' && ids.includes(dot[0])), 'it is asked for a proof');
  },

  async "advancing the edge's own id"(t, world) {
    const { id } = await world.state();
    assert.equal((await refused(t, world, (liar) => liar.delta({ [id]: 2 ** 40 }, []))).code, 'STALE_REPLICA');
    assert.equal((await world.state()).id, id, 'the edge writes on under its own id');
  },

  async 'advancing an id that nobody has'(t, world) {
    const ghost = idOf('ghost', randomBytes(16));
    const { code, dots } = await refused(t, world, (liar) => liar.delta({ [ghost]: 1, [liar.id]: 1 }, []));
    assert.deepEqual([code, dots], ['STALE_REPLICA', [[ghost, 1]]]);
  },

  async 'a huge end of its own'(t, world) {
    assert.equal((await refused(t, world, (liar) => liar.write('k', liar.entry(SEQUENCE_MAX)))).code, 'QUOTA_EXCEEDED');
  },

  async 'an emptied live set'(t, world) {
    const { code, dots } = await refused(t, world, (liar) => liar.delta({ [liar.id]: 1 }, [['kept', []]]));
    assert.deepEqual([code, dots], ['PERMISSION_DENIED', [[world.honest.id, 1]]]);
  },

  async 'a live set that is emptied without naming its key'(t, world) {
    const lie = async (liar) => {
      const [kind, said] = await liar.delta({ [liar.id]: 1 }, []);
      return [kind, { ...said, from: {} }];
    };
    assert.equal((await refused(t, world, lie)).code, 'PERMISSION_DENIED');
  },

  async 'sequences that are skipped'(t, world) {
    const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
    const lie = await liar.delta({ [liar.id]: 5 }, [['k', [liar.entry(5)]]], { from: { [liar.id]: 4 } });
    const { vector } = await unmoved(world, () => {
      liar.says(lie);
      return liar.hears('to be told what the edge holds', ({ kind }) => kind === 'behind');
    });
    assert.equal(vector[liar.id], undefined);
    await liar.isHeard();
  },

  async 'a clock of the future'(t, world) {
    const ahead = stamp(Date.now() + 3_600_000);
    const { code, dots, liar } = await refused(t, world, (liar) => liar.delta({ [liar.id]: 1 }, [['k', [liar.entry(1, 'v', ahead)]]], { hlc: ahead }));
    assert.deepEqual([code, dots], ['CLOCK_DRIFT', [[liar.id, 1]]]);
  },

  async 'a value, a key and a batch that are too large'(t, world) {
    assert.equal((await refused(t, world, (liar) => liar.write('k', liar.entry(1, 'v'.repeat((1 << 20) + 1))))).code, 'VALUE_TOO_LARGE');
    assert.equal((await refused(t, world, (liar) => liar.write('k'.repeat(1025), liar.entry(1)))).code, 'KEY_INVALID');
    const batch = (liar) => Array.from({ length: 1001 }, (_, n) => [`k${String(n).padStart(4, '0')}`, [liar.entry(1)]]);
    assert.equal((await refused(t, world, (liar) => liar.delta({ [liar.id]: 1 }, batch(liar)))).code, 'QUOTA_EXCEEDED');
  },

  async 'one lie among many writes in a run'(t, world) {
    const key = (n) => `run ${String(n).padStart(2, '0')}`;
    const rows = (liar, lie = {}) => Array.from({ length: 20 }, (_, n) => {
      const { name = key(n), value = `value ${n}`, at } = n === 10 ? lie : {};
      return [name, [liar.entry(n + 1, value, at)]];
    });
    const told = (liar, keys, more) => liar.delta({ [liar.id]: keys.at(-1)[1][0].sequence }, keys, { run: true, ...more });
    const ahead = stamp(Date.now() + 3_600_000);
    for (const [lie, code, more] of [
      [{ at: ahead }, 'CLOCK_DRIFT', { hlc: ahead }],
      [{ name: key(10).padEnd(1025, 'k') }, 'KEY_INVALID'],
    ]) {
      const { liar, ...said } = await refused(t, world, (liar) => told(liar, rows(liar, lie), more));
      assert.deepEqual(said, { code, dots: [[liar.id, 11]] });
    }
    const batch = (liar) => Array.from({ length: 1001 }, (_, n) => [`k${String(n).padStart(4, '0')}`, [liar.entry(1)]]);
    const texts = (liar) => batch(liar).map(([name, [entry]]) => [name, [{ ...entry, value: 'a value' }]]);
    assert.equal((await refused(t, world, (liar) => told(liar, texts(liar)))).code, 'QUOTA_EXCEEDED');
    // Under another's id; what is known of it says nothing, and what is not makes it wait.
    const forged = (liar) => rows(liar).map(([name, [entry]]) => [name, [{ ...entry, id: world.honest.id, sequence: 100_000 + entry.sequence }]]);
    const other = await refused(t, world, (liar) => liar.delta({ [world.honest.id]: 100_020 }, forged(liar), { run: true }));
    assert.deepEqual([other.code, other.dots], ['STALE_REPLICA', [[world.honest.id, 100_020]]]);
    // And the truth is taken.
    const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
    liar.says(await told(liar, rows(liar)));
    await until('a run to be heard', async () => (await world.state()).vectors.default[liar.id] === 20);
    const { entries } = await world.state();
    for (let n = 0; n < 20; n += 1) assert.equal(entries.find(([name]) => name === key(n))[1], `value ${n}`);
  },

  async 'runs that are cut short'(t, world) {
    const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
    const keys = Array.from({ length: 8 }, (_, n) => [`ключ ${n}`, [liar.entry(n + 1, `значение ${n}`)]]);
    const whole = frame(liar.id, [await liar.delta({ [liar.id]: 8 }, keys, { run: true })]);
    const before = (await world.state()).errors.MESSAGE_MALFORMED ?? 0;
    await unmoved(world, async () => {
      for (let end = 1; end < whole.length; end += 1) liar.sends(whole.subarray(0, end));
      await until('each to be told of', async () => (await world.state()).errors.MESSAGE_MALFORMED - before === whole.length - 1);
    });
    liar.sends(whole);
    await until('the whole to be heard', async () => (await world.state()).vectors.default[liar.id] === 8);
  },

  async 'a value that is no JSON, and is said to be'(t, world) {
    const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
    const session = world.honest.session();
    const watch = session.watch({ prefix: 'torn' });
    const heard = watch.next();
    liar.says(await liar.write('torn', { ...liar.entry(1, '{"a":'), kind: 2 }));
    // It is the string that it is, to whoever reads, lists or is told; and is in nobody's way.
    assert.equal((await within(heard, 'the value')).value.value, '{"a":');
    assert.equal(await session.get('torn'), '{"a":');
    assert.equal((await world.state()).entries.find(([key]) => key === 'torn')[1], '{"a":');
    await session.set('torn', 'mended');
    assert.equal((await within(watch.next(), 'what comes after it')).value.value, 'mended');
    await world.served();
  },

  async "another's value, changed"(t, world) {
    const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
    const forged = { ...liar.entry(1, 'forged'), id: world.honest.id };
    const { entries } = await world.state();
    liar.says(await liar.delta({ [liar.id]: 1 }, [['k', [liar.entry(1)]], ['kept', [forged]]]));
    await until('the truth beside the lie to be heard', async () => (await world.state()).vectors.default[liar.id] === 1);
    const after = await world.state();
    assert.deepEqual(after.entries.find(([key]) => key === 'kept'), entries.find(([key]) => key === 'kept'));
    await world.served();
  },

  async 'an id that is proved by the secret of another'(t, world) {
    const { code, dots, liar } = await refused(t, world, async (liar) => {
      liar.says(['bind', { [world.honest.id]: liar.secret }]);
      return liar.write('honest', { ...liar.entry(1, 'stolen'), id: world.honest.id, sequence: 100_000 });
    });
    assert.deepEqual([code, dots], ['STALE_REPLICA', [[world.honest.id, 100_000]]]);
    assert.notEqual(liar.id, world.honest.id);
  },

  async 'messages that are sent again, and again in another order'(t, world) {
    const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
    const said = [];
    for (let n = 1; n <= 3; n += 1) {
      said.push(frame(liar.id, [await liar.write('again', liar.entry(n, `${n}`))]));
      liar.sends(said.at(-1));
      await until('a write to be heard', async () => (await world.state()).vectors.default[liar.id] === n);
    }
    await unmoved(world, async () => {
      for (let n = 0; n < 30; n += 1) liar.sends(said[(7 * n) % 3]);
      liar.says(['call', { id: randomBytes(16), method: 'nothing', args: '[]', token: liar.token }]);
      await liar.hears('an answer to what came last', ({ kind }) => kind === 'reply');
    });
  },

  async 'messages that are cut short'(t, world) {
    const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
    const whole = frame(liar.id, [await liar.write('cut', liar.entry(1))]);
    const before = (await world.state()).errors.MESSAGE_MALFORMED ?? 0;
    await unmoved(world, async () => {
      for (let end = 1; end < whole.length; end += 1) liar.sends(whole.subarray(0, end));
      await until('each to be told of', async () => (await world.state()).errors.MESSAGE_MALFORMED - before === whole.length - 1);
    });
    liar.sends(whole);
    await until('the whole to be heard', async () => (await world.state()).vectors.default[liar.id] === 1);
  },

  async 'siblings of its own making'(t, world) {
    const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
    const before = (await world.state()).errors.MESSAGE_MALFORMED ?? 0;
    const lie = await liar.delta({ [liar.id]: 40 }, [['k', Array.from({ length: 40 }, (_, n) => liar.entry(n + 1))]]);
    await unmoved(world, async () => {
      liar.says(lie);
      await until('it to be told of', async () => (await world.state()).errors.MESSAGE_MALFORMED === before + 1);
    });
    await liar.isHeard();
  },

  async "another user's space, and the system's own"(t, world) {
    const bob = await Liar.join(t, world, await world.ticket({ user: 'bob', space: 'bobs' }));
    bob.says(['delta', { space: 'bobs', from: {}, to: { [bob.id]: 1 }, hlc: stamp(Date.now() + 30_000), keys: [['secret', [bob.entry(1)]]] }]);
    await until("bob's space", async () => (await world.state()).vectors.bobs?.[bob.id] === 1);
    const answers = async (space) => {
      const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
      const hlc = stamp(Date.now() + 30_000);
      const keys = [['k', [liar.entry(1)]]];
      const lies = [
        ['delta', { space, from: {}, to: { [liar.id]: 1 }, hlc, keys }],
        ['slice', { space, from: {}, base: { [liar.id]: 1 }, at: { [liar.id]: 1 }, hlc, keys }],
        ['want', { space }],
        ['behind', { space }],
        ['hello', { vectors: { [space]: {} } }],
      ];
      const codes = [];
      for (const lie of lies) {
        await unmoved(world, async () => {
          liar.says(lie);
          // What is not answered is told by what is answered after it.
          liar.says(['call', { id: randomBytes(16), method: 'nothing', args: '[]', token: liar.token }]);
          await liar.hears('an answer to what came last', ({ kind }) => kind === 'reply');
        });
        codes.push(liar.heard.splice(0).filter((message) => message.kind !== 'ask' && (message.space === space || message.spaces?.includes(space))).map(({ kind, code }) => [kind, code]));
      }
      return codes;
    };
    const hidden = await answers('bobs');
    assert.deepEqual(hidden, await answers('nowhere'));
    assert.deepEqual(hidden, await answers('$system'));
    assert.deepEqual(hidden[0], [['refused', 'SPACE_NOT_FOUND']]);
  },

  async 'forged tokens'(t, world) {
    const token = await world.ticket({ user: 'eve' });
    const [header, claims, mac] = token.split('~')[0].split('.');
    const of = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const root = of({ ...JSON.parse(Buffer.from(claims, 'base64url')), sub: 'root' });
    const other = claims.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    const forged = [[header, root, mac], [of({ alg: 'none' }), root, ''], [of({ alg: 'HS256', kid: 'other' }), claims, mac], [header, other, mac], [header, claims, mac.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))]];
    for (const parts of forged) {
      await unmoved(world, async () => {
        const socket = world.connect(`${parts.join('.')}~`);
        t.after(() => socket.terminate());
        socket.on('error', () => {});
        const [code, reason] = await within(once(socket, 'close'), 'the edge to hang up');
        assert.deepEqual([code, String(reason)], [4401, 'TOKEN_INVALID']);
      });
    }
  },

  async 'a stolen token: it is its session until that ends, and none of its ids'(t, world) {
    const token = await world.ticket({ user: 'victim' });
    const victim = await Liar.join(t, world, token);
    await victim.isHeard();
    const thief = await Liar.join(t, world, token);
    const refusal = await unmoved(world, async () => {
      thief.says(await thief.write('k', { ...thief.entry(2, 'stolen'), id: victim.id }));
      return thief.refusal();
    });
    assert.deepEqual([refusal.code, refusal.dots], ['STALE_REPLICA', [[victim.id, 2]]]);
    await world.end(token);
    await until('both links to end', () => victim.closed && thief.closed);
    assert.deepEqual([thief.closed, victim.closed], [[4401, 'SESSION_EXPIRED'], [4401, 'SESSION_EXPIRED']]);
    const again = world.connect(token);
    again.on('error', () => {});
    t.after(() => again.terminate());
    assert.equal((await within(once(again, 'close'), 'the edge to hang up'))[0], 4401);
    await world.served();
  },

  async "a call under another's session"(t, world) {
    const stolen = (await world.ticket({ user: 'bob' })).split('~')[0];
    const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
    const [header, claims, mac] = stolen.split('.');
    const codes = {};
    await unmoved(world, async () => {
      for (const [what, token] of Object.entries({ forged: `${header}.${claims}.${mac.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))}~`, nobodys: '' })) {
        const id = randomBytes(16);
        liar.says(['call', { id, method: 'run', args: JSON.stringify(['SHOW SESSIONS']), token }]);
        codes[what] = (await liar.hears('a reply', ({ kind, id: of }) => kind === 'reply' && Buffer.from(of).equals(id))).code;
      }
    });
    assert.deepEqual(codes, { forged: 'TOKEN_INVALID', nobodys: 'TOKEN_INVALID' });
  },

  async 'a flood, beside which others are served'(t, world) {
    const liar = await Liar.join(t, world, await world.ticket({ user: 'eve' }));
    const before = (await world.state()).errors.RATE_LIMITED ?? 0;
    await unmoved(world, async () => {
      for (let n = 0; n < 5_000; n += 1) {
        liar.says(['hello', { answer: false }]);
        if (n % 500 === 0) await world.served();
      }
      await until('it to be told of', async () => (await world.state()).errors.RATE_LIMITED > before);
    });
  },
};

/** Defines a test for each lie; `begin(t)` makes a world. */
export function tellLies(test, where, begin) {
  for (const [name, lie] of Object.entries(LIES)) {
    test(`a lie to ${where} is refused and changes nothing: ${name}`, async (t) => lie(t, await begin(t)));
  }
}
