import type { DemoCluster, DemoNode } from "./demo-cluster.ts";

export interface SeenEvent {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
}

/** The Events about an object that the API has, oldest first. */
export async function eventsOf(
  { api }: DemoCluster,
  kind: string,
  name: string,
  namespace = "default",
): Promise<readonly SeenEvent[]> {
  const events = (await api.list("v1", "Event", namespace)) as unknown as readonly (SeenEvent & {
    readonly involvedObject: { readonly kind: string; readonly name: string };
  })[];
  return events.filter(({ involvedObject }) => involvedObject.kind === kind && involvedObject.name === name);
}

/**
 * The MAC address that the client has learned for an address, and the node that it belongs to. Undefined while it belongs to no
 * node.
 */
export async function learned(cluster: DemoCluster, address: string): Promise<{ node: DemoNode; mac: string } | undefined> {
  const [entry] = JSON.parse(await cluster.client.output(["ip", "-json", "neigh", "show", address])) as { lladdr?: string }[];
  const mac = entry?.lladdr;
  if (mac === undefined) return undefined;
  for (const node of cluster.nodes) if ((await node.host.link("eth0").mac()) === mac) return { node, mac };
  return undefined;
}
