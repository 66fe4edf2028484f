import { after, test } from "node:test";

/**
 * Tests that look at one cluster, each from where the one before has left it. `start` is called by the first that is not skipped; when one
 * has failed, those after it are skipped, because they would only fail of the same cause.
 */
export function steps<Cluster extends AsyncDisposable & { report(): Promise<string> }>(
  start: () => Promise<Cluster>,
): (claim: string, body: (on: Cluster) => Promise<void>, skip?: string | false) => void {
  const cleanup = new AsyncDisposableStack();
  let cluster: Cluster | undefined;
  let failed = false;
  after(() => cleanup.disposeAsync());
  return (claim, body, skip = false) =>
    test(claim, { skip }, async (t) => {
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
