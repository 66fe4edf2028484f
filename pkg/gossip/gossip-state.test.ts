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
  a.state.setIncarnation(5);
  a.state.own(x);
  exchange();
  b.state.failed("a");
  assert.deepEqual(seen(), [[], false]);
  b.merge(a.payload()); // What was known already.
  assert.deepEqual(seen(), [[], false]);
  assert.deepEqual(b.state.joined("a", 6), { nodes: false, addresses: [] });
  a.state.setIncarnation(6);
  exchange();
  assert.deepEqual(seen(), [["a"], true]);
  b.state.failed("a");
  a.state.setIncarnation(7);
  exchange();
  assert.deepEqual(seen(), [[], false], "it is not back");
  assert.deepEqual(b.state.joined("a", 7), { nodes: true, addresses: [] });
  assert.deepEqual(seen(), [["a"], true]);
});

test("a node that starts again after it failed participates once it has received its earlier entries", () => {
  const b = new GossipNode("b");
  const life = (incarnation: number) => {
    const a = new GossipNode("a");
    a.state.setIncarnation(incarnation);
    a.state.participate();
    return a;
  };
  const first = life(1);
  first.state.own(x);
  b.merge(first.payload());
  b.state.failed("a");
  const second = life(2);
  b.state.joined("a", 2);
  b.merge(second.payload());
  assert.equal(b.state.isParticipating("a"), false, "what it says is no later than what its first life said");
  b.state.failed("a");
  second.merge(b.payload("a")); // Nobody has it for a member.
  b.state.joined("a", 2);
  b.merge(second.payload());
  assert.deepEqual([b.state.isParticipating("a"), b.state.owners(x.toString())], [true, []]);
});
