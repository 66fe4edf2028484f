/** Edits of the configuration and of objects that are not about where an address is announced. */
import type { ApiClient } from "#e2e/demo-cluster";
import { nodeAsn } from "./bgp-network.ts";
import { serviceReference } from "./observe.ts";

type Fields = Record<string, unknown>;

interface Configuration extends Fields {
  "address-pools": (Fields & { name: string; addresses: string[] })[];
  peers: Fields[];
}

export const routerAsn = 65010;
export const routerAddress = "172.30.0.241";
const hosts = { key: "kubernetes.io/hostname", operator: "In", values: ["node1", "node2", "node3"] };
const allNodes = [{ "match-expressions": [hosts] }];

export const base = (): Configuration => ({
  peers: [{ name: "router", "my-asn": nodeAsn, "peer-asn": routerAsn, "peer-address": routerAddress }],
  "address-pools": [
    { name: "arp", protocol: "layer2", addresses: ["172.30.0.200-172.30.0.209"] },
    { name: "nics", protocol: "interface", placement: "lan", addresses: ["172.30.0.150-172.30.0.159"] },
    { name: "kernels", protocol: "interface", addresses: ["198.51.100.64/28"] },
    { name: "routes", protocol: "bgp", addresses: ["198.51.100.16/28"] },
  ],
});

type Edit = (configuration: Configuration) => void;

/** These fields of some pools, which have them on top of others. */
function pools(names: readonly string[], fields: Fields): Edit {
  return ({ "address-pools": all }) => {
    for (const pool of all) if (names.some((name) => pool.name.startsWith(name))) Object.assign(pool, fields);
  };
}

const peer =
  (fields: Fields): Edit =>
  ({ peers: [first = {}] }) =>
    void Object.assign(first, fields);

const top =
  (fields: Fields): Edit =>
  (configuration) =>
    void Object.assign(configuration, fields);

export const owned = ["arp", "nics"];
export const every = [...owned, "kernels", "routes"];

export const edits: Readonly<Record<string, Edit>> = {
  "interfaces by name": pools(owned, { interfaces: ["eth0"] }),
  "interfaces by pattern": pools(owned, { interfaces: ["eth*", "bond0"] }),
  "node selectors that match all": pools([...owned, "kernels"], { "node-selectors": allNodes }),
  "preferred nodes that are all": pools(owned, { "preferred-nodes": [{ weight: 5, "match-expressions": [hosts] }] }),
  sticky: pools(owned, { "l2-placement": "sticky" }),
  "by subnet": pools(owned, { "l2-placement": "subnet" }),
  "strict probes": pools(owned, { "conflict-probe": "strict" }),
  "no probes": pools(owned, { "conflict-probe": "off" }),
  "self-test": pools(owned, { "self-test": "10s" }),
  "kept connections": pools(owned, { "keep-connections": true }),
  alive: pools(every, { "announce-when": "alive" }),
  advertisements: pools(["arp"], { "layer2-advertisements": [{ interfaces: ["eth0"] }] }),
  "a long lifetime": pools(["nics", "kernels"], { "address-lifetime": "10m" }),
  closed: pools(every, { closed: true }),
  fence: pools(every, { namespaces: ["default", "team-a"], priority: 7, sharing: "none" }),
  "no auto-assignment": pools(every, { "auto-assign": false, "avoid-buggy-ips": true }),
  communities: pools(["routes"], { "bgp-advertisements": [{ communities: ["64512:7"], med: 30 }] }),
  "advertisements to the peer by name": pools(["routes"], { "bgp-advertisements": [{ peers: ["router"] }] }),
  "an advertisement more": pools(["routes"], { "bgp-advertisements": [{}, { "aggregation-length": 28, localpref: 50 }] }),
  "settings of the peer": peer({
    "drain-when-cordoned": true,
    "graceful-shutdown-time": "5s",
    "maximum-prefix": 100,
    "connect-time": "3s",
  }),
  "the peer's nodes, which are all": peer({ "node-selectors": allNodes }),
  "a peer more": ({ peers }) =>
    void peers.push({ name: "off", "my-asn": nodeAsn, "peer-asn": 65020, "peer-address": "172.30.0.99", disabled: true }),
  "fast failover": top({ failover: { interval: "100ms" } }),
  quotas: top({ quotas: [{ namespaces: ["default"], ipv4: 100 }] }),
  "a profile that nobody uses": top({ "bfd-profiles": [{ name: "idle" }] }),
  "pools of other names": ({ "address-pools": all }) => {
    for (const pool of all) pool.name += "-of-old";
  },
  "pools in another order": ({ "address-pools": all }) => void all.reverse(),
  "pools in halves": ({ "address-pools": all }) => {
    for (const pool of [...all]) {
      const { name, addresses } = pool;
      const [, start, from = 0, to = 0] = /^(.*\.)(\d+)-.*\.(\d+)$/.exec(addresses[0] ?? "") ?? [];
      if (start === undefined) continue;
      const middle = Math.floor((Number(from) + Number(to)) / 2);
      pool.addresses = [`${start}${from}-${start}${middle}`];
      all.push({ ...pool, name: `${name}-upper`, addresses: [`${start}${middle + 1}-${start}${to}`] });
    }
  },
  "a pool more": ({ "address-pools": all }) =>
    void all.push({ name: "more", protocol: "layer2", addresses: ["172.30.0.220-172.30.0.229"] }),
};

/** How an object is edited, and how that is taken back, both as JSON merge patches. */
interface ObjectEdit {
  readonly of: "services" | "nodes" | "namespace";
  readonly done: object;
  readonly undone: object;
}

const meta = (field: "labels" | "annotations", key: string): Pick<ObjectEdit, "done" | "undone"> => ({
  done: { metadata: { [field]: { [key]: "some" } } },
  undone: { metadata: { [field]: { [key]: null } } },
});
const spec = (done: object, undone: object): Pick<ObjectEdit, "done" | "undone"> => ({
  done: { spec: done },
  undone: { spec: undone },
});
const port = (name: string, number: number) => ({ name, protocol: "TCP", port: number, targetPort: 8080 });

export const objectEdits: Readonly<Record<string, ObjectEdit>> = {
  "labels of Services": { of: "services", ...meta("labels", "team") },
  "annotations of Services": { of: "services", ...meta("annotations", "example.com/note") },
  "a sharing key that nobody else has": { of: "services", ...meta("annotations", "metallb.universe.tf/allow-shared-ip") },
  "a port more": { of: "services", ...spec({ ports: [port("tcp", 80), port("more", 8081)] }, { ports: [port("tcp", 80)] }) },
  "session affinity": { of: "services", ...spec({ sessionAffinity: "ClientIP" }, { sessionAffinity: "None" }) },
  "source ranges": { of: "services", ...spec({ loadBalancerSourceRanges: ["0.0.0.0/0"] }, { loadBalancerSourceRanges: null }) },
  "internal policy": { of: "services", ...spec({ internalTrafficPolicy: "Local" }, { internalTrafficPolicy: "Cluster" }) },
  "unready addresses": { of: "services", ...spec({ publishNotReadyAddresses: true }, { publishNotReadyAddresses: false }) },
  "a finalizer": {
    of: "services",
    done: { metadata: { finalizers: ["example.com/keep"] } },
    undone: { metadata: { finalizers: null } },
  },
  "labels of nodes": { of: "nodes", ...meta("labels", "rack") },
  "annotations of nodes": { of: "nodes", ...meta("annotations", "example.com/note") },
  "a taint of nodes": {
    of: "nodes",
    ...spec({ taints: [{ key: "example.com/dedicated", value: "db", effect: "NoSchedule" }] }, { taints: null }),
  },
  "nodes that are cordoned": { of: "nodes", ...spec({ unschedulable: true }, { unschedulable: null }) },
  "labels of the namespace": { of: "namespace", ...meta("labels", "team") },
};

/** Edits the Services of these names in `default`, these nodes, or that namespace. */
export async function editObjects(
  api: ApiClient,
  names: { readonly services: readonly string[]; readonly nodes: readonly string[] },
  edit: ObjectEdit,
  isDone: boolean,
): Promise<void> {
  const references = {
    services: names.services.map(serviceReference),
    nodes: names.nodes.map((name) => ({ apiVersion: "v1", kind: "Node", metadata: { name } })),
    namespace: [{ apiVersion: "v1", kind: "Namespace", metadata: { name: "default" } }],
  }[edit.of];
  for (const reference of references) await api.patch(reference, isDone ? edit.done : edit.undone);
}
