import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { key, nonce } from "../testing/keyrings.ts";
import { Keyring, Nonces, sealedLength } from "./keyring.ts";

const other = Buffer.alloc(32, 7);
const none = new Uint8Array();
const keyring = new Keyring([key]);
const text = new TextEncoder().encode("a message");

const lists: { name: string; keys: Uint8Array[]; works: boolean }[] = [
  ...[16, 24, 32].map((length) => ({ name: `a key of ${length} octets`, keys: [Buffer.alloc(length)], works: true })),
  { name: "two keys", keys: [key, other], works: true },
  ...[0, 15, 17, 33].map((length) => ({ name: `a key of ${length} octets`, keys: [Buffer.alloc(length)], works: false })),
  { name: "the same key twice", keys: [key, other, Buffer.from(key)], works: false },
  { name: "no key", keys: [], works: false },
];
for (const { name, keys, works } of lists)
  test(`a keyring ${works ? "takes" : "refuses"} ${name}`, () => {
    if (works) assert.deepEqual(new Keyring(keys).open(new Keyring(keys).seal(text, nonce)), text);
    else assert.throws(() => new Keyring(keys), RangeError);
  });

test("property: opening undoes sealing, and the length is known before", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100, size: "max" }),
      fc.uint8Array({ maxLength: 20, size: "max" }),
      (plain, associated) => {
        const sealed = keyring.seal(plain, nonce, associated);
        assert.equal(sealed.length, sealedLength(plain.length));
        assert.deepEqual(new Uint8Array(keyring.open(sealed, associated)), plain);
      },
    ),
  );
});

test("property: no octet can be changed but the version, which the protocol does not authenticate", () => {
  fc.assert(
    fc.property(fc.boolean(), fc.nat(), fc.integer({ min: 1, max: 255 }), (isPadded, at, change) => {
      const sealed = isPadded ? sealPadded(padded(text)) : keyring.seal(text, nonce);
      const offset = at % sealed.length;
      fc.pre(offset !== 0 || change !== 1); // Padded or not, it opens: what comes out is checked as a message.
      sealed[offset] = (sealed[offset] ?? 0) ^ change;
      assert.throws(() => keyring.open(sealed), { name: "MemberlistError" });
    }),
  );
});

test("each key opens, and only the first one seals", () => {
  const rotated = new Keyring([other, key]);
  assert.deepEqual(rotated.open(keyring.seal(text, nonce)), text);
  assert.throws(() => keyring.open(rotated.seal(text, nonce)), { reason: "wrongKey" });
});

test("a rotation in three steps never shuts anybody out", () => {
  const steps = [[key], [key, other], [other, key], [other]].map((keys) => new Keyring(keys));
  for (const [index, one] of steps.entries())
    for (const two of steps.slice(Math.max(0, index - 1), index + 2)) assert.deepEqual(two.open(one.seal(text, nonce)), text);
});

/** Version 0 with a padding of the sender's choice. */
function sealPadded(plain: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-128-gcm", key, nonce);
  return Buffer.concat([Buffer.of(0), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** As version 0 has it. */
function padded(plain: Uint8Array): Uint8Array {
  const missing = 16 - (plain.length % 16);
  return Buffer.concat([plain, Buffer.alloc(missing, missing)]);
}

test("property: what was sealed in version 0 opens, however long its padding is", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100, size: "max" }), (plain) => {
      assert.deepEqual(new Uint8Array(keyring.open(sealPadded(padded(plain)))), plain);
    }),
  );
});

const sealed = keyring.seal(text, nonce);
const refused: { name: string; input: Uint8Array; associated?: Uint8Array; reason: string }[] = [
  { name: "nothing", input: none, reason: "malformed" },
  { name: "a version to come", input: Buffer.concat([Buffer.of(2), sealed.subarray(1)]), reason: "unknownVersion" },
  { name: "28 octets of version 1", input: sealed.subarray(0, 28), reason: "malformed" },
  { name: "44 octets of version 0", input: sealPadded(padded(text)).subarray(0, 44), reason: "malformed" },
  { name: "other associated data", input: sealed, associated: Buffer.from("blue"), reason: "wrongKey" },
  { name: "a padding of no length", input: sealPadded(new Uint8Array(16)), reason: "malformed" },
  { name: "a padding longer than a block", input: sealPadded(new Uint8Array(32).fill(17)), reason: "malformed" },
];
for (const { name, input, associated = none, reason } of refused)
  test(`open refuses ${name} as ${reason}`, () =>
    assert.throws(() => keyring.open(input, associated), { name: "MemberlistError", reason }));

test("seal refuses a nonce of another length", () => assert.throws(() => keyring.seal(text, new Uint8Array(11)), RangeError));

test("a nonce is eight octets of chance, drawn once, and a counter", () => {
  const drawn: number[] = [];
  const nonces = new Nonces((length) => {
    drawn.push(length);
    return new Uint8Array(length).fill(0xab);
  });
  const texts = Array.from({ length: 3 }, () => Buffer.from(nonces.next()).toString("hex"));
  assert.deepEqual(texts, ["abababababababab00000000", "abababababababab00000001", "abababababababab00000002"]);
  assert.deepEqual(drawn, [8]);
});

test("chance is drawn anew before the counter repeats", () => {
  const drawn = [0x01, 0x02];
  const nonces = new Nonces((length) => new Uint8Array(length).fill(drawn.shift() ?? 0), 0xffff_ffff);
  const texts = Array.from({ length: 3 }, () => Buffer.from(nonces.next()).toString("hex"));
  assert.deepEqual(texts, ["0101010101010101ffffffff", "020202020202020200000000", "020202020202020200000001"]);
});
