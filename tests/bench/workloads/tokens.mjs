/** W8: a token sealed and opened. Ours carries dependencies as packed vectors; the others carry the same bytes as one claim. */
import assert from 'node:assert/strict';
import { openReplica } from 'edge-session';
import { OURS } from '../contenders.mjs';
import { time, timeSync } from '../harness.mjs';

const key = new Uint8Array(32).fill(7);
const secret = { kid: 'bench', key };
const MAKERS = { [OURS]: ours, 'fast-jwt': fastJwt, jose, 'iron-session': ironSession };

/** A contender's tokens with so many dependencies; figures in ns a seal and open. */
export async function tokens(name, dependencies, count) {
  // As many bytes as our packed dependencies take: a label, and ten random bytes and a sequence each, in base64.
  const claims = { sub: 'ann', sid: '0192f0a0-0000-7000-8000-000000000001', dep: 'a'.repeat(Math.ceil(((10 + dependencies * 11) * 4) / 3)) };
  return MAKERS[name]({ dependencies, count, claims, what: `W8 seal + open, ${dependencies} dependencies` });
}

async function ours({ dependencies, count, what }) {
  const token = await depending(dependencies);
  const replica = await openReplica({ secret });
  return () => {
    let bytes = 0;
    // Without a promise: `timeSync` would not wait for one.
    const spent = timeSync(count, () => {
      for (let at = 0; at < count; at += 1) {
        const session = replica.session(token);
        assert(session.resumed);
        bytes = session.token.length;
        session[Symbol.dispose ?? Symbol.for('Symbol.dispose')]();
      }
    });
    return { [what]: spent, [`W8 bytes, ${dependencies} dependencies`]: bytes };
  };
}

async function fastJwt({ count, claims, what }) {
  const { createSigner, createVerifier } = await import('fast-jwt');
  const seal = createSigner({ key: Buffer.from(key), algorithm: 'HS256', kid: 'bench', expiresIn: 3_600_000 });
  const open = createVerifier({ key: Buffer.from(key), algorithms: ['HS256'] });
  return () => ({
    [what]: timeSync(count, () => {
      for (let at = 0; at < count; at += 1) assert.equal(open(seal(claims)).sub, 'ann');
    }),
  });
}

async function jose({ count, claims, what }) {
  const { SignJWT, jwtVerify } = await import('jose');
  // A key of the platform's: bytes would be imported anew for each token.
  const own = await crypto.subtle.importKey('raw', key, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
  return async () => ({
    [what]: await time(count, async () => {
      for (let at = 0; at < count; at += 1) {
        const jwt = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: 'bench' }).setExpirationTime('1h').sign(own);
        assert.equal((await jwtVerify(jwt, own)).payload.sub, 'ann');
      }
    }),
  });
}

async function ironSession({ count, claims, what }) {
  const { sealData, unsealData } = await import('iron-session');
  const password = 'p'.repeat(32);
  return async () => ({
    [what]: await time(count, async () => {
      for (let at = 0; at < count; at += 1) assert.equal((await unsealData(await sealData(claims, { password }), { password })).sub, 'ann');
    }),
  });
}

/**
 * A signed token whose session has read writes of so many replicas. Above five eighths of a token's limit the product folds: it puts
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
