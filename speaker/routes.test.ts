import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "#pkg/metrics";
import { createState, type SpeakerState } from "./core/state.ts";
import { type RoutesOptions, speakerRoutes } from "./routes.ts";

function seen(isSynced: boolean): SpeakerState {
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false });
  state.status.placementWarning = "of pools";
  state.members.isSynced = isSynced;
  return state;
}

function membersWith(problem: string | undefined): RoutesOptions["members"] {
  return { problem, describe: () => ({ source: "pods", members: [] }) };
}

function ready(options: Partial<RoutesOptions>) {
  const route = speakerRoutes({
    registry: new Registry(),
    sources: { missing: [], refused: undefined },
    failed: undefined,
    checks: { findings: [] },
    state: seen(true),
    bgp: { peers: [], describe: () => [] },
    bfd: { warnings: () => ["of BFD"], describe: () => [] },
    members: membersWith(undefined),
    ...options,
  })["/readyz"];
  assert.ok(route);
  return route();
}

const warnings = "warning: of pools\nwarning: of BFD\n";
const refused = { sources: { missing: [], refused: "line 1" } };
const others = { sources: { missing: ["Nodes"], refused: undefined }, state: seen(false) };
const cases: { name: string; options: Partial<RoutesOptions>; want: [number, string] }[] = [
  {
    name: "before the API has answered",
    options: { sources: { missing: ["the API"], refused: undefined }, state: seen(false) },
    want: [503, "waiting for the API\nwaiting for the other speakers\n"],
  },
  { name: "before all has been seen", options: others, want: [503, "waiting for Nodes\nwaiting for the other speakers\n"] },
  {
    name: "while no other speaker can be reached",
    options: { state: seen(false), members: membersWith("port 7946 must be open") },
    want: [503, "waiting for the other speakers: port 7946 must be open\n"],
  },
  { name: "where it cannot announce on layer 2", options: { failed: "no packet socket" }, want: [503, "no packet socket\n"] },
  { name: "once all has been seen", options: {}, want: [200, "ready\n"] },
  { name: "with a configuration that is not used", options: refused, want: [200, "ready\nconfiguration not used: line 1\n"] },
];
for (const { name, options, want } of cases) {
  test(`/readyz ${name}`, async () => {
    const { status, body } = await ready(options);
    assert.deepEqual([status, body], [want[0], want[1] + warnings]);
  });
}
