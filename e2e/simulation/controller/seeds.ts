import "../../../pkg/clock/testing/untracked-promises.ts";
import { AssertionError } from "node:assert";
import { test } from "node:test";

const parts = 4;
// Enough to see what they have in common.
const maxFailures = 5;

/** Tests `run` with this many seeds, in a few tests: `MODEL_SEEDS` and `MODEL_FROM` choose others. A failure names its seed. */
export function forSeeds(promise: string, usual: number, run: (seed: number) => Promise<void>): void {
  const count = Number(process.env.MODEL_SEEDS ?? usual);
  const from = Number(process.env.MODEL_FROM ?? 1);
  for (let part = 0; part < parts; part++) {
    const seeds = Array.from({ length: count }, (_, i) => from + i).filter((seed) => seed % parts === part);
    if (seeds.length === 0) continue;
    test(`${promise} (${seeds.length} seeds from ${seeds[0]})`, async () => {
      const failures: string[] = [];
      for (const seed of seeds) {
        await run(seed).catch((error: unknown) => failures.push(`seed ${seed}: ${describe(error)}`));
        if (failures.length === maxFailures) break;
      }
      if (failures.length > 0) throw new AssertionError({ message: failures.join("\n") });
    });
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
