import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DemoCluster, Workload } from "#e2e/demo-cluster";

// The package faketime, by the names that Debian has for the two architectures.
const libraries = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((each) => `/usr/lib/${each}/faketime/libfaketime.so.1`);
const library = libraries.find((file) => existsSync(file));

/** Whether processes can be given clocks that are wrong. */
export const hasClocks = library !== undefined;

/** A clock in libfaketime's form, relative to the machine's clock. */
export function offsetText(seconds: number): string {
  return `${seconds < 0 ? "-" : "+"}${Math.abs(seconds)}`;
}

/**
 * Restarts controllers and speakers, each with a clock of its own, which counts for `Date` and certificates, but not for
 * timers.
 * @returns workload -> file with the offset of its clock
 */
export async function giveClocks({ controllers, nodes }: DemoCluster, folder: string): Promise<Map<Workload, string>> {
  const clocks = new Map<Workload, string>();
  if (library === undefined) return clocks;
  mkdirSync(folder, { recursive: true });
  for (const workload of [...controllers, ...nodes.map(({ speaker }) => speaker)]) {
    const file = join(folder, `${workload.name}.clock`);
    writeFileSync(file, offsetText(0));
    clocks.set(workload, file);
    const settings = { FAKETIME_TIMESTAMP_FILE: file, FAKETIME_CACHE_DURATION: 1, FAKETIME_DONT_FAKE_MONOTONIC: 1 };
    const variables = Object.entries({ LD_PRELOAD: library, ...settings }).map(([name, value]) => `${name}=${value}`);
    workload.within = [...workload.within, "env", ...variables];
    await workload.stop();
    await workload.start();
  }
  return clocks;
}
