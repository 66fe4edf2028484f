import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { dump } from "js-yaml";
import { anyText } from "#pkg/text/testing";
import {
  type Config,
  formatCommunity,
  type LabelSelector,
  type NamespaceSet,
  type Pool,
  parseConfig,
  readInput,
} from "./index.ts";
import { schema } from "./shape/schema-check.generated.ts";

/**
 * Every text gets an answer: with a configuration exactly if nothing is an error, and with every problem at a place in the text.
 */
function checkAnswer(text: string): void {
  for (const read of [parseConfig, readInput]) {
    const { config, problems } = read(text);
    assert.equal(
      config === undefined,
      problems.some(({ severity }) => severity === "error"),
    );
    const lines = text.split(/\r\n|\n|\r/);
    for (const { line, column, message } of problems) {
      assert.ok(message.length > 0 && message.length < 1000);
      const length = lines[line - 1]?.length;
      assert.ok(length !== undefined && column >= 1 && column <= length + 2, `line ${line}, column ${column}`); // CR and LF are two.
    }
  }
}

const fields = [...JSON.stringify(schema).matchAll(/"([a-z0-9-]+)":\{"/g)].map(([, name]) => name ?? "");
const words = [
  "bgp",
  "layer2",
  "192.0.2.0/24",
  "10.0.0.1-10.0.0.9",
  "::1",
  "2001:db8::/64",
  "1:2",
  "no-export",
  "90s",
  "0",
  "24",
  "-1",
  "1.5",
  "yes",
  "~",
  "a",
  "In",
  "<<",
  "kind",
  "ConfigMap",
  "eth*",
  "data",
  "config",
  "__proto__",
];
const signs = [
  "\n",
  "\n  ",
  "\n- ",
  "\n  - ",
  ": ",
  ", ",
  "[",
  "]",
  "{",
  "}",
  "'",
  '"',
  "&a ",
  "*a",
  "!!int ",
  "!!str ",
  "#",
  "|\n ",
  ">\n ",
  "---\n",
  "\t",
  "\r\n",
  "\\",
  "? ",
  "\ufeff",
  "\u2028",
  "😀",
  "\0",
];

test("parseConfig: any text has an answer", () => {
  fc.assert(fc.property(anyText(), checkAnswer));
});

test("parseConfig: any text made of what configurations are made of has an answer", () => {
  const text = fc.array(fc.constantFrom(...fields, ...words, ...signs), { maxLength: 60 }).map((parts) => parts.join(""));
  fc.assert(fc.property(text, checkAnswer), { numRuns: 3000 });
});

test("parseConfig: any tree has an answer, wherever known fields hold unknown things", () => {
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "medium" },
      fc.constantFrom<unknown>(...words, "", null, true, 0, 24, 300, 4294967296, 1.5),
      tie("list"),
      tie("map"),
    ),
    list: fc.array(tie("tree"), { maxLength: 4 }),
    map: fc.dictionary(
      fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...fields) }, { weight: 1, arbitrary: fc.string() }),
      tie("tree"),
      { maxKeys: 5, noNullPrototype: true },
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => checkAnswer(dump(value))),
    { numRuns: 1000 },
  );
});

const label = fc.constantFrom("rack", "kubernetes.io/hostname", "a.b/c_d");
const labelValue = fc.constantFrom("", "a", "x-1", "0012", "yes");
const expression = fc.oneof(
  fc.record({
    key: label,
    operator: fc.constantFrom("In", "NotIn"),
    values: fc.array(labelValue, { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ key: label, operator: fc.constantFrom("Exists", "DoesNotExist") }),
);
const optional = <T extends object, K extends keyof T>(all: { [P in keyof T]: fc.Arbitrary<T[P]> }, requiredKeys: K[]) =>
  fc.record(all, { requiredKeys });
const community = fc.constantFrom("64512:1", "1:2", "large:1:2:3", "blackhole", "inside");
const advertisement = optional(
  {
    "aggregation-length": fc.integer({ min: 28, max: 32 }),
    "aggregation-length-v6": fc.integer({ min: 120, max: 128 }),
    "keep-more-specifics": fc.boolean(),
    localpref: fc.nat(4294967295),
    communities: fc.uniqueArray(community, { maxLength: 4 }),
    med: fc.nat(4294967295),
    "as-path-prepend": fc.nat(10),
    peers: fc.constantFrom([], ["spine"]),
    "node-selectors": fc.constantFrom([], [{ "match-labels": { rack: "a" } }]),
    "next-hop": fc.constant("192.0.2.50"),
    "next-hop-v6": fc.constant("2001:db8::50"),
    weight: fc.constant("endpoints"),
  },
  [],
);
const selector = fc.record({
  "match-labels": fc.dictionary(label, labelValue, { noNullPrototype: true }),
  "match-expressions": fc.array(expression, { maxLength: 2 }),
});
const selectors = fc.array(selector, { maxLength: 2 });
const pool = (index: number) => {
  const common = {
    name: fc.constant(`pool ${index}`),
    addresses: fc.uniqueArray(
      fc.constantFrom(`10.${index}.0.0/28`, `10.${index}.1.0-10.${index}.1.31`, `2001:db8:${index}::/120`),
      { minLength: 1 },
    ),
    "auto-assign": fc.boolean(),
    "avoid-buggy-ips": fc.boolean(),
    namespaces: fc.uniqueArray(fc.constantFrom("team-a", "team-b", "x"), { minLength: 1 }),
    "namespace-selectors": fc.array(selector, { minLength: 1, maxLength: 2 }),
    "service-selectors": fc.array(selector, { minLength: 1, maxLength: 2 }),
    priority: fc.integer({ min: 1, max: 2147483647 }),
    closed: fc.boolean(),
    sharing: fc.constantFrom("cluster", "namespace", "none"),
  };
  const bgp = {
    ...common,
    protocol: fc.constant("bgp"),
    "bgp-advertisements": fc.uniqueArray(advertisement, {
      maxLength: 3,
      selector: (a) => JSON.stringify(Object.entries(a).sort()),
    }),
  };
  const withSlots = {
    ...common,
    protocol: fc.constant("bgp"),
    "next-hop-slots": fc.constantFrom("192.168.0.224/28", ["2001:db8:ffff::/122", "192.168.0.224/28"]),
  };
  const layer2 = {
    ...common,
    protocol: fc.constantFrom("layer2", ["layer2"]),
    "node-selectors": selectors,
    "preferred-nodes": fc.array(
      fc.record({ weight: fc.integer({ min: 1, max: 100 }), "match-labels": fc.constant({ edge: "x" }) }),
      { maxLength: 2 },
    ),
    interfaces: fc.array(fc.constantFrom("eth0", "*", "?th*", "bond0.1??", "0x10"), { maxLength: 3 }),
    "layer2-advertisements": fc.array(
      optional(
        {
          namespaces: fc.constantFrom(["team-a"], ["team-a", "x"]),
          "service-selectors": selectors,
          "node-selectors": selectors,
          interfaces: fc.constantFrom([], ["eth9"], ["can_reach:192.0.2.9", "bond*"]),
        },
        [],
      ),
      { maxLength: 3 },
    ),
    "l2-placement": fc.constantFrom("hash", "subnet", "sticky", "sticky-subnet"),
    "conflict-probe": fc.constantFrom("off", "report", "strict"),
  };
  const both = { ...layer2, ...bgp, protocol: fc.constantFrom(["layer2", "bgp"], ["bgp", "layer2"]) };
  const none = { ...common, protocol: fc.constant("none") };
  const required: (keyof typeof none)[] = ["name", "protocol", "addresses"];
  return fc.oneof(
    optional(bgp, required),
    optional(withSlots, required),
    optional(layer2, required),
    optional(both, required),
    optional(none, required),
  );
};
const seconds = (min: number, max: number) => fc.integer({ min, max }).map((count) => `${count}s`);
const peer = (index: number) =>
  optional(
    {
      name: fc.constant(`peer ${index}`),
      "connect-time": seconds(1, 120),
      "password-secret": fc.record({ name: fc.constant("routers"), key: fc.constantFrom("password", "a.b") }),
      "ebgp-multihop-ttl": fc.integer({ min: 1, max: 255 }),
      "ttl-security": fc.integer({ min: 1, max: 254 }),
      disabled: fc.boolean(),
      "graceful-restart-time": seconds(0, 4095),
      "graceful-shutdown-time": seconds(0, 600),
      "drain-when-cordoned": fc.boolean(),
      "add-path": fc.boolean(),
      "graceful-restart-notification": fc.boolean(),
      role: fc.constantFrom("provider", "customer", "rs-client", "peer"),
      "my-asn": fc.constant(64512),
      "peer-asn": fc.integer({ min: 64513, max: 4294967295 }),
      "peer-address": fc.constantFrom(`192.0.2.${index}`, `2001:db8::${index + 1}`),
      "peer-port": fc.integer({ min: 1, max: 65535 }),
      "hold-time": fc.integer({ min: 30, max: 65535 }).map((seconds) => `${seconds}s`),
      "keepalive-time": fc.integer({ min: 1, max: 30 }).map((seconds) => `${seconds}s`),
      "router-id": fc.constant("192.0.2.200"),
      password: fc.string({ minLength: 1, maxLength: 20 }).filter((text) => new TextEncoder().encode(text).length <= 80),
      "bfd-profile": fc.constant("fast"),
      "ebgp-multihop": fc.boolean(),
      "node-selectors": selectors,
    },
    ["my-asn", "peer-asn", "peer-address"],
  ).map(consistent);

/** Without the fields that others forbid. */
function consistent<T extends object>(peer: T & Partial<Record<"password" | "ebgp-multihop", unknown>>): T {
  const drop = peer.password === undefined ? [] : ["password-secret"];
  drop.push(peer["ebgp-multihop"] === true ? "ttl-security" : "ebgp-multihop-ttl");
  return Object.fromEntries(Object.entries(peer).filter(([field]) => !drop.includes(field))) as T;
}
/** With an address of its first entry kept, for a Service that its fence does not exclude by name. */
function withReserved<T extends { readonly addresses: readonly string[]; readonly namespaces?: readonly string[] }>(pool: T) {
  const [first = ""] = pool.addresses;
  const address = first.split(/[-/]/)[0] ?? "";
  return { ...pool, reserved: [{ addresses: [address], service: `${pool.namespaces?.[0] ?? "team-a"}/web` }] };
}
const several = <T>(make: (index: number) => fc.Arbitrary<T>) =>
  fc.nat(3).chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => make(index))));
const withOnePeer = fc.tuple(peer(9), several(peer)).map(([first, others]) => [{ ...first, name: "spine" }, ...others]);
const count = fc.nat(2147483647);
const quota = optional(
  {
    namespaces: fc.uniqueArray(fc.constantFrom("team-a", "team-b"), { minLength: 1 }),
    "namespace-selectors": fc.array(selector, { minLength: 1, maxLength: 2 }),
    together: fc.boolean(),
    ipv4: count,
    ipv6: count,
    services: count,
  },
  ["ipv6"],
);
const tree = fc.record({
  "address-pools": several(pool).map((pools) => pools.map(withReserved)),
  quotas: fc.array(quota, { maxLength: 3 }),
  peers: withOnePeer,
  "bgp-communities": fc.constant({ inside: "64512:99" }),
  "bfd-profiles": fc.constant([{ name: "fast", "receive-interval": 50 }]),
});

function renderSelector({ matchLabels, matchExpressions }: LabelSelector) {
  return { "match-labels": Object.fromEntries(matchLabels), "match-expressions": matchExpressions };
}

function renderNamespaces({ namespaces, namespaceSelectors }: NamespaceSet) {
  return {
    ...(namespaces.length > 0 && { namespaces }),
    ...(namespaceSelectors.length > 0 && { "namespace-selectors": namespaceSelectors.map(renderSelector) }),
  };
}

function renderLayer2({ l2Placement: { subnet, sticky }, conflictProbe }: Pool) {
  const placement = [sticky && "sticky", subnet && "subnet"].filter(Boolean).join("-");
  return { "l2-placement": placement || "hash", "conflict-probe": conflictProbe };
}

/** The configuration as its tree, with every default written out. */
function render(config: Config) {
  return {
    "address-pools": config.pools.map((pool) => ({
      name: pool.name,
      protocol: pool.protocols.length === 0 ? "none" : pool.protocols,
      addresses: pool.ranges.map(String),
      "auto-assign": pool.autoAssign,
      "avoid-buggy-ips": pool.avoidBuggyIPs,
      ...renderNamespaces(pool.fence),
      ...(pool.fence.serviceSelectors.length > 0 && { "service-selectors": pool.fence.serviceSelectors.map(renderSelector) }),
      ...(pool.priority !== undefined && { priority: pool.priority }),
      closed: pool.closed,
      sharing: pool.sharing,
      reserved: pool.reservations.map(({ ranges, holder: { type: _, ...holder } }) => ({
        addresses: ranges.map(String),
        ...holder,
      })),
      "bgp-advertisements": pool.advertisements.map((advertisement) => ({
        "aggregation-length": advertisement.aggregationLength,
        "aggregation-length-v6": advertisement.aggregationLengthV6,
        "keep-more-specifics": advertisement.keepMoreSpecifics,
        ...(advertisement.localPref === undefined ? {} : { localpref: advertisement.localPref }),
        communities: advertisement.communities.map(formatCommunity),
        ...(advertisement.med === undefined ? {} : { med: advertisement.med }),
        "as-path-prepend": advertisement.asPathPrepend,
        peers: advertisement.peers,
        "node-selectors": advertisement.nodeSelectors.map(renderSelector),
        "next-hop": `${advertisement.nextHop ?? ""}`,
        "next-hop-v6": `${advertisement.nextHopV6 ?? ""}`,
        ...(advertisement.weightByEndpoints ? { weight: "endpoints" } : {}),
      })),
      ...(pool.nextHopSlots.length > 0 && { "next-hop-slots": pool.nextHopSlots.map(String) }),
      "node-selectors": pool.nodeSelectors.map(renderSelector),
      "preferred-nodes": pool.preferredNodes.map(({ weight, selector }) => ({ weight, ...renderSelector(selector) })),
      interfaces: pool.interfaces,
      ...(pool.layer2Advertisements.length > 0 && {
        "layer2-advertisements": pool.layer2Advertisements.map(({ services, pool: own }) => ({
          ...renderNamespaces(services),
          "service-selectors": services.serviceSelectors.map(renderSelector),
          "node-selectors": own.nodeSelectors.map(renderSelector),
          "preferred-nodes": own.preferredNodes.map(({ weight, selector }) => ({ weight, ...renderSelector(selector) })),
          interfaces: own.interfaces,
        })),
      }),
      ...(pool.protocols.includes("layer2") ? renderLayer2(pool) : {}),
    })),
    quotas: config.quotas.map(({ pools: _, namespaces, namespaceSelectors, ...limits }) => ({
      ...renderNamespaces({ namespaces, namespaceSelectors }),
      ...limits,
    })),
    peers: config.peers.map((peer) => ({
      "my-asn": peer.myAsn,
      "peer-asn": peer.peerAsn,
      "peer-address": `${peer.address}`,
      "peer-port": peer.port,
      "hold-time": `${peer.holdTimeSeconds}s`,
      "keepalive-time": `${peer.keepaliveSeconds}s`,
      "router-id": `${peer.routerId ?? ""}`,
      password: peer.password ?? "",
      "bfd-profile": peer.bfdProfile ?? "",
      "ebgp-multihop": peer.ebgpMultihop,
      ...(peer.name === undefined ? {} : { name: peer.name }),
      "connect-time": `${peer.connectTimeSeconds}s`,
      ...(peer.passwordSecret === undefined ? {} : { "password-secret": peer.passwordSecret }),
      ...(peer.ttl === undefined ? {} : { "ebgp-multihop-ttl": peer.ttl }),
      ...(peer.ttlSecurityHops === undefined ? {} : { "ttl-security": peer.ttlSecurityHops }),
      disabled: peer.disabled,
      "graceful-restart-time": `${peer.gracefulRestartSeconds}s`,
      "graceful-shutdown-time": `${peer.gracefulShutdownSeconds}s`,
      "drain-when-cordoned": peer.drainWhenCordoned,
      "add-path": peer.addPath,
      "graceful-restart-notification": peer.gracefulRestartNotification,
      ...(peer.role === undefined ? {} : { role: peer.role }),
      "node-selectors": peer.nodeSelectors.map(renderSelector),
    })),
    "bfd-profiles": [...config.bfdProfiles.values()].map(({ name, receiveIntervalMs }) => ({
      name,
      "receive-interval": receiveIntervalMs,
    })),
  };
}

test("parseConfig: a configuration written out reads back as the same values", () => {
  fc.assert(
    fc.property(tree, fc.constantFrom(0, 2, -1), (value, flowLevel) => {
      const { config, problems } = parseConfig(dump(value, { flowLevel }));
      assert.deepEqual(
        problems.filter(({ severity }) => severity === "error"),
        [],
      );
      assert.ok(config);
      assert.deepEqual(
        config.pools.map(({ name }) => name),
        value["address-pools"].map(({ name }) => name),
      );
      assert.deepEqual(
        config.peers.map(({ password }) => password),
        value.peers.map(({ password }) => password),
      );
      assert.deepEqual(
        config.peers.map(({ port }) => port),
        value.peers.map((peer) => peer["peer-port"] ?? 179),
      );
      const again = parseConfig(dump(render(config), { flowLevel })).config;
      assert.deepEqual(again && JSON.stringify(render(again)), JSON.stringify(render(config)));
    }),
  );
});
