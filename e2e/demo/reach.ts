import type { DemoCluster, DemoNode, DemoService } from "#e2e/demo-cluster";
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

/** The client's ARP entry for the address, and whose it is. */
export async function learned(cluster: DemoCluster, address: string): Promise<{ node: DemoNode; mac: string } | undefined> {
  const [entry] = JSON.parse(await cluster.client.output(["ip", "-json", "neigh", "show", address])) as { lladdr?: string }[];
  const mac = entry?.lladdr;
  if (mac === undefined) return undefined;
  for (const node of cluster.nodes) if ((await node.host.link("eth0").mac()) === mac) return { node, mac };
  return undefined;
}

async function assignment(cluster: DemoCluster, service: string): Promise<string | undefined> {
  const events = (await cluster.api.list("v1", "Event", "default")) as unknown as readonly {
    readonly reason: string;
    readonly message: string;
    readonly involvedObject: { readonly name: string };
  }[];
  return events.find(({ reason, involvedObject }) => reason === "nodeAssigned" && involvedObject.name === service)?.message;
}
