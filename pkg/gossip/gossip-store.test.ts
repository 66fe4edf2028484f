import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { GossipStore } from "./gossip-store.ts";

const octets = (text: string) => new Uint8Array(Buffer.from(text));
/** What `store` has of a node, as `key=value`. */
function said(store: GossipStore, node: string): string[] {
  return [...store.of(node).values()]
    .filter(({ value }) => value.length > 0)
    .map(({ key, value }) => `${key}=${Buffer.from(value)}`)
    .sort();
}
const payloads = (store: GossipStore) => store.takeUpdates().map(({ payload }) => payload);

test("what one posts another has, and passes on once", () => {
  const [a, b, c] = [new GossipStore("a"), new GossipStore("b"), new GossipStore("c")];
  a.set("k", octets("1"));
  const [payload = new Uint8Array(), ...more] = payloads(a);
  assert.deepEqual(more, []);
  assert.deepEqual(
    b.merge(payload).map(({ node, key }) => [node, key]),
    [["a", "k"]],
  );
  const [passedOn = new Uint8Array()] = payloads(b);
  c.merge(passedOn);
  assert.deepEqual(said(c, "a"), ["k=1"]);
  assert.deepEqual([b.merge(payload), payloads(b)], [[], []]);
});

test("the same again is no news", () => {
  const a = new GossipStore("a");
  a.set("k", octets("1"));
  a.takeUpdates();
  a.set("k", octets("1"));
  a.set("none", octets(""));
  assert.deepEqual(a.takeUpdates(), []);
});

test("news that come late change nothing", () => {
  const [a, b] = [new GossipStore("a"), new GossipStore("b")];
  a.set("k", octets("1"));
  const early = payloads(a);
  a.set("k", octets("2"));
  for (const payload of [...payloads(a), ...early]) b.merge(payload);
  assert.deepEqual(said(b, "a"), ["k=2"]);
});

test("one that starts again outbids what it said in its earlier life", () => {
  const [b, c] = [new GossipStore("b"), new GossipStore("c")];
  const before = new GossipStore("a");
  for (const value of ["1", "2", "3"]) before.set("kept", octets(value));
  before.set("gone", octets("4"));
  for (const payload of payloads(before)) b.merge(payload);
  const after = new GossipStore("a");
  after.set("kept", octets("new"));
  for (const payload of payloads(after)) c.merge(payload);
  c.merge(b.state(["a"]));
  assert.deepEqual(said(c, "a"), ["gone=4", "kept=3"], "until it hears of it");
  after.merge(c.state(["a"]));
  for (const payload of payloads(after)) c.merge(payload);
  assert.deepEqual(said(c, "a"), ["kept=new"]);
  after.set("kept", octets("newer"));
  for (const payload of payloads(after)) c.merge(payload);
  assert.deepEqual(said(c, "a"), ["kept=newer"]);
});

test("a store says what is asked for, and forgets others alone", () => {
  const a = new GossipStore("a");
  assert.deepEqual(a.state([]), new Uint8Array());
  const b = new GossipStore("b");
  b.set("k", octets("1"));
  a.merge(b.state([]));
  assert.deepEqual(a.state(["c"]), new Uint8Array());
  assert.deepEqual(a.state(["b"]), b.state([]));
  a.set("k", octets("2"));
  a.forget("b");
  a.forget("a");
  assert.deepEqual([said(a, "a"), said(a, "b")], [["k=2"], []]);
});

test("entries that get lost, are repeated and overtake one another end in the same store everywhere once all have been compared", () => {
  const act = fc.record({
    who: fc.nat({ max: 2 }),
    key: fc.constantFrom("x", "y"),
    value: fc.constantFrom("", "1", "2", "3"),
    restarts: fc.nat({ max: 9 }).map((chance) => chance === 0),
    receivers: fc.array(fc.nat({ max: 2 }), { maxLength: 3 }),
  });
  const names = ["a", "b", "c"];
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), fc.array(fc.nat({ max: 2 }), { maxLength: 40 }), (acts, order) => {
      const stores = names.map((name) => new GossipStore(name));
      const sent: Uint8Array[] = [];
      for (const { who, key, value, restarts, receivers } of acts) {
        if (restarts) stores[who] = new GossipStore(names[who] ?? "");
        stores[who]?.set(key, octets(value));
        sent.push(...stores.flatMap((store) => payloads(store)));
        for (const other of receivers) stores[other]?.merge(sent[other % Math.max(1, sent.length)] ?? new Uint8Array());
      }
      for (const who of order) stores[who]?.merge(stores[(who + 1) % 3]?.state(names) ?? new Uint8Array());
      // All compare with all; what one outbids, the others have to hear.
      for (let round = 0; round < 3; round++) for (const one of stores) for (const other of stores) one.merge(other.state(names));
      for (const [index, name] of names.entries())
        for (const store of stores) assert.deepEqual(said(store, name), said(stores[index] ?? store, name));
    }),
  );
});
