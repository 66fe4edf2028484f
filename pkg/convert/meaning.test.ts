import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { dump, loadAll } from "js-yaml";
import { type BgpAdvertisement, type Config, formatCommunity, matchesSelector, type Pool, readInput } from "#pkg/config";
import { convert, liveObjectText, liveText, parseCustomResources } from "./index.ts";
import type { LiveObject } from "./live.ts";
import type { Spec, schemas } from "./metallb/schemas.ts";
import { anyMatches, type Selector } from "./selectors.ts";

// A conversion must not change the announcements of peers and nodes that a configuration in either form leads to.

type Labels = Readonly<Record<string, string>>;
interface Resource<Kind extends keyof typeof schemas> {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Labels };
  readonly spec: Spec<Kind>;
}

const options = { namespace: undefined, prefer: undefined };
const nodes: readonly Labels[] = [
  {},
  { rack: "a" },
  { rack: "b" },
  { zone: "x" },
  { rack: "a", zone: "x" },
  { rack: "c", zone: "y" },
];
/** Labels of a node, and of a Service. */
const everybody = nodes.flatMap((node) => nodes.slice(0, 5).map((service) => [node, service] as const));
const peerNames = ["p1", "p2", "p3"];

function converted(text: string): string {
  const { text: made, problems } = convert([{ name: "given", text }], options);
  assert.ok(made, JSON.stringify(problems));
  return made;
}

function configOf(text: string): Config {
  const { config, problems } = readInput(text);
  assert.ok(config, JSON.stringify(problems));
  return config;
}

/** peer, family and length -> the route's attributes for a Service, on a node with these labels; MetalLB unites all advertisements that apply. */
function toldByMetallb(
  objects: readonly Resource<"BGPAdvertisement">[],
  pool: Resource<"IPAddressPool">,
  labels: Labels,
  ofService: Labels,
): Map<string, string> {
  const told = new Map<string, { communities: Set<string>; localPref: number }>();
  const families = familiesOf(pool.spec.addresses ?? []);
  for (const { kind, spec } of objects) {
    if (kind !== "BGPAdvertisement" || !isFor(spec, pool)) continue;
    if (spec.nodeSelectors?.length && !anyMatches(spec.nodeSelectors, labels)) continue;
    if (spec.serviceSelectors?.length && !anyMatches(spec.serviceSelectors, ofService)) continue;
    for (const peer of spec.peers?.length ? spec.peers : peerNames)
      for (const family of families) {
        const length = family === "IPv4" ? (spec.aggregationLength ?? 32) : (spec.aggregationLengthV6 ?? 128);
        const route = told.get(`${peer} ${family}/${length}`) ?? { communities: new Set(), localPref: 0 };
        for (const community of spec.communities ?? []) route.communities.add(community);
        route.localPref = Math.max(route.localPref, spec.localPref ?? 0);
        told.set(`${peer} ${family}/${length}`, route);
      }
  }
  return new Map([...told].map(([key, { communities, localPref }]) => [key, `${[...communities].sort()} ${localPref}`]));
}

/** The same here, where the last entry that applies counts alone. */
function toldByConfig(pool: Pool | undefined, labels: Labels, ofService: Labels): Map<string, string> {
  const told = new Map<string, string>();
  if (pool === undefined || !pool.protocols.includes("bgp")) return told;
  for (const {
    aggregationLength,
    aggregationLengthV6,
    communities,
    localPref = 0,
    peers,
    nodeSelectors,
    services: { serviceSelectors },
  } of pool.advertisements) {
    if (serviceSelectors.length > 0 && !serviceSelectors.some((one) => matchesSelector(one, ofService))) continue;
    if (nodeSelectors.length > 0 && !nodeSelectors.some((selector) => matchesSelector(selector, labels))) continue;
    for (const peer of peers.length > 0 ? peers : peerNames)
      for (const family of new Set(pool.ranges.map((range) => range.family))) {
        const length = family === "IPv4" ? aggregationLength : aggregationLengthV6;
        told.set(`${peer} ${family}/${length}`, `${communities.map(formatCommunity).sort()} ${localPref}`);
      }
  }
  return told;
}

function familiesOf(addresses: readonly string[]): Set<"IPv4" | "IPv6"> {
  return new Set(addresses.map((text) => (text.includes(":") ? "IPv6" : "IPv4")));
}

function isFor(spec: Spec<"L2Advertisement" | "BGPAdvertisement">, { metadata }: Resource<"IPAddressPool">): boolean {
  const { ipAddressPools = [], ipAddressPoolSelectors = [] } = spec;
  if (ipAddressPools.length === 0 && ipAddressPoolSelectors.length === 0) return true;
  return ipAddressPools.includes(metadata.name) || anyMatches(ipAddressPoolSelectors, metadata.labels ?? {});
}

const sorted = (map: ReadonlyMap<string, string>) => Object.fromEntries([...map].sort());

const label = fc.constantFrom<Labels>({ rack: "a" }, { rack: "b" }, { zone: "x" }, { rack: "a", zone: "x" });
const expression = fc.constantFrom(
  { key: "rack", operator: "In" as const, values: ["a", "b"] },
  { key: "rack", operator: "NotIn" as const, values: ["a"] },
  { key: "zone", operator: "Exists" as const },
  { key: "zone", operator: "DoesNotExist" as const },
);
const selector: fc.Arbitrary<Selector> = fc.oneof(
  label.map((matchLabels) => ({ matchLabels })),
  expression.map((one) => ({ matchExpressions: [one] })),
);
const selectors: fc.Arbitrary<Selector[]> = fc.oneof(
  { weight: 2, arbitrary: fc.constant<Selector[]>([]) },
  fc.uniqueArray(selector, { minLength: 1, maxLength: 2, selector: JSON.stringify }),
);
const some = (names: readonly string[]) => fc.uniqueArray(fc.constantFrom(...names), { maxLength: 2 });
const communities = some(["64512:1", "64512:2", "large:1:2:3"]);
/** MetalLB takes one preference for all advertisements of a length. */
const lengths = fc.constantFrom({ ipv4: 32, ipv6: 128, localPref: 0 }, { ipv4: 28, ipv6: 124, localPref: 100 });
const addresses = fc.constantFrom(["198.51.100.0/24"], ["2001:db8::/112"], ["198.51.100.0/24", "2001:db8::/112"]);

const object = (kind: string, version: string, name: string, spec: object, labels?: Labels) => ({
  apiVersion: `metallb.io/${version}`,
  kind,
  metadata: { namespace: "metallb-system", name, ...(labels && { labels }) },
  spec,
});
const peers = peerNames.map((name, index) =>
  object("BGPPeer", "v1beta2", name, {
    myASN: 64512,
    peerASN: 64513,
    peerAddress: `192.0.2.${index + 1}`,
    dualStackAddressFamily: true,
  }),
);

const fields = { lengths, communities, peers: some(peerNames), nodeSelectors: selectors, serviceSelectors: selectors };
const bgpAdvertisement = fc.record({ ...fields, by: fc.nat(3) }).map((given) => {
  const { ipv4, ipv6, localPref } = given.lengths;
  const reach = [
    { ipAddressPools: ["main"] },
    { ipAddressPoolSelectors: [{ matchLabels: { of: "main" } }] },
    {},
    { ipAddressPools: ["other"] },
  ];
  const { communities, peers, nodeSelectors, serviceSelectors } = given;
  return {
    aggregationLength: ipv4,
    aggregationLengthV6: ipv6,
    localPref,
    communities,
    peers,
    nodeSelectors,
    serviceSelectors,
    ...reach[given.by],
  };
});

test("peers are told by the ConfigMap what MetalLB's BGPAdvertisements together told them", () => {
  fc.assert(
    fc.property(addresses, fc.array(bgpAdvertisement, { maxLength: 4 }), (addresses, specs) => {
      const pool = object("IPAddressPool", "v1beta1", "main", { addresses }, { of: "main" });
      const advertisements = specs.map((spec, index) => object("BGPAdvertisement", "v1beta1", `adv${index}`, spec));
      const text = converted([...peers, pool, ...advertisements].map((each) => dump(each)).join("---\n"));
      const config = configOf(text);
      const resources = advertisements as Resource<"BGPAdvertisement">[];
      const back = convert([{ name: "made", text }], options);
      const again = loadAll(back.text ?? "") as Resource<"BGPAdvertisement">[];
      const poolAgain = again.find(({ kind }) => kind === "IPAddressPool") as unknown as Resource<"IPAddressPool">;
      for (const [labels, ofService] of everybody)
        assert.deepEqual(
          sorted(toldByConfig(config.pools[0], labels, ofService)),
          sorted(toldByMetallb(resources, pool as Resource<"IPAddressPool">, labels, ofService)),
          JSON.stringify([labels, ofService]),
        );
      if (back.losses.length > 0) return;
      for (const [labels, ofService] of everybody)
        assert.deepEqual(
          sorted(toldByMetallb(again, poolAgain, labels, ofService)),
          sorted(toldByConfig(config.pools[0], labels, ofService)),
          `and back: ${JSON.stringify([labels, ofService])}`,
        );
    }),
    { numRuns: 300 },
  );
});

const toConfig = (all: readonly Selector[]) =>
  all.map(({ matchLabels = {}, matchExpressions = [] }) => ({
    "match-labels": matchLabels,
    "match-expressions": matchExpressions,
  }));
const entry = fc.record(fields).map((given) => ({
  "aggregation-length": given.lengths.ipv4,
  "aggregation-length-v6": given.lengths.ipv6,
  ...(given.lengths.localPref > 0 && { localpref: given.lengths.localPref }),
  communities: given.communities,
  peers: given.peers,
  "node-selectors": toConfig(given.nodeSelectors),
  "service-selectors": toConfig(given.serviceSelectors),
}));

test("peers are told by BGPAdvertisements what the last entry of the ConfigMap told them", () => {
  const listed = peerNames.map((name, index) => ({ name, "my-asn": 1, "peer-asn": 2, "peer-address": `192.0.2.${index + 1}` }));
  fc.assert(
    fc.property(
      addresses,
      fc.uniqueArray(entry, { minLength: 1, maxLength: 4, selector: JSON.stringify }),
      (addresses, entries) => {
        const pool = { name: "main", protocol: "bgp", addresses, "bgp-advertisements": entries };
        const text = dump({ peers: listed, "address-pools": [pool] }, { noRefs: true });
        if (readInput(text).config === undefined) return; // The same advertisement twice.
        const objects = loadAll(converted(text)) as Resource<"IPAddressPool" | "BGPAdvertisement">[];
        const made = objects.find(({ kind }) => kind === "IPAddressPool") as Resource<"IPAddressPool">;
        const [whole] = configOf(text).pools;
        // MetalLB refuses these, so that they are left out.
        const isPossible = ({ aggregationLength, services }: BgpAdvertisement) =>
          aggregationLength === 32 || services.serviceSelectors.length === 0;
        const given = whole && { ...whole, advertisements: whole.advertisements.filter(isPossible) };
        for (const [labels, ofService] of everybody)
          assert.deepEqual(
            sorted(toldByMetallb(objects as Resource<"BGPAdvertisement">[], made, labels, ofService)),
            sorted(toldByConfig(given, labels, ofService)),
            JSON.stringify([labels, ofService]),
          );
      },
    ),
    { numRuns: 300 },
  );
});

const l2Advertisement = fc.record({
  nodeSelectors: selectors,
  interfaces: some(["eth0", "eth1"]),
  serviceSelectors: selectors,
});

/** The interfaces by which a node with these labels announces a Service on layer 2; empty for none. MetalLB unites all advertisements that apply. */
function announcedByMetallb(specs: readonly Spec<"L2Advertisement">[], labels: Labels, ofService: Labels): string {
  const those = specs.filter(
    ({ nodeSelectors = [], serviceSelectors = [] }) =>
      (nodeSelectors.length === 0 || anyMatches(nodeSelectors, labels)) &&
      (serviceSelectors.length === 0 || anyMatches(serviceSelectors, ofService)),
  );
  if (those.some(({ interfaces = [] }) => interfaces.length === 0)) return "all";
  return [...new Set(those.flatMap(({ interfaces = [] }) => interfaces))].sort().join();
}

/** The same by the ConfigMap. */
function announcedByConfig(pool: Pool, labels: Labels, ofService: Labels): string {
  const entry = pool.layer2Advertisements.findLast(({ services: { serviceSelectors } }) => {
    return serviceSelectors.length === 0 || serviceSelectors.some((each) => matchesSelector(each, ofService));
  });
  if (!pool.protocols.includes("layer2") || (entry === undefined && pool.layer2Advertisements.length > 0)) return "";
  const { nodeSelectors, interfaces } = entry?.pool ?? pool;
  const isSelected = nodeSelectors.length === 0 || nodeSelectors.some((each) => matchesSelector(each, labels));
  return isSelected ? interfaces.toSorted().join() || "all" : "";
}

test("nodes and interfaces that announce a Service on layer 2 are the same, or it is said that they are not", () => {
  let exact = 0;
  fc.assert(
    fc.property(fc.array(l2Advertisement, { minLength: 1, maxLength: 4 }), (specs) => {
      const pool = object("IPAddressPool", "v1beta1", "main", { addresses: ["192.0.2.0/24"] });
      const advertisements = specs.map((spec, index) => object("L2Advertisement", "v1beta1", `adv${index}`, spec));
      const text = [pool, ...advertisements].map((each) => dump(each)).join("---\n");
      const { text: made, losses } = convert([{ name: "given", text }], options);
      const [found] = configOf(made ?? "").pools;
      assert.ok(found);
      if (losses.length > 0) return;
      exact++;
      const back = convert([{ name: "made", text: made ?? "" }], options);
      const again = loadAll(back.text ?? "") as Resource<"L2Advertisement">[];
      const specsAgain = again.filter(({ kind }) => kind === "L2Advertisement").map(({ spec }) => spec);
      for (const [labels, ofService] of everybody) {
        const wanted = announcedByMetallb(specs, labels, ofService);
        assert.equal(announcedByConfig(found, labels, ofService), wanted, JSON.stringify([labels, ofService]));
        if (back.losses.length === 0)
          assert.equal(
            announcedByMetallb(specsAgain, labels, ofService),
            wanted,
            `and back: ${JSON.stringify([labels, ofService])}`,
          );
      }
    }),
    { numRuns: 300 },
  );
  assert.notEqual(exact, 0, "none was converted without a loss");
});

const l2Entry = l2Advertisement.map(({ nodeSelectors, interfaces, serviceSelectors }) => ({
  "node-selectors": toConfig(nodeSelectors),
  interfaces,
  "service-selectors": toConfig(serviceSelectors),
}));

test("nodes and interfaces that announce a Service on layer 2 are by L2Advertisements what the last entry of the ConfigMap says", () => {
  fc.assert(
    fc.property(fc.array(l2Entry, { minLength: 1, maxLength: 4 }), (entries) => {
      const pool = { name: "main", protocol: "layer2", addresses: ["192.0.2.0/24"], "layer2-advertisements": entries };
      const text = dump({ "address-pools": [pool] }, { noRefs: true });
      const { text: made, losses } = convert([{ name: "given", text }], options);
      assert.deepEqual(losses, []);
      const objects = loadAll(made ?? "") as Resource<"L2Advertisement">[];
      const specs = objects.filter(({ kind }) => kind === "L2Advertisement").map(({ spec }) => spec);
      const [given] = configOf(text).pools;
      assert.ok(given);
      for (const [labels, ofService] of everybody)
        assert.equal(
          announcedByMetallb(specs, labels, ofService),
          announcedByConfig(given, labels, ofService),
          JSON.stringify([labels, ofService]),
        );
    }),
    { numRuns: 300 },
  );
});

/**
 * The part of a configuration that a round trip has to bring back; the order of selectors and the way in which defaults are written
 * may change.
 */
function essence({ pools, peers, bfdProfiles }: Config): unknown {
  const nodes = (selectors: Pool["nodeSelectors"]) =>
    selectors.map(({ matchLabels, matchExpressions }) => JSON.stringify([[...matchLabels].sort(), matchExpressions])).sort();
  const where = ({
    nodeSelectors,
    preferredNodes,
    interfaces,
  }: Pick<Pool, "nodeSelectors" | "preferredNodes" | "interfaces">) => [
    preferredNodes.map(({ weight, selector }) => [weight, nodes([selector])]),
    nodes(nodeSelectors),
    interfaces.toSorted(),
  ];
  const advertisement = ({ communities, nodeSelectors, peers, ...rest }: BgpAdvertisement) =>
    JSON.stringify({
      ...rest,
      communities: communities.map(formatCommunity).sort(),
      nodes: nodes(nodeSelectors),
      peers: peers.toSorted(),
    });
  return JSON.parse(
    JSON.stringify({
      pools: pools
        .map(({ nodeSelectors, preferredNodes, advertisements, interfaces, layer2Advertisements, ...rest }) => ({
          ...rest,
          // Entries have all lists of their own here.
          layer2: layer2Advertisements.length > 0 || where({ nodeSelectors, preferredNodes, interfaces }),
          entries: layer2Advertisements.map(({ services, pool: own }) => [nodes(services.serviceSelectors), where(own)]),
          advertisements: advertisements.map(advertisement).sort(),
        }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
      peers: peers.map(({ nodeSelectors, ...rest }) => ({ ...rest, nodes: nodes(nodeSelectors) })),
      bfdProfiles: [...bfdProfiles.values()].map(({ hasReceiveInterval: _, ...rest }) => rest),
    }),
  );
}

const peer = fc
  .record(
    {
      "peer-asn": fc.constantFrom<number | string>(64513, 4200000000, "internal", "external"),
      families: fc.constantFrom(["ipv4"], ["ipv4", "ipv6"]),
      "source-address": fc.constant("192.0.2.100"),
      "peer-port": fc.constantFrom(179, 1179),
      "hold-time": fc.constantFrom("30s", "1m30s"),
      "keepalive-time": fc.constantFrom("3s", "10s"),
      "connect-time": fc.constantFrom("1s", "120s"),
      secret: fc.constantFrom(
        { password: "yes" },
        { password: "1:30" },
        { password: "a b" },
        { password: "#x" },
        { "password-secret": { name: "s" } },
      ),
      "ebgp-multihop": fc.constant(true),
      "bfd-profile": fc.constant("fast"),
      "graceful-restart-time": fc.constantFrom("0s", "120s"),
      "node-selectors": fc.constant([{ "match-labels": { rack: "a" } }]),
    },
    { requiredKeys: ["peer-asn"] },
  )
  .map(({ secret, ...fields }) => {
    if (fields["peer-asn"] === "internal") delete fields["ebgp-multihop"];
    return { ...fields, ...secret };
  });
/** A router that is found by its router advertisements. */
const unnumbered = fc.record({
  "peer-asn": fc.constantFrom<number | string>(64513, "external"),
  interface: fc.constantFrom("eth0", "bond0.100"),
});
const profile = fc.record(
  {
    "receive-interval": fc.integer({ min: 10, max: 60000 }),
    "transmit-interval": fc.integer({ min: 10, max: 60000 }),
    "echo-interval": fc.integer({ min: 10, max: 60000 }),
    "passive-mode": fc.boolean(),
    "detect-multiplier": fc.integer({ min: 2, max: 255 }),
    "echo-mode": fc.boolean(),
    "minimum-ttl": fc.integer({ min: 1, max: 254 }),
  },
  { requiredKeys: [] },
);
const labels = fc.constantFrom({ "match-labels": { team: "a" } }, { "match-expressions": [{ key: "team", operator: "Exists" }] });
const fence = fc.constantFrom<object>({}, { namespaces: ["a"] }, { namespaces: ["a", "b"] });
const common = {
  "auto-assign": fc.boolean(),
  "avoid-buggy-ips": fc.boolean(),
  fence: fc
    .tuple(
      fence,
      fc.option(
        labels.map((one) => ({ "namespace-selectors": [one] })),
        { nil: {} },
      ),
      fc.option(
        labels.map((one) => ({ "service-selectors": [one] })),
        { nil: {} },
      ),
      fc.option(
        fc.integer({ min: 1, max: 2147483647 }).map((priority) => ({ priority })),
        { nil: {} },
      ),
    )
    .map((parts) => Object.assign({}, ...parts)),
};
const poolOf = (index: number) => {
  const layer2 = {
    "preferred-nodes": fc.constantFrom(
      [],
      [
        { weight: 100, "match-labels": { edge: "true" } },
        { weight: 3, "match-expressions": [{ key: "zone", operator: "Exists" }] },
      ],
    ),
    interfaces: some(["eth0", "bond0.100"]),
    "layer2-advertisements": fc.constantFrom<object[]>(
      [],
      [],
      [{ "service-selectors": [{ "match-labels": { team: "a" } }], interfaces: ["eth1"] }],
      [
        { "service-selectors": [{ "match-labels": { team: "a" } }], "node-selectors": [{ "match-labels": { rack: "b" } }] },
        { "service-selectors": [{ "match-labels": { team: "b" } }], interfaces: ["eth2"], "node-selectors": [] },
      ],
    ),
    "node-selectors": fc.constantFrom(
      [],
      [{ "match-labels": { rack: "a" } }, { "match-expressions": [{ key: "zone", operator: "Exists" }] }],
    ),
  };
  const bgp = {
    "bgp-advertisements": fc.constantFrom(
      [],
      [{ communities: ["alias", "64512:7"], localpref: 5 }],
      [{ "node-selectors": [{ "match-labels": { rack: "b" } }], "service-selectors": [{ "match-labels": { team: "b" } }] }],
      [{ peers: ["peer0"] }, { "aggregation-length": 26, "aggregation-length-v6": 120, communities: ["large:1:2:3"] }],
    ),
  };
  const blocks = fc.constant([`10.${index}.0.0/24`, `fd00:${index}::/112`]);
  const ranges = fc.constantFrom([`10.${index}.0.0/24`, `fd00:${index}::/120`], [`10.${index}.0.3-10.${index}.0.9`]);
  return fc.oneof(
    fc.record({ ...common, protocol: fc.constant("layer2"), addresses: ranges, ...layer2 }),
    fc.record({ ...common, protocol: fc.constant("bgp"), addresses: blocks, ...bgp }),
    fc.record({ ...common, protocol: fc.constant(["layer2", "bgp"]), addresses: blocks, ...layer2, ...bgp }),
    fc.record({ ...common, protocol: fc.constant("none"), addresses: ranges }),
  );
};

const peersOf = fc
  .tuple(fc.array(peer, { minLength: 1, maxLength: 2 }), fc.option(unnumbered, { nil: undefined }))
  .map(([numbered, last]) => [...numbered, ...(last === undefined ? [] : [last])]);

type Fields = Readonly<Record<string, unknown>>;

/**
 * The same said by other objects, as far as the seed has it: defaults that the API server fills in, pools selected by their labels, an AS number of the session's
 * own, the former version, communities in several objects.
 */
function otherwise(objects: readonly LiveObject[], seed: number): LiveObject[] {
  const bit = (index: number) => ((seed >>> (index % 32)) & 1) === 1;
  const specOf = ({ kind, spec }: LiveObject, index: number): Fields => {
    const given = (spec ?? {}) as Fields;
    if (kind === "IPAddressPool" && bit(index)) return { autoAssign: true, avoidBuggyIPs: false, ...given };
    if (kind === "BGPAdvertisement" && bit(index))
      return { aggregationLength: 32, aggregationLengthV6: 128, ...selecting(given, index) };
    if (kind === "BGPPeer" && bit(index)) return { peerPort: 179, ...given, myASN: 65000, localASN: given.myASN };
    return kind === "L2Advertisement" || kind === "BGPAdvertisement" ? selecting(given, index) : given;
  };
  const selecting = ({ ipAddressPools, ...given }: Fields, index: number): Fields => {
    if (bit(index + 7) || ipAddressPools === undefined) return { ...given, ipAddressPools };
    return {
      ...given,
      ipAddressPoolSelectors: [{ matchExpressions: [{ key: "pool", operator: "In", values: ipAddressPools }] }],
    };
  };
  return objects.flatMap((object, index): LiveObject[] => {
    const { kind, apiVersion, metadata } = object;
    const spec = specOf(object, index);
    if (kind === "Community") {
      const all = (spec as { communities: object[] }).communities;
      return all.map((one, at) => ({ ...object, metadata: { ...metadata, name: `c${at}` }, spec: { communities: [one] } }));
    }
    const version = kind === "BGPPeer" && bit(31) ? "metallb.io/v1beta1" : apiVersion;
    const labels = kind === "IPAddressPool" ? { pool: metadata.name } : undefined;
    return [{ ...object, apiVersion: version, metadata: { ...metadata, ...(labels && { labels }) }, spec }];
  });
}

/** The objects as the API has them, in an order that the seed gives. */
function liveOf(manifests: string, seed: number): string {
  const texts = otherwise(loadAll(manifests) as LiveObject[], seed).map(liveObjectText);
  return liveText(
    texts
      .map((text, index) => ({ text, at: (index * 7919 + seed) % 97 }))
      .sort((a, b) => a.at - b.at)
      .map(({ text }) => text),
  );
}

test("ConfigMap, custom resources and ConfigMap again is the same configuration, on what both can say", () => {
  const given = fc.tuple(peersOf, profile, poolOf(1), poolOf(2));
  const routerId = fc.constantFrom({}, { "router-id": "192.0.2.7" }); // MetalLB takes one for all peers.
  fc.assert(
    fc.property(given, routerId, fc.integer(), ([peers, profile, ...drawn], routerId, order) => {
      // MetalLB refuses echo for peers that hear of IPv6 addresses.
      const isTaken = (address: string) => profile["echo-mode"] !== true || !address.includes(":");
      const pools = drawn.map((pool) => ({ ...pool, addresses: pool.addresses.filter(isTaken) }));
      const text = dump({
        peers: peers.map((fields, index) => ({
          name: `peer${index}`,
          "my-asn": 64512,
          ...("interface" in fields ? {} : { "peer-address": `192.0.2.${index + 1}` }),
          ...routerId,
          ...fields,
        })),
        "bfd-profiles": [{ name: "fast", ...profile }],
        "bgp-communities": { alias: "64512:9" },
        "address-pools": pools.map(({ fence, ...fields }, index) => ({ name: `pool${index}`, ...fields, ...fence })),
      });
      const there = convert([{ name: "given", text }], options);
      assert.deepEqual([there.problems.filter(({ severity }) => severity === "error"), there.losses], [[], []]);
      const back = convert([{ name: "there", text: there.text ?? "" }], options);
      assert.deepEqual(back.losses, []);
      assert.deepEqual(essence(configOf(back.text ?? "")), essence(configOf(text)));
      const live = parseCustomResources(liveOf(there.text ?? "", order));
      assert.deepEqual(
        live.problems.filter(({ severity }) => severity === "error"),
        [],
      );
      assert.deepEqual(live.config && essence(live.config), essence(configOf(text)));
    }),
    { numRuns: 300 },
  );
});
