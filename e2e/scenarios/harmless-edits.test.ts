// Nobody expects an address to move, even for a moment, where an edit of the configuration is not about where it is announced. EDITS=100 EDITS_SEED=7
// draws more of them, and others.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { DemoNode, DemoService } from "#e2e/demo-cluster";
import { Lab, type LabProcess, waitFor } from "#e2e/lab";
import { routerRefusal } from "#e2e/routers";
import { seededRandom } from "#pkg/clock/testing";
import { BgpNetwork, established, nodeAsn, type PlacedRouter, routesFrom } from "./bgp-network.ts";
import { answered } from "./observe.ts";
import { routeChanges } from "./route-changes.ts";

type Fields = Record<string, unknown>;

interface Configuration extends Fields {
  "address-pools": (Fields & { name: string; addresses: string[] })[];
  peers: Fields[];
}

const routerAsn = 65010;
const routerAddress = "172.30.0.241";
const hosts = { key: "kubernetes.io/hostname", operator: "In", values: ["node1", "node2", "node3"] };
const allNodes = [{ "match-expressions": [hosts] }];

const base = (): Configuration => ({
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

const owned = ["arp", "nics"];
const every = [...owned, "kernels", "routes"];

const edits: Readonly<Record<string, Edit>> = {
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
  "fast failover": top({ failover: { interval: "50ms" } }),
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

const rounds = Number(process.env.EDITS ?? 20);
const seed = Number(process.env.EDITS_SEED ?? 1);

suite("edits that are not about where an address is announced move none", {
  skip: (await Lab.refusal()) || (await routerRefusal("bird")),
}, () => {
  let network: BgpNetwork;
  let nodes: readonly DemoNode[];
  let router: PlacedRouter;
  const addresses: Record<string, string> = {}; // pool -> address of its Service

  before(async () => {
    network = await BgpNetwork.start({ nodes: 3, netAdmin: true });
    const { cluster } = network;
    nodes = cluster.nodes;
    const all = nodes.map(({ addresses: [v4] }) => v4);
    const neighbors = all.map((address) => ({ address, asn: nodeAsn }));
    router = await network.router("bird", 1, { asn: routerAsn, multipath: 8, neighbors });
    await cluster.configure(JSON.stringify(base()));
    for (const pool of every) {
      const annotations = { "metallb.universe.tf/address-pool": pool };
      const service: DemoService = await cluster.expose(`on-${pool}`, ["node1", "node2", "node3"], { annotations });
      addresses[pool] = await service.address();
    }
    await established(router);
    await routesFrom(router, `${addresses.routes}/32`, all);
    for (const pool of owned) await answered(cluster, addresses[pool] ?? "", /^on-/);
    for (const { host } of nodes)
      await waitFor(`the address in the kernel of ${host.name}`, async () =>
        (await host.output(["ip", "addr", "show", "dev", "kube-lb0"])).includes(`${addresses.kernels}/`),
      );
  });
  after(() => network?.[Symbol.asyncDispose]());

  const loads = ({ speaker }: DemoNode) => speaker.process.lines.filter((line) => line.includes('"configLoaded"')).length;

  /** What was taken back so far: announcements, entries of kernels, routes. */
  function taken(monitors: readonly LabProcess[], routes: LabProcess): readonly string[] {
    const withdrawn = nodes.flatMap(({ speaker }) => speaker.process.lines.filter((line) => line.includes('"serviceWithdrawn"')));
    const own = Object.values(addresses);
    const deleted = monitors.flatMap(({ name, lines }) =>
      lines
        .filter((line) => line.includes("Deleted") && own.some((one) => line.includes(` ${one}/`)))
        .map((line) => `${name}: ${line}`),
    );
    const gone = routeChanges(routes.lines, addresses.routes ?? "").filter((change) => change === "Deleted");
    return [...withdrawn, ...deleted, ...gone.map(() => "the router's route is gone")];
  }

  test(`${rounds} times some of ${Object.keys(edits).length} edits, drawn by seed ${seed}`, async () => {
    const random = seededRandom(seed);
    const monitors: LabProcess[] = [];
    for (const { host } of nodes) monitors.push(await host.spawn(`monitor-${host.name}`, ["ip", "-o", "monitor", "address"]));
    const routes = await router.host.spawn("monitor-routes", ["ip", "monitor", "route"]);
    const names = Object.keys(edits);
    const present = new Set<string>();
    for (let round = 1; round <= rounds; round++) {
      const drawn = Array.from({ length: 1 + Math.floor(random() * 3) }, () => names[Math.floor(random() * names.length)] ?? "");
      for (const name of drawn) if (!present.delete(name)) present.add(name);
      const configuration = base();
      for (const name of names) if (present.has(name)) edits[name]?.(configuration);
      const before = nodes.map(loads);
      const known = taken(monitors, routes).length;
      await network.cluster.configure(JSON.stringify({ ...configuration, "bgp-communities": { round: `64512:${round}` } }));
      for (const [index, node] of nodes.entries())
        await waitFor(`${node.name} to load ${[...present].join(", ")}`, () => loads(node) > (before[index] ?? 0));
      await sleep(500);
      const what = `round ${round}: ${drawn.join(", ")} changed; there are ${[...present].join(", ")}`;
      assert.deepEqual(taken(monitors, routes).slice(known), [], what);
    }
    for (const pool of owned) await answered(network.cluster, addresses[pool] ?? "", /^on-/);
  });
});
