/**
 * Measures how fast rings of 3 to 1,000 nodes find out that a node is dead, and the cost of an idle ring, at HashiCorp's pace
 * and at the fast one, in simulated time on a simulated network of 0.1 to 0.3 ms without loss. The figures come from the
 * protocol alone and are the same on every machine; sockets and processes add theirs. Run it with `node
 * e2e/bench/memberlist-simulation.ts [largest ring]`.
 */
import assert from "node:assert/strict";
import { Simulation } from "#pkg/memberlist/testing";

const largest = Number(process.argv[2] ?? 1000);
const sizes = [3, 5, 10, 20, 50, 100, 200, 500, 1000].filter((nodes) => nodes <= largest);

interface Detection {
  readonly suspected: number; // Milliseconds from the death until somebody suspects it.
  readonly first: number; // ...until somebody declares it dead.
  readonly all: number; // ...until everybody has.
  readonly back: number; // From its return until all views are equal again.
}

/** Kills a node, waits until all know, and brings it back. */
function detect(ring: Simulation, victim: number): Detection {
  ring.observations.length = 0;
  const killed = ring.now;
  ring.kill(victim);
  const others = ring.running.length;
  const times = (change: string) =>
    ring.observations.filter((one) => one.change === change && one.about === victim).map(({ at }) => at - killed);
  assert.ok(
    ring.runUntil(() => times("failed").length >= others, 120_000),
    `not detected: ${ring.describe()}`,
  );
  const bystanders = ring.observations.filter(({ about }) => about !== victim);
  assert.deepEqual(bystanders, [], "somebody else was accused");
  const found = {
    suspected: Math.min(...times("suspected")),
    first: Math.min(...times("failed")),
    all: Math.max(...times("failed")),
  };
  const returned = ring.now;
  ring.start(victim, { timing: ring.ring(0).options.timing });
  ring.join(victim, [0]);
  assert.ok(
    ring.runUntil(() => ring.isConverged(), 300_000),
    `not back: ${ring.describe()}`,
  );
  return { ...found, back: ring.now - returned };
}

function quantile(values: readonly number[], part: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
  return `${Math.round(value)}`;
}

const columns = [
  "pace",
  "nodes",
  "packets/s",
  "suspected ms",
  "dead to one ms",
  "dead to all ms",
  "p90",
  "worst",
  "back ms",
  "of",
];

function row(cells: readonly (string | number)[]): void {
  console.log(cells.map((cell, i) => `${cell}`.padStart(columns[i]?.length ?? 0)).join("  "));
}

row(columns);
for (const timing of ["lan", "auto"] as const) {
  for (const nodes of sizes) {
    const ring = new Simulation({ seed: nodes });
    ring.startAll(nodes, { timing });
    ring.runFor(5000);
    const before = ring.packets;
    ring.runFor(10_000);
    const rate = (ring.packets - before) / 10 / nodes;
    const rounds = nodes > 200 ? 3 : nodes > 50 ? 10 : 100;
    const found = Array.from({ length: rounds }, (_, i) => {
      ring.runFor((i * 37) % 101); // So that deaths fall on any part of an interval.
      return detect(ring, 1 + (i % (nodes - 1)));
    });
    const all = found.map((one) => one.all);
    const median = (of: (one: Detection) => number) => quantile(found.map(of), 0.5);
    row([
      ring.ring(0).timing.name,
      nodes,
      rate.toFixed(1),
      median((one) => one.suspected),
      median((one) => one.first),
      median((one) => one.all),
      quantile(all, 0.9),
      quantile(all, 1),
      median((one) => one.back),
      rounds,
    ]);
  }
}
