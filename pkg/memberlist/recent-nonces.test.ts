import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nonceLength } from "#pkg/aes-gcm";
import { seededRandom } from "#pkg/clock/testing";
import { Nonces } from "./codec/keyring.ts";
import { RecentNonces, rememberedNonces } from "./recent-nonces.ts";

type Sender = () => Uint8Array;

/** Octets of chance that are the same for the same seed. */
function octets(seed: number): (length: number) => Uint8Array {
  const random = seededRandom(seed);
  return (length) => Uint8Array.from({ length }, () => 256 * random());
}

/** A process of ours: random octets, and a counter that may soon begin again. */
function ours(seed: number, firstCounter = 0): Sender {
  const nonces = new Nonces(octets(seed), firstCounter);
  return () => Uint8Array.from(nonces.next());
}

/** One of HashiCorp's: chance throughout. */
function theirs(seed: number): Sender {
  const draw = octets(seed);
  return () => draw(nonceLength);
}

for (const { title, senders } of [
  { title: "one of ours", senders: [ours(1)] },
  { title: "ten of ours", senders: Array.from({ length: 10 }, (_, seed) => ours(seed)) },
  { title: "ten of HashiCorp's", senders: Array.from({ length: 10 }, (_, seed) => theirs(seed)) },
])
  test(`of ${title} exactly the last 65,536 nonces are remembered`, () => {
    const recent = new RecentNonces();
    const sent = Array.from({ length: 150_000 }, (_, index) => (senders[index % senders.length] as Sender)());
    for (const nonce of sent) recent.add(nonce, 0);
    const remembered = sent.map((nonce) => recent.has(nonce, 0));
    assert.equal(remembered.indexOf(true), sent.length - rememberedNonces);
    assert.ok(remembered.slice(-rememberedNonces).every((known) => known));
  });

test("property: it remembers what a queue of the last ones does, whoever sends how much, and also what comes again", () => {
  const arbitrarySender = fc.oneof(
    fc.record({ seed: fc.nat(), counter: fc.constantFrom(0, 1, 0xffff_fff0) }).map(({ seed, counter }) => ours(seed, counter)),
    fc.nat().map(theirs),
    fc.nat(3).map(
      (value): Sender =>
        () =>
          new Uint8Array(nonceLength).fill(value),
    ),
  );
  const arbitraryTurn = fc.record({ sender: fc.nat(), count: fc.integer({ min: 1, max: 60 }), again: fc.nat() });
  const property = fc.property(
    fc.array(arbitrarySender, { minLength: 1, maxLength: 6 }),
    fc.array(arbitraryTurn, { maxLength: 40 }),
    fc.constantFrom(1, 2, 16, 64, 256),
    fc.nat(20),
    (senders, turns, size, at) => {
      const recent = new RecentNonces(size);
      const queue: string[] = [];
      const packet = (nonce: Uint8Array) => Buffer.concat([new Uint8Array(at), nonce]);
      const take = (nonce: Uint8Array) => {
        recent.add(packet(nonce), at);
        queue.push(Buffer.from(nonce).toString("hex"));
      };
      for (const { sender, count, again } of turns) {
        for (let index = 0; index < count; index++) take((senders[sender % senders.length] as Sender)());
        const old = Buffer.from(queue[again % queue.length] ?? assert.fail(), "hex");
        assert.equal(recent.has(packet(old), at), queue.slice(-size).includes(old.toString("hex")));
        if (again % 5 === 0) take(old);
      }
      for (const old of queue) assert.equal(recent.has(packet(Buffer.from(old, "hex")), at), queue.slice(-size).includes(old));
      assert.equal(recent.has(packet(Buffer.alloc(nonceLength, 0xee)), at), false);
    },
  );
  fc.assert(property, { numRuns: 200 });
});

test("neither what is too short to have a nonce has come before, nor anything at first", () => {
  const recent = new RecentNonces();
  assert.equal(recent.has(new Uint8Array(nonceLength), 0), false);
  recent.add(new Uint8Array(nonceLength), 0);
  assert.deepEqual([recent.has(new Uint8Array(nonceLength - 1), 0), recent.has(new Uint8Array(nonceLength), 1)], [false, false]);
  assert.equal(recent.has(new Uint8Array(nonceLength), 0), true);
});
