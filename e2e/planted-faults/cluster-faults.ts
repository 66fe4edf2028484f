import {
  type ApiObject,
  both,
  configure,
  type DemoCluster,
  demoConfiguration,
  filter,
  hostsOf,
  type Scene,
} from "#e2e/demo-cluster";
import { type Host, type LabProcess, programFile, waitFor } from "#e2e/lab";
import { type Router, startRouter } from "#e2e/routers";
import { startProxy } from "../demo-cluster/demo-cluster.ts";

type Mend = () => Promise<void>;

const pool = (name: string) => ({ "metallb.universe.tf/address-pool": name });
const tried = demoConfiguration.replace("protocol: layer2\n", "protocol: layer2\n  self-test: 10s\n");

/** Makes a Service with a Pod on each node, which asks for a pool. @returns what deletes it */
async function expose(cluster: DemoCluster, name: string, poolName: string): Promise<Mend> {
  const nodes = cluster.nodes.map((node) => node.name);
  const service = await cluster.expose(name, nodes, { annotations: pool(poolName) });
  return () => service.delete();
}

/** The kernel does not notify of changed settings: makes the speakers look, by an address more. */
async function look(hosts: readonly Host[]): Promise<void> {
  for (const host of hosts) await host.ip("addr replace 127.0.1.9/8 dev lo", "addr del 127.0.1.9/8 dev lo");
}

const setting = (name: string, value: number) => async (cluster: DemoCluster) => {
  const hosts = hostsOf(cluster);
  const set = async (to: number) => {
    for (const host of hosts) await host.sysctl({ [name]: to });
    await look(hosts);
  };
  await set(value);
  return () => set(1 - value);
};

/** A chain of nftables that drops these packets of the speakers' ring, as they come in. */
const ringFilter = (drops: readonly string[]) => `chain input { type filter hook input priority 0; ${drops.join(" ")} }`;

/** A speaker with another key of the ring than all others, on a host `foreign`, and its Pod. */
export async function foreignSpeaker({
  lab,
  lan,
  api,
}: DemoCluster): Promise<{ readonly speaker: LabProcess; readonly remove: Mend }> {
  const address = "172.30.0.77";
  const foreign = await lab.host("foreign");
  await foreign.attach(lan, { addresses: [`${address}/24`] });
  const flags = ["--kubeconfig=/run/speaker.conf", "--namespace=metallb-system", "--node-name=foreign"];
  const ring = [`--ml-bindaddr=${address}`, "--ml-secret-key=some other secret than theirs"];
  const speaker = await foreign.spawn("foreign", [process.execPath, programFile("speaker"), ...flags, ...ring]);
  await speaker.waitForLine(/cannot join a speaker/);
  await waitFor("it to answer", () => foreign.get("http://127.0.0.1:7472/metrics"));
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "speaker-foreign", namespace: "metallb-system" } };
  await api.apply({
    ...pod,
    metadata: { ...pod.metadata, labels: { app: "metallb", component: "speaker" } },
    spec: { nodeName: "foreign", hostNetwork: true, containers: [{ name: "speaker", image: "process" }] },
  });
  await api.patch(pod, { status: { phase: "Running", hostIP: address, podIP: address } }, "status");
  return { speaker, remove: async () => void (await api.delete(pod)) };
}

/** Faults of a cluster whose kernels, wires or processes decide. */
export const clusterFaults: Readonly<Record<string, Scene>> = {
  "outside-subnets": {
    symptom: "Service far has an address, and nobody asks for it.",
    plant: async (cluster) => {
      const more = "- {name: far, protocol: layer2, auto-assign: false, addresses: [172.31.0.0/29]}\n";
      const mend = await configure(cluster, demoConfiguration + more);
      return both(await expose(cluster, "far", "far"), mend);
    },
    find: "explain svc/far",
    causes: ["outsideSubnets"],
    cause: /172\.31\.0\.\d .*lies in no subnet of node\d|in no subnet of/,
    remedy: /use addresses of a subnet of the node/,
  },
  "strict-rp-filter": {
    symptom: "Clients on the LAN reach Service web, and clients from elsewhere do not.",
    plant: async (cluster) => {
      const storage = await cluster.lab.switch("storage");
      const hosts = hostsOf(cluster);
      for (const [index, host] of hosts.entries()) {
        await host.attach(storage, { interface: "storage0", addresses: [`172.29.0.${11 + index}/24`] });
        await host.ip("route add default via 172.29.0.1");
        await host.sysctl({ "net.ipv4.conf.eth0.rp_filter": 1 });
      }
      await look(hosts);
      return async () => {
        for (const host of hosts) {
          await host.sysctl({ "net.ipv4.conf.eth0.rp_filter": 0 });
          await host.ip("link del storage0");
        }
      };
    },
    find: "explain svc/web",
    causes: ["rpFilter"],
    cause: /rp_filter is strict on eth0/,
    remedy: /sysctl -w net\.ipv4\.conf\.eth0\.rp_filter=2/,
  },
  "no-forwarding": {
    symptom: "Service web answers sometimes.",
    plant: setting("net.ipv4.ip_forward", 0),
    find: "explain svc/web",
    causes: ["forwardingOff", "nobodyDelivers"], // It is on no node.
    cause: /net\.ipv4\.ip_forward is 0/,
    remedy: /sysctl -w net\.ipv4\.ip_forward=1/,
  },
  "ring-without-udp": {
    symptom: "Failover takes minutes since a firewall was changed on node1.",
    plant: (cluster) => filter([cluster.node("node1").host], "inet", [ringFilter(["udp dport 7946 drop;"])]),
    find: "explain node/node1",
    causes: ["ringPacketsLost"],
    cause: /UDP packets of the speakers' ring are lost between node1 and node\d/,
    remedy: /let firewalls and network policies pass UDP 7946 between/,
  },
  "ring-pair": {
    symptom: "node1 and node2 do not see each other since a firewall was changed; node3 sees both.",
    plant: (cluster) => {
      const [v4, v6] = cluster.node("node2").addresses;
      const drops = [`ip saddr ${v4}`, `ip6 saddr ${v6}`].flatMap((from) => [
        `${from} udp dport 7946 drop;`,
        `${from} tcp dport 7946 drop;`,
        `${from} tcp sport 7946 drop;`,
      ]);
      return filter([cluster.node("node1").host], "inet", [ringFilter(drops)]);
    },
    find: "explain node/node1",
    causes: ["ringPacketsLost"],
    cause: /lost between node1 and node2/,
    remedy: /let firewalls and network policies pass UDP 7946 between/,
  },
  "ring-key": {
    symptom: "The speaker of a new node never gets Ready.",
    plant: async (cluster) => {
      const { speaker, remove } = await foreignSpeaker(cluster);
      return both(async () => void (await speaker.stop()), remove);
    },
    find: "explain node/foreign",
    causes: ["waiting"],
    cause: /none of 2 keys fits/,
    remedy: /where no key fits, give it their key \(Secret memberlist\)/,
  },
  "hand-over-refused": {
    symptom: "Downloads from Service kept break whenever a node is drained, although its pool has keep-connections.",
    plant: async (cluster) => {
      const { host } = cluster.node("node1");
      await host.sysctl({ "net.netfilter.nf_conntrack_tcp_loose": 0 });
      const more = "- {name: kept, protocol: layer2, auto-assign: false, keep-connections: true, addresses: [172.30.0.180/31]}\n";
      const mend = await configure(cluster, demoConfiguration + more);
      return both(await expose(cluster, "kept", "kept"), mend, () => host.sysctl({ "net.netfilter.nf_conntrack_tcp_loose": 1 }));
    },
    find: "explain node/node1",
    causes: ["handoverUnavailable"],
    cause: /cannot keep open connections when an address moves to it: IPv4: net\.netfilter\.nf_conntrack_tcp_loose is 0/,
    remedy: /sysctl -w net\.netfilter\.nf_conntrack_tcp_loose=1; the speaker looks again each minute/,
  },
  "dead-kube-proxy": {
    symptom: "arping gets an answer for the address of Service web, and curl times out.",
    plant: async (cluster) => {
      const mend = await configure(cluster, tried);
      for (const { host, proxy } of cluster.nodes) {
        await proxy.stop();
        for (const version of ["-4", "-6"]) await host.output(["ip", version, "route", "flush", "table", "local", "proto", "99"]);
      }
      return both(async () => {
        for (const { host } of cluster.nodes) await (await startProxy(host)).waitForLine(/"forwarding"/);
      }, mend);
    },
    find: "explain svc/web",
    causes: ["notConnected"],
    cause: /TCP port 80 neither accepts nor refuses a connection/,
    remedy: /see kube-proxy on that node/,
  },
  "no-rights": {
    symptom: "Service late stays at <pending> since the rights were cleaned up.",
    plant: async (cluster) => {
      const metadata = { name: "metallb-system:controller" };
      const role = { apiVersion: "rbac.authorization.k8s.io/v1", kind: "ClusterRole", metadata };
      const { rules } = (await cluster.api.get(role)) as ApiObject & { rules: { resources?: string[] }[] };
      await cluster.api.patch(role, { rules: rules.filter(({ resources }) => !resources?.includes("services/status")) });
      const late = await cluster.expose("late", ["node1"]);
      return both(
        () => late.delete(),
        async () => void (await cluster.api.patch(role, { rules })),
      );
    },
    find: "explain svc/late",
    causes: ["statusRefused", "noIPAllocated"],
    cause: /cannot patch resource "services\/status"/,
    remedy: /change the policy, the webhook or the rights that the message names/,
  },
  "netbox-token": {
    symptom: "Service late stays at <pending>; NetBox records the addresses of its pool.",
    plant: async (cluster) => {
      const netbox = "{url: http://172.30.0.99:9, token-secret: {name: netbox}, tags: [k8s], mode: allocate}";
      const more = `- {name: recorded, protocol: layer2, auto-assign: false, addresses: [172.30.0.190/31], netbox: ${netbox}}\n`;
      const mend = await configure(cluster, demoConfiguration + more);
      return both(await expose(cluster, "late", "recorded"), mend);
    },
    find: "explain svc/late",
    causes: ["awaitsIpam", "ipamFailing"],
    cause: /Secret metallb-system\/netbox/,
    remedy: /ServiceAccount needs a Role|create the Secret/,
  },
};

const nodeAsn = 65001;
const routerAsn = 65010;
const routerAddress = "172.30.0.241";

/** BIRD, which has node1 as a neighbor that may send one prefix, node2 with a password, and node3 by IPv4, whose routes it filters. */
export async function startFaultRouter({ lab, lan, nodes }: DemoCluster): Promise<Router> {
  const host = await lab.host("router", { forwarding: true });
  await host.attach(lan, { addresses: [`${routerAddress}/24`, "fd00:30::241/64"] });
  const [plain, secret, filtered] = nodes.map(({ addresses: [address] }) => ({ address, asn: nodeAsn, passive: true }));
  if (plain === undefined || secret === undefined || filtered === undefined)
    throw new Error("Cannot start a router: 3 nodes are needed");
  const neighbors = [
    { ...plain, maxPrefixes: 1 },
    { ...secret, password: "right" },
    { ...filtered, accepts: false },
  ];
  return startRouter("bird", { lab, host }, { asn: routerAsn, routerId: routerAddress, neighbors });
}

interface Side {
  readonly node: string;
  readonly mine?: number;
  readonly theirs?: number;
  readonly address?: string;
  readonly more?: string;
}

/** One node has the router as its peer, and each of these Services is in a pool of protocol bgp. */
const peering =
  (
    { node, mine = nodeAsn, theirs = routerAsn, address = routerAddress, more = "" }: Side,
    services: readonly string[] = ["routed"],
  ) =>
  async (cluster: DemoCluster): Promise<Mend> => {
    const selects = `node-selectors: [{match-labels: {kubernetes.io/hostname: ${node}}}]`;
    const mend = await configure(
      cluster,
      `peers: [{my-asn: ${mine}, peer-asn: ${theirs}, peer-address: "${address}", ${selects}${more}}]
bfd-profiles: [{name: fast}]
${demoConfiguration}- {name: routed, protocol: bgp, auto-assign: false, addresses: [198.51.100.0/24, "2001:db8::/120"]}
`,
    );
    const deletions: Mend[] = [];
    for (const service of services) deletions.push(await expose(cluster, service, "routed"));
    return both(...deletions, mend);
  };

const noRoute = "Service routed has an address, and the router has no route to it.";

/** Faults between a node and the router of `startFaultRouter`. */
export const routerFaults: Readonly<Record<string, Scene>> = {
  "peer-asn": {
    symptom: noRoute,
    plant: peering({ node: "node1", theirs: routerAsn + 1 }),
    find: "explain svc/routed",
    causes: ["noSession", "notificationSent"],
    cause: /its AS number is 65010/,
    remedy: /peer-asn: 65010/,
  },
  "my-asn": {
    symptom: noRoute,
    plant: peering({ node: "node1", mine: nodeAsn + 1 }),
    find: "explain svc/routed",
    causes: ["noSession", "notificationReceived"],
    cause: /it has another AS number for this node than my-asn/,
    remedy: /my-asn/,
  },
  "password-here-only": {
    symptom: noRoute,
    plant: peering({ node: "node1", more: ", password: right" }),
    find: "explain svc/routed",
    causes: ["noSession", "connectTimeout"],
    cause: /a password is configured, which may not be the peer's/,
    remedy: /password/,
  },
  "wrong-password": {
    symptom: noRoute,
    plant: peering({ node: "node2", more: ", password: wrong" }),
    find: "explain svc/routed",
    causes: ["noSession", "connectTimeout"],
    cause: /a password is configured, which may not be the peer's/,
    remedy: /password/,
  },
  "no-neighbor": {
    symptom: noRoute,
    plant: peering({ node: "node3", address: "fd00:30::241" }),
    find: "explain svc/routed",
    causes: ["noSession", "connectionRefused", "sessionRefused"],
    cause: /neighbor/,
    remedy: /neighbor on the router|ingotctl router-config/,
  },
  "too-many-prefixes": {
    symptom: "The router loses all routes to node1 when Service more is made.",
    plant: peering({ node: "node1" }, ["routed", "more"]),
    find: "explain svc/routed",
    causes: ["noSession", "prefixLimit"],
    cause: /Maximum Number of Prefixes Reached/,
    remedy: /raise the router's limit of prefixes for this neighbor/,
  },
  "prefix-limit-near": {
    symptom: "Nothing yet; the router ends the session when one more Service comes.",
    plant: peering({ node: "node3", more: ", maximum-prefix: 1" }),
    find: `explain peer/${routerAddress}`,
    causes: ["prefixLimitNear"],
    cause: /carries 1 of 1 IPv4 prefixes that the router takes \(maximum-prefix\)/,
    remedy: /raise the router's limit of prefixes for this neighbor, and maximum-prefix where it is set/,
  },
  "bfd-down": {
    symptom: "A router that fails is noticed after a minute, although BFD is configured.",
    plant: peering({ node: "node3", more: ", bfd-profile: fast" }),
    find: "explain svc/routed",
    causes: ["bfdUnknown"],
    cause: /BFD is not up/,
    remedy: /enable BFD for this node on the router, and let UDP 3784/,
  },
  "filtered-routes": {
    symptom: noRoute,
    plant: peering({ node: "node3" }),
    find: "explain svc/routed",
    causes: ["routeFiltered"],
    cause: /the router filters/,
    remedy: /filter on the router/,
  },
};
