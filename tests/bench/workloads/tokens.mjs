/** W8: a token sealed and opened. Ours carries dependencies as packed vectors; the others carry the same bytes as one claim. */
import assert from 'node:assert/strict';
import { createSigner, createVerifier } from 'fast-jwt';
import { sealData, unsealData } from 'iron-session';
import { SignJWT, jwtVerify } from 'jose';
import { openReplica } from 'edge-session';
import { time } from '../harness.mjs';

const key = new Uint8Array(32).fill(7);
const secret = { kid: 'bench', key };

/** Contenders for tokens with so many dependencies; figures in ns a seal and open. */
export async function contenders(dependencies, count) {
  const token = await depending(dependencies).catch((error) => error);
  // As many bytes as our packed dependencies take: an id of 15 and a sequence each, in base64.
  const claims = { sub: 'ann', sid: '0192f0a0-0000-7000-8000-000000000001', dep: 'a'.repeat(Math.ceil(dependencies * 17 * 4 / 3)) };
  const seal = createSigner({ key: Buffer.from(key), algorithm: 'HS256', kid: 'bench', expiresIn: 3_600_000 });
  const open = createVerifier({ key: Buffer.from(key), algorithms: ['HS256'] });
  const what = `W8 seal + open, ${dependencies} dependencies`;
  const loop = (run) => async () => ({ [what]: await time(count, async () => { for (let at = 0; at < count; at += 1) await run(); }) });
  return new Map([
    ['edge-session', await ours(token, what, count)],
    ['fast-jwt', async () => ({ [what]: await time(count, () => { for (let at = 0; at < count; at += 1) assert.equal(open(seal(claims)).sub, 'ann'); }) })],
    ['jose', loop(async () => {
      const jwt = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'bench' }).setExpirationTime('1h').sign(key);
      assert.equal((await jwtVerify(jwt, key)).payload.sub, 'ann');
    })],
    ['iron-session', loop(async () => {
      const sealed = await sealData(claims, { password: 'p'.repeat(32) });
      assert.equal((await unsealData(sealed, { password: 'p'.repeat(32) })).sub, 'ann');
    })],
  ]);
}

async function ours(token, what, count) {
  if (token instanceof Error) return () => Promise.reject(token);
  const replica = await openReplica({ secret });
  return async () => {
    let bytes = 0;
    const spent = await time(count, () => {
      for (let at = 0; at < count; at += 1) {
        const session = replica.session(token);
        assert(session.resumed);
        bytes = session.token.length;
        session[Symbol.dispose ?? Symbol.for('Symbol.dispose')]();
      }
    });
    return { [what]: spent, [`W8 bytes, ${what.split(', ')[1]}`]: bytes };
  };
}

/**
 * A signed token whose session has read writes of so many replicas. Above half of a token's limit the product folds: it puts
 * one dot of its own in their place, once a peer has it; so with 256 what is measured is a short token, as users get it.
 */
async function depending(count) {
  const reader = await openReplica({ secret });
  const session = reader.session({ user: 'ann' });
  for (let at = 0; at < count; at += 1) {
    const writer = await openReplica({ id: 'bench' });
    await writer.session().set(`key:${at}`, at);
    await reader.exchange(await writer.exchange(await reader.exchange(new Uint8Array())));
    await session.get(`key:${at}`);
    await writer.close();
  }
  const sealing = session.sealed();
  const peer = await openReplica({ id: 'peer' });
  for (let turn = 0; turn < 4; turn += 1) {
    const answer = await reader.exchange(await peer.exchange(new Uint8Array()));
    await reader.exchange(await peer.exchange(answer));
  }
  const token = await sealing;
  await peer.close();
  await reader.close();
  return token;
}
