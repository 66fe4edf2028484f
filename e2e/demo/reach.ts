import { type DemoCluster, type DemoNode, type DemoService, eventsOf, learned } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";

export interface Reached {
  readonly address: string;
  /** The node that announces the address. */
  readonly node: DemoNode;
  /** The message of the event in which it says so. */
  readonly event: string;
  readonly mac: string;
  readonly answer: string;
}

/** Waits until the client gets an answer from the Service, and tells how it got there. */
export async function reach(cluster: DemoCluster, service: DemoService): Promise<Reached> {
  const address = await service.address();
  const answer = await waitFor("an answer for the client", () => ask(cluster, address));
  const { node, mac } = await waitFor("the client to have learned a node", () => learned(cluster, address));
  const event = await waitFor("the event nodeAssigned", () => assignment(cluster, service.name));
  return { address, node, event, mac, answer };
}

/** The page that the client gets. */
export async function ask(cluster: DemoCluster, address: string): Promise<string> {
  return (await cluster.client.get(`http://${address}/`, { timeout: 500 })).body.trim();
}

async function assignment(cluster: DemoCluster, service: string): Promise<string | undefined> {
  const events = await eventsOf(cluster, "Service", service);
  return events.find(({ reason }) => reason === "nodeAssigned")?.message;
}
