import assert from "node:assert/strict";
import { test } from "node:test";
import type { EvidenceView } from "#pkg/memberlist";
import { address } from "#pkg/net/testing";
import { elect } from "#pkg/placement";
import { amongOthers, excluded, nodes, owner, pools, x } from "../../testing/speaker-bench.ts";
import type { MemberEvents } from "../events.ts";
import { serviceView } from "../verdicts/address-verdict.ts";

// The core's measurements of itself, for histograms.
type Change = Extract<MemberEvents, { readonly type: "member" }>["change"];

const lan = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";
const heir = elect(
  nodes.filter((node) => node !== owner),
  address(x),
);

/** The node that has the address when its owner is gone, which it is not yet. */
function successor() {
  assert.ok(heir);
  const { bench } = amongOthers(heir, lan);
  bench.settle();
  bench.measured.length = 0;
  const happen = (change: Change, node = owner, evidence?: EvidenceView) =>
    bench.runner.dispatch({ type: "member", change, node, incarnation: 1, life: 1, macs: undefined, evidence });
  const without = (node: string) => {
    bench.membersChanged(nodes.filter((one) => one !== node));
    bench.settle();
  };
  return { bench, happen, without };
}

test("a failover is measured from the first suspicion, however often that is repeated", () => {
  const { bench, happen, without } = successor();
  happen("suspected");
  bench.clock.advanceBy(100);
  happen("suspected");
  bench.clock.advanceBy(200);
  happen("failed");
  without(owner);
  assert.deepEqual(
    [bench.onWire, bench.measured],
    [[x], [{ type: "tookOver", address: address(x), from: owner, cause: "failed", afterMs: 300 }]],
  );
});

test("an address that BFD brought here says so until the node that had it is back", () => {
  const { bench, happen, without } = successor();
  const causeOf = () => serviceView(bench.state, "default/web", new Map())?.verdict.cause;
  const evidence = { accusers: [], suspectedMs: 12, silentMs: 45, byBfd: true, lateMs: undefined, lateAgoMs: undefined } as const;
  happen("suspected");
  bench.clock.advanceBy(12);
  happen("failed", owner, evidence);
  without(owner);
  assert.deepEqual(bench.measured, [{ type: "tookOver", address: address(x), from: owner, cause: "failedFast", afterMs: 12 }]);
  assert.equal(causeOf(), "failedOverFast");
  happen("joined");
  assert.equal(causeOf(), "announced");
});

test("a suspicion that was refuted does not count for a later one", () => {
  const { bench, happen, without } = successor();
  happen("suspected");
  happen("refuted");
  bench.clock.advanceBy(60_000);
  happen("failed");
  without(owner);
  assert.deepEqual(bench.measured, [{ type: "tookOver", address: address(x), from: owner, cause: "failed", afterMs: 0 }]);
});

test("an owner that leaves hands over, and one that lives on has moved", () => {
  const { bench, happen, without } = successor();
  happen("left");
  bench.clock.advanceBy(10);
  without(owner);
  assert.deepEqual(bench.measured, [{ type: "tookOver", address: address(x), from: owner, cause: "left", afterMs: 10 }]);
  const other = successor().bench;
  other.setNode(owner, excluded);
  other.settle();
  assert.deepEqual(
    [other.onWire, other.measured],
    [[x], [{ type: "tookOver", address: address(x), from: owner, cause: "moved" }]],
  );
});

test("nothing is kept of a member that is back, or whose Node is gone", () => {
  const { bench, happen } = successor();
  for (const change of ["failed", "joined"] as const) happen(change);
  happen("failed", "other");
  bench.membersChanged(nodes);
  bench.setNode("other", undefined);
  assert.equal(bench.state.members.missing.size, 0);
});

test("a changed configuration is measured until all is placed, however many portions that takes, and the first one is not", () => {
  const { bench } = amongOthers(owner, lan);
  bench.settle();
  assert.deepEqual(bench.measured, []);
  for (let i = 0; i < 250; i++) bench.serve(`default/s${i}`, [`192.0.3.${i}`]);
  bench.settle();
  bench.setConfig(pools("{name: lan, protocol: layer2, addresses: [192.0.2.0/23]}"));
  for (bench.wakes = 1; bench.wakes > 0; bench.proceed()) {
    bench.wakes = 0;
    bench.clock.advanceBy(5);
  }
  assert.deepEqual(bench.measured, [{ type: "converged", afterMs: 15 }]);
});
