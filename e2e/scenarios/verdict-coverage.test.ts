import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { causes } from "#pkg/verdict";

/** Causes that no scenario brings about for long enough to see them, and why. */
const fleeting: Readonly<Record<string, string>> = {
  addressGivenUp: "until the status of the other Service is written",
  autoAssignOff: "said of one pool among those that noPoolFits names",
  awaited: "until the controller has decided, which takes it milliseconds",
  invalidIP: "the API refuses such a status",
  noClusterIPs: "the API refuses a Service of type LoadBalancer without",
  notLoadBalancer: "while a Service changes its type; of others nothing is said at all",
  notPlaced: "milliseconds after something changed",
  probing: "less than a second",
  undecided: "milliseconds after the controller started",
  severalPools: "why the event ClearAssignment says that a Service loses an address; its verdict is what it lacks then",
  unsettled: "seconds, while speakers hear of one another",
};

const folder = join(import.meta.dirname, "..");
const scenarios = globSync(
  ["{scenarios,cluster,simulation/scenarios}/**/*.test.ts", "demo-cluster/scenes.ts", "planted-faults/*.ts"],
  { cwd: folder },
)
  .filter((file) => !file.endsWith("verdict-coverage.test.ts"))
  .map((file) => readFileSync(join(folder, file), "utf8"))
  .join("\n");
const all = [...new Set(Object.values(causes).flatMap((ofKind) => Object.keys(ofKind)))].sort();

test("each cause of a verdict is in a scenario, or it is said why not", () => {
  // By its name, or by that of the condition's reason.
  const isTried = (cause: string) =>
    new RegExp(`\\b${cause}\\b|reason: "${cause[0]?.toUpperCase()}${cause.slice(1)}"`).test(scenarios);
  const untold = all.filter((cause) => !isTried(cause) && !Object.hasOwn(fleeting, cause));
  assert.deepEqual(untold, []);
  assert.deepEqual(
    Object.keys(fleeting).filter((cause) => isTried(cause) || !all.includes(cause)),
    [],
  );
});
