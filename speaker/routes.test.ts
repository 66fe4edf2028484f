import assert from "node:assert/strict";
import { test } from "node:test";
import { Registry } from "#pkg/metrics";
import { type RoutesOptions, speakerRoutes } from "./routes.ts";

function ready(options: Partial<RoutesOptions>) {
  const route = speakerRoutes({
    registry: new Registry(),
    sources: () => ({ missing: [], refused: undefined }),
    failed: undefined,
    checks: { findings: [] },
    speaker: { warnings: ["of pools"] },
    bgp: { peers: [], describe: () => [] },
    bfd: { warnings: () => ["of BFD"], describe: () => [] },
    members: { describe: () => ({ source: "pods", members: [] }) },
    conflicts: { describe: () => ({ conflicts: [], occupied: [] }) },
    ...options,
  })["/readyz"];
  assert.ok(route);
  return route();
}

const warnings = "warning: of pools\nwarning: of BFD\n";
const refused = { sources: () => ({ missing: [], refused: "line 1" }) };
const cases: { name: string; options: Partial<RoutesOptions>; want: [number, string] }[] = [
  { name: "before the API has answered", options: { sources: () => undefined }, want: [503, "waiting for the API\n"] },
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
