import assert from "node:assert/strict";
import { test } from "node:test";
import { Address } from "#pkg/net";
import { GossipNode } from "./testing/index.ts";

const x = new Address("IPv4", 0xc0000201n);

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
  b.merge(a.payload()); // What was known already.
  assert.deepEqual(seen(), [[], false]);
  assert.deepEqual(b.state.joined("a", 6, 1), { nodes: false, addresses: [], asked: [] });
  a.state.setIncarnation(6);
  exchange();
  assert.deepEqual(seen(), [["a"], true]);
  b.state.failed("a");
  a.state.setIncarnation(7);
  exchange();
  assert.deepEqual(seen(), [[], false], "it is not back");
  assert.deepEqual(b.state.joined("a", 7, 1), { nodes: true, addresses: [], asked: [] });
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
  assert.deepEqual(b.join({ name: "a", incarnation: 1, life: 2 }), [{ nodes: true, addresses: [x], asked: [] }]);
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
  assert.deepEqual(b.state.restarted("a", 1), { nodes: false, addresses: [], asked: [] });
  assert.deepEqual(b.state.restarted("a", 2), { nodes: true, addresses: [x], asked: [] });
  assert.deepEqual([b.state.isParticipating("a"), b.state.owners(x.toString())], [false, []]);
});

test("a node that asks who announces an address receives it from those that do, as long as they are members", () => {
  const [a, b] = [new GossipNode("a"), new GossipNode("b")];
  a.join(b);
  b.join(a);
  for (const { state } of [a, b]) state.participate();
  assert.equal(a.state.ask(x, true), true);
  assert.deepEqual(b.merge(a.payload()), { nodes: true, addresses: [], asked: [x] });
  assert.deepEqual(b.state.askers(x.toString()), ["a"]);
  b.state.setAnnounced(x, true);
  assert.deepEqual(a.merge(b.payload()), { nodes: true, addresses: [], asked: [x] });
  assert.deepEqual([a.state.announcers(x.toString()), a.state.owners(x.toString())], [["b"], []]);
  a.state.failed("b");
  assert.deepEqual(a.state.announcers(x.toString()), []);
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
