import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { patience, podPrefixes, type RealClusterOptions } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { config, InstalledCluster } from "./installed.ts";

type Undo = () => Promise<void>;

/** Something that happens to a node's way to Pods, or looks like it. */
export interface PathFault {
  readonly name: string;
  /** The sign that the speaker names; undefined where the address is to stay. */
  readonly sign: string | undefined;
  readonly begin: (on: InstalledCluster, node: string) => Promise<Undo>;
}

/** Lets the speaker be read where the table of connections is full. */
const untrackedMetrics = ["output", "prerouting"]
  .flatMap((hook) => [
    `add chain inet untracked ${hook} { type filter hook ${hook} priority raw; }`,
    ...["sport", "dport"].map((side) => `add rule inet untracked ${hook} tcp ${side} 7472 notrack`),
  ])
  .reduce((all, line) => `${all}; ${line}`, "add table inet untracked");

const run = (on: InstalledCluster, node: string, ...argv: string[]) => on.cluster.node(node).host.run(argv);

export const pathFaults = {
  rulesGone: {
    name: "kube-proxy killed, rules flushed",
    sign: "noConnection",
    begin: async (on, node) => {
      await on.cluster.node(node).kill("kube-proxy");
      await run(on, node, "nft", "flush", "ruleset");
      return () => on.cluster.node(node).revive("kube-proxy");
    },
  },
  rulesFlushed: {
    name: "rules flushed, kube-proxy runs",
    sign: "noConnection",
    begin: async (on, node) => {
      await run(on, node, "nft", "flush", "ruleset");
      return async () => {
        await on.cluster.node(node).kill("kube-proxy");
        await on.cluster.node(node).revive("kube-proxy");
      };
    },
  },
  bridgeDown: {
    name: "Pod bridge down",
    sign: "noPodRoute",
    begin: async (on, node) => {
      const six = await run(on, node, "sh", "-c", "ip -6 -o addr show dev cni0 scope global | awk '{print $4}'");
      await run(on, node, "ip", "link", "set", "cni0", "down");
      return async () => {
        await run(on, node, "ip", "link", "set", "cni0", "up");
        // The kernel takes it away with the link.
        if (six.trim() !== "") await run(on, node, "ip", "addr", "replace", six.trim(), "dev", "cni0", "nodad");
      };
    },
  },
  forwardingOff: {
    name: "forwarding off",
    sign: "forwardingOff",
    begin: async (on, node) => {
      const set = (value: number) => run(on, node, "sh", "-c", `echo ${value} > /proc/sys/net/ipv4/ip_forward`);
      await set(0);
      return async () => void (await set(1));
    },
  },
  nicForwardingOff: {
    name: "forwarding off on the NIC alone",
    sign: "forwardingOff",
    begin: async (on, node) => {
      const set = (value: number) => run(on, node, "sh", "-c", `echo ${value} > /proc/sys/net/ipv4/conf/eth0/forwarding`);
      await set(0);
      return async () => void (await set(1));
    },
  },
  conntrackFull: {
    name: "table of connections full",
    sign: "conntrackFull",
    begin: async (on, node) => {
      await run(on, node, "nft", untrackedMetrics);
      await run(on, node, process.execPath, resolve(import.meta.dirname, "fill-conntrack.ts"));
      return async () => void (await run(on, node, "sh", "-c", "conntrack -F; nft delete table inet untracked"));
    },
  },
  proxyRestarted: {
    name: "kube-proxy replaced, as by a rollout",
    sign: undefined,
    begin: async (on, node) => {
      await on.cluster.node(node).kill("kube-proxy");
      await sleep(10_000);
      await on.cluster.node(node).revive("kube-proxy");
      return async () => {};
    },
  },
  networkUpgraded: {
    name: "network plugin upgraded: its configuration written again, containerd restarted",
    sign: undefined,
    begin: async (on, node) => {
      const { directory } = on.cluster.node(node);
      await run(on, node, "sh", "-ec", `cd ${directory}/cni; cp 10-pods.conflist new; mv new 10-pods.conflist`);
      await on.cluster.node(node).kill("containerd");
      await sleep(3_000);
      await on.cluster.node(node).revive("containerd");
      await sleep(5_000);
      return async () => {};
    },
  },
  slow: {
    name: "slow node: frames up to 40 ms late, four busy processes",
    sign: undefined,
    begin: async (on, node) => {
      const { host } = on.cluster.node(node);
      await on.cluster.lan.impair(host, { delayMs: 40, seed: 1 });
      const busy = [1, 2, 3, 4].map((one) => host.daemon(`busy${one}-${node}`, [process.execPath, "-e", "for (;;);"]));
      await sleep(15_000);
      return async () => {
        for (const daemon of busy) await daemon.stop("SIGKILL");
        await on.cluster.lan.repair(host);
      };
    },
  },
} as const satisfies Readonly<Record<string, PathFault>>;

let connections = 0;

/** Connects every 50 ms until `act` is done. @returns the longest time without a connection, in milliseconds */
export async function outage(on: InstalledCluster, address: string, act: () => Promise<void>): Promise<number> {
  const program = [process.execPath, resolve(import.meta.dirname, "connections.ts"), address];
  const client = on.cluster.client.daemon(`connections${++connections}`, program);
  const lines = async () => (await readFile(client.log, "utf8")).split("\n");
  try {
    await waitFor("connections", async () => (await lines()).includes("connecting"), patience);
    await act();
  } finally {
    await client.stop("SIGTERM");
  }
  return Number((await lines()).find((line) => /^\d+$/.test(line)));
}

/** The signs of IPv4 for which the speaker of a node counts it as unable. */
export async function signs(on: InstalledCluster, node: string): Promise<string[]> {
  const { body } = await on.cluster.node(node).host.get("http://127.0.0.1:7472/metrics");
  return [...body.matchAll(/ingot_data_path_fault\{sign="(\w+)",family="IPv4"\} 1/g)].map(([, sign]) => sign ?? "");
}

export const dualConfig = config.replace("172.30.0.219", "172.30.0.219, 'fd00:30::200-fd00:30::219'");

/** A cluster with a Service of both families. @param noteAddress is told the Service's IPv4 address */
export async function startDual(
  noteAddress: (address: string) => void,
  proxyMode: RealClusterOptions["proxyMode"] = "iptables",
): Promise<InstalledCluster> {
  const on = await InstalledCluster.start({ nodes: 3, proxyMode });
  await on.deploy(3);
  await setPodNetworks(on);
  await on.install(dualConfig);
  const addresses = await on.serve("web", { ipFamilyPolicy: "RequireDualStack" });
  noteAddress(addresses.split(" ").find((address) => address.includes(".")) ?? "");
  return on;
}

/** Gives the nodes the networks of their Pods, as a controller of nodes does. */
export async function setPodNetworks(on: InstalledCluster): Promise<void> {
  for (const [index, { name, host }] of on.cluster.nodes.entries()) {
    const { ipv4, ipv6 } = podPrefixes(index + 1);
    const podCIDRs = [ipv4, ipv6].slice(-host.addresses.length);
    await on.kubectl("patch", "node", name, "-p", JSON.stringify({ spec: { podCIDR: podCIDRs[0], podCIDRs } }));
  }
}

/** Makes a tenant's Services whose backends refuse connections, or do not answer. @param node where these are said to be */
export async function makeTenant(on: InstalledCluster, node: string): Promise<void> {
  await on.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "tenant" } });
  for (const [name, address] of [
    ["refuses", on.cluster.node(node).host.ipv4],
    ["hangs", "172.30.0.99"],
  ] as const) {
    const ports = [{ name: "http", port: 80, targetPort: 9, protocol: "TCP" }];
    const metadata = { name, namespace: "tenant" };
    await on.apply({ apiVersion: "v1", kind: "Service", metadata, spec: { type: "LoadBalancer", ports } });
    await on.apply({
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: { ...metadata, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 9, protocol: "TCP" }],
      endpoints: [{ addresses: [address], conditions: { ready: true }, nodeName: node }],
    });
  }
}
