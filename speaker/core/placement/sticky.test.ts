import assert from "node:assert/strict";
import { test } from "node:test";
import type { GossipState } from "#pkg/gossip";
import { address } from "#pkg/net/testing";
import { amongOthers, Bench, eth0, gossipTo, loser, nodes, owner, pools, x } from "../../testing/speaker-bench.ts";

/** Another speaker owns the address from now on, or no longer. */
function setOwned(state: GossipState, isOwned: boolean): void {
  if (isOwned) state.own(address(x));
  else state.release(address(x));
}

/** Since the last call. */
function reannounced(bench: Bench): string[] {
  return bench.take().filter((line) => line.startsWith("reannounce "));
}

/** Others took this node for gone, and it has found out. */
function reclaim(bench: Bench): void {
  bench.state.members.reclaimAt = bench.clock.now();
  bench.runner.dispatch({ type: "timer", chance: 0.5 });
  assert.match(bench.reported.shift() ?? "", /other speakers took this node for dead/);
}

const sticky = "{name: lan, protocol: layer2, l2-placement: sticky, addresses: [192.0.2.0/28]}";

test("sticky: what another owns is left to it, and what it no longer owns goes to one of those that participate", () => {
  const { bench, others, hear } = amongOthers(owner, sticky);
  const [other] = others;
  assert.ok(other);
  assert.equal(bench.state.status.placementWarning, undefined);
  const own = (isOwned: boolean) => {
    setOwned(other.state, isOwned);
    hear();
    bench.proceed();
    bench.proceed();
  };
  bench.gossip.setViewUncertainty(1); // So that the other keeps it.
  bench.gossip.setIncarnation(2);
  own(true);
  assert.deepEqual(bench.onWire, []);
  for (const { name } of others)
    bench.runner.dispatch({ type: "member", change: "failed", node: name, incarnation: 0, life: 1, macs: undefined });
  bench.membersChanged([owner]);
  bench.proceed();
  bench.proceed();
  assert.deepEqual(bench.onWire, [x], "it takes over from one that is gone");
  bench.membersChanged(nodes);
  own(false);
  assert.deepEqual(bench.onWire, [x], "and keeps it");
});

test("sticky: a speaker rests while the one that it leaves an address to does not own it yet", () => {
  for (const node of nodes) {
    const { bench } = amongOthers(node, sticky);
    bench.proceed();
    const { wakes } = bench;
    bench.proceed();
    assert.equal(bench.wakes, wakes);
  }
});

test("sticky: the one that keeps an address which another owned as well reannounces it when that one has released it", () => {
  const { bench, others, hear } = amongOthers(owner, sticky);
  bench.membersChanged([owner]);
  bench.proceed();
  bench.proceed();
  assert.deepEqual(bench.onWire, [x]);
  bench.membersChanged(nodes);
  const [other] = others;
  assert.ok(other);
  other.state.setViewUncertainty(5);
  const own = (isOwned: boolean) => {
    setOwned(other.state, isOwned);
    hear();
    bench.proceed();
  };
  own(true);
  bench.take();
  bench.reported.length = 0;
  assert.deepEqual(bench.onWire, [x]);
  reclaim(bench);
  assert.deepEqual(reannounced(bench), [], "not while two own it");
  own(false);
  assert.deepEqual(reannounced(bench), [`reannounce ${x}`]);
});

test("by hash a speaker that others took for gone announces all again", () => {
  const { bench } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  bench.take();
  reclaim(bench);
  assert.deepEqual(reannounced(bench), [`reannounce ${x}`]);
});

test("sticky: while a member sends no gossip the owner is elected, and that is logged once", () => {
  for (const node of nodes) {
    const bench = new Bench(node, { hasRing: true });
    bench.membersChanged(nodes, [loser]);
    gossipTo(bench, [loser]);
    bench.setInterfaces(eth0);
    bench.setConfig(pools(sticky));
    bench.serve("default/web", [x]);
    bench.start();
    bench.proceed();
    assert.deepEqual(bench.onWire, node === owner ? [x] : []);
    assert.equal(bench.reported.filter((line) => line.includes("placementNotAsAsked")).length, 1);
    gossipTo(bench);
    bench.membersChanged();
    assert.match(bench.reported.at(-1) ?? "", /placementAsAsked/);
  }
});

test("sticky: nobody hears that a speaker owns an address before it answers, however many turns that takes", () => {
  const addresses = Array.from({ length: 250 }, (_, i) => `198.51.100.${i}`);
  const { bench, hear } = amongOthers(owner, "{name: lan, protocol: layer2, l2-placement: sticky, addresses: [198.51.100.0/24]}");
  const record = bench.runner.onStep;
  const reported = new Set<number>();
  bench.runner.onStep = (input, effects) => {
    record?.(input, effects);
    if (!effects.some(({ type }) => type === "setGossip")) return;
    const owned = addresses.filter((address) => bench.gossip.owners(address).includes(owner));
    const announced = effects.flatMap((effect) => (effect.type === "announce" ? [effect.address.toString()] : []));
    for (const address of owned) assert.ok(bench.wire.has(address) || announced.includes(address), address);
    reported.add(owned.length);
  };
  for (const address of addresses) bench.serve(`default/${address}`, [address]);
  hear();
  bench.settle();
  bench.membersChanged([owner]);
  bench.settle();
  bench.clock.advanceBy(10_000);
  bench.settle();
  assert.deepEqual(bench.onWire, addresses.toSorted());
  assert.ok(reported.size > 2, "in several turns");
});
