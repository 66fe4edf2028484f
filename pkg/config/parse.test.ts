import assert from "node:assert/strict";
import { test } from "node:test";
import { formatCommunity, formatProblem, formatProtocols, type Pool, parseConfig } from "./index.ts";

/** The problems of a text as lines; that there is a configuration exactly if none is an error is checked on the way. */
function problemsOf(text: string): string[] {
  const { config, problems } = parseConfig(text);
  assert.equal(
    config === undefined,
    problems.some(({ severity }) => severity === "error"),
  );
  return problems.map(formatProblem);
}

function configOf(text: string) {
  const { config, problems } = parseConfig(text);
  assert.deepEqual(problems, []);
  assert.ok(config);
  return config;
}

const pool = (fields: string) => `address-pools:\n- name: a\n  protocol: layer2\n  addresses: [192.0.2.0/24]\n${fields}`;
const withPeer = (text: string) => `${text}\npeers: [{my-asn: 64512, peer-asn: 64513, peer-address: 192.0.2.1}]\n`;
const poolOfPeers = (fields: string) => `address-pools:\n- name: a\n  protocol: bgp\n  addresses: [192.0.2.0/24]\n${fields}`;
const bgpPool = (fields: string) => withPeer(poolOfPeers(fields));
const addresses = (list: string) => `address-pools:\n- name: a\n  protocol: layer2\n  addresses: ${list}\n`;
const peer = (fields: string) => `peers:\n- my-asn: 64512\n  peer-asn: 64513\n  peer-address: 192.0.2.1\n${fields}`;
const named = (name: string, host: number, first = true) =>
  `${first ? "peers:\n" : ""}- {name: ${name}, my-asn: 64512, peer-asn: 64513, peer-address: 192.0.2.${host}}\n`;
const bfd = (fields: string) => `bfd-profiles:\n- name: fast\n${fields}`;

test("parseConfig: a pool has one protocol, several in any order, or none", () => {
  const of = (protocol: string) =>
    parseConfig(`address-pools: [{name: a, protocol: ${protocol}, addresses: [192.0.2.0/28]}]`).config?.pools[0];
  const cases = { layer2: "layer2", bgp: "bgp", "[bgp]": "bgp", "[bgp, layer2]": "layer2,bgp", none: "none", '"none"': "none" };
  for (const [text, want] of Object.entries(cases)) assert.equal(formatProtocols(of(text)?.protocols ?? assert.fail(text)), want);
  assert.deepEqual([of("none")?.advertisements, of("[layer2, bgp]")?.advertisements.length], [[], 1]);
  const both = "protocol: [layer2, bgp], addresses: [192.0.2.0/28], interfaces: [eth0], bgp-advertisements: [{localpref: 7}]";
  const { config, problems } = parseConfig(`address-pools: [{name: a, ${both}}]`);
  assert.deepEqual(problems, []);
  assert.deepEqual([config?.pools[0]?.interfaces, config?.pools[0]?.advertisements[0]?.localPref], [["eth0"], 7]);
});

const onNic = (place: string) =>
  `${place}: with "placement: lan" an address is on a NIC, with the length of its subnet: this is for "placement: routed" and "auto"`;

test("parseConfig: what nodes have in their kernels for addresses has defaults, and every field of it is read", () => {
  const of = (fields: string) => configOf(`address-pools: [{name: a, addresses: [192.0.2.0/24], ${fields}}]`).pools[0];
  assert.deepEqual(of("protocol: interface")?.kernel, {
    placement: "routed",
    carrier: "address",
    dummyInterface: "kube-lb0",
    aggregationLength: 32,
    aggregationLengthV6: 128,
    routeTable: 198,
    routeProtocol: 248,
    addressLifetimeSeconds: Infinity,
    lanLifetimeSeconds: undefined,
  });
  const fields =
    "placement: routed, dummy-interface: lb0, aggregation-length: 24, aggregation-length-v6: 64, route-protocol: 5, address-lifetime: 5m";
  assert.deepEqual(of(`protocol: [bgp, interface], ${fields}`)?.kernel, {
    placement: "routed",
    carrier: "address",
    dummyInterface: "lb0",
    aggregationLength: 24,
    aggregationLengthV6: 64,
    routeTable: 198,
    routeProtocol: 5,
    addressLifetimeSeconds: 300,
    lanLifetimeSeconds: 300,
  });
  const route = of("protocol: [layer2, interface], carrier: route, route-table: 4000000000, interfaces: [eth0]");
  assert.deepEqual([route?.kernel?.carrier, route?.kernel?.routeTable, route?.interfaces], ["route", 4_000_000_000, ["eth0"]]);
  assert.equal(of("protocol: layer2")?.kernel, undefined);
});

test("parseConfig: addresses of NICs have owners as those of layer 2 do, always by subnet, and a lifetime unless told otherwise", () => {
  const of = (fields: string) =>
    configOf(`address-pools: [{name: a, protocol: interface, addresses: [192.0.2.0/24], ${fields}}]`).pools[0];
  const owners =
    "placement: lan, interfaces: [eth*], l2-placement: sticky, conflict-probe: strict, self-test: 30s, preferred-nodes: [{weight: 2, match-labels: {a: b}}]";
  const { kernel, interfaces, l2Placement, conflictProbe, selfTestMs, preferredNodes } = of(owners) ?? assert.fail();
  assert.deepEqual(
    [kernel?.placement, interfaces, l2Placement, conflictProbe, selfTestMs, preferredNodes.length],
    ["lan", ["eth*"], { subnet: true, sticky: true }, "strict", 30_000, 1],
  );
  const lifetimes = (fields: string) => {
    const found = of(fields)?.kernel;
    return [found?.placement, found?.addressLifetimeSeconds, found?.lanLifetimeSeconds];
  };
  assert.deepEqual(lifetimes("placement: lan, address-lifetime: 0s"), ["lan", Infinity, Infinity]);
  assert.deepEqual(lifetimes("placement: auto"), ["auto", Infinity, undefined]);
  assert.deepEqual(lifetimes("placement: auto, carrier: route, route-table: 7, address-lifetime: 60s"), ["auto", 60, 60]);
});

test("parseConfig: a peer without an address finds its routers on interfaces", () => {
  const of = (fields: string) => configOf(`peers: [{my-asn: 1, peer-asn: external, ${fields}}]`).peers[0];
  for (const [fields, interfaces] of [
    ["interface: eth0", ["eth0"]],
    ["interface: bond0.100", ["bond0.100"]],
    ["interface: [eth0, 'ens?']", ["eth0", "ens?"]],
    ["interface: 'ens*', peer-address: ''", ["ens*"]],
  ] as const) {
    const peer = of(fields);
    assert.deepEqual(
      [peer?.address, peer?.interface, peer?.discovery],
      [undefined, undefined, { by: "advertisements", interfaces }],
    );
  }
  assert.equal(of("interface: [eth0], peer-address: 'fe80::1'")?.interface, "eth0");
  const gateway = of("peer-address: gateway, interface: eth0");
  const both = ["IPv4", "IPv6"];
  assert.deepEqual(gateway?.discovery, { by: "gateway", families: both, interfaces: ["eth0"], hasBoth: true });
  const one = { by: "gateway", families: ["IPv6"], interfaces: [], hasBoth: false };
  assert.deepEqual(of("peer-address: gateway-v6, interface: ''")?.discovery, one);
  assert.deepEqual(of("peer-address: gateway, families: [ipv4]")?.families, ["IPv4"]);
});

test("parseConfig: values that are each node's own are named by a label or an annotation", () => {
  const peer = configOf(
    "peers: [{peer-asn: 2, password: p, from-node: {my-asn: {label: asn}, peer-address: {annotation: example.com/tor}}}]",
  ).peers[0];
  assert.deepEqual(
    [...(peer?.fromNode?.values ?? [])],
    [
      ["peer-address", { kind: "annotation", name: "example.com/tor" }],
      ["my-asn", { kind: "label", name: "asn" }],
    ],
  );
  assert.deepEqual([peer?.address, peer?.discovery, peer?.myAsn, peer?.peerAsn], [undefined, undefined, 0, 2]);
});

const wrongNodeValues: [fields: string, error: RegExp][] = [
  ["my-asn: 1, peer-asn: 2, from-node: {peer-address: {}}", /peer-address: must name either a label or an annotation/],
  ["my-asn: 1, peer-asn: 2, from-node: {peer-address: {label: a, annotation: b}}", /must name either a label or an annotation/],
  ["my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, from-node: {my-asn: {label: a}}", /my-asn: not together with my-asn/],
  ["my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, from-node: {password-secret-key: {label: a}}", /needs a password-secret/],
  ["my-asn: 1, peer-address: 192.0.2.1, from-node: {router-id: {label: a}}", /peer-asn: required, but missing/],
  ["my-asn: 1, peer-asn: 2, hold-time: 1s, from-node: {peer-address: {label: a}}", /hold-time/],
  ["my-asn: 1, peer-asn: 2, from-node: {peer-address: {label: a b}}", /peer-address.label: no label is named "a b"/],
];
for (const [fields, error] of wrongNodeValues)
  test(`parseConfig refuses a peer with ${fields}`, () => {
    const { config, problems } = parseConfig(`peers: [{${fields}}]`);
    assert.equal(config, undefined);
    assert.match(problems.map(({ path, message }) => `${path}: ${message}`).join("\n"), error);
  });

const wrongDiscoveries: [fields: string, error: RegExp][] = [
  ["interface: []", /interface: must not be an empty list/],
  ["interface: [eth0, eth0]", /interface\[1\]: "eth0" is already listed as interface\[0\]/],
  ["interface: a-name-that-is-too-long", /interface: no interface has a name like/],
  ["interface: eth0, source-address: 192.0.2.1", /source-address: not where the node finds the router itself/],
  ["peer-address: gateway, source-address: 192.0.2.1", /source-address: not where the node finds the router itself/],
  ["interface: eth0, source-interface: eth1", /source-interface: not where the node finds the router itself/],
  ["interface: eth0, ebgp-multihop: true", /ebgp-multihop: not where the node finds the router itself/],
  ["interface: enx001122334455-as-altname, peer-address: 'fe80::1'", /a longer second name \(altname\) is not supported/],
  ["interface: [eth0, eth1], peer-address: 'fe80::1'", /interface: must be one interface/],
  ["interface: 'eth*', peer-address: 'fe80::1'", /interface: no interface is named "eth\*"/],
];
for (const [fields, error] of wrongDiscoveries)
  test(`parseConfig refuses a peer with ${fields}`, () => {
    const { config, problems } = parseConfig(`peers: [{my-asn: 1, peer-asn: 2, ${fields}}]`);
    assert.equal(config, undefined);
    assert.match(problems.map(({ path, message }) => `${path}: ${message}`).join("\n"), error);
  });

test("parseConfig: an interface is named by what it leads to, with the address as it is written elsewhere", () => {
  const of = (names: string) =>
    parseConfig(`address-pools: [{name: a, protocol: layer2, addresses: [192.0.2.0/24], interfaces: [${names}]}]`);
  assert.deepEqual(of('eth0, "can_reach:192.0.2.1", "can_reach:2001:DB8:0::1"').config?.pools[0]?.interfaces, [
    "eth0",
    "can_reach:192.0.2.1",
    "can_reach:2001:db8::1",
  ]);
  for (const name of ["can_reach:", "can_reach:gateway", "can_reach:192.0.2.0/24"])
    assert.match(of(`"${name}"`).problems[0]?.message ?? "", /must have an IP address after "can_reach:"/);
});

test("parseConfig: every field of the grammar reaches the configuration", () => {
  const config = configOf(`
peers:
- name: spine
  my-asn: 64512
  peer-asn: 4294967295
  peer-address: 2001:db8::1
  families: [ipv6]
  source-address: 2001:db8::2
  peer-port: 1179
  hold-time: 1m30s
  keepalive-time: 20s
  connect-time: 5s
  router-id: 192.0.2.9
  password: s3cret
  bfd-profile: fast
  bfd-strict: true
  ebgp-multihop: true
  ebgp-multihop-ttl: 3
  disabled: true
  maximum-prefix: 1000
  graceful-restart-time: 5m
  graceful-shutdown-time: 10s
  drain-when-cordoned: true
  add-path: true
  graceful-restart-notification: true
  long-lived-stale-time: 1h
  role: customer
  role-strict: true
  node-selectors:
  - match-labels: {rack: a}
    match-expressions:
    - {key: zone, operator: NotIn, values: [x, y]}
    - {key: kubernetes.io/hostname, operator: Exists}
- my-asn: 64512
  peer-asn: 64512
  peer-address: fe80::1
  interface: eth1
  password-secret: {name: bgp.passwords, key: rack-a}
  ttl-security: 1
bgp-communities:
  internal: 64512:7
  big: large:4200000000:1:2
  quiet: no-advertise
bfd-profiles:
- name: fast
  receive-interval: 50
  transmit-interval: 60
  detect-multiplier: 4
  echo-interval: 70
  echo-mode: true
  passive-mode: on
  minimum-ttl: 250
address-pools:
- name: front
  protocol: bgp
  addresses:
  - 198.51.100.0/24
  - 203.0.113.10 - 203.0.113.13
  - 2001:db8:1::/112
  auto-assign: false
  avoid-buggy-ips: true
  bgp-advertisements:
  - aggregation-length: 31
    aggregation-length-v6: 124
    localpref: 150
    communities: [internal, big, quiet, "64512:8", no-export]
    med: 7
    as-path-prepend: 2
    peers: [spine]
    node-selectors: [{match-labels: {rack: b}}]
    next-hop: 192.0.2.50
    next-hop-v6: 2001:db8::50
    weight: endpoints
    namespaces: [team]
    namespace-selectors: [{match-labels: {tier: gold}}]
    service-selectors: [{match-labels: {a: b}}]
    communities-from: {annotation: example.com/c, allowed: [no-export]}
    med-from: {label: med, min: 1, max: 2}
    localpref-from: {label: pref, min: 0, max: 9}
- name: back
  protocol: layer2
  addresses: [192.0.2.7/24]
  node-selectors:
  - match-labels: {rack: a}
  - match-expressions: [{key: zone, operator: In, values: [x]}]
  interfaces: [eth0, "*.100", bond?]
  l2-placement: sticky-subnet
  conflict-probe: strict
`);
  const [front, back] = config.pools;
  assert.deepEqual(front?.ranges.map(String), [
    "198.51.100.0-198.51.100.255",
    "203.0.113.10-203.0.113.13",
    "2001:db8:1::-2001:db8:1::ffff",
  ]);
  assert.deepEqual(front && [front.name, front.protocols, front.autoAssign, front.avoidBuggyIPs], [
    "front",
    ["bgp"],
    false,
    true,
  ]);
  assert.deepEqual(
    front?.advertisements.map(({ communities, nextHop, nextHopV6, ...rest }) => ({
      ...rest,
      communities: communities.map(formatCommunity),
      nextHops: `${nextHop} ${nextHopV6}`,
    })),
    [
      {
        aggregationLength: 31,
        aggregationLengthV6: 124,
        keepMoreSpecifics: false,
        localPref: 150,
        communities: ["64512:7", "large:4200000000:1:2", "65535:65282", "64512:8", "65535:65281"],
        med: 7,
        asPathPrepend: 2,
        peers: ["spine"],
        nodeSelectors: [{ matchLabels: new Map([["rack", "b"]]), matchExpressions: [] }],
        nextHops: "192.0.2.50 2001:db8::50",
        weightByEndpoints: true,
        services: {
          namespaces: ["team"],
          namespaceSelectors: [{ matchLabels: new Map([["tier", "gold"]]), matchExpressions: [] }],
          serviceSelectors: [{ matchLabels: new Map([["a", "b"]]), matchExpressions: [] }],
        },
        communitiesFrom: {
          from: { kind: "annotation", name: "example.com/c" },
          allowed: new Map([["no-export", { type: "standard", value: 0xffffff01 }]]),
        },
        medFrom: { from: { kind: "label", name: "med" }, min: 1, max: 2 },
        localPrefFrom: { from: { kind: "label", name: "pref" }, min: 0, max: 9 },
      },
    ],
  );
  assert.deepEqual(back?.ranges.map(String), ["192.0.2.0-192.0.2.255"]);
  assert.deepEqual(back && [back.autoAssign, back.avoidBuggyIPs, back.advertisements], [true, false, []]);
  assert.deepEqual(back?.nodeSelectors, [
    { matchLabels: new Map([["rack", "a"]]), matchExpressions: [] },
    { matchLabels: new Map(), matchExpressions: [{ key: "zone", operator: "In", values: ["x"] }] },
  ]);
  assert.deepEqual(back?.interfaces, ["eth0", "*.100", "bond?"]);
  assert.deepEqual([back?.l2Placement, back?.conflictProbe], [{ subnet: true, sticky: true }, "strict"]);
  const [only, second] = config.peers;
  assert.deepEqual(
    [second?.interface, second?.passwordSecret, second?.ttlSecurityHops],
    ["eth1", { name: "bgp.passwords", key: "rack-a" }, 1],
  );
  assert.deepEqual(
    only && { ...only, address: `${only.address}`, sourceAddress: `${only.sourceAddress}`, routerId: `${only.routerId}` },
    {
      name: "spine",
      myAsn: 64512,
      peerAsn: 4294967295,
      families: ["IPv6"],
      address: "2001:db8::1",
      interface: undefined,
      discovery: undefined,
      fromNode: undefined,
      sourceAddress: "2001:db8::2",
      sourceInterface: undefined,
      port: 1179,
      holdTimeSeconds: 90,
      keepaliveSeconds: 20,
      connectTimeSeconds: 5,
      routerId: "192.0.2.9",
      nodeSelectors: [
        {
          matchLabels: new Map([["rack", "a"]]),
          matchExpressions: [
            { key: "zone", operator: "NotIn", values: ["x", "y"] },
            { key: "kubernetes.io/hostname", operator: "Exists", values: [] },
          ],
        },
      ],
      password: "s3cret",
      passwordSecret: undefined,
      bfdProfile: "fast",
      bfdStrict: true,
      ebgpMultihop: true,
      ttl: 3,
      ttlSecurityHops: undefined,
      passive: false,
      disabled: true,
      gracefulRestartSeconds: 300,
      gracefulShutdownSeconds: 10,
      drainWhenCordoned: true,
      addPath: true,
      gracefulRestartNotification: true,
      longLivedStaleSeconds: 3600,
      maximumPrefix: 1000,
      role: "customer",
      roleStrict: true,
    },
  );
  assert.deepEqual(config.bfdProfiles.get("fast"), {
    name: "fast",
    receiveIntervalMs: 50,
    hasReceiveInterval: true,
    transmitIntervalMs: 60,
    detectMultiplier: 4,
    echoIntervalMs: 70,
    echoMode: true,
    passiveMode: true,
    minimumTtl: 250,
  });
});

test("parseConfig: what is absent has the documented defaults", () => {
  const config = configOf(`${peer("")}${poolOfPeers("")}${bfd("")}`);
  const [only] = config.peers;
  assert.deepEqual(only && { ...only, address: "" }, {
    name: undefined,
    myAsn: 64512,
    peerAsn: 64513,
    families: ["IPv4", "IPv6"],
    address: "",
    interface: undefined,
    discovery: undefined,
    fromNode: undefined,
    sourceAddress: undefined,
    sourceInterface: undefined,
    port: 179,
    holdTimeSeconds: 90,
    keepaliveSeconds: 30,
    connectTimeSeconds: 1,
    routerId: undefined,
    nodeSelectors: [],
    password: undefined,
    passwordSecret: undefined,
    bfdProfile: undefined,
    bfdStrict: false,
    ebgpMultihop: false,
    ttl: undefined,
    ttlSecurityHops: undefined,
    passive: false,
    disabled: false,
    gracefulRestartSeconds: 120,
    gracefulShutdownSeconds: 2,
    drainWhenCordoned: false,
    addPath: false,
    gracefulRestartNotification: false,
    longLivedStaleSeconds: 0,
    maximumPrefix: undefined,
    role: undefined,
    roleStrict: false,
  });
  assert.deepEqual(config.pools[0]?.advertisements, [
    {
      aggregationLength: 32,
      aggregationLengthV6: 128,
      keepMoreSpecifics: false,
      localPref: undefined,
      communities: [],
      med: undefined,
      asPathPrepend: 0,
      peers: [],
      nodeSelectors: [],
      nextHop: undefined,
      nextHopV6: undefined,
      weightByEndpoints: false,
      services: { namespaces: [], namespaceSelectors: [], serviceSelectors: [] },
      communitiesFrom: undefined,
      medFrom: undefined,
      localPrefFrom: undefined,
    },
  ]);
  assert.deepEqual([config.pools[0]?.nodeSelectors, config.pools[0]?.interfaces], [[], []]);
  const [lan] = configOf(pool("")).pools;
  assert.deepEqual([lan?.l2Placement, lan?.conflictProbe], [{ subnet: false, sticky: false }, "report"]);
  assert.deepEqual(config.bfdProfiles.get("fast"), {
    name: "fast",
    receiveIntervalMs: 300,
    hasReceiveInterval: false,
    transmitIntervalMs: 300,
    detectMultiplier: 3,
    echoIntervalMs: 50,
    echoMode: false,
    passiveMode: false,
    minimumTtl: 254,
  });
});

const empty = [
  "",
  "\n",
  "# nothing\n",
  "---\n",
  "null",
  "~",
  "{}",
  "address-pools:\npeers: ~\nbgp-communities: null\nbfd-profiles: []",
];
for (const text of empty) {
  test(`parseConfig: ${JSON.stringify(text)} is a valid configuration with nothing in it`, () => {
    assert.deepEqual(configOf(text), { pools: [], quotas: [], peers: [], bfdProfiles: new Map() });
  });
}

test("parseConfig: keepalive time 0 with a hold time is a third of that, as a warning says", () => {
  for (const time of ["0s", "999ms"])
    assert.equal(parseConfig(peer(`  keepalive-time: ${time}`)).config?.peers[0]?.keepaliveSeconds, 30);
});

const accepted: { name: string; text: string; get: (of: ReturnType<typeof parts>) => unknown; want: unknown }[] = [
  { name: "yes is a boolean", text: pool("  avoid-buggy-ips: yes"), get: ({ pool }) => pool?.avoidBuggyIPs, want: true },
  { name: "off is a boolean", text: pool("  auto-assign: off"), get: ({ pool }) => pool?.autoAssign, want: false },
  { name: "null is not set, not false", text: pool("  auto-assign: ~"), get: ({ pool }) => pool?.autoAssign, want: true },
  { name: "Null is null too", text: pool("  auto-assign: Null"), get: ({ pool }) => pool?.autoAssign, want: true },
  { name: "an octal port", text: peer("  peer-port: 0263"), get: ({ peer }) => peer?.port, want: 179 },
  { name: "a number with underscores", text: peer("  peer-port: 1_179"), get: ({ peer }) => peer?.port, want: 1179 },
  {
    name: "a number where text is wanted is its text",
    text: peer("  password: 0123"),
    get: ({ peer }) => peer?.password,
    want: "0123",
  },
  {
    name: "a boolean where text is wanted is its text",
    text: peer("  password: Yes"),
    get: ({ peer }) => peer?.password,
    want: "Yes",
  },
  {
    name: "a date where text is wanted is its text",
    text: peer("  password: 2001-12-14"),
    get: ({ peer }) => peer?.password,
    want: "2001-12-14",
  },
  {
    name: "a pool may be named by a number",
    text: pool("").replace("name: a", "name: 1.10"),
    get: ({ pool }) => pool?.name,
    want: "1.10",
  },
  {
    name: "empty optional text is not set",
    text: peer(
      `  hold-time: ""\n  router-id: ""\n  source-address: ""\n  source-interface: ""\n  bfd-profile: ""\n  password: ""\n  keepalive-time: ""`,
    ),
    get: ({ peer }) => [peer?.holdTimeSeconds, peer?.keepaliveSeconds, peer?.password],
    want: [90, 30, undefined],
  },
  { name: "port 0 is the default", text: peer("  peer-port: 0"), get: ({ peer }) => peer?.port, want: 179 },
  {
    name: "hold time 0 needs no keepalives",
    text: peer("  hold-time: 0s"),
    get: ({ peer }) => [peer?.holdTimeSeconds, peer?.keepaliveSeconds],
    want: [0, 0],
  },
  {
    name: "hold time 0 with keepalive time 0",
    text: peer("  hold-time: 0\n  keepalive-time: 0"),
    get: ({ peer }) => [peer?.holdTimeSeconds, peer?.keepaliveSeconds],
    want: [0, 0],
  },
  {
    name: "hold time is cut to whole seconds",
    text: peer("  hold-time: 3999ms"),
    get: ({ peer }) => [peer?.holdTimeSeconds, peer?.keepaliveSeconds],
    want: [3, 1],
  },
  {
    name: "hold time 65535s is the most",
    text: peer("  hold-time: 18h12m15s"),
    get: ({ peer }) => peer?.holdTimeSeconds,
    want: 65535,
  },
  {
    name: "keepalive time equal to hold time",
    text: peer("  hold-time: 3s\n  keepalive-time: 3.5s"),
    get: ({ peer }) => peer?.keepaliveSeconds,
    want: 3,
  },
  {
    name: "an empty label value",
    text: peer("  node-selectors:\n  - match-labels: {node-role.kubernetes.io/worker: }"),
    get: ({ peer }) => peer?.nodeSelectors[0]?.matchLabels.get("node-role.kubernetes.io/worker"),
    want: "",
  },
  {
    name: "a number as a label value",
    text: peer("  node-selectors: [{match-labels: {rack: 0012}}]"),
    get: ({ peer }) => peer?.nodeSelectors[0]?.matchLabels.get("rack"),
    want: "0012",
  },
  {
    name: "a selector with nothing in it",
    text: peer("  node-selectors: [{}]"),
    get: ({ peer }) => peer?.nodeSelectors,
    want: [{ matchLabels: new Map(), matchExpressions: [] }],
  },
  {
    name: "an empty advertisement has the defaults",
    text: bgpPool("  bgp-advertisements:\n  -\n"),
    get: ({ pool }) => pool?.advertisements[0]?.aggregationLength,
    want: 32,
  },
  {
    name: "no advertisements in a layer2 pool",
    text: pool("  bgp-advertisements: []"),
    get: ({ pool }) => pool?.advertisements,
    want: [],
  },
  {
    name: "no node selectors and no interfaces in a bgp pool",
    text: bgpPool("  node-selectors: []\n  interfaces: []"),
    get: ({ pool }) => [pool?.nodeSelectors, pool?.interfaces],
    want: [[], []],
  },
  {
    name: "an interface name of 15 octets, and one that may have more than are written",
    text: pool('  interfaces: [enp0s31f6u1u2u3, "*enp0s31f6u1u2u*"]'),
    get: ({ pool }) => pool?.interfaces,
    want: ["enp0s31f6u1u2u3", "*enp0s31f6u1u2u*"],
  },
  {
    name: "self-test is a duration, and 0s none",
    text: `${pool("  self-test: 1m30s\n")}- {name: b, protocol: layer2, addresses: [192.0.3.0/24], self-test: 0s}`,
    get: ({ config }) => config?.pools.map(({ selfTestMs }) => selfTestMs),
    want: [90_000, 0],
  },
  {
    name: "off is the word where a word is wanted",
    text: pool("  conflict-probe: off\n  l2-placement: subnet"),
    get: ({ pool }) => [pool?.conflictProbe, pool?.l2Placement],
    want: ["off", { subnet: true, sticky: false }],
  },
  {
    name: "a Secret's key has a usual name",
    text: peer("  password-secret: {name: router}"),
    get: ({ peer }) => peer?.passwordSecret,
    want: { name: "router", key: "password" },
  },
  {
    name: "no graceful restart, and no wait before routes are withdrawn",
    text: peer("  graceful-restart-time: 0\n  graceful-shutdown-time: 0s\n  connect-time: 2m"),
    get: ({ peer }) => [peer?.gracefulRestartSeconds, peer?.gracefulShutdownSeconds, peer?.connectTimeSeconds],
    want: [0, 0, 120],
  },
  {
    name: "a link-local router on each of two links",
    text: `peers:${["eth0", "eth1"].map((name) => `\n- {my-asn: 1, peer-asn: 2, peer-address: fe80::1, interface: ${name}}`).join("")}`,
    get: ({ config }) => config.peers.map((peer) => peer.interface),
    want: ["eth0", "eth1"],
  },
  {
    name: "a router that is for now replaced by other settings",
    text: `${peer("  disabled: true\n")}- {my-asn: 64512, peer-asn: 64514, peer-address: 192.0.2.1}`,
    get: ({ config }) => config.peers.map(({ disabled }) => disabled),
    want: [true, false],
  },
  {
    name: "one prefix with other attributes for other peers or other nodes",
    text: `${poolOfPeers("  bgp-advertisements:\n  - {localpref: 1, peers: [x]}\n  - {localpref: 2, peers: [y], node-selectors: [{match-labels: {rack: a}}]}\n  - {localpref: 3, peers: [y], node-selectors: [{match-labels: {rack: b}}]}\n")}${named("x", 1)}${named("y", 2, false)}`,
    get: ({ pool }) => pool?.advertisements.length,
    want: 3,
  },
  {
    name: "a password of 80 octets",
    text: peer(`  password: ${"x".repeat(80)}`),
    get: ({ peer }) => peer?.password?.length,
    want: 80,
  },
  {
    name: "aggregation down to the shortest prefix",
    text: bgpPool("  bgp-advertisements: [{aggregation-length: 24}]"),
    get: ({ pool }) => pool?.advertisements[0]?.aggregationLength,
    want: 24,
  },
  {
    name: "a length for the other family has no effect",
    text: bgpPool("  bgp-advertisements: [{aggregation-length-v6: 64}]"),
    get: ({ pool }) => pool?.advertisements[0]?.aggregationLengthV6,
    want: 64,
  },
  {
    name: "an alias may replace a literal's meaning of itself",
    text: bgpPool("  bgp-advertisements: [{communities: [no-export]}]\nbgp-communities: {no-export: 65535:65281}"),
    get: ({ pool }) => pool?.advertisements[0]?.communities,
    want: [{ type: "standard", value: 0xffffff01 }],
  },
  {
    name: "peers that differ in one thing",
    text: `${peer("  node-selectors: [{match-labels: {rack: a}}]")}\n- {my-asn: 64512, peer-asn: 64513, peer-address: 192.0.2.1, node-selectors: [{match-labels: {rack: b}}]}`,
    get: ({ config }) => config.peers.length,
    want: 2,
  },
  {
    name: "IPv4-mapped CIDRs are IPv4",
    text: addresses("['::ffff:192.0.2.0/120']"),
    get: ({ pool }) => pool?.ranges.map(String),
    want: ["192.0.2.0-192.0.2.255"],
  },
  {
    name: "blanks around the dash",
    text: addresses("[ 192.0.2.1  -  192.0.2.2 ]"),
    get: ({ pool }) => pool?.ranges.map(String),
    want: ["192.0.2.1-192.0.2.2"],
  },
  {
    name: "all addresses of both families",
    text: addresses('[0.0.0.0/0, "::/0"]'),
    get: ({ pool }) => pool?.ranges.map(String),
    want: ["0.0.0.0-255.255.255.255", "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"],
  },
  {
    name: "ranges that touch",
    text: addresses("[192.0.2.0/25, 192.0.2.128/25, 192.0.1.255/32]"),
    get: ({ pool }) => pool?.ranges.length,
    want: 3,
  },
];

function parts(text: string) {
  const config = configOf(text);
  return { config, pool: config.pools[0], peer: config.peers[0] };
}

for (const { name, text, get, want } of accepted) {
  test(`parseConfig accepts: ${name}`, () => assert.deepEqual(get(parts(text)), want));
}

test("parseConfig warns of a pool that no router hears of, where there is no peer at all", () => {
  const of = (protocol: string, rest = "") =>
    parseConfig(`address-pools: [{name: a, protocol: ${protocol}, addresses: [192.0.2.0/28]}]\n${rest}`).problems.map(
      formatProblem,
    );
  const want =
    "1:37: warning: address-pools[0].protocol: no router hears of its addresses: there are no peers; add one under peers";
  assert.deepEqual(of("bgp"), [want]);
  assert.deepEqual(of("bgp", "peers: []"), [want]);
  for (const well of [
    of("layer2"),
    of("[layer2, bgp]"),
    of("bgp", "peers: [{my-asn: 64512, peer-asn: 64513, peer-address: 192.0.2.1}]"),
  ])
    assert.deepEqual(well, []);
});

const forms = `"a:b" with both from 0 to 65535, "large:a:b:c" with each from 0 to 4294967295, or one of graceful-shutdown, blackhole, no-export, no-advertise, no-export-subconfed, no-peer`;
const cidrOrRange = `must be a CIDR such as "192.0.2.0/24" or a range such as "192.0.2.10-192.0.2.20", but is`;

const refused: { name: string; text: string; want: string[] }[] = [
  { name: "a list as the whole", text: "- a", want: ["1:1: error: must be a mapping, but is a list"] },
  { name: "text as the whole", text: "hello", want: ['1:1: error: must be a mapping, but is the text "hello"'] },
  {
    name: "an unknown field, with the name that was meant",
    text: peer("  bfdProfile: x"),
    want: ['5:3: error: peers[0].bfdProfile: unknown field "bfdProfile"; did you mean "bfd-profile"?'],
  },
  {
    name: "an unknown field even if it is empty",
    text: "pools:",
    want: [
      '1:1: error: pools: unknown field "pools"; the fields here are address-pools, quotas, peers, failover, bgp-communities, bfd-profiles',
    ],
  },
  {
    name: "a field in other letter case",
    text: "Peers: []",
    want: ['1:1: error: Peers: unknown field "Peers"; did you mean "peers"?'],
  },
  {
    name: "a field named like a property of every object",
    text: "__proto__: 1\nconstructor: 2",
    want: [
      '1:1: error: __proto__: unknown field "__proto__"; the fields here are address-pools, quotas, peers, failover, bgp-communities, bfd-profiles',
      '2:1: error: constructor: unknown field "constructor"; the fields here are address-pools, quotas, peers, failover, bgp-communities, bfd-profiles',
    ],
  },
  {
    name: "a quoted boolean",
    text: pool(`  auto-assign: "yes"`),
    want: ['5:16: error: address-pools[0].auto-assign: must be true or false, but is the text "yes" (quotes make it text)'],
  },
  {
    name: "a number for a boolean",
    text: pool("  auto-assign: 1"),
    want: ["5:16: error: address-pools[0].auto-assign: must be true or false, but is 1"],
  },
  {
    name: "a quoted number",
    text: peer("  peer-port: '179'"),
    want: [
      `5:14: error: peers[0].peer-port: must be a whole number from 0 to 65535, but is the text "179" (quotes make it text)`,
    ],
  },
  {
    name: "a fraction",
    text: peer("  peer-port: 179.9"),
    want: ["5:14: error: peers[0].peer-port: must be a whole number from 0 to 65535, but is 179.9"],
  },
  {
    name: "an AS number in dotted notation",
    text: "peers: [{my-asn: 1.10, peer-asn: 1, peer-address: ::1}]",
    want: [
      "1:18: error: peers[0].my-asn: must be a whole number from 1 to 4294967295, but is 1.10; AS 1.10 in the dotted notation is 65546",
    ],
  },
  {
    name: "a port above 65535",
    text: peer("  peer-port: 65536"),
    want: ["5:14: error: peers[0].peer-port: must be a whole number from 0 to 65535, but is 65536"],
  },
  {
    name: "a list for text",
    text: peer("  password: [hunter2]"),
    want: ["5:13: error: peers[0].password: must be text, but is a list"],
  },
  {
    name: "text for a list",
    text: addresses("192.0.2.0/24"),
    want: ['4:14: error: address-pools[0].addresses: must be a list, but is the text "192.0.2.0/24"'],
  },
  { name: "a mapping for a list", text: "peers: {my-asn: 1}", want: ["1:8: error: peers: must be a list, but is a mapping"] },
  { name: "text for a mapping", text: "peers: [x]", want: ['1:9: error: peers[0]: must be a mapping, but is the text "x"'] },
  {
    name: "a pool without anything",
    text: "address-pools:\n- {}",
    want: ["name", "protocol", "addresses"].map((field) => `2:3: error: address-pools[0].${field}: required, but missing`),
  },
  {
    name: "an empty entry",
    text: withPeer("address-pools:\n- {name: a, protocol: bgp, addresses: [192.0.2.0/24]}\n-\n"),
    want: ["name", "protocol", "addresses"].map((field) => `3:1: error: address-pools[1].${field}: required, but missing`),
  },
  {
    name: "an empty pool name",
    text: pool("").replace("name: a", `name: ""`),
    want: ['2:9: error: address-pools[0].name: must be text that is not empty, but is the text ""'],
  },
  { name: "no addresses", text: addresses("[]"), want: ["4:14: error: address-pools[0].addresses: must not be an empty list"] },
  {
    name: "protocols that there are not, or twice, or none among others",
    text: "address-pools:\n- {name: a, protocol: [layer2, ospf, layer2], addresses: [192.0.2.0/28]}\n- {name: b, protocol: [none], addresses: [192.0.2.16/28]}\n- {name: c, protocol: [], addresses: [192.0.2.32/28]}",
    want: [
      '2:32: error: address-pools[0].protocol[1]: must be "layer2" or "bgp" or "interface", but is the text "ospf"',
      '2:38: error: address-pools[0].protocol[2]: "layer2" is already listed as protocol[0]',
      '3:24: error: address-pools[1].protocol[0]: must be "layer2" or "bgp" or "interface", but is the text "none"',
      "4:23: error: address-pools[2].protocol: must not be an empty list",
    ],
  },
  {
    name: "preferred nodes without a weight, beyond its bounds, with a field or a label that there is not",
    text: pool(
      "  preferred-nodes: [{match-labels: {a: b}}, {weight: 0}, {weight: 101}, {weight: 1, labels: {}}, {weight: 1, match-labels: {'-': b}}]",
    ),
    want: [
      "5:21: error: address-pools[0].preferred-nodes[0].weight: required, but missing",
      "5:45: warning: address-pools[0].preferred-nodes[1]: it matches every node, so that it prefers none",
      "5:54: error: address-pools[0].preferred-nodes[1].weight: must be a whole number from 1 to 100, but is 0",
      "5:58: warning: address-pools[0].preferred-nodes[2]: it matches every node, so that it prefers none",
      "5:67: error: address-pools[0].preferred-nodes[2].weight: must be a whole number from 1 to 100, but is 101",
      "5:73: warning: address-pools[0].preferred-nodes[3]: it matches every node, so that it prefers none",
      '5:85: error: address-pools[0].preferred-nodes[3].labels: unknown field "labels"; the fields here are weight, match-labels, match-expressions',
      '5:125: error: address-pools[0].preferred-nodes[4].match-labels.-: "-" is not a label: at most 63 letters, digits, "-", "_" or ".", after an optional domain and "/"',
    ],
  },
  {
    name: "preferred nodes of a pool without layer 2",
    text: bgpPool("  preferred-nodes: [{weight: 1, match-labels: {a: b}}]"),
    want: ['5:3: error: address-pools[0].preferred-nodes: only a pool with "protocol: layer2" can have these'],
  },
  {
    name: "fields of protocol interface in a pool without it",
    text: withPeer("address-pools:\n- {name: a, protocol: bgp, addresses: [192.0.2.0/28], carrier: route, route-table: 7}"),
    want: [
      '2:55: error: address-pools[0].carrier: only a pool with "protocol: interface" can have this',
      '2:71: error: address-pools[0].route-table: only a pool with "protocol: interface" can have this',
    ],
  },
  {
    name: "what protocol interface cannot do",
    text: `address-pools:
- name: a
  protocol: [layer2, interface]
  addresses: [192.0.2.0/28]
  placement: routed
  dummy-interface: kube*
  aggregation-length: 27
  route-table: 5
  route-protocol: 11
  address-lifetime: 10s`,
    want: [
      '3:13: error: address-pools[0].protocol: with "carrier: address" the kernel of every node answers ARP and NDP for the addresses, not the owner alone: take "layer2" out of the list, or use "carrier: route"',
      '6:20: error: address-pools[0].dummy-interface: no interface is named "kube*": at most 15 octets, without blanks, "/", ":", "*" and "?"',
      "7:23: error: address-pools[0].aggregation-length: /27 would announce more than the pool holds, whose entry 192.0.2.0/28 allows no shorter one",
      '8:3: error: address-pools[0].route-table: only a pool with "carrier: route" can have this',
      "9:19: error: address-pools[0].route-protocol: 11 is the number of the kernel or of another routing daemon, which would take routes with it for its own",
      '10:21: error: address-pools[0].address-lifetime: must be 0s, or 60s to 24h, but is "10s"',
    ],
  },
  {
    name: "an address that two answer for, and what only routed addresses have",
    text: `address-pools:
- name: a
  protocol: [layer2, interface]
  addresses: [192.0.2.0/28]
  placement: lan
  carrier: address
  dummy-interface: lb0
  aggregation-length: 32
  route-table: 5
- name: b
  protocol: [layer2, interface]
  addresses: [192.0.2.16/28]
  placement: auto
  route-table: 5`,
    want: [
      '3:13: error: address-pools[0].protocol: with "placement: lan" the kernel of one node answers ARP and NDP for an address, which "layer2" would do as well: take one of the two out of the list',
      ...["6:3: error: address-pools[0].carrier", "7:3: error: address-pools[0].dummy-interface"].map(onNic),
      ...["8:3: error: address-pools[0].aggregation-length", "9:3: error: address-pools[0].route-table"].map(onNic),
      '11:13: error: address-pools[1].protocol: with "placement: auto" the kernel of one node answers ARP and NDP for an address, which "layer2" would do as well: take one of the two out of the list',
      '14:3: error: address-pools[1].route-table: only a pool with "carrier: route" can have this',
    ],
  },
  {
    name: "how the owner is chosen, where there is none",
    text: "address-pools:\n- {name: a, protocol: interface, addresses: [192.0.2.0/28], l2-placement: sticky, interfaces: [eth0]}",
    want: [
      '2:61: error: address-pools[0].l2-placement: only a pool with "protocol: layer2", or with "placement: lan" or "auto", can have this',
      '2:83: error: address-pools[0].interfaces: only a pool with "protocol: layer2", or with "placement: lan" or "auto", can have these',
    ],
  },
  {
    name: "a table of the kernel's own, and a lifetime of routes",
    text: "address-pools:\n- {name: a, protocol: interface, addresses: [192.0.2.0/28], carrier: route, route-table: 254, address-lifetime: 1h}",
    want: [
      "2:90: error: address-pools[0].route-table: must not be 253 to 255, the kernel's own tables default, main and local, but is 254",
      '2:95: error: address-pools[0].address-lifetime: only a pool with "carrier: address" can have this',
    ],
  },
  {
    name: "fields of a protocol that the pool does not have",
    text: "address-pools:\n- {name: a, protocol: none, addresses: [192.0.2.0/28], interfaces: [eth0], bgp-advertisements: [{}], l2-placement: sticky}",
    want: [
      '2:56: error: address-pools[0].interfaces: only a pool with "protocol: layer2" can have these',
      '2:76: error: address-pools[0].bgp-advertisements: only a pool with "protocol: bgp" can have these',
      '2:102: error: address-pools[0].l2-placement: only a pool with "protocol: layer2" can have this',
    ],
  },
  {
    name: "a protocol in other letter case",
    text: pool("").replace("layer2", "Layer2"),
    want: [
      '3:13: error: address-pools[0].protocol: must be "layer2" or "bgp" or "interface" or "none", or a list, but is the text "Layer2"; did you mean "layer2"?',
    ],
  },
  {
    name: "two pools of one name",
    text: `${pool("- name: a\n  protocol: layer2\n  addresses: [198.51.100.0/24]")}`,
    want: ['5:9: error: address-pools[1].name: "a" is already the name of address-pools[0]'],
  },
  {
    name: "an address without a length",
    text: addresses("[192.0.2.7, '::1']"),
    want: [
      '4:15: error: address-pools[0].addresses[0]: must be a CIDR or a range; for this one address write "192.0.2.7/32"',
      '4:26: error: address-pools[0].addresses[1]: must be a CIDR or a range; for this one address write "::1/128"',
    ],
  },
  {
    name: "what is no address at all",
    text: addresses(`[x, 192.0.2.0/33, 192.0.02.0/24, "", ~, 192.0.2.0/ 24]`),
    want: [
      ["x", 15],
      ["192.0.2.0/33", 18],
      ["192.0.02.0/24", 32],
      ["", 47],
      ["", 51],
      ["192.0.2.0/ 24", 54],
    ].map(([found, column], i) => `4:${column}: error: address-pools[0].addresses[${i}]: ${cidrOrRange} "${found}"`),
  },
  {
    name: "ranges that are none",
    text: addresses("[1.1.1.9-1.1.1.1, 1.1.1.1-x, x-1.1.1.1, 1.1.1.1-1.1.1.2-1.1.1.3, 1.1.1.1-::2]"),
    want: [
      '4:15: error: address-pools[0].addresses[0]: the range "1.1.1.9-1.1.1.1" ends before it begins',
      '4:32: error: address-pools[0].addresses[1]: the range ends with "x", which is not an IP address',
      '4:43: error: address-pools[0].addresses[2]: the range begins with "x", which is not an IP address',
      '4:54: error: address-pools[0].addresses[3]: must be one range "first-last", but is "1.1.1.1-1.1.1.2-1.1.1.3"',
      '4:79: error: address-pools[0].addresses[4]: the range "1.1.1.1-::2" begins in one address family and ends in the other',
    ],
  },
  {
    name: "an overlap inside a pool",
    text: addresses("[192.0.2.0/24, 192.0.2.255 - 192.0.3.1]"),
    want: [
      '4:29: error: address-pools[0].addresses[1]: "192.0.2.255 - 192.0.3.1" shares addresses with "192.0.2.0/24" in pool "a" (address-pools[0].addresses[0])',
    ],
  },
  {
    name: "an overlap between pools, at the later one",
    text: withPeer(pool("- {name: b, protocol: bgp, addresses: [192.0.0.0/16]}")),
    want: [
      '5:40: error: address-pools[1].addresses[0]: "192.0.0.0/16" shares addresses with "192.0.2.0/24" in pool "a" (address-pools[0].addresses[0])',
    ],
  },
  {
    name: "an overlap hidden behind a shorter entry",
    text: addresses("[10.0.0.0/8, 10.1.0.0/16, 10.2.0.0/16]"),
    want: [1, 2].map(
      (i) =>
        `4:${i === 1 ? 27 : 40}: error: address-pools[0].addresses[${i}]: "10.${i}.0.0/16" shares addresses with "10.0.0.0/8" in pool "a" (address-pools[0].addresses[0])`,
    ),
  },
  {
    name: "an IPv4-mapped overlap",
    text: addresses("[192.0.2.0/24, '::ffff:192.0.2.0/120']"),
    want: [
      '4:29: error: address-pools[0].addresses[1]: "::ffff:192.0.2.0/120" shares addresses with "192.0.2.0/24" in pool "a" (address-pools[0].addresses[0])',
    ],
  },
  {
    name: "advertisements in a layer2 pool",
    text: pool("  bgp-advertisements: [{}]"),
    want: ['5:3: error: address-pools[0].bgp-advertisements: only a pool with "protocol: bgp" can have these'],
  },
  {
    name: "node selectors and interfaces in a bgp pool",
    text: bgpPool("  node-selectors: [{match-labels: {rack: a}}]\n  interfaces: [eth0]"),
    want: [
      '5:3: error: address-pools[0].node-selectors: only a pool with "protocol: layer2" or "protocol: interface" can have these',
      '6:3: error: address-pools[0].interfaces: only a pool with "protocol: layer2" can have these',
    ],
  },
  {
    name: "a pool's node selector that no node can match",
    text: pool("  node-selectors: [{match-labels: {a: '-'}}, {match-expressions: [{key: a, operator: In}]}, {labels: {}}]"),
    want: [
      '5:39: error: address-pools[0].node-selectors[0].match-labels.a: no label has the value "-": at most 63 letters, digits, "-", "_" or ".", beginning and ending with one of the first two',
      "5:67: error: address-pools[0].node-selectors[1].match-expressions[0].values: In needs at least one value",
      '5:94: error: address-pools[0].node-selectors[2].labels: unknown field "labels"; the fields here are match-labels, match-expressions',
    ],
  },
  {
    name: "names that no interface can have",
    text: pool('  interfaces: ["", eth0:1, a/b, "eth 0", enp0s31f6u1u2u3x, 7, [eth0]]'),
    want: [
      '5:16: error: address-pools[0].interfaces[0]: must be text that is not empty, but is the text ""',
      ...[
        ["eth0:1", 20],
        ["a/b", 28],
        ["eth 0", 33],
        ["enp0s31f6u1u2u3x", 42],
      ].map(
        ([found, column], i) =>
          `5:${column}: error: address-pools[0].interfaces[${i + 1}]: no interface has a name like "${found}": at most 15 octets besides "*", without blanks, "/" and ":"${i === 3 ? "; a longer second name (altname) is not supported" : ""}`,
      ),
      "5:63: error: address-pools[0].interfaces[6]: must be text that is not empty, but is a list",
    ],
  },
  {
    name: "the same advertisement twice",
    text: bgpPool("  bgp-advertisements:\n  - {localpref: 1, communities: ['1:2']}\n  - communities: [1:2]\n    localpref: 1"),
    want: ["7:5: error: address-pools[0].bgp-advertisements[1]: repeats bgp-advertisements[0] of this pool"],
  },
  {
    name: "lengths outside the family",
    text: bgpPool("  bgp-advertisements: [{aggregation-length: 33, aggregation-length-v6: -1}]"),
    want: [
      "5:45: error: address-pools[0].bgp-advertisements[0].aggregation-length: must be a whole number from 0 to 32, but is 33",
      "5:72: error: address-pools[0].bgp-advertisements[0].aggregation-length-v6: must be a whole number from 0 to 128, but is -1",
    ],
  },
  {
    name: "an aggregate wider than an entry of the pool",
    text: withPeer(
      "address-pools:\n- name: a\n  protocol: bgp\n  addresses: [192.0.2.0/24, 198.51.100.16-198.51.100.47, '2001:db8::/120']\n  bgp-advertisements: [{aggregation-length: 26, aggregation-length-v6: 119}]",
    ),
    want: [
      "5:45: error: address-pools[0].bgp-advertisements[0].aggregation-length: /26 would announce more than the pool holds, whose entry 198.51.100.16/28 allows no shorter one",
      "5:72: error: address-pools[0].bgp-advertisements[0].aggregation-length-v6: /119 would announce more than the pool holds, whose entry 2001:db8::/120 allows no shorter one",
    ],
  },
  {
    name: "local preference above 32 bits",
    text: bgpPool("  bgp-advertisements: [{localpref: 4294967296}]"),
    want: [
      "5:36: error: address-pools[0].bgp-advertisements[0].localpref: must be a whole number from 0 to 4294967295, but is 4294967296",
    ],
  },
  {
    name: "a community that is none, and one twice",
    text: bgpPool("  bgp-advertisements: [{communities: [nope, '1:2', '1:2']}]"),
    want: [
      `5:39: error: address-pools[0].bgp-advertisements[0].communities[0]: must be an alias from bgp-communities, ${forms}; but is "nope"`,
      '5:52: error: address-pools[0].bgp-advertisements[0].communities[2]: "1:2" is already listed as communities[1]',
    ],
  },
  {
    name: "an alias for no community",
    text: "bgp-communities: {a: 70000:1, b: c, c: 1:2}",
    want: [
      `1:22: error: bgp-communities.a: must be ${forms}; but is "70000:1"`,
      `1:34: error: bgp-communities.b: must be ${forms}; but is "c"`,
    ],
  },
  {
    name: "a peer without anything",
    text: "peers: [{}]",
    want: [
      "1:9: error: peers[0].my-asn: required, but missing",
      "1:9: error: peers[0].peer-asn: required, but missing",
      "1:9: error: peers[0].peer-address: required, but missing: an address, or an interface on which to find the router",
    ],
  },
  {
    name: "AS 0 and beyond 32 bits",
    text: "peers: [{my-asn: 0, peer-asn: 4294967296, peer-address: ::1}]",
    want: [
      "1:18: error: peers[0].my-asn: must be a whole number from 1 to 4294967295, but is 0",
      '1:31: error: peers[0].peer-asn: must be a whole number from 1 to 4294967295, or "internal" or "external", but is 4294967296',
    ],
  },
  {
    name: "a peer's AS number that is neither a number nor a word for one",
    text: `peers:${["extrenal", '"64512"', "yes", "1.10", "[1]"].map((asn) => `\n- {my-asn: 1, peer-asn: ${asn}, peer-address: ::1}`).join("")}`,
    want: [
      ["2:25", 'the text "extrenal"; did you mean "external"?'],
      ["3:25", 'the text "64512" (quotes make it text)'],
      ["4:25", "yes"],
      ["5:25", "1.10; AS 1.10 in the dotted notation is 65546"],
      ["6:25", "a list"],
    ].map(
      ([place, found], i) =>
        `${place}: error: peers[${i}].peer-asn: must be a whole number from 1 to 4294967295, or "internal" or "external", but is ${found}`,
    ),
  },
  {
    name: "eBGP over several hops with an internal peer",
    text: "peers: [{my-asn: 1, peer-asn: internal, peer-address: ::1, ebgp-multihop: true}]",
    want: ["1:75: error: peers[0].ebgp-multihop: only for eBGP, but peer-asn is internal"],
  },
  {
    name: "families of a peer that there are not, or twice",
    text: peer("  families: [ipv4, ipv5, ipv4]"),
    want: [
      '5:20: error: peers[0].families[1]: must be "ipv4" or "ipv6", but is the text "ipv5"; did you mean "ipv4"?',
      '5:26: error: peers[0].families[2]: "ipv4" is already listed as families[0]',
    ],
  },
  {
    name: "addresses of a peer that are none",
    text: "peers: [{my-asn: 1, peer-asn: 2, peer-address: fe80::1%eth0, source-address: a, router-id: ::1}]",
    want: [
      '1:48: error: peers[0].peer-address: must be an IP address without a zone, but is "fe80::1%eth0"; write "fe80::1", and the interface in the field "interface"',
      '1:78: error: peers[0].source-address: must be an IP address, but is "a"',
      '1:92: error: peers[0].router-id: must be an IPv4 address, but is "::1"',
    ],
  },
  {
    name: "a source interface beside a source address, that no interface is named, or that is not a link-local peer's",
    text: [
      "peers: [{my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, source-address: 192.0.2.9, source-interface: eth1}",
      ", {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.2, source-interface: 'eth*'}",
      ", {my-asn: 1, peer-asn: 2, peer-address: 'fe80::1', interface: eth0, source-interface: eth1}]",
    ].join("\n"),
    want: [
      "1:86: error: peers[0].source-interface: not together with source-address: which of both would it be?",
      '2:71: error: peers[1].source-interface: no interface is named "eth*": at most 15 octets, without blanks, "/", ":", "*" and "?"',
      '3:88: error: peers[2].source-interface: must be "eth0", the interface of the link-local peer-address, but is "eth1"',
    ],
  },
  {
    name: "an empty peer address",
    text: `peers: [{my-asn: 1, peer-asn: 2, peer-address: ""}]`,
    want: ['1:48: error: peers[0].peer-address: must be "gateway", "gateway-v4", "gateway-v6", or an IP address, but is ""'],
  },
  ...["90", "1d", "x"].map((time) => ({
    name: `hold time ${time}`,
    text: peer(`  hold-time: ${time}`),
    want: [`5:14: error: peers[0].hold-time: must be a duration such as "90s" or "1m30s", but is "${time}"`],
  })),
  ...["1s", "2999ms", "999ms", "-3s", "65536s", "1ns"].map((time) => ({
    name: `hold time ${time}`,
    text: peer(`  hold-time: ${time}`),
    want: [`5:14: error: peers[0].hold-time: must be 0s, or 3s to 65535s, but is "${time}"`],
  })),
  {
    name: "keepalive time above hold time",
    text: peer("  hold-time: 30s\n  keepalive-time: 31s"),
    want: ['6:19: error: peers[0].keepalive-time: must not be above hold-time, which is 30s, but is "31s"'],
  },
  {
    name: "negative keepalive time",
    text: peer("  keepalive-time: -1s"),
    want: ['5:19: error: peers[0].keepalive-time: must not be negative, but is "-1s"'],
  },
  {
    name: "a password longer than the kernel takes, without showing it",
    text: peer(`  password: ${"é".repeat(41)}`),
    want: ["5:13: error: peers[0].password: must be at most 80 octets, but is 82"],
  },
  {
    name: "a profile that is not there",
    text: peer("  bfd-profile: fasd\n") + bfd(""),
    want: ['5:16: error: peers[0].bfd-profile: no entry of bfd-profiles is named "fasd"; did you mean "fast"?'],
  },
  {
    name: "two peers of one name, and one peer under two",
    text: `${named("x", 1)}${named("x", 2, false)}${named("y", 1, false)}`,
    want: ['3:10: error: peers[1].name: "x" is already the name of peers[0]', "4:3: error: peers[2]: repeats peers[0]"],
  },
  {
    name: "two passwords, and names that nothing has",
    text: peer("  password: x\n  password-secret: {name: A_b, key: a/b}"),
    want: [
      "6:3: error: peers[0].password-secret: not together with password: which of both would it be?",
      `6:27: error: peers[0].password-secret.name: no Secret is named "A_b": at most 253 of a-z, 0-9, "-" and "."`,
      '6:37: error: peers[0].password-secret.key: no Secret has a key "a/b": at most 253 letters, digits, "-", "_" or "."',
    ],
  },
  {
    name: "a Secret without a name, or with what MetalLB calls it",
    text: peer("  password-secret: {key: x}\n  passwordSecret: x"),
    want: [
      "5:20: error: peers[0].password-secret.name: required, but missing",
      '6:3: error: peers[0].passwordSecret: unknown field "…"; did you mean "password-secret"?',
    ],
  },
  {
    name: "a link-local router without its interface, and an interface that is none or of no use",
    text: "peers:\n- {my-asn: 1, peer-asn: 2, peer-address: fe80::1}\n- {my-asn: 1, peer-asn: 2, peer-address: fe80::1, interface: 'eth*'}\n- {my-asn: 1, peer-asn: 2, peer-address: ::1, interface: eth0}",
    want: [
      "2:3: error: peers[0].interface: required, but missing: the link-local fe80::1 may be behind any interface",
      '3:62: error: peers[1].interface: no interface is named "eth*": at most 15 octets, without blanks, "/", ":", "*" and "?"',
      "4:47: error: peers[2].interface: only for a link-local peer-address, but that is ::1, which routing finds",
    ],
  },
  {
    name: "distances that contradict one another",
    text: `${peer("  ebgp-multihop-ttl: 3")}\n- {my-asn: 1, peer-asn: 2, peer-address: ::1, ebgp-multihop: true, ebgp-multihop-ttl: 256, ttl-security: 1}`,
    want: [
      '5:3: error: peers[0].ebgp-multihop-ttl: needs "ebgp-multihop: true"',
      "6:87: error: peers[1].ebgp-multihop-ttl: must be a whole number from 1 to 255, but is 256",
      "6:92: error: peers[1].ttl-security: not together with ebgp-multihop: it says itself how far away the router may be",
    ],
  },
  {
    name: "strict BFD without BFD",
    text: peer("  bfd-strict: true"),
    want: ["5:15: error: peers[0].bfd-strict: needs a bfd-profile, without which there is no BFD"],
  },
  {
    name: "times that are none, fractions, or out of range",
    text: peer(
      "  connect-time: 121s\n  graceful-restart-time: 4096s\n  graceful-shutdown-time: 1500ms\n- {my-asn: 1, peer-asn: 2, peer-address: ::1, connect-time: 0s, graceful-restart-time: 120, graceful-shutdown-time: -1s}",
    ),
    want: [
      '5:17: error: peers[0].connect-time: must be whole seconds from 1s to 120s, but is "121s"',
      '6:26: error: peers[0].graceful-restart-time: must be whole seconds from 1s to 4095s, or 0s, but is "4096s"',
      '7:27: error: peers[0].graceful-shutdown-time: must be whole seconds from 0s to 600s, but is "1500ms"',
      '8:61: error: peers[1].connect-time: must be whole seconds from 1s to 120s, but is "0s"',
      '8:88: error: peers[1].graceful-restart-time: must be a duration such as "90s" or "1m30s", but is "120"',
      '8:117: error: peers[1].graceful-shutdown-time: must be whole seconds from 0s to 600s, but is "-1s"',
    ],
  },
  {
    name: "an advertisement for peers that are not there, or one twice",
    text: `${poolOfPeers("  bgp-advertisements: [{peers: [spine-2, spine1, spine1]}]\n")}${named("spine1", 1)}`,
    want: [
      '5:33: error: address-pools[0].bgp-advertisements[0].peers[0]: no entry of peers is named "spine-2"; did you mean "spine1"?',
      '5:50: error: address-pools[0].bgp-advertisements[0].peers[2]: "spine1" is already listed as peers[1]',
    ],
  },
  {
    name: "next hops of the other family, or that are no router",
    text: bgpPool("  bgp-advertisements: [{next-hop: ::1, next-hop-v6: 192.0.2.1}, {next-hop: 224.0.0.1, next-hop-v6: fe80::1}]"),
    want: [
      "5:35: error: address-pools[0].bgp-advertisements[0].next-hop: must be an IPv4 address, but is ::1, which belongs in next-hop-v6",
      "5:53: error: address-pools[0].bgp-advertisements[0].next-hop-v6: must be an IPv6 address, but is 192.0.2.1, which belongs in next-hop",
      "5:76: error: address-pools[0].bgp-advertisements[1].next-hop: 224.0.0.1 cannot be a next hop: it must be the address of one router, valid on any link",
      "5:100: error: address-pools[0].bgp-advertisements[1].next-hop-v6: fe80::1 cannot be a next hop: it must be the address of one router, valid on any link",
    ],
  },
  {
    name: "attributes out of range",
    text: bgpPool("  bgp-advertisements: [{med: -1, as-path-prepend: 11, weight: nodes}]"),
    want: [
      "5:30: error: address-pools[0].bgp-advertisements[0].med: must be a whole number from 0 to 4294967295, but is -1",
      "5:51: error: address-pools[0].bgp-advertisements[0].as-path-prepend: must be a whole number from 0 to 10, but is 11",
      '5:63: error: address-pools[0].bgp-advertisements[0].weight: must be "endpoints", but is the text "nodes"',
    ],
  },
  {
    name: "a self-test too often, too seldom or at no time, and in a bgp pool",
    text: `${["9s", "61m", "soon"]
      .map((time, i) => `- {name: p${i}, protocol: layer2, addresses: [192.0.${i}.0/24], self-test: ${time}}\n`)
      .join("")
      .replace(
        "- ",
        "address-pools:\n- ",
      )}- {name: b, protocol: bgp, addresses: [192.0.3.0/24], self-test: 30s}\npeers: [{my-asn: 64512, peer-asn: 64513, peer-address: 192.0.2.1}]`,
    want: [
      '2:70: error: address-pools[0].self-test: must be 0s, or 10s to 1h, but is "9s"',
      '3:70: error: address-pools[1].self-test: must be 0s, or 10s to 1h, but is "61m"',
      '4:70: error: address-pools[2].self-test: must be a duration such as "30s", but is "soon"',
      '5:55: error: address-pools[3].self-test: only a pool with "protocol: layer2" can have this',
    ],
  },
  {
    name: "a way to place addresses that is none, and in a bgp pool any",
    text: `${pool("  l2-placement: stiky\n  conflict-probe: yes\n")}- {name: b, protocol: bgp, addresses: [192.0.3.0/24], l2-placement: hash, conflict-probe: off}\npeers: [{my-asn: 64512, peer-asn: 64513, peer-address: 192.0.2.1}]`,
    want: [
      '5:17: error: address-pools[0].l2-placement: must be "hash" or "subnet" or "sticky" or "sticky-subnet", but is the text "stiky"; did you mean "sticky"?',
      '6:19: error: address-pools[0].conflict-probe: must be "off" or "report" or "strict", but is yes',
      '7:55: error: address-pools[1].l2-placement: only a pool with "protocol: layer2" can have this',
      '7:75: error: address-pools[1].conflict-probe: only a pool with "protocol: layer2" can have this',
    ],
  },
  {
    name: "multihop on iBGP",
    text: "peers: [{my-asn: 1, peer-asn: 1, peer-address: ::1, ebgp-multihop: true}]",
    want: ["1:68: error: peers[0].ebgp-multihop: only for eBGP, but my-asn and peer-asn are both 1"],
  },
  {
    name: "the same peer twice, however it is written",
    text: `${peer("  hold-time: 90s\n  node-selectors: [{match-labels: {a: b, c: d}}]\n")}- {node-selectors: [{match-labels: {c: d, a: b}}], peer-address: 192.0.2.1, peer-asn: 64513, my-asn: 64512, peer-port: 179}`,
    want: ["7:3: error: peers[1]: repeats peers[0]"],
  },
  {
    name: "labels that cannot exist",
    text: peer(
      `  node-selectors: [{match-labels: {"a b": x, a: "x y"}, match-expressions: [{key: A.b/c, operator: In, values: ["-"]}]}]`,
    ),
    want: [
      '5:36: error: peers[0].node-selectors[0].match-labels["a b"]: "a b" is not a label: at most 63 letters, digits, "-", "_" or ".", after an optional domain and "/"',
      '5:49: error: peers[0].node-selectors[0].match-labels.a: no label has the value "x y": at most 63 letters, digits, "-", "_" or ".", beginning and ending with one of the first two',
      '5:83: error: peers[0].node-selectors[0].match-expressions[0].key: "A.b/c" is not a label: at most 63 letters, digits, "-", "_" or ".", after an optional domain and "/"',
      '5:113: error: peers[0].node-selectors[0].match-expressions[0].values[0]: no label has the value "-": at most 63 letters, digits, "-", "_" or ".", beginning and ending with one of the first two',
    ],
  },
  {
    name: "operators with the wrong values",
    text: peer(
      "  node-selectors:\n  - match-expressions:\n    - {key: a, operator: In}\n    - {key: a, operator: Exists, values: [x]}\n    - {key: a, operator: exists}",
    ),
    want: [
      "7:7: error: peers[0].node-selectors[0].match-expressions[0].values: In needs at least one value",
      "8:42: error: peers[0].node-selectors[0].match-expressions[1].values: Exists takes no values",
      '9:26: error: peers[0].node-selectors[0].match-expressions[2].operator: must be "In" or "NotIn" or "Exists" or "DoesNotExist", but is the text "exists"; did you mean "Exists"?',
    ],
  },
  {
    name: "BFD values out of range",
    text: bfd(
      "  receive-interval: 9\n  transmit-interval: 60001\n  detect-multiplier: 1\n  echo-interval: 9\n  minimum-ttl: 255",
    ),
    want: [
      "3:21: error: bfd-profiles[0].receive-interval: must be a whole number from 10 to 60000, but is 9",
      "4:22: error: bfd-profiles[0].transmit-interval: must be a whole number from 10 to 60000, but is 60001",
      "5:22: error: bfd-profiles[0].detect-multiplier: must be a whole number from 2 to 255, but is 1",
      "6:18: error: bfd-profiles[0].echo-interval: must be a whole number from 10 to 60000, but is 9",
      "7:16: error: bfd-profiles[0].minimum-ttl: must be a whole number from 1 to 254, but is 255",
    ],
  },
  {
    name: "two profiles of one name, and one without",
    text: "bfd-profiles: [{name: x}, {name: x}, {}]",
    want: [
      '1:34: error: bfd-profiles[1].name: "x" is already the name of bfd-profiles[0]',
      "1:38: error: bfd-profiles[2].name: required, but missing",
    ],
  },
  {
    name: "rules between fields even where shapes are wrong elsewhere",
    text: "peers: 5\naddress-pools: [{name: a, protocol: layer2, addresses: [x], nam: b}]",
    want: [
      "1:8: error: peers: must be a list, but is 5",
      `2:57: error: address-pools[0].addresses[0]: ${cidrOrRange} "x"`,
      '2:61: error: address-pools[0].nam: unknown field "nam"; did you mean "name"?',
    ],
  },
];
for (const { name, text, want } of refused) test(`parseConfig refuses: ${name}`, () => assert.deepEqual(problemsOf(text), want));

const warned: { name: string; text: string; want: string[] }[] = [
  {
    name: "advertisements that yield one prefix",
    text: bgpPool("  bgp-advertisements:\n  - localpref: 1\n  - localpref: 2\n  - aggregation-length: 24"),
    want: [
      "7:5: warning: address-pools[0].bgp-advertisements[1]: announces the same IPv4 /32 prefixes as bgp-advertisements[0] of this pool, with other attributes; the last one wins",
    ],
  },
  {
    name: "advertisements that yield one prefix for some peer of some node",
    text: `${poolOfPeers("  bgp-advertisements:\n  - {med: 1, peers: [x, y]}\n  - {med: 2, peers: [z]}\n  - {med: 3, peers: [y], node-selectors: [{match-labels: {rack: a}}]}\n  - {med: 3}\n")}${named("x", 1)}${named("y", 2, false)}${named("z", 3, false)}`,
    want: [
      "8:5: warning: address-pools[0].bgp-advertisements[2]: announces the same IPv4 /32 prefixes as bgp-advertisements[0] of this pool, with other attributes; the last one wins",
      "9:5: warning: address-pools[0].bgp-advertisements[3]: announces the same IPv4 /32 prefixes as bgp-advertisements[1] of this pool, with other attributes; the last one wins",
    ],
  },
  {
    name: "keepalive time 0s with a hold time",
    text: peer("  keepalive-time: 0s"),
    want: [
      '5:19: warning: peers[0].keepalive-time: "0s" would end the session whenever hold-time has passed: keepalives are sent every 30s',
    ],
  },
  {
    name: "a passive peer",
    text: peer("  passive: true"),
    want: [
      "5:12: warning: peers[0].passive: the router has to connect to the speakers, which listen only when started with --bgp-port",
    ],
  },
  {
    name: "one community under two names",
    text: bgpPool("  bgp-advertisements: [{communities: [no-export, '65535:65281']}]"),
    want: [
      '5:50: warning: address-pools[0].bgp-advertisements[0].communities[1]: "65535:65281" is 65535:65281, which is already listed',
    ],
  },
  {
    name: "an alias that changes a well-known name",
    text: "bgp-communities: {no-export: 1:2}",
    want: ['1:30: warning: bgp-communities.no-export: makes "no-export" mean 1:2 instead of 65535:65281'],
  },
  {
    name: "a source address of the other family",
    text: peer("  source-address: ::1"),
    want: ["5:19: warning: peers[0].source-address: ::1 cannot reach the IPv4 peer 192.0.2.1: the session will not come up"],
  },
  {
    name: "router id 0",
    text: peer("  router-id: 0.0.0.0"),
    want: ["5:14: warning: peers[0].router-id: no router takes the identifier 0 (RFC 6286): the session will not come up"],
  },
  {
    name: "two sessions between the same ends",
    text: `${peer("")}- {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1}`,
    want: ["5:3: warning: peers[1]: has the same 192.0.2.1 as peers[0]: a node that both select has that session alone"],
  },
  {
    name: "a passive peer whose router's connections another peer of the same address gets",
    text: `${peer("")}- {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, peer-port: 1179, passive: true}\n- {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, peer-port: 1180}\n- {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.2, passive: true}`,
    want: [
      "5:79: warning: peers[1].passive: the router has to connect to the speakers, which listen only when started with --bgp-port",
      "5:79: warning: peers[1].passive: a node that peers[0] selects too takes connections from 192.0.2.1 for that one alone: this peer has no session there",
      "7:62: warning: peers[3].passive: the router has to connect to the speakers, which listen only when started with --bgp-port",
    ],
  },
  {
    name: "two sessions between the same ends for some node",
    text: `peers:${["[{match-labels: {rack: a}}]", "[{match-labels: {rack: b}}]", "[{match-labels: {zone: a, rack: b}}]"]
      .map((selectors, i) => `\n- {my-asn: ${i + 1}, peer-asn: 9, peer-address: 192.0.2.1, node-selectors: ${selectors}}`)
      .join("")}`,
    want: ["4:3: warning: peers[2]: has the same 192.0.2.1 as peers[1]: a node that both select has that session alone"],
  },
  {
    name: "an interface written in another language of patterns",
    text: pool("  interfaces: ['eth[01]', '^eth.*$', 'eth*']"),
    want: ["eth[01]", "^eth.*$"].map(
      (name, i) =>
        `5:${[16, 27][i]}: warning: address-pools[0].interfaces[${i}]: only "*" and "?" stand for other characters, so that "${name}" asks for the rest of it as it is written`,
    ),
  },
  {
    name: "further documents",
    text: "peers: []\n---\npeers: [5]\n",
    want: ['3:1: warning: only what is above the first "---" is read, so this is ignored'],
  },
  ...[
    ["5:1", "---\npeers: [5\n"],
    ["4:5", "--- {a: 1, a: 2}\n"],
    ["7:2", "...\n# a note\n---\n\tx: *y"],
  ].map(([at, more = ""]) => ({
    name: `further documents that cannot be read: ${JSON.stringify(more)}`,
    text: `# a note\n---\npeers: []\n${more}`,
    want: [`${at}: warning: only what is above the first "---" is read, so this is ignored`],
  })),
  {
    name: "a document behind an empty one",
    text: "---\n---\npeers: [5]",
    want: ['3:1: warning: only what is above the first "---" is read, so this is ignored'],
  },
];
for (const { name, text, want } of warned) test(`parseConfig warns of: ${name}`, () => assert.deepEqual(problemsOf(text), want));

test("parseConfig: communities are refused beyond what one UPDATE holds", () => {
  const communities = (count: number) =>
    bgpPool(`  bgp-advertisements: [{communities: [${Array.from({ length: count }, (_, i) => `'1:${i}'`)}]}]`);
  const held = (first: Pool | undefined) => first?.advertisements[0]?.communities.length;
  assert.equal(held(configOf(communities(64)).pools[0]), 64);
  assert.equal(held(configOf(communities(975)).pools[0]), 975);
  assert.deepEqual(problemsOf(communities(976)), [
    "5:38: error: address-pools[0].bgp-advertisements[0].communities: these 976 communities take 3908 octets, but a BGP UPDATE has room for 3904",
  ]);
});

test("a peer's AS number may be a word, and its families are those that it names, or both", () => {
  const peers = [
    "peer-asn: 2",
    "peer-asn: internal, families: []",
    "peer-asn: external, families: [ipv6, ipv4]",
    "peer-asn: 1, families: [ipv6]",
  ];
  const { config } = parseConfig(
    `peers:${peers.map((fields, i) => `\n- {my-asn: 1, peer-address: ::${i}, ${fields}}`).join("")}`,
  );
  assert.deepEqual(
    config?.peers.map(({ peerAsn, families }) => [peerAsn, families.join()]),
    [
      [2, "IPv4,IPv6"],
      [1, "IPv4,IPv6"],
      ["external", "IPv4,IPv6"],
      [1, "IPv6"],
    ],
  );
});
