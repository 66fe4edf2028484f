import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { slow } from "#pkg/clock/testing";
import { encodeProof, nonceLength, ProofType, proofFrameLength } from "../frames/proof.ts";
import { Proofs } from "./proofs.ts";

const ringKey = new TextEncoder().encode("a ring's own key");
const [asker, prover, other] = [0x02_00_00_00_00_01, 0x02_00_00_00_00_02, 0x02_00_00_00_00_03];
const x = 0xc000_0201;
const x6 = 0x2001_0db8n << 96n;

function make(keys: readonly Uint8Array[] = [ringKey]): Proofs {
  let count = 0;
  const proofs = new Proofs(() => new Uint8Array(nonceLength).fill(++count), 0);
  proofs.setKeys(keys);
  return proofs;
}

const announced = () => true;

/** What `by` answers, as a node with that MAC address. */
function proofOf(by: Proofs, challenge: Uint8Array, mac = prover): Uint8Array {
  const taken = by.receive(challenge, mac, 0, announced);
  return taken !== undefined && "answer" in taken ? taken.answer : assert.fail("no proof");
}

function challengeBy(by: Proofs, address: number | bigint = x, now = 0): Uint8Array {
  return by.challenge(address, prover, [asker], now)[0] ?? assert.fail("no challenge");
}

for (const address of [x, x6])
  test(`who has the ring's key proves that it announces ${address}, once for each challenge`, () => {
    const [asks, proves] = [make(), make()];
    const challenge = challengeBy(asks, address);
    const seen: (number | bigint)[] = [];
    const taken = proves.receive(challenge, prover, 0, (one) => seen.push(one) > 0);
    assert.deepEqual(seen, [address]);
    const proof = taken !== undefined && "answer" in taken ? taken.answer : assert.fail("no proof");
    assert.equal(proof.length, challenge.length, "nobody gets more than was sent");
    const want = { proven: { address, mac: prover, kind: "proves" } };
    assert.deepEqual(asks.receive(proof, asker, 999, announced), want);
    assert.equal(asks.receive(proof, asker, 999, announced), undefined, "replayed");
    challengeBy(asks, address);
    assert.equal(asks.receive(proof, asker, 999, announced), undefined, "replayed to the next challenge");
  });

test("a proof says whether its speaker has lost all others", () => {
  const [asks, proves] = [make(), make()];
  for (const isAlone of [true, false]) {
    proves.isAlone = isAlone;
    const taken = proves.receive(challengeBy(asks), prover, 0, announced);
    const proof = taken !== undefined && "answer" in taken ? taken.answer : assert.fail("no proof");
    const forged = Uint8Array.from(proof, (octet, index) => (index === 19 ? octet ^ 1 : octet)); // The type is part of what the tag is made of.
    assert.equal(asks.receive(forged, asker, 0, announced), undefined);
    const kind = isAlone ? "provesAlone" : "proves";
    assert.deepEqual(asks.receive(proof, asker, 0, announced), { proven: { address: x, mac: prover, kind } });
  }
});

test("an address that is not announced is not proven, and without a key nothing is challenged or proven", () => {
  const challenge = challengeBy(make());
  assert.equal(
    make().receive(challenge, prover, 0, () => false),
    undefined,
  );
  assert.equal(make([]).receive(challenge, prover, 0, announced), undefined);
  assert.deepEqual(make([]).challenge(x, prover, [asker], 0), []);
});

test("while the ring's key is replaced proofs by the old one and the new one are accepted, and by no other", () => {
  const next = new TextEncoder().encode("another ring key");
  for (const [keys, isAccepted] of [
    [[ringKey], true],
    [[next, ringKey], true],
    [[new TextEncoder().encode("some other key!!"), next], false],
  ] as const) {
    const asks = make([ringKey, next]);
    const proof = proofOf(make(keys), challengeBy(asks));
    assert.equal(asks.receive(proof, asker, 0, announced) !== undefined, isAccepted);
  }
});

test("a proof that is held back for a second proves nothing", () => {
  const [asks, proves] = [make(), make()];
  const proof = proofOf(proves, challengeBy(asks));
  assert.equal(asks.receive(proof, asker, 1000, announced), undefined);
});

test("a frame that goes to another host, or comes back to who sent it, is neither challenge nor proof", () => {
  const [asks, proves] = [make(), make()];
  const challenge = challengeBy(asks);
  assert.equal(proves.receive(challenge, other, 0, announced), undefined);
  assert.equal(asks.receive(challenge, asker, 0, announced), undefined);
  const reflected = encodeProof({
    destination: asker,
    source: asker,
    type: ProofType.challenge,
    nonce: new Uint8Array(16),
    address: x,
  });
  assert.equal(asks.receive(reflected, asker, 0, announced), undefined);
});

test("property: whatever is changed in a proof, it proves nothing", () => {
  fc.assert(
    fc.property(fc.nat(proofFrameLength - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const asks = make();
      const proof = proofOf(make(), challengeBy(asks));
      proof[at] = (proof[at] ?? 0) ^ by;
      const taken = asks.receive(proof, asker, 0, announced);
      const isChallenge = proof[19] === ProofType.challenge; // Anybody may ask.
      assert.deepEqual(Object.keys(taken ?? {}), isChallenge ? ["answer"] : []);
    }),
  );
});

test("property: a host that sees all frames and has no key proves nothing in the name of a dead node, whatever it sends", () => {
  const moves = fc.array(
    fc.record({
      from: fc.constantFrom("challenge", "proof", "captured"),
      pick: fc.nat(),
      at: fc.constantFrom(0, 6, 19, 22, 38, 54, undefined),
      take: fc.constantFrom("challenge", "proof", "captured"),
      to: fc.constantFrom(asker, prover, other),
      wait: fc.constantFrom(0, 10, 500, 1000),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(moves, (all) => {
      const [asks, third] = [make(), make()]; // The third node announces the address too; the challenged one is dead.
      const before = proofOf(make(), challengeBy(asks)); // A proof from the time when it lived.
      let now = 5000;
      let challenge = challengeBy(asks, x, now);
      const seen = { challenge: [challenge], proof: [before], captured: [before] };
      for (const { from, pick, at, take, to, wait } of all) {
        now += wait;
        if (wait > 100) {
          challenge = challengeBy(asks, x, now);
          seen.challenge.push(challenge);
        }
        const frame = (seen[from][pick % seen[from].length] ?? challenge).slice();
        const part = seen[take][pick % seen[take].length] ?? challenge;
        if (at !== undefined) frame.set(part.subarray(at, at + (at < 12 ? 6 : 16)).subarray(0, frame.length - at), at);
        for (const [node, mac] of [
          [asks, asker],
          [third, other],
        ] as const) {
          if (to !== mac) continue;
          const addressed = frame.slice();
          new DataView(addressed.buffer).setUint16(0, Math.floor(mac / 2 ** 32));
          new DataView(addressed.buffer).setUint32(2, mac % 2 ** 32);
          const taken = node.receive(addressed, mac, now, announced);
          if (taken === undefined) continue;
          assert.ok("answer" in taken, "nothing is proven");
          seen.captured.push(taken.answer);
        }
      }
    }),
    { numRuns: 500 },
  );
});

test(
  "a source gets 5,000 proofs a second, all together 10,000, and wrong answers to a challenge are looked at four times",
  slow,
  () => {
    const proves = make();
    const made = (source: number) => {
      const [challenge] = make().challenge(x, prover, [source], 0);
      let count = 0;
      for (let i = 0; i < 20_000; i++)
        if (challenge !== undefined && proves.receive(challenge, prover, 0, announced) !== undefined) count++;
      return count;
    };
    assert.equal(made(asker), 5_000);
    assert.equal(made(other) + made(other + 1) + made(other + 2), 5_000);
    const asks = make();
    const proof = proofOf(make(), challengeBy(asks));
    const wrong = proof.slice();
    wrong[proofFrameLength - 1] = (wrong[proofFrameLength - 1] ?? 0) ^ 1;
    for (let i = 0; i < 4; i++) assert.equal(asks.receive(wrong, asker, 0, announced), undefined);
    assert.equal(asks.receive(proof, asker, 0, announced), undefined, "nor is a right one then: this node goes on announcing");
  },
);
