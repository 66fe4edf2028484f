import assert from "node:assert/strict";
import {
  DemoCluster,
  type DemoClusterOptions,
  type DemoNode,
  eventsOf,
  learned,
  type SeenEvent,
  type Workload,
} from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { urlHost } from "#pkg/net";

/** A demo cluster whose speakers are all ready. */
export async function startCluster(options?: DemoClusterOptions): Promise<DemoCluster> {
  const cluster = await DemoCluster.start(options);
  try {
    for (const speaker of [...cluster.nodes.map((node) => node.speaker), ...cluster.centralSpeakers])
      await waitFor(`${speaker.name} to be ready`, () => speaker.ready());
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return cluster;
}

/** How many configurations the node's speaker has loaded in all its lives. */
export function loads({ speaker }: DemoNode): number {
  return speaker.process.lines.filter((line) => line.includes('"configLoaded"')).length;
}

/** Waits for an event with this reason whose message matches. */
export async function eventOf(cluster: DemoCluster, name: string, reason: string, message: RegExp): Promise<SeenEvent> {
  return waitFor(`event ${reason} ${message} on Service ${name}`, async () => {
    const events = await eventsOf(cluster, "Service", name);
    return events.find((event) => event.reason === reason && message.test(event.message));
  });
}

/** The body that the client gets from the address within `timeout` milliseconds, or the code of the failure. */
export async function answer(cluster: DemoCluster, address: string, port = 80, timeout = 500): Promise<string> {
  try {
    return (await cluster.client.get(`http://${urlHost(address)}:${port}/`, { timeout })).body.trim();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

/** Waits until the client gets such a body from the address: nodes hear of endpoints in their own time, and a busy machine is slow. */
export async function answered(cluster: DemoCluster, address: string, wanted: RegExp, port = 80): Promise<void> {
  const isWanted = async () => {
    assert.match(await answer(cluster, address, port, 5_000), wanted);
    return true;
  };
  await waitFor(`the answer ${wanted} from ${address}`, isWanted);
}

/** The node whose MAC address the client has learned for the address. */
export async function learnedNode(cluster: DemoCluster, address: string): Promise<DemoNode | undefined> {
  return (await learned(cluster, address))?.node;
}

/** Makes the client forget what it has learned, probes, and returns who answers. */
export async function owner(cluster: DemoCluster, address: string): Promise<DemoNode> {
  return waitFor(`a node to answer for ${address}`, async () => {
    await cluster.client.run(["ip", "neigh", "flush", "to", address]);
    await answer(cluster, address);
    return learnedNode(cluster, address);
  });
}

/** The value of one series, such as `metallb_speaker_announced{service="default/web"}`; labels may be left out. Undefined without it. */
export async function metric(
  workload: Workload,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const { body } = await workload.get("/metrics");
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const line = body
    .split("\n")
    .find((line) => new RegExp(`^${name}[{ ]`).test(line) && wanted.every((pair) => line.includes(pair)));
  return line === undefined ? undefined : Number(line.slice(line.lastIndexOf(" ") + 1));
}

/** Creates or changes a Service of type LoadBalancer that needs no endpoints. */
export async function applyService(
  cluster: DemoCluster,
  name: string,
  { spec = {}, annotations = {} }: { spec?: object; annotations?: Readonly<Record<string, string>> } = {},
): Promise<void> {
  await cluster.api.apply({
    ...serviceReference(name),
    metadata: { name, namespace: "default", annotations },
    spec: { type: "LoadBalancer", selector: { app: name }, ports: [{ name: "http", port: 80 }], ...spec },
  });
}

export function serviceReference(name: string) {
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" } };
}

/** The addresses in a Service's status. */
export async function addressesOf(cluster: DemoCluster, name: string): Promise<readonly string[]> {
  const service = await cluster.api.get(serviceReference(name));
  const { loadBalancer } = (service?.status ?? {}) as { loadBalancer?: { ingress?: { ip: string }[] } };
  return (loadBalancer?.ingress ?? []).map(({ ip }) => ip);
}

/** Waits until the status of a Service holds some address. */
export async function assigned(cluster: DemoCluster, name: string): Promise<readonly string[]> {
  return waitFor(`Service ${name} to have an address`, async () => {
    const addresses = await addressesOf(cluster, name);
    return addresses.length > 0 && addresses;
  });
}

/** A verdict in `/v1/verdicts`. */
export interface Said {
  readonly kind: string;
  readonly name: string;
  readonly state: string;
  readonly cause: string;
  readonly message: string;
  readonly next: string;
  readonly since: string;
  readonly evidence: readonly { readonly name: string; readonly value: string }[];
}

/** Waits until a process gives this verdict on one object. A verdict on a problem has to have a remedy. */
export async function says(process: Workload, cause: string, kind: string, name: string): Promise<Said> {
  return waitFor(`${process.name} to say ${cause} of ${kind} ${name}`, async () => {
    const { verdicts } = JSON.parse((await process.get("/v1/verdicts")).body) as { verdicts: readonly Said[] };
    const those = verdicts.filter((each) => each.kind === kind && each.name === name);
    const said = those.find((each) => each.cause === cause);
    assert.ok(said, JSON.stringify(those));
    if (/^(Pending|Degraded)$/.test(said.state)) assert.notEqual(said.next, "", JSON.stringify(said));
    return said;
  });
}
