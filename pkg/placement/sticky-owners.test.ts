import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { GossipNode } from "#pkg/gossip/testing";
import { Address } from "#pkg/net";
import { type RebalancePolicy, StickyOwners } from "./sticky-owners.ts";

const addresses = Array.from({ length: 20 }, (_, i) => new Address("IPv4", BigInt(0xc0000200 + i)));
const [x = new Address("IPv4", 0n), y = x] = addresses;

/** Nodes whose gossip reaches one another when `exchange` is called. */
function nodes(...names: string[]) {
  const all = names.map((name) => {
    const node = new GossipNode(name);
    node.state.participate();
    return { name, node, gossip: node.state, sticky: new StickyOwners(name, node.state) };
  });
  for (const one of all) one.node.join(...all.filter((other) => other !== one));
  const exchange = () => {
    for (const { node } of all)
      for (const { payload } of node.takeUpdates()) for (const other of all) if (other.node !== node) other.node.merge(payload);
  };
  exchange();
  return { all, exchange, node: (name: string) => all.find((one) => one.name === name) ?? assert.fail(name) };
}

/** Places all, as a speaker does. */
function place(
  sticky: StickyOwners,
  candidates: readonly string[],
  policy: RebalancePolicy = "limit",
): Map<string, string | undefined> {
  for (const address of addresses) sticky.place(address, candidates, undefined);
  sticky.settle(policy);
  return new Map(addresses.map((address) => [address.toString(), sticky.place(address, candidates, undefined)]));
}

test("who knows the same chooses the same, and nobody takes more than a share", () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(names, (candidates) => {
      const { all } = nodes(...candidates);
      const owners = all.map(({ sticky }) => Object.fromEntries(claimsAside(sticky, candidates)));
      for (const other of owners) assert.deepEqual(other, owners[0]);
      const held = Map.groupBy(Object.values(owners[0] ?? {}), (owner) => owner);
      for (const [, its] of held) assert.ok(its.length <= Math.ceil(addresses.length / candidates.length));
    }),
  );
});

/** What is chosen, as `settle` tells it. */
function claimsAside(sticky: StickyOwners, candidates: readonly string[]): [string, string | undefined][] {
  for (const address of addresses) sticky.place(address, candidates, undefined);
  sticky.settle("limit");
  return addresses.map((address) => [address.toString(), sticky.follow(address, candidates)]);
}

test("hearing of one node's claims first changes nothing about what is left", () => {
  const names = ["a", "b", "c", "d"];
  const { all, exchange } = nodes(...names);
  const [a, ...others] = all;
  const wanted = a && Object.fromEntries(claimsAside(a.sticky, names));
  exchange(); // All that `a` took is claimed now.
  for (const { sticky } of others) assert.deepEqual(Object.fromEntries(claimsAside(sticky, names)), wanted);
});

test("an owner keeps an address while it is a candidate, whoever joins", () => {
  const { exchange, node } = nodes("a", "b", "c");
  const a = node("a").sticky;
  for (const address of addresses.slice(0, 4)) a.place(address, ["a"], undefined);
  a.settle("limit");
  exchange();
  const b = node("b").sticky;
  assert.equal(b.place(x, ["a", "b", "c"], undefined), "a");
  assert.equal(b.place(x, ["b", "c"], "a"), undefined);
  assert.deepEqual(b.settle("limit"), [x]);
});

test("of two owners the one whose view is more certain keeps the address, and among equals the same one everywhere", () => {
  for (const [uncertaintyOfA, uncertaintyOfB, wanted] of [
    [9, 1, "b"],
    [0, 1, "a"],
    [0x8000, 0x7fff, "b"],
    [3, 3, undefined],
  ] as const) {
    const { exchange, node, all } = nodes("a", "b");
    for (const [name, uncertainty] of [
      ["a", uncertaintyOfA],
      ["b", uncertaintyOfB],
    ] as const) {
      node(name).gossip.setViewUncertainty(uncertainty);
      node(name).gossip.own(x);
    }
    exchange();
    const owners = all.map(({ sticky }) => sticky.place(x, ["a", "b"], undefined));
    assert.equal(new Set(owners).size, 1, `${owners}`);
    if (wanted !== undefined) assert.equal(owners[0], wanted);
  }
});

test("a node gives away what it has beyond two shares at once, and beyond its share and one at rest", () => {
  const { all, exchange, node } = nodes("a", "b", "c", "d");
  const names = all.map(({ name }) => name);
  const a = node("a");
  const claimed = () => addresses.filter((address) => a.gossip.owners(address.toString()).includes("a")).length;
  place(a.sticky, ["a"]);
  exchange();
  place(a.sticky, ["a", "b"]);
  assert.equal(claimed(), 20, "two shares of two");
  for (const [policy, most] of [
    ["hold", 10],
    ["limit", 10],
    ["even", 6],
  ] as const) {
    if (policy !== "even") a.sticky.nodesChanged();
    place(a.sticky, names, policy);
    assert.equal(claimed(), most, policy);
    assert.equal(addresses.filter((address) => a.sticky.isGivenAway(address)).length, 20 - most, policy);
    assert.ok(
      place(a.sticky, names, policy)
        .values()
        .every((owner) => owner === "a"),
      "until others have claimed them",
    );
  }
  exchange();
  for (const { name, sticky } of all) if (name !== "a") place(sticky, names);
  exchange();
  const owners = all.map(({ sticky }) => [...place(sticky, names, "even").values()]);
  const held = (name: string) => owners[0]?.filter((owner) => owner === name).length ?? Number.NaN;
  assert.equal(held("a"), 6);
  for (const name of ["b", "c", "d"]) assert.ok(held(name) <= 5);
  for (const other of owners) assert.deepEqual(other, owners[0]);
  assert.ok(addresses.every((address) => !a.sticky.isGivenAway(address)));
});

test("what is settled stands until something changes", () => {
  const { node } = nodes("a", "b", "c");
  const { sticky } = node("a");
  const placed = place(sticky, ["a", "b", "c"]);
  const others = new Set(placed.values());
  assert.ok(others.size > 1, "some go to others, which have not claimed them");
  for (const address of addresses)
    assert.equal(sticky.place(address, ["a", "b", "c"], undefined), placed.get(address.toString()));
  assert.deepEqual(sticky.settle("limit"), []);
});

test("what a node has had by hash it claims, and others leave it that for a while", () => {
  const { node } = nodes("a", "b");
  const { sticky, gossip } = node("a");
  assert.equal(sticky.place(x, ["a", "b"], "a"), "a");
  assert.deepEqual(gossip.owners(x.toString()), ["a"]);
  assert.equal(sticky.place(y, ["a", "b"], "b"), "b");
  assert.deepEqual(sticky.settle("hold"), []);
  assert.equal(sticky.place(y, ["a", "b"], "b"), "b");
});

test("while it is patient a node leaves what nobody has to those that are about to take part", () => {
  const { node } = nodes("a", "b");
  const { sticky, gossip } = node("a");
  gossip.failed("b"); // It is a member, and has not said so since.
  sticky.place(x, ["a", "b"], undefined);
  assert.deepEqual(sticky.settle("hold"), []);
  assert.deepEqual(sticky.settle("limit"), [x]);
  assert.deepEqual(gossip.owners(x.toString()), ["a"]);
});

test("an address that goes with another one has its owner, where that may, and waits while there is none", () => {
  const { node } = nodes("a", "b", "c");
  const { sticky } = node("a");
  sticky.place(x, ["a", "b"], undefined);
  assert.equal(sticky.follow(x, ["a", "b"]), undefined);
  sticky.settle("limit");
  const owner = sticky.follow(x, ["a", "b"]);
  assert.ok(owner === "a" || owner === "b");
  assert.equal(sticky.follow(x, ["c"]), "c");
  sticky.remove(x);
  assert.ok(["b", "c"].includes(sticky.follow(x, ["b", "c"]) ?? ""), "without the first one");
  assert.equal(sticky.follow(x, []), undefined);
});
