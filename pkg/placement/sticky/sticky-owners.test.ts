import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Millis } from "#pkg/clock";
import { GossipNode } from "#pkg/gossip/testing";
import { Address } from "#pkg/net";
import { StickyOwners } from "./sticky-owners.ts";

const addresses = Array.from({ length: 20 }, (_, i) => new Address("IPv4", BigInt(0xc0000200 + i)));
const [x = new Address("IPv4", 0n), y = x] = addresses;

/** One node's addresses that stay, and its gossip. */
class Bench {
  readonly name: string;
  readonly gossip: GossipNode;
  sticky: StickyOwners;
  weights: ReadonlyMap<string, number> = new Map();
  now: Millis = 0;

  constructor(name: string, isEven = false) {
    this.name = name;
    this.gossip = new GossipNode(name);
    this.gossip.state.participate();
    this.sticky = isEven ? StickyOwners.even(name, this.gossip.state) : new StickyOwners(name, this.gossip.state);
  }

  /** Places all that the map names, and settles; then places what that changed. */
  place(
    candidates: readonly string[],
    which: readonly Address[] = addresses,
    firsts = new Map<Address, Address>(),
  ): (string | undefined)[] {
    const placeOne = (address: Address) =>
      this.sticky.place(
        { address, first: firsts.get(address) ?? address, candidates, weights: this.weights, before: undefined },
        this.now,
      );
    for (const address of which) placeOne(address);
    this.sticky.settle(this.now);
    return which.map(placeOne);
  }

  /** Time passes. @returns where the addresses are then */
  wait(
    duration: Millis,
    candidates: readonly string[],
    which: readonly Address[] = addresses,
    firsts = new Map<Address, Address>(),
  ) {
    const end = this.now + duration;
    for (;;) {
      this.now = Math.min(end, this.sticky.nextDeadline);
      this.sticky.timer(this.now);
      const placed = this.place(candidates, which, firsts);
      if (this.now >= end) return placed;
    }
  }

  owned(): Address[] {
    return addresses.filter((address) => this.gossip.state.owners(address.toString()).includes(this.name));
  }
}

/** Nodes whose gossip reaches one another when `exchange` is called. */
function nodes(...names: string[]) {
  return network(names.map((name) => new Bench(name)));
}

function network(all: readonly Bench[]) {
  const gossips = all.map(({ gossip }) => gossip);
  for (const one of gossips) one.join(...gossips.filter((other) => other !== one));
  const exchange = () => {
    for (const one of gossips)
      for (const { payload } of one.takeUpdates()) for (const other of gossips) if (other !== one) other.merge(payload);
  };
  exchange();
  return { all, exchange, node: (name: string) => all.find((one) => one.name === name) ?? assert.fail(name) };
}

test("who knows the same chooses the same, and nobody takes more than a share", () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 9 });
  fc.assert(
    fc.property(names, (candidates) => {
      const { all, exchange } = nodes(...candidates);
      for (const one of all) one.place(candidates);
      const shares = all.map((one) => one.owned());
      assert.equal(shares.flat().length, addresses.length, "each at one node");
      for (const share of shares) assert.ok(share.length <= Math.ceil(addresses.length / candidates.length));
      exchange();
      for (const one of all) assert.deepEqual(one.place(candidates), all[0]?.place(candidates));
    }),
  );
});

test("gossip of one node's addresses that comes first changes nothing about what is left", () => {
  const names = ["a", "b", "c", "d"];
  const together = nodes(...names);
  for (const one of together.all) one.place(names);
  const apart = nodes(...names);
  for (const one of apart.all) {
    one.place(names);
    apart.exchange();
  }
  for (const name of names) assert.deepEqual(apart.node(name).owned(), together.node(name).owned());
});

test("an owner keeps an address while it is a candidate, whoever joins", () => {
  const { exchange, node } = nodes("a", "b", "c");
  node("a").place(["a"], addresses.slice(0, 4));
  exchange();
  assert.deepEqual(node("b").place(["a", "b", "c"], [x]), ["a"]);
});

test("what nobody takes that was expected to is taken by the next in turn", () => {
  const { all } = nodes("a", "b", "c");
  const names = ["a", "b", "c"];
  // None of them receives what the others report: each expects them to take what is theirs.
  for (const one of all) {
    one.place(names);
    assert.ok(one.owned().length <= 7);
    one.wait(700, names);
    const after = one.owned().length;
    assert.ok(after > 7 && after < 20, `${after}`);
    one.wait(700, names);
    assert.equal(one.owned().length, 20);
  }
});

test("a node gives no address away that another one owns as well, until that one has released it", () => {
  const { exchange, node } = nodes("a", "b", "c");
  const names = ["a", "b", "c"];
  node("b").gossip.state.setViewUncertainty(9);
  for (const name of ["a", "b"]) node(name).place([name]); // Neither knows of the other: each owns all.
  exchange();
  node("a").place(names);
  assert.equal(node("a").owned().length, 20);
  node("b").place(names);
  exchange();
  node("a").place(names);
  assert.equal(node("a").owned().length, 14, "two shares of 7");
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
      node(name).gossip.state.setViewUncertainty(uncertainty);
      node(name).place([name], [x]);
    }
    exchange();
    const owners = all.map((one) => one.place(["a", "b"], [x])[0]);
    assert.equal(new Set(owners).size, 1, `${owners}`);
    if (wanted !== undefined) assert.equal(owners[0], wanted);
    assert.equal(all.filter((one) => one.owned().length === 1).length, 1);
    exchange();
    for (const one of all) {
      one.place(["a", "b"], [x]);
      assert.deepEqual(one.sticky.takeRegained(), one.name === owners[0] ? [x] : []);
    }
  }
});

test("the one that keeps an address reports that again until the others have released it", () => {
  const { exchange, node } = nodes("a", "b");
  const [a, b] = [node("a"), node("b")];
  b.gossip.state.setViewUncertainty(1);
  for (const one of [a, b]) one.place([one.name], [x]);
  a.gossip.takeUpdates(); // Gets lost.
  exchange();
  a.place(["a", "b"], [x]);
  a.gossip.takeUpdates(); // Gossip that it has from the other.
  a.wait(499, ["a", "b"], [x]);
  assert.deepEqual(a.gossip.takeUpdates(), []);
  a.wait(1, ["a", "b"], [x]);
  exchange();
  assert.deepEqual(b.place(["a", "b"], [x]), ["a"]);
  exchange();
  a.place(["a", "b"], [x]);
  assert.equal(a.sticky.nextDeadline, Infinity);
});

test("an owner that is no candidate releases the address; where others know that first they give it time to", () => {
  const { exchange, node } = nodes("a", "b");
  const [a, b] = [node("a"), node("b")];
  a.place(["a", "b"], [x]);
  b.place(["a", "b"], [x]);
  const [owner, other] = a.owned().length === 1 ? [a, b] : [b, a];
  exchange();
  assert.deepEqual(other.place([other.name], [x]), [undefined]);
  assert.deepEqual(other.wait(3999, [other.name], [x]), [undefined]);
  assert.deepEqual(other.wait(1, [other.name], [x]), [other.name]);
  assert.deepEqual(owner.place([other.name], [x]), [other.name]);
  assert.deepEqual(owner.owned(), []);
});

test("a node gives away what it has beyond two shares at once, and beyond its share and one when the nodes have been the same for long", () => {
  const { all, exchange, node } = nodes("a", "b", "c", "d");
  const names = all.map(({ name }) => name);
  const a = node("a");
  a.place(["a"]);
  exchange();
  a.place(["a", "b"]);
  assert.equal(a.owned().length, 20, "two shares of two");
  a.sticky.nodesChanged(a.now);
  assert.ok(
    a.place(names).every((announcer) => announcer === "a"),
    "it announces until others own them",
  );
  assert.equal(a.owned().length, 10);
  assert.ok(a.wait(3999, names).every((announcer) => announcer === "a"));
  a.wait(1, names);
  assert.equal(a.owned().length, 20, "nobody took them");
  a.sticky.nodesChanged(a.now);
  a.place(names);
  assert.equal(a.owned().length, 10);
  exchange();
  for (const one of all) one.place(names);
  exchange();
  for (const one of all) one.place(names);
  assert.deepEqual(a.owned().length, 10);
  a.wait(5 * 60_000, names);
  assert.equal(a.owned().length, 6);
  exchange();
  for (const one of all) one.place(names);
  exchange();
  const announcers = all.map((one) => one.place(names));
  for (const other of announcers) assert.deepEqual(other, announcers[0]);
  for (const name of ["b", "c", "d"]) assert.ok(node(name).owned().length <= 5);
});

test("what is settled stands until something changes", () => {
  const { node } = nodes("a", "b", "c");
  const a = node("a");
  const names = ["a", "b", "c"];
  const placed = a.place(names);
  assert.ok(new Set(placed).size > 1, "some go to others, which do not own them yet");
  assert.deepEqual(a.place(names), placed);
  assert.equal(a.sticky.isSettled, true);
});

test("what a node has had by hash it owns at once, and others leave it that for a while", () => {
  const { node } = nodes("a", "b");
  const { sticky, gossip } = node("a");
  const candidates = ["a", "b"];
  sticky.hold(0);
  assert.equal(sticky.place({ address: x, first: x, candidates, weights: new Map(), before: "a" }, 0), "a");
  assert.deepEqual(gossip.state.owners(x.toString()), ["a"]);
  assert.equal(sticky.place({ address: y, first: y, candidates, weights: new Map(), before: "b" }, 0), "b");
  assert.deepEqual(sticky.settle(0), []);
  assert.equal(sticky.place({ address: y, first: y, candidates, weights: new Map(), before: "b" }, 999), "b");
});

test("while it holds, a node leaves what nobody has to those that are about to participate", () => {
  const { exchange, node } = nodes("a", "b");
  const a = node("a");
  exchange();
  a.gossip.state.failed("b");
  a.gossip.state.joined("b", 1, 1); // It is a member again, and has not reported since.
  a.sticky.hold(0);
  assert.deepEqual(a.place(["a", "b"], [x]), [undefined]);
  assert.deepEqual(a.wait(999, ["a", "b"], [x]), [undefined]);
  assert.deepEqual(a.wait(1, ["a", "b"], [x]), ["a"]);
});

test("a second address goes to the node that has the first, whatever order speakers see them in, and alone where that may not", () => {
  const firsts = [new Map([[y, x]]), new Map([[x, y]])];
  for (const [i = 0, j = 0] of [
    [0, 0],
    [0, 1],
    [1, 0],
  ]) {
    const { all, exchange, node } = nodes("a", "b");
    const names = ["a", "b"];
    const [a, b] = [node("a"), node("b")];
    a.place(names, [x, y], firsts[i]);
    b.place(names, [x, y], firsts[j]);
    exchange();
    for (const one of all) one.wait(5000, names, [x, y], firsts[0]);
    exchange();
    for (const one of all) one.wait(5000, names, [x, y], firsts[0]);
    exchange();
    const placed = all.map((one) => one.place(names, [x, y], firsts[0]));
    assert.deepEqual(placed[0], placed[1]);
    assert.equal(placed[0]?.[0], placed[0]?.[1]);
    assert.equal(a.owned().length + b.owned().length, 2);
  }
  const { node } = nodes("a", "b");
  const a = node("a");
  a.place(["b"], [x]);
  const alone = { address: y, first: x, candidates: ["a"], weights: new Map(), before: undefined };
  assert.equal(a.sticky.place(alone, 0), undefined);
  a.sticky.settle(0);
  assert.equal(a.sticky.place(alone, 0), "a");
  assert.deepEqual(a.owned(), [y]);
});

test("a node owns what it takes when it announces it and not before, and not at all where another one has taken it by then", () => {
  const { exchange, node } = nodes("a", "b");
  const [a, b] = [node("a"), node("b")];
  const placing = { address: x, first: x, candidates: ["a", "b"], weights: new Map([["a", 1]]), before: undefined };
  for (const isTaken of [false, true]) {
    a.sticky.remove(x);
    assert.equal(a.sticky.place(placing, 0), undefined);
    assert.deepEqual(a.sticky.settle(0), [x]);
    assert.deepEqual(a.owned(), []);
    if (isTaken) b.gossip.state.own(x);
    exchange();
    assert.equal(a.sticky.place(placing, 0), isTaken ? "b" : "a");
    assert.deepEqual(a.owned(), isTaken ? [] : [x]);
  }
});

test("what a node takes comes first of what is to be placed again", () => {
  const { node } = nodes("a", "b");
  const a = node("a");
  for (const address of addresses)
    a.sticky.place({ address, first: address, candidates: ["a", "b"], weights: new Map(), before: undefined }, 0);
  const changed = a.sticky.settle(0);
  assert.equal(changed.length, addresses.length);
  a.place(["a", "b"], changed.slice(0, 10));
  assert.equal(a.owned().length, 10);
});

test("spread evenly, nodes have the same number or one more; a death moves the dead node's alone, and a return as few as can be", () => {
  const scenario = fc.tuple(fc.integer({ min: 2, max: 7 }), fc.integer({ min: 1, max: 20 }), fc.nat(6));
  fc.assert(
    fc.property(scenario, ([count, slots, index]) => {
      const names = Array.from({ length: count }, (_, i) => `n${i}`);
      const { all, exchange } = network(names.map((name) => new Bench(name, true)));
      const which = addresses.slice(0, slots);
      const round = (active: readonly string[], duration = 0): (string | undefined)[] => {
        const those = all.filter(({ name }) => active.includes(name));
        for (let i = 0; i < 3; i++) {
          for (const one of those) one.wait(i === 0 ? duration : 0, active, which);
          exchange();
        }
        const placed = those.map((one) => one.place(active, which));
        for (const other of placed) assert.deepEqual(other, placed[0]);
        return placed[0] ?? [];
      };
      const assertEven = (owners: readonly (string | undefined)[], active: readonly string[]) => {
        const counts = active.map((name) => owners.filter((owner) => owner === name).length);
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${counts}`);
        assert.equal(
          counts.reduce((sum, one) => sum + one, 0),
          slots,
        );
      };
      const first = round(names);
      assertEven(first, names);
      const dead = names[index % count] ?? assert.fail();
      const rest = names.filter((name) => name !== dead);
      const others = all.filter(({ name }) => name !== dead);
      for (const { gossip, sticky, now } of others) {
        gossip.state.failed(dead);
        sticky.nodesChanged(now);
      }
      const after = round(rest);
      assertEven(after, rest);
      for (const [i, owner] of first.entries()) if (owner !== dead) assert.equal(after[i], owner);
      const back = all.find(({ name }) => name === dead) ?? assert.fail();
      for (const address of back.owned()) back.gossip.state.release(address);
      back.sticky = StickyOwners.even(dead, back.gossip.state);
      exchange();
      for (const { gossip } of others) gossip.state.joined(dead, 0, 0);
      for (const { sticky, now } of all) sticky.nodesChanged(now);
      assert.deepEqual(round(names), after, "nothing moves at once");
      const rested = round(names, 5 * 60_000);
      assertEven(rested, names);
      const moved = rested.filter((owner, i) => owner !== after[i]);
      assert.ok(moved.every((owner) => owner === dead) && moved.length <= Math.ceil(slots / count), `${moved}`);
    }),
  );
});

/** Nodes that prefer the first one, of which the first has been away: the others have its addresses. */
function preferringFirst() {
  const ring = nodes("a", "b", "c");
  for (const one of ring.all) one.weights = new Map([["a", 100]]);
  const [, b, c] = ring.all;
  const placeAll = (...names: string[]) => {
    for (const one of ring.all.filter(({ name }) => names.includes(name))) one.place(names);
    ring.exchange();
  };
  placeAll("b", "c");
  placeAll("b", "c");
  assert.equal((b?.owned().length ?? 0) + (c?.owned().length ?? 0), 20);
  return { ...ring, placeAll };
}

test("what nobody owns goes to the preferred node, and to the others when there is none", () => {
  const { all, exchange, node } = nodes("a", "b", "c");
  const names = ["a", "b", "c"];
  for (const one of all)
    one.weights = new Map([
      ["b", 7],
      ["c", 7],
    ]);
  for (const one of all) one.place(names);
  exchange();
  for (const one of all) assert.deepEqual(one.place(names), all[0]?.place(names));
  assert.deepEqual([node("a").owned().length, node("b").owned().length, node("c").owned().length], [0, 10, 10]);
  assert.ok(node("a").place(["a"], [x])[0] === undefined, "their owners are given time");
  assert.deepEqual(node("a").wait(4000, ["a"], [x]), ["a"]);
});

test("a preferred node that comes back gets its addresses when the nodes have been the same for long, and not before", () => {
  const { all, exchange, node, placeAll } = preferringFirst();
  const names = ["a", "b", "c"];
  for (const one of all) one.sticky.nodesChanged(one.now);
  placeAll(...names);
  for (const one of all) one.wait(5 * 60_000 - 1, names);
  exchange();
  assert.equal(node("a").owned().length, 0);
  for (const one of all) one.wait(1, names);
  exchange();
  for (let i = 0; i < 4; i++) placeAll(...names);
  assert.equal(node("a").owned().length, 20, "all at once, each announced until it is taken");
  for (const one of all) one.wait(10 * 60_000, names);
  exchange();
  assert.equal(node("a").owned().length, 20, "and they stay");
});

test("a preferred node that comes and goes does not take addresses with it", () => {
  const { all, node, placeAll } = preferringFirst();
  for (let i = 0; i < 5; i++) {
    for (const one of all) one.sticky.nodesChanged(one.now);
    placeAll("a", "b", "c");
    for (const one of all) one.wait(4 * 60_000, ["a", "b", "c"]);
    for (const one of all) one.sticky.nodesChanged(one.now);
    placeAll("b", "c");
    for (const one of all.slice(1)) one.wait(4 * 60_000, ["b", "c"]);
    node("a").now = node("b").now;
    assert.equal(node("a").owned().length, 0);
  }
});

test("an address that goes with another one stays with it, whatever the preferred node is", () => {
  const { all, exchange } = nodes("a", "b");
  const together = new Map([[y, x]]);
  const names = ["a", "b"];
  for (const one of all) one.place(["b"], [x, y], together);
  exchange();
  for (const one of all) one.weights = new Map([["a", 1]]);
  for (const one of all) one.sticky.nodesChanged(one.now);
  const owners = new Set<string>();
  for (let i = 0; i < 80; i++) {
    for (const one of all) one.wait(10_000, names, [x, y], together);
    exchange();
    for (const one of all) one.place(names, [x, y], together);
    owners.add(all.map((one) => `${one.name}: ${one.owned()}`).join("; "));
  }
  assert.deepEqual([...owners], [`a: ; b: ${x},${y}`, `a: ${x},${y}; b: `]);
});

test("a node that gave an address away asks the one that is to take it soon, and each second, for both announce it meanwhile", () => {
  const { node, exchange } = nodes("a", "b");
  const names = ["a", "b"];
  const [a, b] = [node("a"), node("b")];
  a.place(["a"], [y]);
  b.place(["b"], [x]);
  exchange();
  const together = new Map([[y, x]]);
  for (const one of [a, b]) one.place(names, [x, y], together);
  assert.deepEqual(a.wait(4000, names, [x, y], together), ["b", "a"]);
  assert.deepEqual([a.owned(), a.sticky.takePulls()], [[], []], "it has given it away just now");
  // Reports of b do not arrive.
  const pulls = [350, 650, 350, 1000].map((duration) => {
    assert.deepEqual(a.wait(duration, names, [x, y], together), ["b", "a"]);
    return a.sticky.takePulls();
  });
  assert.deepEqual(pulls, [["b"], [], ["b"], ["b"]]);
  exchange();
  b.place(names, [x, y], together);
  exchange();
  assert.deepEqual(
    [a.place(names, [x, y], together), b.owned()],
    [
      ["b", "b"],
      [x, y],
    ],
  );
});

test("an address that is placed by another rule is no longer owned by this one", () => {
  const { node } = nodes("a");
  const a = node("a");
  a.place(["a"], [x]);
  a.sticky.remove(x);
  assert.deepEqual(a.owned(), []);
  a.place(["a"], [x]);
  assert.deepEqual(a.place([], [x]), [undefined]);
  assert.deepEqual(a.owned(), []);
});
