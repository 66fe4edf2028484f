import type { Host } from "#e2e/lab";
import { type DemoCluster, demoConfiguration } from "./demo-cluster.ts";

/** A fault as an operator meets it, and the command that names cause and remedy. */
export interface Fault<Where, Planted> {
  /** The operator sees this. */
  readonly symptom: string;
  /** Breaks something where Service `web` has this address. */
  readonly plant: (where: Where, address: string) => Planted;
  /** Arguments of `ingotctl`. */
  readonly find: string;
  /** The causes of all problems that this command may name; the first one it has to name. None where a process says nothing any more. */
  readonly causes: readonly string[];
  /** The command prints both as soon as the processes have noticed; `kubectl describe` should. */
  readonly cause: RegExp;
  readonly remedy: RegExp;
  /** What `kubectl describe` is asked about; what `find` is about where absent. */
  readonly describe?: string;
}

/** A fault of a cluster with `demoConfiguration`; planting it returns what mends it. */
export type Scene = Fault<DemoCluster, Promise<() => Promise<void>>>;

const service = (name: string) => ({ apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" } });

/** Makes a Service without Pods. @returns what deletes it */
async function request({ api }: DemoCluster, name: string, annotations = {}): Promise<() => Promise<void>> {
  const spec = { type: "LoadBalancer", selector: { app: name }, ports: [{ name: "http", port: 80 }] };
  await api.apply({ ...service(name), metadata: { ...service(name).metadata, annotations }, spec });
  return async () => void (await api.delete(service(name)));
}

/** Puts a configuration in place. @returns what puts the former one back */
export async function configure(cluster: DemoCluster, text: string): Promise<() => Promise<void>> {
  await cluster.configure(text);
  return () => cluster.configure(demoConfiguration);
}

/** Gives these hosts a table of nftables with a name of its own. @returns what deletes it */
export async function filter(hosts: readonly Host[], family: string, chains: readonly string[]): Promise<() => Promise<void>> {
  for (const host of hosts)
    await host.output(["nft", `add table ${family} planted { ${chains.map((chain) => `${chain};`).join(" ")} }`]);
  return async () => {
    for (const host of hosts) await host.output(["nft", `delete table ${family} planted`]);
  };
}

/** As kube-proxy sets them: 1 and 2 with `strictARP`. */
const strictArp = (ignore: number, announce: number) => ({
  "net.ipv4.conf.all.arp_ignore": ignore,
  "net.ipv4.conf.all.arp_announce": announce,
});

export const hostsOf = ({ nodes }: DemoCluster) => nodes.map(({ host }) => host);

export const both =
  (...mends: readonly (() => Promise<void>)[]) =>
  async () => {
    for (const mend of mends) await mend();
  };

/** Ten scenes, the easiest first. */
export const scenes: Readonly<Record<string, Scene>> = {
  "unknown-pool": {
    symptom: "Service typo stays at <pending>.",
    plant: (cluster) => request(cluster, "typo", { "metallb.universe.tf/address-pool": "defautl" }),
    find: "explain svc/typo",
    causes: ["unknownPool"],
    cause: /"defautl".*default/s,
    remedy: /correct the annotation metallb\.universe\.tf\/address-pool/,
  },
  "full-pool": {
    symptom: "Service late stays at <pending>, and others have addresses.",
    plant: async (cluster, address) => {
      const mend = await configure(cluster, `address-pools: [{name: default, protocol: layer2, addresses: [${address}/32]}]`);
      return both(await request(cluster, "late"), mend);
    },
    find: "explain svc/late",
    causes: ["noPoolFits"],
    cause: /pool "default" has no free IPv4 address \(its only one is in use\)/,
    remedy: /add addresses to a pool/,
  },
  "no-endpoints": {
    symptom: "Service empty has an address, and nobody answers there.",
    plant: (cluster) => request(cluster, "empty"),
    find: "explain svc/empty",
    causes: ["noReadyEndpoint"],
    cause: /the Service has none/,
    remedy: /kubectl -n default get service empty -o wide, and see whether its selector matches Pods that run/,
  },
  "broken-yaml": {
    symptom: "The ConfigMap was edited, and the new addresses are not used.",
    plant: (cluster) => configure(cluster, demoConfiguration.replace("  protocol: layer2", "\tprotocol: layer2")),
    find: "explain config",
    causes: ["invalid"],
    cause: /line 3, column 1: .*tab/,
    remedy: /ingotctl validate - lists all: correct them/,
    describe: "configmap/config",
  },
  "no-speaker": {
    symptom: "Service local, of externalTrafficPolicy Local, does not answer any more.",
    plant: async (cluster) => {
      const local = await cluster.expose("local", ["node2"], { policy: "Local" });
      const { speaker } = cluster.node("node2");
      await speaker.stop();
      return both(
        () => speaker.start(),
        () => local.delete(),
      );
    },
    find: "explain svc/local",
    causes: ["noReadyEndpointOnActiveNode"],
    cause: /ready endpoint/,
    remedy: /run a speaker on a node of its Pods/,
  },
  "no-router": {
    symptom: "Service routed has an address, and the router has no route to it.",
    plant: async (cluster) => {
      const peers = "peers: [{my-asn: 64512, peer-asn: 64513, peer-address: 172.30.0.199}]\n";
      const pool = "- {name: routed, protocol: bgp, auto-assign: false, addresses: [198.51.100.0/24]}\n";
      const mend = await configure(cluster, `${peers}${demoConfiguration}${pool}`);
      const annotations = { "metallb.universe.tf/address-pool": "routed" };
      const routed = await cluster.expose("routed", ["node1"], { annotations });
      return both(() => routed.delete(), mend);
    },
    find: "explain svc/routed",
    causes: ["noSession", "routerUnreachable", "connectTimeout"],
    cause: /172\.30\.0\.199/,
    remedy: /see that the router (is up|runs)/,
  },
  "strict-arp": {
    symptom: "arping shows that several nodes answer for the address of Service web.",
    plant: async (cluster) => {
      for (const host of hostsOf(cluster)) {
        await host.sysctl(strictArp(0, 0));
        await host.ip("link add kube-ipvs0 type bridge");
      }
      return async () => {
        for (const host of hostsOf(cluster)) {
          await host.ip("link del kube-ipvs0");
          await host.sysctl(strictArp(1, 2));
        }
      };
    },
    find: "explain svc/web",
    causes: ["strictArp"],
    cause: /arp_ignore|kube-proxy holds/,
    remedy: /strictARP: true in kube-proxy's configuration/,
  },
  "duplicate-address": {
    symptom: "Service web answers some clients, and others reach a printer.",
    plant: async ({ lab, lan, client }, address) => {
      const printer = await lab.host("printer");
      await printer.attach(lan, { addresses: [`${address}/24`] });
      await printer.get("http://172.30.0.100:9/", { timeout: 500 }).catch(() => {}); // It asks for the client's MAC address.
      return async () => {
        await lan.unplug(printer);
        await client.run(["ip", "neigh", "flush", "to", address]);
      };
    },
    find: "explain svc/web",
    causes: ["addressConflict"],
    cause: /(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/,
    remedy: /give that host another address/,
  },
  "cut-ring": {
    symptom: "Two nodes claim the address of Service web since a firewall was changed.",
    plant: (cluster) =>
      filter(
        [cluster.node("node1").host],
        "inet",
        ["input", "output"].map(
          (hook) => `chain ${hook} { type filter hook ${hook} priority 0; udp dport 7946 drop; tcp dport 7946 drop; }`,
        ),
      ),
    find: "explain svc/web",
    causes: ["twoOwners", "waiting", "addressConflict"],
    cause: /two nodes answer for .*, the other is "node\d" .*: their speakers do not reach each other/,
    remedy: /let UDP and TCP of the speakers' ring \(port 7946 by default\) pass between the nodes/,
  },
  "silent-port": {
    symptom: "arping gets an answer for the address of Service web, and curl times out.",
    plant: async (cluster, address) => {
      const tried = demoConfiguration.replace("protocol: layer2\n", "protocol: layer2\n  self-test: 10s\n");
      const mend = await configure(cluster, tried);
      const drop = `type filter hook ingress device eth0 priority 0; ip daddr ${address} tcp dport 80 drop;`;
      return both(await filter(hostsOf(cluster), "netdev", [`chain in { ${drop} }`]), mend);
    },
    find: "explain svc/web",
    causes: ["notConnected"],
    cause: /TCP port 80 neither accepts nor refuses a connection/,
    remedy: /see kube-proxy on that node, firewalls between the nodes/,
  },
};
