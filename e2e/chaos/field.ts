import { fileURLToPath } from "node:url";
import type { DemoCluster, DemoService, Workload } from "#e2e/demo-cluster";
import { type LabProcess, waitFor } from "#e2e/lab";
import { BgpNetwork, established, nodeAsn, type PlacedRouter } from "../scenarios/bgp-network.ts";
import { giveClocks } from "./clocks.ts";

export const holdTimeSeconds = 9;
export const gracefulRestartSeconds = 20;
const routerAsn = 65010;
const routedPrefix = "198.51.100.0/28";

/** So many addresses has the pool `lan`. */
export const poolSize = 10;

const pools = `- {name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.209]}
- {name: sticky, protocol: layer2, l2-placement: sticky, addresses: [172.30.0.210-172.30.0.219]}
- {name: routed, protocol: bgp, avoid-buggy-ips: true, addresses: [${routedPrefix}]}
`;

/** The configuration with these pools besides. */
export function configuration(router: string, more = ""): string {
  const times = `hold-time: ${holdTimeSeconds}s, graceful-restart-time: ${gracefulRestartSeconds}s`;
  const peer = `{my-asn: ${nodeAsn}, peer-asn: ${routerAsn}, peer-address: ${router}, ${times}}`;
  return `peers:\n- ${peer}\naddress-pools:\n${pools}${more}`;
}

/** What all is done to: a cluster with three kinds of addresses, a router that has routes to one of them, and somebody who asks who answers. */
export interface Field extends AsyncDisposable {
  readonly cluster: DemoCluster;
  readonly router: PlacedRouter;
  /** Name -> Service, and the address that it has got. */
  readonly services: ReadonlyMap<string, { readonly service: DemoService; readonly address: string }>;
  /** The address that the router has routes to. */
  readonly routed: string;
  /** Another checkout of the sources, whose speakers run too at times. */
  readonly otherVersion: string | undefined;
  /** Processes with a clock of their own, if any -> file with its offset. */
  readonly clocks: ReadonlyMap<Workload, string>;
  /** Prints a line of `Asked`. */
  readonly asker: LabProcess;
}

/** @param logs folder for what the processes print */
export async function startField(nodes: number, logs: string, otherVersion: string | undefined): Promise<Field> {
  await using stack = new AsyncDisposableStack();
  const network = stack.use(await BgpNetwork.start({ nodes, logs }));
  const { cluster } = network;
  const clocks = await giveClocks(cluster, logs);
  const neighbours = cluster.nodes.map(({ addresses: [address] }) => ({ address, asn: nodeAsn, holdTimeSeconds }));
  const router = await network.router("bird", 1, { asn: routerAsn, neighbours, multipath: nodes });
  await cluster.configure(configuration(router.v4));
  await established(router);
  await cluster.client.route(routedPrefix, router.v4);
  const services = new Map<string, { service: DemoService; address: string }>();
  for (const [name, pool] of [
    ["web", "lan"],
    ["shop", "lan"],
    ["stay", "sticky"],
    ["rest", "sticky"],
    ["far", "routed"],
  ] as const) {
    const service = await cluster.expose(name, ["node1", "node2"].slice(0, name === "web" ? 2 : 1), {
      annotations: { "metallb.universe.tf/address-pool": pool },
    });
    services.set(name, { service, address: await service.address() });
  }
  const routed = services.get("far")?.address ?? "";
  const asked = [...services.values()].map(({ address }) => address).filter((address) => address !== routed);
  const file = fileURLToPath(new URL("asker.ts", import.meta.url));
  const flags = asked.flatMap((address) => ["--address", address]);
  const asker = stack.use(await cluster.client.spawn("asker", ["node", file, ...flags]));
  await waitFor(
    "each address to have an answer",
    () => {
      const last = asker.lines.findLast((line) => line.startsWith("{"));
      return last !== undefined && !last.includes("[]");
    },
    { timeout: 30_000 },
  );
  const kept = stack.move();
  return {
    cluster,
    router,
    services,
    routed,
    otherVersion,
    clocks,
    asker,
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}
