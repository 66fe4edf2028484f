import assert from "node:assert/strict";
import { test } from "node:test";
import type { GossipState } from "#pkg/gossip";
import { address } from "#pkg/net/testing";
import { amongOthers, Bench, eth0, gossipOf, loser, nodes, owner, pools, x } from "../testing/speaker-bench.ts";

/** Another speaker claims the address from now on, or no longer. */
function say(state: GossipState, claims: boolean): void {
  if (claims) state.own(address(x));
  else state.release(address(x));
}

const sticky = "{name: lan, protocol: layer2, l2-placement: sticky, addresses: [192.0.2.0/28]}";

test("sticky: what another claims is left to it, and what it no longer claims goes to one of those that take part", () => {
  const { bench, others, hear } = amongOthers(owner, sticky);
  const [other] = others;
  assert.ok(other);
  assert.equal(bench.speaker.warnings.length, 0);
  const claim = (claims: boolean) => {
    say(other.state, claims);
    for (const changes of hear()) bench.speaker.gossipChanged(changes);
    bench.speaker.reconcile();
    bench.speaker.reconcile();
  };
  bench.gossip?.state.setViewUncertainty(1); // So that the other's claim counts for more.
  bench.gossip?.state.setIncarnation(2);
  claim(true);
  assert.deepEqual(bench.onWire, []);
  bench.active = [owner];
  bench.speaker.membersChanged();
  bench.speaker.reconcile();
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [x], "it takes over from one that is gone");
  bench.active = nodes;
  bench.speaker.membersChanged();
  claim(false);
  assert.deepEqual(bench.onWire, [x], "and keeps it");
});

test("sticky: a speaker rests while the one that it leaves an address to has not claimed it", () => {
  for (const node of nodes) {
    const { bench } = amongOthers(node, sticky);
    bench.speaker.reconcile();
    const { wakes } = bench;
    bench.speaker.reconcile();
    assert.equal(bench.wakes, wakes);
  }
});

test("sticky: the one that keeps an address which another claimed as well tells everyone when that one has yielded", () => {
  const { bench, others, hear } = amongOthers(owner, sticky);
  bench.active = [owner];
  bench.speaker.membersChanged();
  bench.speaker.reconcile();
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [x]);
  bench.active = nodes;
  bench.speaker.membersChanged();
  const [other] = others;
  assert.ok(other);
  other.state.setViewUncertainty(5);
  const news = (claims: boolean) => {
    say(other.state, claims);
    for (const changes of hear()) bench.speaker.gossipChanged(changes);
    bench.speaker.reconcile();
  };
  news(true);
  bench.told.length = 0;
  assert.deepEqual(bench.onWire, [x]);
  bench.speaker.reclaim();
  assert.deepEqual(bench.told, [], "not while two claim it");
  news(false);
  assert.deepEqual(bench.told, [`announced again ${x}`]);
});

test("by hash a speaker that others took for gone announces all again", () => {
  const { bench } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  bench.speaker.reclaim();
  assert.deepEqual(bench.told, [`announced again ${x}`]);
});

test("sticky: while a member tells nothing the owner is elected, and that is said once", () => {
  for (const node of nodes) {
    const bench = new Bench(node);
    bench.gossip = gossipOf(node, [loser]).gossip;
    bench.interfaces = [eth0];
    bench.speaker.setConfig(pools(sticky));
    bench.serve("default/web", [x]);
    bench.speaker.start();
    bench.speaker.reconcile();
    assert.deepEqual(bench.onWire, node === owner ? [x] : []);
    assert.equal(bench.told.filter((line) => line.includes("placementNotAsAsked")).length, 1);
    bench.gossip = gossipOf(node).gossip;
    bench.speaker.membersChanged();
    assert.match(bench.told.at(-1) ?? "", /placementAsAsked/);
  }
});
