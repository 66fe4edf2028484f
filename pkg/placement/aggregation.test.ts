import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Config, type Pool, parseConfig } from "#pkg/config";
import type { Address, Prefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import {
  advertisedCentrally,
  type BgpRoute,
  type CentralAdvertisements,
  centralPeers,
  type Holder,
  nodePeers,
  placeBgp,
  placeCentral,
  poolAdvertisements,
  servedNodes,
} from "#pkg/placement";

// Routers send a packet by the longest prefix, also where there is an aggregate.

function configOf(fields: string): Config {
  const { config, problems } = parseConfig(`
peers: [{my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, add-path: true}]
address-pools:
- {name: a, protocol: bgp, addresses: [198.51.100.0/24, "2001:db8::/120"], bgp-advertisements: [${fields}]}`);
  assert.ok(config, JSON.stringify(problems));
  return config;
}
const kept = "{aggregation-length: 28, aggregation-length-v6: 124, keep-more-specifics: true}";

interface ServiceOf {
  readonly last: number;
  readonly isV6: boolean;
  readonly isLocal: boolean;
  readonly nodes: readonly string[];
}

function holderOf({ isLocal, nodes }: ServiceOf, at: Address): Holder {
  return {
    service: `default/s${at}`,
    goesWith: at,
    isAllowed: true,
    created: 0,
    backendKey: "",
    externalTrafficPolicy: isLocal ? "Local" : "Cluster",
    endpoints: nodes.map((nodeName) => ({ nodeName, ready: 1, draining: 0 })),
  };
}

const addressOf = ({ last, isV6 }: ServiceOf): Address => address(isV6 ? `2001:db8::${last.toString(16)}` : `198.51.100.${last}`);

/** A router's table: the nodes by each prefix. */
class Table {
  readonly #hops = new Map<string, { readonly prefix: Prefix; readonly nodes: Set<string> }>();

  add({ prefix }: BgpRoute, ...nodes: readonly string[]): void {
    const row = this.#hops.get(`${prefix}`) ?? { prefix, nodes: new Set<string>() };
    this.#hops.set(`${prefix}`, row);
    for (const node of nodes) row.nodes.add(node);
  }

  to(destination: Address): readonly string[] {
    const rows = [...this.#hops.values()].filter(({ prefix }) => prefix.contains(destination));
    return [...(rows.sort((a, b) => b.prefix.length - a.prefix.length)[0]?.nodes ?? [])].sort();
  }

  get size(): number {
    return this.#hops.size;
  }
}

function centralOf({ peers, pools: [pool] }: Config, names: readonly string[]): CentralAdvertisements {
  const addresses = (index: number) => [address(`10.0.${index >> 8}.${index & 255}`), address(`fd00::${index.toString(16)}`)];
  const nodes = servedNodes(names.map((name, index) => ({ name, labels: {}, addresses: addresses(index + 1) })));
  const none = new Set<string>();
  return advertisedCentrally({
    pool: pool as Pool,
    node: "central/x",
    entries: (pool as Pool).advertisements,
    slots: new Map(),
    order: 0,
    peers: centralPeers(peers),
    nodes,
    undelivering: { IPv4: none, IPv6: none },
    drained: none,
    cordoned: { nodes: none, peers: none },
    isOutdated: false,
  });
}

const nodeNames = ["n1", "n2", "n3"];

/** The router's table where each node announces for itself. */
function tableOfNodes(config: Config, services: readonly ServiceOf[]): Table {
  const table = new Table();
  const [pool] = config.pools as [Pool];
  for (const node of nodeNames) {
    const peers = nodePeers(config.peers, {});
    const advertisements = poolAdvertisements({ pool, order: 0, node, labels: {}, eligibility: "eligible", peers });
    for (const service of services) {
      const at = addressOf(service);
      for (const route of placeBgp(at, [holderOf(service, at)], advertisements).routes) table.add(route, node);
    }
  }
  return table;
}

/** The same with a central speaker. */
function tableOfCentral(config: Config, services: readonly ServiceOf[], names = nodeNames): Table {
  const table = new Table();
  const central = centralOf(config, names);
  const nodeOf = new Map(
    [...central.nodes.values()].flatMap(({ name, paths }) =>
      [...paths.values()].map(({ nextHop }) => [`${nextHop}`, name] as const),
    ),
  );
  for (const service of services) {
    const at = addressOf(service);
    for (const route of placeCentral(at, [holderOf(service, at)], central).routes)
      table.add(route, ...(route.via.slots.get(at.family) ?? []).map(({ nextHop }) => nodeOf.get(`${nextHop}`) ?? ""));
  }
  return table;
}

const services = fc.uniqueArray(
  fc.record({
    last: fc.integer({ min: 1, max: 40 }),
    isV6: fc.boolean(),
    isLocal: fc.boolean(),
    nodes: fc.subarray(nodeNames, { minLength: 1 }),
  }),
  { selector: ({ last, isV6 }) => `${last} ${isV6}`, maxLength: 12 },
);

for (const [who, tableOf] of [
  ["nodes", tableOfNodes],
  ["central speakers", tableOfCentral],
] as const)
  test(`with keep-more-specifics of ${who}, a router sends to nodes with an endpoint under Local, to all under Cluster, by few routes`, () => {
    const config = configOf(kept);
    fc.assert(
      fc.property(services, (all) => {
        const table = tableOf(config, all);
        for (const service of all)
          assert.deepEqual(table.to(addressOf(service)), service.isLocal ? service.nodes.toSorted() : nodeNames);
        const aggregates = new Set(all.flatMap(({ isLocal, last, isV6 }) => (isLocal ? [] : [`${last >> 4} ${isV6}`])));
        assert.equal(table.size, aggregates.size + all.filter(({ isLocal }) => isLocal).length);
      }),
    );
  });

for (const [order, entries] of [
  ["last", `{aggregation-length: 28}, ${kept}`],
  ["first", `${kept}, {aggregation-length: 28}`],
] as const)
  test(`keep-more-specifics in the ${order} of two entries for one aggregate: an address with Local has both routes, another one the aggregate once`, () => {
    const config = configOf(entries);
    const local = { last: 1, isV6: false, isLocal: true, nodes: ["n1"] };
    const cluster = { last: 2, isV6: false, isLocal: false, nodes: ["n2"] };
    const [pool = assert.fail()] = config.pools;
    const node = { node: "n1", labels: {}, eligibility: "eligible", peers: nodePeers(config.peers, {}) } as const;
    const made = poolAdvertisements({ pool, order: 0, ...node });
    const prefixes = (one: ServiceOf) =>
      placeBgp(addressOf(one), [holderOf(one, addressOf(one))], made).routes.map(({ prefix, via }) => `${prefix} ${via.order}`);
    const [aggregate, own] = order === "last" ? [0, 1] : [1, 0];
    assert.deepEqual(prefixes(local).sort(), [`198.51.100.0/28 ${aggregate}`, `198.51.100.1/32 ${own}`]);
    assert.deepEqual(prefixes(cluster), ["198.51.100.0/28 1"]);
    for (const table of [tableOfNodes(config, [local, cluster]), tableOfCentral(config, [local, cluster])]) {
      assert.equal(table.size, 2);
      assert.deepEqual(table.to(addressOf(local)), ["n1"]);
      assert.deepEqual(table.to(addressOf(cluster)), nodeNames);
    }
  });

test("without keep-more-specifics addresses with Local have part in the aggregate, as with MetalLB", () => {
  const config = configOf("{aggregation-length: 28}");
  const service = { last: 1, isV6: false, isLocal: true, nodes: ["n1"] };
  const other = { last: 2, isV6: false, isLocal: false, nodes: ["n2"] };
  for (const table of [tableOfNodes(config, [service, other]), tableOfCentral(config, [service, other])]) {
    assert.equal(table.size, 1);
    assert.deepEqual(table.to(addressOf(service)), nodeNames);
  }
});

test("an aggregate of central speakers has 64 of many nodes, however many addresses are in it", () => {
  const names = Array.from({ length: 200 }, (_, index) => `n${index + 1}`);
  const all = Array.from({ length: 15 }, (_, index) => ({ last: index + 1, isV6: false, isLocal: false, nodes: ["n1"] }));
  const table = tableOfCentral(configOf("{aggregation-length: 28}"), all, names);
  assert.equal(table.to(address("198.51.100.1")).length, 64);
});
