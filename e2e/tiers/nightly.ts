/**
 * `make nightly`: runs the tests that take real minutes, one step after another, each with its output in `.cache/nightly/NAME.log`.
 * `SHORT=1` gives each step the least work. A step that fails does not keep the others from being run. As root nothing is skipped.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync } from "node:fs";

interface Step {
  readonly name: string;
  /** Arguments of make. */
  readonly argv: readonly string[];
  readonly short: readonly string[];
}

const isShort = (process.env.SHORT ?? "") !== "";
const folder = ".cache/nightly";
const chance = Math.floor(Date.now() / 86_400_000); // Other examples each day, and the same examples for a person who looks into a failure.

/** Two lanes that only compute, side by side. */
const computing: readonly (readonly Step[])[] = [
  [{ name: "mutation", argv: ["mutation"], short: ["mutation", "ONLY=pkg/placement/election"] }],
  [
    { name: "simulate", argv: ["simulate", "SEEDS=500", `FROM=${chance}`], short: ["simulate", "SEEDS=2"] },
    { name: "fuzz", argv: ["fuzz", "TIME=20"], short: ["fuzz", "TIME=1"] },
    { name: "other-examples", argv: ["test", `PROPERTY_SEED=${chance}`], short: ["quick", `PROPERTY_SEED=${chance}`] },
    { name: "arm64", argv: ["test-arm64"], short: ["test-arm64"] },
    { name: "site", argv: ["site"], short: ["site"] },
  ],
];
/** They keep time, so each has the machine for itself. */
const timed: readonly Step[] = [
  { name: "slow-tests", argv: ["test-nightly"], short: ["test-nightly", "TESTS=e2e/memberlist/debian-peers.test.ts"] },
  {
    name: "outage",
    argv: ["scenarios", "TESTS=e2e/scenarios/faults.test.ts", "API_OUTAGE=60"],
    short: ["scenarios", "TESTS=e2e/scenarios/faults.test.ts", "API_OUTAGE=5"],
  },
  {
    name: "outage-kubernetes",
    argv: ["e2e", "TESTS=e2e/cluster/scenarios/control-plane.test.ts", "API_OUTAGE=60"],
    short: ["e2e", "TESTS=e2e/cluster/kcp.test.ts", "API_OUTAGE=5"],
  },
  { name: "attack", argv: ["attack"], short: ["attack", "SCENES=route-refresh"] },
  { name: "chaos", argv: ["chaos", "MINUTES=6"], short: ["chaos", "MINUTES=1"] },
  {
    name: "chaos-kubernetes",
    argv: ["chaos", "MINUTES=4", "CLUSTER=kubernetes"],
    short: ["chaos", "MINUTES=1", "CLUSTER=kubernetes"],
  },
  { name: "soak", argv: ["soak", "MINUTES=6"], short: ["soak", "MINUTES=0.3"] },
  { name: "soak-bfd", argv: ["soak-bfd", "MINUTES=4"], short: ["soak-bfd", "MINUTES=1"] },
  { name: "churn", argv: ["churn", "MINUTES=6"], short: ["churn", "MINUTES=1"] },
];

const failed: string[] = [];

async function runAll(steps: readonly Step[]): Promise<void> {
  for (const { name, argv, short } of steps) {
    const command = isShort ? short : argv;
    const began = performance.now();
    console.log(`${name}: make ${command.join(" ")}`);
    const log = openSync(`${folder}/${name}.log`, "w");
    const [status] = await once(spawn("make", command, { stdio: ["ignore", log, log] }), "close");
    const seconds = Math.round((performance.now() - began) / 1000);
    console.log(`${name}: ${status === 0 ? "passed" : `FAILED, see ${folder}/${name}.log`}, ${seconds} s`);
    if (status !== 0) failed.push(name);
  }
}

mkdirSync(folder, { recursive: true });
await Promise.all(computing.map(runAll));
await runAll(timed);
const steps = [...computing.flat(), ...timed].length;
console.log(`\n${steps - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length === 0 ? 0 : 1;
