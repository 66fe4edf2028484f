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
import { type Host, waitFor } from "#e2e/lab";
import { startProxy } from "../demo-cluster/demo-cluster.ts";

export type Mend = () => Promise<void>;

const pool = (name: string) => ({ "metallb.universe.tf/address-pool": name });
/** Addresses are tried on the wire. */
export const tried = demoConfiguration.replace("protocol: layer2\n", "protocol: layer2\n  self-test: 10s\n");

/** Makes a Service with a Pod on each node, which asks for a pool. @returns what deletes it */
export async function expose(cluster: DemoCluster, name: string, poolName: string): Promise<Mend> {
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
    remedy:
      /let firewalls and network policies pass UDP of the ring \(port 7946 by default, the next one of a central speaker\) between/,
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
    remedy:
      /let firewalls and network policies pass UDP of the ring \(port 7946 by default, the next one of a central speaker\) between/,
  },
  "failover-without-bfd": {
    symptom: "Failover takes longer since a firewall was changed on node1, although the configuration has failover.",
    plant: async (cluster) => {
      const drop = "chain input { type filter hook input priority 0; udp dport 3784 drop; }";
      const mend = await filter([cluster.node("node1").host], "inet", [drop]);
      return both(await configure(cluster, `${demoConfiguration}failover: {interval: 50ms}\n`), mend);
    },
    find: "explain node/node1",
    causes: ["fastPathOff"],
    cause: /finds failures of nodes without BFD: there is no BFD session with node\d/,
    remedy: /let UDP 3784 pass between nodes of one subnet/,
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
    causes: ["statusRefused", "noIPAllocated", "notReported"],
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

/** Faults of a cluster with two central speakers. */
export const centralFaults: Readonly<Record<string, Scene>> = {
  "dead-central-speaker": {
    symptom: "Routers have one session with the cluster where they had two; Services answer.",
    plant: async ({ centralSpeakers: [central] }) => {
      if (central === undefined) throw new Error("Cannot kill a central speaker: there is none");
      central.process.kill("SIGKILL");
      await central.process.exited;
      return async () => {
        await central.start();
        await waitFor(`${central.name} to be ready`, () => central.ready());
      };
    },
    find: "doctor",
    causes: [],
    cause: /speaker central-speaker-node1 on central\/node1: it does not answer: /,
    remedy: /kubectl -n metallb-system describe pod central-speaker-node1; kubectl -n metallb-system logs central-speaker-node1/,
    describe: "pod/central-speaker-node1",
  },
};
