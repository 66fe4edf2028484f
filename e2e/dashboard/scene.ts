import { DemoCluster, type DemoService } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import { startRouter } from "#e2e/routers";
import { patience } from "./browser.ts";

const configuration = `address-pools:
- {name: default, protocol: layer2, addresses: [172.30.0.200-172.30.0.239, "fd00:30::200-fd00:30::2ff"], reserved: [172.30.0.230-172.30.0.239]}
- {name: small, protocol: layer2, auto-assign: false, addresses: [172.30.0.199/32]}
- {name: public, protocol: bgp, auto-assign: false, avoid-buggy-ips: true, addresses: [198.51.100.0/24, 10.0.0.0/8]}
peers:
- {name: tor, my-asn: 65001, peer-asn: 65010, peer-address: 172.30.0.241, bfd-profile: tor}
- {my-asn: 65001, peer-asn: 65010, peer-address: 172.30.0.242}
bfd-profiles:
- {name: tor, transmit-interval: 1000, receive-interval: 1000}
`;

export interface Scene extends AsyncDisposable {
  readonly cluster: DemoCluster;
  readonly web: DemoService;
}

/**
 * Three nodes and a router; a second router is missing. Services by layer 2 and BGP, two on one address, and one that finds its pool
 * full.
 */
export async function startScene(logs?: string): Promise<Scene> {
  await using stack = new AsyncDisposableStack();
  const cluster = stack.use(
    await DemoCluster.start({ configuration: "address-pools: []", forwarding: true, ...(logs !== undefined && { logs }) }),
  );
  const host = await cluster.lab.host("router");
  await host.attach(cluster.lan, { addresses: ["172.30.0.241/24", "fd00:30::241/64"] });
  const neighbors = cluster.nodes.map(({ addresses: [address] }) => ({
    address,
    asn: 65001,
    bfd: { intervalMs: 1000, multiplier: 3 },
  }));
  stack.use(await startRouter("bird", { lab: cluster.lab, host }, { asn: 65010, routerId: "172.30.0.241", neighbors }));
  await cluster.configure(configuration);
  const pool = (name: string) => ({ annotations: { "metallb.universe.tf/address-pool": name } });
  const shared = (port: number) => ({ port, annotations: { "metallb.universe.tf/allow-shared-ip": "dns" } });
  const web = await cluster.expose("web", ["node1", "node2", "node3"], { families: ["IPv4", "IPv6"] });
  const first = await cluster.expose("dns-tcp", ["node1"], shared(53));
  const address = await first.address();
  await cluster.expose("dns-metrics", ["node1"], { ...shared(9153), spec: { loadBalancerIP: address } });
  await cluster.expose("shop", ["node1", "node2"], pool("public"));
  await cluster.expose("small-first", ["node2"], pool("small"));
  await cluster.expose("small-second", ["node2"], pool("small"));
  await web.addresses();
  for (const { speaker } of cluster.nodes) await waitFor(`${speaker.name} to be ready`, () => speaker.ready(), patience);
  const scene = stack.move();
  return { cluster, web, [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
}
