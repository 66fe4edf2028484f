import { type DemoCluster, type DemoNode, learned } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { ask, type Reached } from "./reach.ts";

/** Kills the speaker that owns the address, and waits until the client has learned another node's MAC. */
export async function failover(
  cluster: DemoCluster,
  { address, node: first }: Reached,
): Promise<{ node: DemoNode; mac: string; answer: string; milliseconds: number }> {
  const start = performance.now();
  first.speaker.process.kill("SIGKILL");
  const { node, mac } = await waitFor("another node to answer", async () => {
    const now = await learned(cluster, address);
    return now?.node !== first && now;
  });
  const milliseconds = performance.now() - start;
  return { node, mac, answer: await ask(cluster, address), milliseconds };
}
