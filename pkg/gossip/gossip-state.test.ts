import assert from "node:assert/strict";
import { test } from "node:test";
import { Address } from "#pkg/net";
import { noChanges } from "./merge.ts";
import { GossipNode } from "./testing/index.ts";

const x = new Address("IPv4", 0xc0000201n);

test("that a node may not change its kernel is heard of, and a change is one of where it can announce", () => {
  const [a, b] = [new GossipNode("a"), new GossipNode("b")];
  b.join(a);
  a.state.participate();
  for (const hasKernelAccess of [true, false, true]) {
    a.state.setReachability({ answers: true, hasKernelAccess, interfaces: new Map() });
    assert.equal(b.merge(a.payload()).nodes, true);
    assert.equal(b.state.reachability("a")?.hasKernelAccess, hasKernelAccess);
    a.state.setReachability({ answers: true, hasKernelAccess, interfaces: new Map() });
    assert.equal(b.merge(a.payload()).nodes, false);
  }
});

test("what a node that failed owned does not count until it participates as the incarnation that joined again", () => {
  const [a, b] = [new GossipNode("a"), new GossipNode("b")];
  const seen = () => [b.state.owners(x.toString()), b.state.isParticipating("a")];
  const exchange = () => b.merge(a.payload());
  a.state.participate();
  b.join(a);
  a.state.setIncarnation(5);
  a.state.own(x);
  exchange();
  b.state.failed("a");
  assert.deepEqual(seen(), [[], false]);
  b.merge(a.payload()); // The state knew these already.
  assert.deepEqual(seen(), [[], false]);
  assert.deepEqual(b.state.joined("a", 6, 1), noChanges);
  a.state.setIncarnation(6);
  exchange();
  assert.deepEqual(seen(), [["a"], true]);
  b.state.failed("a");
  a.state.setIncarnation(7);
  exchange();
  assert.deepEqual(seen(), [[], false], "it is not back");
  assert.deepEqual(b.state.joined("a", 7, 1), { ...noChanges, nodes: true });
  assert.deepEqual(seen(), [["a"], true]);
});

test("a node that starts again participates as soon as it reports that, and owns what it reports since", () => {
  const y = new Address("IPv4", 0xc0000301n);
  const b = new GossipNode("b");
  const life = (life: number, incarnation: number) => {
    const a = new GossipNode("a", life);
    a.state.setIncarnation(incarnation);
    a.state.participate();
    return a;
  };
  const first = life(1, 5);
  b.join({ name: "a", incarnation: 5 });
  first.state.own(x);
  b.merge(first.payload());
  assert.deepEqual(b.state.owners(x.toString()), ["a"]);
  b.state.failed("a");
  const second = life(2, 1); // The ring has forgotten it meanwhile.
  assert.deepEqual(b.join({ name: "a", incarnation: 1, life: 2 }), [{ ...noChanges, nodes: true, addresses: [x] }]);
  b.merge(first.payload());
  assert.deepEqual([b.state.isParticipating("a"), b.state.owners(x.toString())], [false, []]);
  second.state.own(y);
  b.merge(second.payload());
  assert.deepEqual([b.state.isParticipating("a"), b.state.owners(x.toString()), b.state.owners(y.toString())], [true, [], ["a"]]);
});

test("a member that starts again before it failed owns nothing until it reports it", () => {
  const [a, b] = [new GossipNode("a"), new GossipNode("b")];
  b.join(a);
  a.state.participate();
  a.state.own(x);
  b.merge(a.payload());
  assert.deepEqual(b.state.restarted("a", 1), noChanges);
  assert.deepEqual(b.state.restarted("a", 2), { ...noChanges, nodes: true, addresses: [x] });
  assert.deepEqual([b.state.isParticipating("a"), b.state.owners(x.toString())], [false, []]);
});

test("what a node owned in an earlier life is void from the first entry of the next one, whatever else is known of it by then", () => {
  const b = new GossipNode("b");
  const [first, second] = [new GossipNode("a", 1), new GossipNode("a", 2)];
  b.join(first);
  first.state.participate();
  first.state.own(x);
  b.merge(first.payload());
  second.state.participate();
  assert.deepEqual(b.merge(second.payload()), { ...noChanges, nodes: true, addresses: [x] });
  assert.deepEqual([b.state.isParticipating("a"), b.state.owners(x.toString())], [true, []]);
  b.merge(first.payload());
  assert.deepEqual(b.state.owners(x.toString()), []);
});

test("a node that asks who announces an address receives it from those that do, as long as they are members", () => {
  const [a, b] = [new GossipNode("a"), new GossipNode("b")];
  a.join(b);
  b.join(a);
  for (const { state } of [a, b]) state.participate();
  assert.equal(a.state.ask(x, true), true);
  assert.deepEqual(b.merge(a.payload()), { ...noChanges, nodes: true, asked: [x] });
  assert.deepEqual(b.state.askers(x.toString()), ["a"]);
  b.state.setAnnounced(x, true);
  assert.deepEqual(a.merge(b.payload()), { ...noChanges, nodes: true, asked: [x] });
  assert.deepEqual([a.state.announcers(x.toString()), a.state.owners(x.toString())], [["b"], []]);
  b.state.setAdvertised(x, true);
  assert.deepEqual(a.merge(b.payload()).asked, [x]);
  assert.deepEqual([a.state.announcers(x.toString()), a.state.advertisers(x.toString())], [["b"], ["b"]]);
  a.state.failed("b");
  assert.deepEqual([a.state.announcers(x.toString()), a.state.advertisers(x.toString())], [[], []]);
  a.state.joined("b", 0, 1);
  b.state.setAnnounced(x, false);
  a.merge(b.payload());
  assert.deepEqual(a.state.announcers(x.toString()), []);
  a.state.ask(x, false);
  b.merge(a.payload());
  assert.deepEqual(b.state.askers(x.toString()), []);
});

test("a node asks about 256 addresses at a time", () => {
  const a = new GossipNode("a");
  const addresses = Array.from({ length: 257 }, (_, i) => new Address("IPv4", BigInt(i)));
  assert.deepEqual(
    addresses.filter((address) => !a.state.ask(address, true)),
    addresses.slice(256),
  );
  assert.equal(a.state.ask(x, false), false);
  assert.equal(a.state.ask(addresses[0] ?? x, true), true);
});

test("a view that is not current counts when all has arrived that its node announces, in whatever order", () => {
  const [a, b] = [new GossipNode("a"), new GossipNode("b")];
  b.join(a);
  a.state.participate();
  b.merge(a.payload());
  a.takeUpdates();
  const y = new Address("IPv4", 0xc0000301n);
  for (const address of [x, y]) a.state.setAnnounced(address, true);
  a.state.setView("behind");
  const [summary, ...pages] = a.takeUpdates();
  assert.ok(summary);
  assert.match(summary.topic, / h$/);
  for (const { payload } of pages) assert.equal(b.merge(payload).nodes, false);
  assert.equal(b.merge(summary.payload).nodes, true);
  assert.equal(b.state.view("a"), "behind");
  const c = new GossipNode("c");
  c.join(a);
  c.merge(summary.payload);
  for (const { payload } of pages.slice(1)) c.merge(payload);
  assert.equal(c.state.view("a"), "current", "a page got lost");
  assert.deepEqual(
    c
      .merge(pages[0]?.payload ?? new Uint8Array())
      .asked.map(String)
      .toSorted(),
    [x, y].map(String),
  );
  assert.equal(c.state.view("a"), "behind");
  a.state.setAnnounced(y, false);
  a.state.setView("old");
  for (const { payload } of a.takeUpdates().toReversed()) {
    c.merge(payload);
    assert.notEqual(c.state.view("a"), "current", "it has been known since");
  }
  assert.equal(c.state.view("a"), "old");
  a.state.setView("current");
  for (const { payload } of a.takeUpdates()) c.merge(payload);
  assert.equal(c.state.view("a"), "current");
});

test("pages of addresses that a node has no more are forgotten, there and at others", () => {
  const [a, b] = [new GossipNode("a"), new GossipNode("b")];
  b.join(a);
  for (const last of [1n, 2n]) a.state.own(new Address("IPv4", 0xc0000200n + last));
  b.merge(a.payload());
  for (const last of [1n, 2n]) a.state.release(new Address("IPv4", 0xc0000200n + last));
  b.merge(a.payload());
  for (const { state } of [a, b]) assert.equal(state.save().at.sets.owned.pages.get("a")?.size, 0);
});
