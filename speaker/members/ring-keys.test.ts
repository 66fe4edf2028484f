import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import type { View } from "#pkg/gossip";
import { resources } from "#pkg/k8s";
import { FakeCluster, secret } from "#pkg/k8s/testing";
import type { Log } from "#pkg/log";
import { silentLog } from "#pkg/log/testing";
import { encodeMetadata, Keyring, metallbKey, metallbKeys } from "#pkg/memberlist";
import { proofKeys, RingKeys, ringKeys } from "./ring-keys.ts";

const hour = 60 * 60_000;
const ours = encodeMetadata(new Map());
const member = { address: "192.0.2.1", port: 7946, status: "alive", incarnation: 1 } as const;

function bench() {
  const cluster = new FakeCluster();
  const clock = new SimulatedClock();
  const logged: string[] = [];
  const texts = ["first", "second", "third", "fourth", ...Array.from({ length: 100 }, (_, i) => `key ${i}`)];
  const names = new Map(texts.map((text) => [metallbKey(text).join(), text]));
  /** The keys that the ring has, the one in use first. */
  let ring: readonly string[] = ["first"];
  let ofProofs = ring;
  let changes = 0;
  /** The members' views of the API. */
  const views = new Map<string, View>([
    ["self", "old"],
    ["other", "current"],
  ]);
  /** Members that are MetalLB's. */
  const foreign = new Set<string>();
  const note = (level: string) => (message: string, fields?: object) =>
    void logged.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const log: Log = { ...silentLog, info: note("info"), warn: note("warn") };
  const keys = new RingKeys({
    memberlist: {
      members: () =>
        [...views.keys()].map((name) => ({ ...member, name, self: name === "self", meta: foreign.has(name) ? undefined : ours })),
      setKeys: (now) => {
        changes++;
        // Each text by both lengths, the one that seals first.
        ring = now.flatMap((key, index) => (index % 2 === 0 ? (names.get(key.join()) ?? "unknown") : []));
        assert.deepEqual(
          now.filter((_, index) => index % 2 === 1),
          ring.map((text) => metallbKeys(text)[1]),
        );
      },
    },
    layer2: {
      setKeys: (now) => {
        ofProofs = now.map((key) => names.get(key.join()) ?? "unknown");
      },
    },
    gossip: { view: (node) => views.get(node) ?? "current" },
    first: "first",
    cluster,
    namespace: "metallb-system",
    secret: "memberlist",
    log,
    clock,
  });
  keys.start();
  const ringAndProofs = () => {
    assert.deepEqual(ofProofs, ring, "layer 2 has the keys of the ring");
    return ring;
  };
  const informer = cluster.of(resources.secrets, "memberlist");
  const see = (data: Record<string, string>) => informer.see(secret("metallb-system/memberlist", data));
  return { keys, clock, logged, see, informer, ring: ringAndProofs, changes: () => changes, views, foreign };
}

test("a new key of the ring is accepted at once, used after 10 s, and the one before accepted for an hour", () => {
  const { clock, see, ring, changes, logged } = bench();
  see({ secretkey: "first" });
  assert.equal(changes(), 0, "the key that it was started with");
  see({ secretkey: "second" });
  assert.deepEqual(ring(), ["first", "second"]);
  clock.advanceBy(9_999);
  assert.deepEqual(ring(), ["first", "second"]);
  clock.advanceBy(1);
  assert.deepEqual(ring(), ["second", "first"]);
  clock.advanceBy(hour - 1);
  assert.deepEqual(ring(), ["second", "first"]);
  clock.advanceBy(1);
  assert.deepEqual([ring(), clock.pending()], [["second"], []]);
  assert.ok(!/first|second/.test(logged.join().replaceAll("the new key", "")), "keys are never logged");
});

for (const view of ["behind", "old"] as const)
  test(`a member whose view of the API is ${view} is not left out: the new key is used when it is current again`, () => {
    const { clock, see, ring, views, logged } = bench();
    views.set("other", view);
    see({ secretkey: "second" });
    clock.advanceBy(5 * 60_000);
    assert.deepEqual(ring(), ["first", "second"]);
    assert.deepEqual(
      logged.filter((line) => line.startsWith("warn")),
      [
        'warn the new key of the speakers\' ring is not used yet: members that do not see the API, or are MetalLB\'s and not restarted, may not know it {"op":"memberlist","secret":"memberlist","members":["other"]}',
      ],
    );
    views.set("other", "current");
    clock.advanceBy(1000);
    assert.deepEqual(ring(), ["second", "first"]);
  });

test("a speaker of MetalLB, which knows the key that it was started with, is waited for until it is gone, and ten minutes at most", () => {
  for (const goneAt of [300_000, 600_000]) {
    const { clock, see, ring, views, foreign, logged } = bench();
    views.set("metallb", "current");
    foreign.add("metallb");
    see({ secretkey: "second" });
    clock.advanceTo(goneAt - 1);
    assert.deepEqual(ring(), ["first", "second"]);
    assert.match(logged.join(), /not used yet.*"members":\["metallb"\]/);
    if (goneAt < 600_000) views.delete("metallb");
    clock.advanceBy(1);
    assert.deepEqual(ring(), ["second", "first"]);
  }
});

test("a member that does not see the API for ten minutes is waited for no longer", () => {
  const { clock, see, ring, views } = bench();
  views.set("other", "old");
  see({ secretkey: "second" });
  clock.advanceBy(599_999);
  assert.deepEqual(ring(), ["first", "second"]);
  clock.advanceBy(1);
  assert.deepEqual(ring(), ["second", "first"]);
  clock.advanceBy(hour);
  assert.deepEqual([ring(), clock.pending()], [["second"], []]);
});

test("a key that the Secret has as the old one is accepted for as long as it is there", () => {
  const { clock, see, ring } = bench();
  see({ secretkey: "first", "secretkey-old": "second" });
  assert.deepEqual(ring(), ["first", "second"], "as one that starts in the midst of it");
  clock.advanceBy(2 * hour);
  assert.deepEqual(ring(), ["first", "second"]);
  see({ secretkey: "first" });
  assert.deepEqual(ring(), ["first"]);
});

test("a Secret that is changed again and again, or back, leaves no speaker out", () => {
  const { clock, see, ring } = bench();
  see({ secretkey: "second" });
  see({ secretkey: "third" });
  assert.deepEqual(ring(), ["first", "third", "second"], "others may use the second by now");
  see({ secretkey: "first" });
  clock.advanceBy(10_000);
  assert.deepEqual(ring(), ["first", "second", "third"]);
  for (let i = 0; i < 100; i++) see({ secretkey: `key ${i}` });
  assert.ok(ring().length <= 6, `${ring().length} keys`);
});

test("when the Secret is deleted, or its key, the last one stays in use, with a warning", () => {
  const { clock, see, informer, ring, logged } = bench();
  see({ secretkey: "second" });
  clock.advanceBy(10_000);
  see({});
  informer.forget("metallb-system/memberlist");
  assert.deepEqual(ring(), ["second", "first"]);
  assert.equal(logged.filter((line) => line.startsWith("warn")).length, 2);
});

test("texts whose first 16 bytes are the same are one key", () => {
  const { see, changes } = bench();
  see({ secretkey: "first", "secretkey-old": "first" });
  assert.equal(changes(), 0);
});

test("the ring of MetalLB before 0.14 is understood, and that from 0.14 on, once one of its messages was seen", () => {
  const text = "a secret of the ring that is longer than any key";
  const [ofOld, ofNew] = metallbKeys(text).map((key) => new Keyring([key])) as [Keyring, Keyring];
  const nonce = new Uint8Array(12);
  const hello = new TextEncoder().encode("hello");
  const says = (from: Keyring, to: Keyring) => new Uint8Array(to.open(from.seal(hello, nonce)));
  const [ours, another] = [new Keyring(ringKeys([text, "", "other"])), new Keyring(ringKeys([text]))];
  assert.deepEqual(says(ours, ofOld), hello);
  assert.deepEqual(says(ofOld, ours), hello);
  assert.deepEqual(says(ours, ofOld), hello, "what the old one says changes nothing");
  assert.throws(() => says(ours, ofNew), /none of 1 keys fits/);
  assert.deepEqual(says(ofNew, ours), hello);
  assert.deepEqual(says(ours, ofNew), hello);
  assert.deepEqual(says(another, ours), hello, "speakers of ours understand each other before");
  assert.deepEqual(says(ours, another), hello);
  assert.deepEqual(says(another, ofNew), hello, "and one tells the other");
  const newer = "a new secret of the ring, which is as long";
  ours.replace(ringKeys([newer, text]));
  assert.deepEqual(says(ours, new Keyring([metallbKeys(newer)[1]])), hello, "also after a rotation");
});

test("a text that is shorter than a key has each key once, and no text has none", () => {
  assert.deepEqual(ringKeys([""]), []);
  assert.equal(ringKeys(["short", "short"]).length, 2);
  assert.deepEqual(proofKeys(["short", "", "short"]), [metallbKey("short")]);
});
