// Tokens and a JOSE library understand each other: `jose` verifies what the cluster signs, and mints what it opens.
// The other halves of both are in tests/token/golden.rs, which reads the same files.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { SignJWT, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import { SECRET, open } from './support.mjs';

/** A file of `tests/data/token`: lines `name: value`; a name may stand several times. */
function golden(name) {
  const text = readFileSync(new URL(`../data/token/${name}`, import.meta.url), 'utf8');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const pairs = lines.map((line) => line.split(/: (.*)/s));
  const one = (key) => pairs.find(([name]) => name === key)?.[1];
  return { one, key: Buffer.from(one('key'), 'hex'), now: Number(one('now')), jws: one('token').split('~')[0] };
}

const base64url = (bytes) => Buffer.from(bytes).toString('base64url');

for (const name of ['three-dependencies.txt', 'suffix.txt', 'two-spaces.txt']) {
  test(`jose verifies the signed part of ${name}`, async () => {
    const { one, key, now, jws } = golden(name);
    const { payload, protectedHeader } = await jwtVerify(jws, key, {
      algorithms: ['HS256'],
      issuer: one('issuer'),
      currentDate: new Date(now),
    });
    assert.deepEqual(protectedHeader, { alg: 'HS256', kid: one('kid') });
    assert.equal(payload.sub, one('user'));
    assert.equal(payload.spc ?? 'default', one('space'));
    assert.equal(payload.sid, base64url(Buffer.from(one('session').replaceAll('-', ''), 'hex')));
    assert.equal(payload.iat * 1000, Number(one('issued')));
    assert.equal(payload.exp * 1000, Number(one('expires')));
  });
}

test('jose refuses a token with another key, and after its time', async () => {
  const { key, now, jws } = golden('three-dependencies.txt');
  const currentDate = new Date(now);
  await assert.rejects(jwtVerify(jws, Buffer.alloc(32, 1), { currentDate }), errors.JWSSignatureVerificationFailed);
  await assert.rejects(jwtVerify(jws, key, { currentDate: new Date(now + 86_400_000) }), errors.JWTExpired);
});

// HMAC is deterministic, so the file that tests/token/golden.rs opens is held to be what jose really makes. To make it anew,
// take the token from the message of this test's failure.
test('by-jose.txt is what jose mints', async () => {
  const { one, key, jws } = golden('by-jose.txt');
  const id = (label, random) => [0x60 | label.length, ...Buffer.from(label), 0x4a, ...Buffer.from(random, 'hex')];
  // Read up to 9, written up to 4.
  const dependencies = [2, ...id('fra1', '3cc54b9fad1c5e2e4d8b'), 0x18, 4 * 9, 4];
  const claims = {
    // Another order than the cluster's own, and a claim that it does not know.
    exp: Number(one('expires')) / 1000,
    iat: Number(one('issued')) / 1000,
    jti: 'a claim of another minter',
    dep: { default: base64url(dependencies) },
    spc: one('space'),
    sid: base64url(Buffer.from(one('session').replaceAll('-', ''), 'hex')),
    sub: one('user'),
    iss: one('issuer'),
  };
  const minted = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: one('kid') }).sign(key);
  assert.deepEqual(decodeProtectedHeader(minted), { alg: 'HS256', kid: 'jose-1' });
  assert.equal(jws, minted);
});

test('what the package seals, jose verifies; what jose mints, the package resumes', async (t) => {
  const edge = await open(t, { id: 'tokyo', secret: SECRET });
  const ann = edge.session({ user: 'ann' });
  await ann.set('cart', 'book');
  const [jws] = (await ann.sealed()).split('~');
  const { payload } = await jwtVerify(jws, SECRET.key, { algorithms: ['HS256'], issuer: 'edge-session' });
  assert.equal(payload.sub, 'ann');

  const minted = await new SignJWT({ ...payload, sub: 'zoë' }).setProtectedHeader({ alg: 'HS256', kid: SECRET.kid }).sign(SECRET.key);
  const zoe = edge.session(minted);
  assert.deepEqual([zoe.resumed, zoe.user, zoe.reason], [true, 'zoë', null]);
  assert.deepEqual(zoe.inspect().writes, ann.inspect().writes);

  const forged = await new SignJWT({ ...payload, sub: 'root' }).setProtectedHeader({ alg: 'HS256', kid: SECRET.kid }).sign(new Uint8Array(32));
  assert.equal(edge.session(forged).reason, 'TOKEN_INVALID');
});
