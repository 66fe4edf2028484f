import assert from "node:assert/strict";
import { type CipherGCMTypes, createCipheriv, createDecipheriv } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { aesGcm, nonceLength, randomOctets, tagLength } from "./aes-gcm.ts";
import { openssl } from "./openssl.ts";

const octets = (hex: string) => Uint8Array.from(Buffer.from(hex, "hex"));
const none = new Uint8Array();

// The AES-GCM test vectors 1, 2, 4 and 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B.
const key = "feffe9928665731c6d6a8f9467308308";
const plain =
  "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
const associated = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const vectors = [
  {
    name: "nothing",
    key: "00".repeat(16),
    nonce: "00".repeat(12),
    associated: "",
    plain: "",
    sealed: "58e2fccefa7e3061367f1d57a4e7455a",
  },
  {
    name: "one block",
    key: "00".repeat(16),
    nonce: "00".repeat(12),
    associated: "",
    plain: "00".repeat(16),
    sealed: "0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf",
  },
  {
    name: "60 octets and associated data",
    key,
    nonce: "cafebabefacedbaddecaf888",
    associated,
    plain,
    sealed:
      "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
  },
  {
    name: "the same by AES-256",
    key: key + key,
    nonce: "cafebabefacedbaddecaf888",
    associated,
    plain,
    sealed:
      "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
  },
];
const anyOctets = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength, size: "max" });
const anyKey = fc.constantFrom(16, 24, 32).chain((length) => anyOctets(length));
// Lengths on both sides of the limit for work in place.
const anyText = fc.oneof(anyOctets(0, 100), anyOctets(2040, 2060), anyOctets(5000));
/** Messages are too long to look for the shortest that fails. */
const parameters = { endOnFailure: true };
const anyMessage = fc.record({ key: anyKey, nonce: anyOctets(nonceLength), associated: anyOctets(0, 300), text: anyText });

test("this Node has the functions of OpenSSL", () => assert.notEqual(openssl, undefined));

const ways = [
  ["by OpenSSL", (of: Uint8Array) => aesGcm(of)],
  ["by node:crypto", (of: Uint8Array) => aesGcm(of, "node:crypto")],
] as const;
for (const by of [openssl ?? "node:crypto", "node:crypto"] as const)
  test(`random octets by ${typeof by === "string" ? by : "OpenSSL"} are as many as wanted, and others each time`, () => {
    const drawn = Array.from({ length: 20 }, () => Buffer.from(randomOctets(16, by)).toString("hex"));
    assert.deepEqual([new Set(drawn).size, drawn[0]?.length], [20, 32]);
  });

for (const [by, make] of ways) {
  for (const { name, sealed, ...given } of vectors)
    test(`${by}: published vectors: ${name}`, () => {
      const gcm = make(octets(given.key));
      const [nonce, data, text] = [octets(given.nonce), octets(given.associated), octets(given.plain)];
      assert.deepEqual(gcm.seal(nonce, data, text), octets(sealed));
      assert.deepEqual(gcm.open(nonce, data, octets(sealed)), text);
    });

  test(`${by}: property: what one seals, node:crypto opens, and the other way round`, () => {
    fc.assert(
      fc.property(anyMessage, ({ key, nonce, associated, text }) => {
        const gcm = make(key);
        const algorithm = `aes-${8 * key.length}-gcm` as CipherGCMTypes;
        const cipher = createCipheriv(algorithm, key, nonce).setAAD(associated);
        const sealed = Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
        assert.deepEqual(Buffer.from(gcm.seal(nonce, associated, text)), sealed);
        assert.deepEqual(gcm.open(nonce, associated, sealed), text);
        const decipher = createDecipheriv(algorithm, key, nonce).setAAD(associated).setAuthTag(sealed.subarray(-tagLength));
        assert.deepEqual(Buffer.concat([decipher.update(sealed.subarray(0, -tagLength)), decipher.final()]), Buffer.from(text));
      }),
      parameters,
    );
  });

  test(`${by}: property: whatever is changed, it does not open, and what follows does`, () => {
    const change = fc.record({
      of: fc.constantFrom("nonce", "associated", "sealed"),
      at: fc.nat(),
      by: fc.integer({ min: 1, max: 255 }),
    });
    fc.assert(
      fc.property(anyMessage, change, ({ key, nonce, associated, text }, { of, at, by }) => {
        const gcm = make(key);
        const message = { nonce, associated, sealed: gcm.seal(nonce, associated, text) };
        const changed = { ...message, [of]: message[of as keyof typeof message].slice() };
        const part = changed[of as keyof typeof message];
        fc.pre(part.length > 0);
        part[at % part.length] = (part[at % part.length] ?? 0) ^ by;
        assert.equal(gcm.open(changed.nonce, changed.associated, changed.sealed), undefined);
        assert.deepEqual(gcm.open(nonce, associated, message.sealed), text);
      }),
      parameters,
    );
  });

  test(`${by}: what it returned stays as it is, and what it was given, too`, () => {
    const gcm = make(octets(key));
    const [nonce, text] = [octets("cafebabefacedbaddecaf888"), octets(plain)];
    const sealed = gcm.seal(nonce, none, text);
    const [sealedBefore, opened] = [sealed.slice(), gcm.open(nonce, none, sealed)];
    gcm.open(nonce, none, gcm.seal(nonce, none, new Uint8Array(100)));
    assert.deepEqual([sealed, opened, text], [sealedBefore, octets(plain), octets(plain)]);
  });

  for (const length of [0, 15, 17, 33])
    test(`${by}: a key of ${length} octets is refused`, () => {
      assert.throws(() => make(new Uint8Array(length)), { name: "RangeError", message: /it has \d+ octets/ });
    });

  for (const length of [0, 11, 13])
    test(`${by}: a nonce of ${length} octets is refused`, () => {
      assert.throws(() => make(octets(key)).seal(new Uint8Array(length), none, none), RangeError);
    });
}
