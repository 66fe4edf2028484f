import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeEntries, encodeEntries, maxLife } from "./codec/entry-codec.ts";
import { GossipStore } from "./gossip-store.ts";

const bytes = (text: string) => new Uint8Array(Buffer.from(text));
const payloads = (store: GossipStore) => [...store.takeUpdates()].map(({ payload }) => payload);

/** A store whose members are `a`, `b` and `c`, and all of whose entries of others are looked at. */
class Bench extends GossipStore {
  readonly #entries = new Map<string, string>(); // node and key -> life and value

  constructor(node: string, life = 1) {
    super(node, life);
    for (const other of ["a", "b", "c"]) this.joined(other, 0);
  }

  override merge(payload: Uint8Array, now = 0) {
    const entries = super.merge(payload, now);
    for (const { node, life, key, value } of entries) {
      for (const [known, was] of this.#entries)
        if (known.startsWith(`${node} `) && Number(was.split(" ")[0]) < life) this.#entries.delete(known);
      this.#entries.set(`${node} ${key}`, `${life} ${Buffer.from(value)}`);
    }
    return entries;
  }

  /** The others' entries of a node, as `key=value`. */
  of(node: string): string[] {
    return [...this.#entries]
      .filter(([key, value]) => key.startsWith(`${node} `) && !value.endsWith(" "))
      .map(([key, value]) => `${key.slice(node.length + 1)}=${value.split(" ")[1]}`)
      .sort();
  }
}

test("what one sets another gets, and broadcasts once", () => {
  const [a, b, c] = [new Bench("a"), new Bench("b"), new Bench("c")];
  a.set("k", bytes("1"));
  const [payload = new Uint8Array(), ...more] = payloads(a);
  assert.deepEqual(more, []);
  assert.deepEqual(
    b.merge(payload).map(({ node, key }) => [node, key]),
    [["a", "k"]],
  );
  const [passedOn = new Uint8Array()] = payloads(b);
  c.merge(passedOn);
  assert.deepEqual(c.of("a"), ["k=1"]);
  assert.deepEqual([b.merge(payload), payloads(b)], [[], []]);
});

test("what all others have is taken in, and not broadcast", () => {
  const [a, b] = [new GossipStore("a", 1), new GossipStore("b", 1)];
  a.set("k", bytes("1"));
  b.joined("a", 1);
  assert.equal(b.merge(a.state(), 0, false).length, 1);
  assert.deepEqual([payloads(b), b.state(), b.digest()], [[], a.state(), a.digest()]);
});

test("the same value again is no update, unless it is repeated for those that missed it", () => {
  const [a, b] = [new Bench("a"), new Bench("b")];
  a.set("k", bytes("1"));
  for (const payload of payloads(a)) b.merge(payload);
  a.set("k", bytes("1"));
  a.set("none", bytes(""));
  assert.deepEqual([...a.takeUpdates()], []);
  a.set("k", bytes("1"), { repeated: true });
  const [again = new Uint8Array()] = payloads(a);
  assert.equal(b.merge(again).length, 1);
});

test("entries that come late change nothing", () => {
  const [a, b] = [new Bench("a"), new Bench("b")];
  a.set("k", bytes("1"));
  const early = payloads(a);
  a.set("k", bytes("2"));
  for (const payload of [...payloads(a), ...early]) b.merge(payload);
  assert.deepEqual(b.of("a"), ["k=2"]);
});

test("what a node set before it started again is void from when it is a member again", () => {
  const [b, c] = [new Bench("b"), new Bench("c")];
  const before = new Bench("a");
  for (const value of ["1", "2", "3"]) before.set("kept", bytes(value));
  before.set("gone", bytes("4"));
  for (const payload of payloads(before)) b.merge(payload);
  b.failed("a", 0);
  b.joined("a", 2);
  assert.deepEqual(b.state(), new Uint8Array());
  const after = new Bench("a", 2);
  after.set("kept", bytes("new"));
  for (const payload of payloads(after)) c.merge(payload);
  c.merge(before.state());
  assert.deepEqual(c.of("a"), ["kept=new"]);
});

test("a node whose clock was set back takes a later life than its earlier one", () => {
  const [b, c] = [new Bench("b"), new Bench("c")];
  const before = new Bench("a", 1000);
  before.set("kept", bytes("1"));
  before.set("gone", bytes("2"));
  for (const payload of payloads(before)) for (const other of [b, c]) other.merge(payload);
  const after = new Bench("a", 500);
  after.set("kept", bytes("new"));
  for (const payload of payloads(after)) c.merge(payload);
  assert.deepEqual(c.of("a"), ["gone=2", "kept=1"], "until it receives them");
  after.merge(b.state());
  for (const payload of payloads(after)) c.merge(payload);
  assert.deepEqual(c.of("a"), ["kept=new"]);
  assert.deepEqual([after.merge(after.state()), payloads(after)], [[], []], "its own entries are no surprise");
  const fresh = new Bench("d");
  fresh.merge(after.state());
  assert.equal(after.digest(), fresh.digest(), "nothing of the earlier life is left in it");
});

test("a forged entry of the last life that can be written does not keep a node from telling the others", () => {
  const a = new Bench("a");
  a.set("k", bytes("1"));
  a.merge(encodeEntries([{ node: "a", life: maxLife, key: "k", version: 1, value: bytes("9") }]));
  assert.equal(payloads(a).length, 1);
});

test("entries of a node that is no member wait until it is one, are not passed on, and are forgotten", () => {
  const b = new GossipStore("b", 1);
  const d = encodeEntries([{ node: "d", life: 7, key: "k", version: 1, value: bytes("1") }]);
  assert.deepEqual(b.merge(d, 0), []);
  assert.deepEqual([b.state(), [...b.takeUpdates()], b.nextDeadline], [new Uint8Array(), [], 60_000]);
  assert.deepEqual(
    b.joined("d", 7).map(({ key }) => key),
    ["k"],
  );
  assert.deepEqual([b.state(), payloads(b), b.nextDeadline], [d, [d], Infinity]);
  b.left("d");
  b.merge(d, 0);
  assert.deepEqual([b.expire(59_999), b.expire(60_000), b.joined("d", 7)], [[], ["d"], []]);
});

test("a member that is forgotten tells its entries again, and one that failed before is forgotten for good", () => {
  const b = new GossipStore("b", 1);
  const d = encodeEntries([{ node: "d", life: 7, key: "k", version: 1, value: bytes("1") }]);
  b.joined("d", 7);
  b.merge(d, 0);
  b.forget("d");
  assert.deepEqual(b.state(), new Uint8Array());
  assert.deepEqual([b.merge(d, 0).map(({ key }) => key), b.state()], [["k"], d]);
  b.failed("d", 0);
  b.forget("d");
  assert.deepEqual([b.merge(d, 0), b.state()], [[], new Uint8Array()]);
});

test("entries of a member that failed are kept for ten minutes, also when its Node was deleted before", () => {
  const [a, b, c] = [new Bench("a"), new Bench("b"), new Bench("c")];
  a.set("k", bytes("1"));
  for (const payload of payloads(a)) for (const other of [b, c]) other.merge(payload);
  for (const other of [b, c]) other.failed("a", 0);
  assert.equal(b.nextDeadline, 600_000);
  assert.deepEqual([b.expire(599_999), b.expire(600_000)], [[], ["a"]]);
  b.merge(c.state(), 600_000);
  assert.deepEqual(b.state(), new Uint8Array(), "another that still has them does not bring them back");
  c.joined("a", 1);
  assert.equal(c.nextDeadline, Infinity);
  assert.ok(c.state().length > 0);
});

test("each node's entries are forgotten at their own time, that of a member by its last failure", () => {
  const b = new GossipStore("b", 1);
  for (const node of ["c", "d", "e"]) b.joined(node, 1);
  b.failed("c", 0);
  b.failed("d", 1);
  b.merge(encodeEntries([{ node: "stranger", life: 7, key: "k", version: 1, value: bytes("1") }]), 2);
  b.failed("stranger", 3);
  b.failed("c", 4);
  assert.deepEqual([b.nextDeadline, b.expire(60_002)], [60_002, ["stranger"]]);
  assert.deepEqual([b.nextDeadline, b.expire(600_001)], [600_001, ["d"]]);
  b.joined("c", 1);
  assert.deepEqual([b.nextDeadline, b.expire(900_000)], [Infinity, []]);
});

test("a store forgets others alone, and holds 4,096 nodes that are no members, beside any number of members", () => {
  const a = new Bench("a");
  a.set("k", bytes("2"));
  a.forget("a");
  assert.ok(a.state().length > 0);
  for (let i = 0; i < 5000; i++) a.joined(`m${i}`, 1);
  for (let i = 0; i < 5000; i++) a.merge(encodeEntries([{ node: `n${i}`, life: 1, key: "k", version: 1, value: bytes("1") }]), 0);
  assert.equal(a.expire(60_000).length, 4096);
});

test("keys that a node has emptied make room for others, there and at all who know them", () => {
  const [a, b, c] = [new GossipStore("a", 1), new GossipStore("b", 1), new GossipStore("c", 1)];
  for (const other of [b, c]) other.joined("a", 1);
  const tell = (key: string, value: string) => {
    a.set(key, bytes(value));
    const told = payloads(a);
    return told.flatMap((payload) => b.merge(payload, 0)).length;
  };
  for (let i = 0; i < 5000; i++) for (const value of ["1", ""]) tell(`k${i}`, value);
  assert.equal(tell("k", "1"), 1);
  c.merge(b.state(), 0);
  const known = [a, b, c].map((store) => [decodeEntries(store.state())?.length, store.digest()]);
  assert.deepEqual(known, Array(3).fill([4096, a.digest()]));
  const late = encodeEntries([{ node: "a", life: 1, key: "k0", version: 2, value: bytes("") }]);
  for (const store of [a, b]) assert.deepEqual([store.merge(late, 0), store.digest()], [[], a.digest()]);
  assert.deepEqual(payloads(a), [], "it is no entry of an earlier process");
});

test("entries that get lost, are repeated and overtake one another end in the same store everywhere once all have been compared", () => {
  const act = fc.record({
    who: fc.nat({ max: 2 }),
    key: fc.constantFrom("x", "y"),
    value: fc.constantFrom("", "1", "2", "3"),
    restarts: fc.nat({ max: 9 }).map((chance) => chance === 0),
    life: fc.nat({ max: 5 }),
    receivers: fc.array(fc.nat({ max: 2 }), { maxLength: 3 }),
  });
  const names = ["a", "b", "c"];
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), fc.array(fc.nat({ max: 2 }), { maxLength: 40 }), (acts, order) => {
      const stores = names.map((name) => new Bench(name));
      const own = names.map(() => new Map<string, string>());
      const sent: Uint8Array[] = [];
      for (const { who, key, value, restarts, life, receivers } of acts) {
        if (restarts) {
          stores[who] = new Bench(names[who] ?? "", life); // Its clock may be anywhere.
          own[who]?.clear();
        }
        stores[who]?.set(key, bytes(value));
        own[who]?.set(key, value);
        sent.push(...stores.flatMap((store) => payloads(store)));
        for (const other of receivers) stores[other]?.merge(sent[other % Math.max(1, sent.length)] ?? new Uint8Array());
      }
      for (const who of order) stores[who]?.merge(stores[(who + 1) % 3]?.state() ?? new Uint8Array());
      // All compare with all; a store that receives an earlier life's entries reports again.
      for (let round = 0; round < 4; round++) for (const one of stores) for (const other of stores) one.merge(other.state());
      for (const [index, name] of names.entries()) {
        const wanted = [...(own[index] ?? [])].filter(([, value]) => value !== "").map(([key, value]) => `${key}=${value}`);
        if (wanted.length > 0)
          for (const store of stores) if (store !== stores[index]) assert.deepEqual(store.of(name), wanted.sort());
      }
    }),
  );
});
