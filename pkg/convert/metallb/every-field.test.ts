import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { dump } from "js-yaml";
import { converted } from "../testing/converted.ts";

// Each optional field of the ConfigMap's schema has to show in MetalLB's custom resources, or in the list of losses.

interface Property {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, Property>>;
  readonly required?: readonly string[];
  readonly items?: Property;
  readonly enum?: readonly string[];
  readonly examples?: readonly unknown[];
  readonly default?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
}

const schema: Property = JSON.parse(readFileSync(new URL("../../config/schema.json", import.meta.url), "utf8"));

/** Every property that need not be there, with its path, such as `peers[].password-secret.key`. */
function* optionalProperties({ properties = {}, required = [] }: Property, path = ""): Generator<[string, Property]> {
  for (const [name, property] of Object.entries(properties)) {
    const here = path === "" ? name : `${path}.${name}`;
    if (!required.includes(name)) yield [here, property];
    yield* optionalProperties(property, here);
    if (property.items !== undefined) yield* optionalProperties(property.items, `${here}[]`);
  }
}

const peer = { name: "tor", "my-asn": 64512, "peer-asn": 64513, "peer-address": "192.0.2.1" };
const pool = { name: "a", protocol: "layer2", addresses: ["198.51.100.0/24", "2001:db8:1::/120"] };
const base: object = { peers: [peer], "bfd-profiles": [{ name: "fast" }], "address-pools": [pool] };
const withPeer = (fields: object) => ({ ...base, peers: [{ ...peer, ...fields }] });
const withPool = (fields: object) => ({ ...base, "address-pools": [{ ...pool, ...fields }] });
const netbox = { url: "https://netbox.example.com", tags: ["k8s"] };

/** A configuration with these fields, by the path of their parent. */
const around: Readonly<Record<string, (fields: object) => object>> = {
  "": (fields) => ({ ...base, ...fields }),
  "peers[]": withPeer,
  "peers[].from-node": (fields) => {
    const others = Object.entries({ ...peer, "password-secret": { name: "s" } }).filter(([name]) => !(name in fields));
    return { ...base, peers: [{ ...Object.fromEntries(others), "from-node": fields }] };
  },
  "peers[].password-secret": (fields) => withPeer({ "password-secret": { name: "s", ...fields } }),
  "bfd-profiles[]": (fields) => ({ ...base, "bfd-profiles": [{ name: "fast", ...fields }] }),
  "address-pools[]": withPool,
  "address-pools[].bgp-advertisements[]": (fields) => withPool({ protocol: "bgp", "bgp-advertisements": [fields] }),
  "address-pools[].layer2-advertisements[]": (fields) => withPool({ protocol: "layer2", "layer2-advertisements": [fields] }),
  "address-pools[].bgp-advertisements[].communities-from": (fields) => {
    const from = { ...("annotation" in fields ? {} : { label: "x" }), allowed: ["64512:1"], ...fields };
    return withPool({ protocol: "bgp", "bgp-advertisements": [{ "communities-from": from }] });
  },
  "address-pools[].reserved[]": (fields) => withPool({ reserved: [{ addresses: ["198.51.100.1"], ...fields }] }),
  "address-pools[].netbox": (fields) => withPool({ netbox: { ...netbox, "token-secret": { name: "t" }, ...fields } }),
  "address-pools[].netbox.token-secret": (fields) =>
    withPool({ netbox: { ...netbox, "token-secret": { name: "t", ...fields } } }),
  "quotas[]": (fields) => ({ ...base, quotas: [{ ipv4: 1, ...fields }] }),
};

const number = { label: "x", min: 1, max: 2 };
const ofKernel = { protocol: "interface" };

/** The fields whose value does not follow from the schema, and the fields required beside them. */
const given: Readonly<Record<string, { readonly value?: unknown; readonly beside?: object }>> = {
  "address-pools": { value: [pool] },
  quotas: { value: [{ services: 1 }] },
  peers: { value: [peer] },
  "bgp-communities": { value: { mine: "64512:1" } },
  "bfd-profiles": { value: [{ name: "fast" }] },
  "address-pools[].self-test": { value: "30s" },
  "address-pools[].placement": { beside: ofKernel },
  "address-pools[].carrier": { beside: ofKernel },
  "address-pools[].dummy-interface": { value: "lb9", beside: ofKernel },
  "address-pools[].aggregation-length": { beside: ofKernel },
  "address-pools[].aggregation-length-v6": { beside: ofKernel },
  "address-pools[].route-table": { beside: { ...ofKernel, carrier: "route" } },
  "address-pools[].route-protocol": { beside: ofKernel },
  "address-pools[].address-lifetime": { value: "60s", beside: ofKernel },
  "address-pools[].bgp-advertisements": { value: [{ localpref: 7 }], beside: { protocol: "bgp" } },
  "address-pools[].layer2-advertisements": { value: [{ interfaces: ["eth7"] }], beside: { protocol: "layer2" } },
  "address-pools[].next-hop-slots": { beside: { protocol: "bgp" } },
  "address-pools[].bgp-advertisements[].peers": { value: ["tor"] },
  "address-pools[].bgp-advertisements[].communities-from": { value: { label: "x", allowed: ["64512:1"] } },
  "address-pools[].bgp-advertisements[].med-from": { value: number },
  "address-pools[].bgp-advertisements[].localpref-from": { value: number },
  "address-pools[].netbox.prefix": { beside: { mode: "allocate" } },
  "address-pools[].netbox.token-secret.key": { value: "k" },
  "quotas[].pools": { value: ["a"] },
  "peers[].name": { value: "other" },
  "peers[].from-node.peer-address": { value: { label: "x" } },
  "peers[].from-node.my-asn": { value: { label: "x" } },
  "peers[].from-node.peer-asn": { value: { label: "x" } },
  "peers[].from-node.router-id": { value: { label: "x" } },
  "peers[].from-node.source-address": { value: { label: "x" } },
  "peers[].from-node.password-secret-key": { value: { label: "x" } },
  "peers[].from-node": { value: { "router-id": { label: "x" } } },
  "peers[].my-asn": { value: 64519 },
  "peers[].peer-asn": { value: "external" },
  "peers[].peer-address": { value: "192.0.2.7" },
  "peers[].interface": { value: "eth0", beside: { "peer-address": "fe80::1" } },
  "peers[].source-address": { value: "192.0.2.9" },
  "peers[].hold-time": { value: "30s" },
  "peers[].keepalive-time": { value: "10s" },
  "peers[].connect-time": { value: "5s" },
  "peers[].router-id": { value: "192.0.2.9" },
  "peers[].password": { value: "secret" },
  "peers[].password-secret.key": { value: "k" },
  "peers[].bfd-profile": { value: "fast" },
  "peers[].bfd-strict": { beside: { "bfd-profile": "fast" } },
  "peers[].ebgp-multihop-ttl": { beside: { "ebgp-multihop": true } },
  "peers[].graceful-restart-time": { value: "60s" },
  "peers[].long-lived-stale-time": { value: "1h" },
  "peers[].role-strict": { beside: { role: "customer" } },
  "peers[].graceful-shutdown-time": { value: "5s" },
};

/** Fields that are lost as a whole -> the message of the loss. */
const wholes: readonly { readonly fields: RegExp; readonly loss: RegExp }[] = [
  { fields: /^quotas\[\]/, loss: /^quotas: / },
  { fields: /^address-pools\[\]\.reserved\[\]/, loss: /^pool "a": reserved: / },
  { fields: /communities-from/, loss: /^pool "a", bgp-advertisements\[0\]: communities-from: / },
  { fields: /^address-pools\[\]\.netbox\./, loss: /^pool "a": netbox: / },
  {
    fields:
      /^address-pools\[\]\.(placement|carrier|dummy-interface|aggregation-length(-v6)?|route-(table|protocol)|address-lifetime)$/,
    loss: /^pool "a": protocol interface: /,
  },
];

/** Other values than the default: all, of those that are a word. */
function valuesOf(property: Property): unknown[] {
  return property.enum?.filter((one) => one !== property.default) ?? [sampleOf(property)];
}

function sampleOf(property: Property): unknown {
  const { type, items, properties = {}, required = [], minimum = 0, maximum = Infinity } = property;
  if (property.$ref === "#/definitions/label-selector") return { "match-labels": { a: "b" } };
  if (property.$ref === "#/definitions/preferred-node") return { weight: 5, "match-labels": { a: "b" } };
  if (property.examples !== undefined) return property.examples[0];
  if (property.enum !== undefined) return property.enum[0];
  if (type === "boolean") return property.default !== true;
  if (type === "array" && items !== undefined) return [sampleOf(items)];
  if (type === "object") return Object.fromEntries(required.map((name) => [name, sampleOf(properties[name] ?? {})]));
  if (type === "integer") {
    const usual = typeof property.default === "number" ? property.default : minimum;
    return usual < maximum ? usual + 1 : usual - 1;
  }
  assert.equal(type, "string", "a kind of value that this test does not know");
  return "x";
}

function resources(config: object): { objects: string; losses: readonly string[] } {
  const { text, losses, problems } = converted(dump(config));
  assert.ok(text !== undefined, problems.join("\n"));
  return { objects: text.replaceAll(/^# .*\n/gm, ""), losses };
}

for (const [path, property] of optionalProperties(schema))
  test(`to custom resources: ${path} is made, or said to be lost`, () => {
    const at = path.lastIndexOf(".");
    const [container, name] = at < 0 ? ["", path] : [path.slice(0, at), path.slice(at + 1)];
    const build = around[container];
    assert.ok(build !== undefined, `say in this test what is around ${container}`);
    const { value, beside = {} } = given[path] ?? {};
    const isNeeded = path === "peers[].interface"; // A link-local address is refused without it.
    const less = resources(build({ ...(!isNeeded && beside), ...(container === "" && { [name]: undefined }) }));
    const whole = wholes.find(({ fields }) => fields.test(path));
    for (const each of value === undefined ? valuesOf(property) : [value]) {
      const { objects, losses } = resources(build({ ...beside, [name]: each }));
      const isSaid = losses.some((loss) => (whole === undefined ? !less.losses.includes(loss) : whole.loss.test(loss)));
      const isMade = whole === undefined && objects !== less.objects;
      assert.ok(isMade || isSaid, `${path}: ${JSON.stringify(each)} makes no difference`);
    }
  });

test("to custom resources: a peer that is left out, as its AS number is each node's own, is no other AS number", () => {
  const { losses } = resources({
    ...base,
    peers: [peer, { "peer-asn": 64513, "peer-address": "192.0.2.2", "from-node": { "my-asn": { label: "x" } } }],
  });
  assert.deepEqual(losses, ["peers[1]: from-node: MetalLB takes no values from nodes; the peer is left out"]);
});

test("to custom resources: a community by the name that an RFC gives it is its number, which MetalLB knows", () => {
  const { objects } = resources({ ...base, "bgp-communities": { mine: "no-export", other: "large:1:2:3" } });
  assert.match(objects, /name: mine\n +value: 65535:65281\n +- name: other\n +value: large:1:2:3\n/);
});

test("to custom resources: what names an interface by the address behind it is no interface's name", () => {
  const { objects, losses } = resources(withPool({ interfaces: ["eth0", "can_reach:10.0.0.1"] }));
  assert.match(objects, /\n {2}interfaces:\n {2}- eth0\n(?! {2}-)/);
  assert.deepEqual(losses, ['pool "a": interfaces "can_reach:10.0.0.1": MetalLB takes whole names only; these are left out']);
});

test("to custom resources: with no name left, every interface is used", () => {
  const { objects, losses } = resources(withPool({ interfaces: ["can_reach:10.0.0.1", "eno*"] }));
  assert.doesNotMatch(objects, /interfaces/);
  assert.deepEqual(losses, [
    'pool "a": interfaces "can_reach:10.0.0.1", "eno*": MetalLB takes whole names only; every interface is used',
  ]);
});

const refusedByMetallb: { name: string; fields: object; losses: readonly string[]; objects?: RegExp; without?: RegExp }[] = [
  {
    name: "a route of some Services that is an aggregate is left out",
    fields: withPool({
      protocol: "bgp",
      "bgp-advertisements": [
        { "aggregation-length": 26, communities: ["64512:1"] },
        { "aggregation-length": 26, "service-selectors": [{ "match-labels": { a: "b" } }], localpref: 7 },
      ],
    }),
    losses: [
      'pool "a", bgp-advertisements[1]: service-selectors: MetalLB refuses them beside an aggregation length; it is left out',
    ],
    without: /serviceSelectors|localPref/,
  },
  {
    name: "a length that no address of the pool has does not keep Services apart",
    fields: withPool({
      protocol: "bgp",
      addresses: ["198.51.100.0/24"],
      "bgp-advertisements": [{ "aggregation-length-v6": 120, "service-selectors": [{ "match-labels": { a: "b" } }] }],
    }),
    losses: [],
    objects: /serviceSelectors:/,
    without: /aggregationLength/,
  },
  {
    name: "preferences for the same routes of peers that are still to come are told apart",
    fields: {
      "address-pools": [{ ...pool, protocol: "bgp", "bgp-advertisements": [{ communities: ["64512:1"] }, { localpref: 7 }] }],
    },
    losses: [],
    objects: /localPref: 7/,
    without: /64512:1/,
  },
  {
    name: "echo of a peer that hears of IPv6 addresses is off",
    fields: {
      ...withPool({ protocol: "bgp" }),
      peers: [{ ...peer, "bfd-profile": "fast" }],
      "bfd-profiles": [{ name: "fast", "echo-mode": true }],
    },
    losses: ['BFD profile "fast": echo-mode: MetalLB refuses it for peers that hear of IPv6 addresses; it is off'],
    objects: /echoMode: false/,
  },
  {
    name: "echo of a peer that hears of IPv4 addresses alone is on",
    fields: {
      ...withPool({ protocol: "bgp", addresses: ["198.51.100.0/24"] }),
      peers: [{ ...peer, "bfd-profile": "fast" }],
      "bfd-profiles": [{ name: "fast", "echo-mode": true }],
    },
    losses: [],
    objects: /echoMode: true/,
  },
  {
    name: "peers with several router-ids, or one address twice",
    fields: { ...base, peers: [peer, { ...peer, name: "b", "router-id": "192.0.2.7" }] },
    losses: [
      "peers: have not all the same router-id: with FRR, all peers of one node need it",
      "peers: have one address or interface several times: with FRR, each peer of one node needs another",
    ],
  },
];
for (const { name, fields, losses, objects, without } of refusedByMetallb)
  test(`to custom resources: nothing is made that MetalLB's webhooks refuse, or it is said: ${name}`, () => {
    const made = resources(fields);
    assert.deepEqual(made.losses, losses);
    if (objects !== undefined) assert.match(made.objects, objects);
    if (without !== undefined) assert.doesNotMatch(made.objects, without);
  });
