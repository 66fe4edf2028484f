import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "#pkg/metrics";
import { createState, SpeakerView } from "./core/index.ts";
import { type RoutesOptions, speakerRoutes } from "./routes.ts";
import { Bench, gossipTo, pools } from "./testing/speaker-bench.ts";

function seen(isSynced: boolean): SpeakerView {
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false });
  state.status.placementWarning = "of pools";
  state.members.isSynced = isSynced;
  return new SpeakerView(state);
}

function membersWith(problem: string | undefined): RoutesOptions["members"] {
  return { problem, lossy: [] };
}

function ready(options: Partial<RoutesOptions>) {
  const route = speakerRoutes({
    registry: new Registry(),
    sources: { missing: [], refused: undefined, apiProblem: undefined },
    failed: undefined,
    checks: { findings: [] },
    view: seen(true),
    bgp: { peers: [] },
    bfd: { warnings: () => ["of BFD"] },
    kernel: { interfaces: () => [] },
    members: membersWith(undefined),
    viewAge: () => 0,
    ...options,
  })["/readyz"];
  assert.ok(route);
  return route({ query: new URLSearchParams(), host: "", authorization: "", from: "127.0.0.1", isLocal: true });
}

/** Another node's view is current, and this one's is old. */
function outdated(): SpeakerView {
  const one = new Bench("node1", { hasRing: true });
  const { hear } = gossipTo(one);
  hear();
  one.start();
  one.state.members.isSynced = true;
  one.state.status.placementWarning = "of pools";
  one.runner.dispatch({ type: "apiLost", since: 0 });
  one.clock.advanceBy(75_000);
  return new SpeakerView(one.state);
}

/** All was seen, and the turn in which it places its first addresses is to come, or over. */
function starting({ hasPlaced = false, hasConfig = true } = {}): SpeakerView {
  const one = new Bench("node1");
  if (hasConfig) one.setConfig(pools());
  one.start();
  if (hasPlaced) one.settle();
  one.state.members.isSynced = true;
  one.state.status.placementWarning = "of pools";
  return new SpeakerView(one.state);
}

const warnings = "warning: of pools\nwarning: of BFD\n";
const refused = { sources: { missing: [], refused: "line 1", apiProblem: undefined } };
const others = { sources: { missing: ["Nodes"], refused: undefined, apiProblem: undefined }, view: seen(false) };
const cases: { name: string; options: Partial<RoutesOptions>; want: [number, string] }[] = [
  {
    name: "before the API has answered",
    options: { sources: { missing: ["the API"], refused: undefined, apiProblem: undefined }, view: seen(false) },
    want: [503, "waiting for the API\nwaiting for the other speakers\n"],
  },
  { name: "before all has been seen", options: others, want: [503, "waiting for Nodes\nwaiting for the other speakers\n"] },
  {
    name: "while no other speaker can be reached",
    options: { view: seen(false), members: membersWith("port 7946 must be open") },
    want: [503, "waiting for the other speakers: port 7946 must be open\n"],
  },
  {
    name: "before it has placed anything",
    options: { view: starting() },
    want: [503, "waiting for the first placement of its addresses\n"],
  },
  { name: "where there is nothing to place", options: { view: starting({ hasPlaced: true }) }, want: [200, "ready\n"] },
  { name: "without a configuration", options: { view: starting({ hasConfig: false }) }, want: [200, "ready\n"] },
  {
    name: "where it cannot announce on layer 2",
    options: { failed: "no packet socket" },
    want: [503, "cannot announce on layer 2: no packet socket\n"],
  },
  { name: "once all has been seen", options: {}, want: [200, "ready\n"] },
  {
    name: "of one that has lost the ring since",
    options: { members: membersWith("the port is another program's") },
    want: [503, "waiting for the other speakers: the port is another program's\n"],
  },
  {
    name: "while this speaker alone does not reach the API",
    options: { view: outdated(), viewAge: () => 75 },
    want: [503, "waiting for the API, which was not reached for 75 s and other speakers reach\n"],
  },
  {
    name: "while no speaker reaches the API",
    options: { viewAge: () => 75 },
    want: [200, "ready\nwarning: the API has not been reached for 75 s\n"],
  },
  { name: "with a configuration that is not used", options: refused, want: [200, "ready\nconfiguration not used: line 1\n"] },
];
for (const { name, options, want } of cases) {
  test(`/readyz ${name}`, async () => {
    const { status, body } = await ready(options);
    assert.deepEqual([status, body], [want[0], want[1] + warnings]);
  });
}
