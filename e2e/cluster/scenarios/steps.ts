import { after, test } from "node:test";
import type { InstalledCluster } from "./installed.ts";

/**
 * Tests that look at one cluster, each from where the one before has left it. `start` is called by the first; when one has failed, those
 * after it are skipped, because they would only fail of the same cause.
 */
export function steps(
  start: () => Promise<InstalledCluster>,
): (claim: string, body: (on: InstalledCluster) => Promise<void>) => void {
  const cleanup = new AsyncDisposableStack();
  let cluster: InstalledCluster | undefined;
  let failed = false;
  after(() => cleanup.disposeAsync());
  return (claim, body) =>
    test(claim, async (t) => {
      if (failed) return t.skip("an earlier step failed");
      try {
        cluster ??= cleanup.use(await start());
        await body(cluster);
      } catch (error) {
        failed = true;
        if (cluster !== undefined) console.error(await cluster.report());
        throw error;
      }
    });
}
