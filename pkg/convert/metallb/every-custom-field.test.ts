import assert from "node:assert/strict";
import { test } from "node:test";
import type { Schema } from "../fields.ts";
import { liveObjectText, liveText, parseCustomResources } from "../index.ts";
import { schemas } from "./schemas.ts";

// Each field of MetalLB's custom resources has to change the configuration, or to be refused with a sentence that names it.

type Kind = keyof typeof schemas;
type Fields = Readonly<Record<string, unknown>>;

const selector = { matchLabels: { of: "main" } };
const dualStack = { myASN: 64512, peerASN: 64513, peerAddress: "192.0.2.1", dualStackAddressFamily: true };

/** Of each kind an object, which all others are beside. */
const base: Readonly<Record<Kind, Fields>> = {
  IPAddressPool: { addresses: ["198.51.100.0/24", "2001:db8:1::/120"] },
  L2Advertisement: { ipAddressPools: ["main"] },
  BGPAdvertisement: { ipAddressPools: ["main"], communities: ["named"] },
  BGPPeer: { ...dualStack, bfdProfile: "main" },
  BFDProfile: {},
  Community: { communities: [{ name: "named", value: "64512:1" }] },
  AddressPool: { protocol: "bgp", addresses: ["203.0.113.0/24"] },
};

/** Each field with a value other than its default, and what has to be beside it. */
const values: Readonly<Record<Kind, Readonly<Record<string, { value: unknown; beside?: Fields }>>>> = {
  IPAddressPool: {
    addresses: { value: ["198.51.100.0/25", "2001:db8:1::/120"] },
    autoAssign: { value: false },
    avoidBuggyIPs: { value: true },
    "serviceAllocation.priority": { value: 7 },
    "serviceAllocation.namespaces": { value: ["team"] },
    "serviceAllocation.namespaceSelectors": { value: [selector] },
    "serviceAllocation.serviceSelectors": { value: [selector] },
  },
  L2Advertisement: {
    ipAddressPools: { value: ["gone"] },
    ipAddressPoolSelectors: { value: [{ matchLabels: { of: "nobody" } }], beside: { ipAddressPools: [] } },
    nodeSelectors: { value: [selector] },
    serviceSelectors: { value: [selector] },
    interfaces: { value: ["eth7"] },
    "preferredNodeSelectors[].weight": { value: 9, beside: { preferredNodeSelectors: [{ weight: 1, preference: selector }] } },
    "preferredNodeSelectors[].preference": { value: selector, beside: { preferredNodeSelectors: [{ weight: 1 }] } },
  },
  BGPAdvertisement: {
    ipAddressPools: { value: ["gone"] },
    ipAddressPoolSelectors: { value: [{ matchLabels: { of: "nobody" } }], beside: { ipAddressPools: [] } },
    nodeSelectors: { value: [selector] },
    serviceSelectors: { value: [selector] },
    aggregationLength: { value: 28 },
    aggregationLengthV6: { value: 124 },
    localPref: { value: 7 },
    communities: { value: ["64512:2"] },
    peers: { value: ["gone"] },
  },
  BGPPeer: {
    myASN: { value: 64519 },
    peerASN: { value: 64519 },
    dynamicASN: { value: "external", beside: { peerASN: undefined } },
    localASN: { value: 64519 },
    peerAddress: { value: "192.0.2.7" },
    interface: { value: "eth7", beside: { peerAddress: undefined } },
    sourceAddress: { value: "192.0.2.9" },
    peerPort: { value: 1179 },
    holdTime: { value: "30s" },
    keepaliveTime: { value: "10s" },
    connectTime: { value: "5s" },
    routerID: { value: "192.0.2.9" },
    nodeSelectors: { value: [selector] },
    password: { value: "secret" },
    "passwordSecret.name": { value: "secret" },
    "passwordSecret.namespace": { value: "other", beside: { passwordSecret: { name: "secret" } } },
    bfdProfile: { value: "gone" },
    enableGracefulRestart: { value: true },
    ebgpMultiHop: { value: true },
    vrf: { value: "red" },
    disableMP: { value: true, beside: { dualStackAddressFamily: undefined, disableMP: false } },
    dualStackAddressFamily: { value: false },
  },
  BFDProfile: {
    receiveInterval: { value: 50 },
    transmitInterval: { value: 50 },
    detectMultiplier: { value: 7 },
    echoInterval: { value: 70, beside: { echoMode: true } },
    echoMode: { value: true },
    passiveMode: { value: true },
    minimumTtl: { value: 7 },
  },
  Community: {
    // Advertisements that use the former name are at fault then.
    "communities[].name": { value: "other", beside: { communities: [{ value: "64512:1" }] } },
    "communities[].value": { value: "64512:7", beside: { communities: [{ name: "named" }] } },
  },
  AddressPool: {
    protocol: { value: "layer2" },
    addresses: { value: ["203.0.113.0/25"] },
    autoAssign: { value: false },
    "bgpAdvertisements[].aggregationLength": { value: 28 },
    "bgpAdvertisements[].aggregationLengthV6": { value: 124, beside: { addresses: ["2001:db8:2::/120"] } },
    "bgpAdvertisements[].localPref": { value: 7 },
    "bgpAdvertisements[].communities": { value: ["64512:7"] },
  },
};

function* leaves(schema: Schema, path = ""): Generator<string> {
  const isSelector = schema.properties !== undefined && "matchLabels" in schema.properties;
  if (schema.properties !== undefined && !isSelector)
    for (const [name, each] of Object.entries(schema.properties)) yield* leaves(each, path === "" ? name : `${path}.${name}`);
  else if (schema.items?.properties !== undefined && !("matchLabels" in schema.items.properties))
    yield* leaves(schema.items, `${path}[]`);
  else yield path;
}

/** The spec with the value at the path, the first item of each list. */
function withValue(spec: Fields, [step, ...rest]: readonly string[], value: unknown): Fields {
  if (step === undefined) return spec;
  const name = step.replace("[]", "");
  if (rest.length === 0) return { ...spec, [name]: value };
  const old = spec[name];
  const [item = {}] = Array.isArray(old) ? old : [old];
  const made = withValue(item as Fields, rest, value);
  return { ...spec, [name]: step.endsWith("[]") ? [made] : made };
}

function read(kind: Kind, spec: Fields) {
  const objects = Object.entries({ ...base, [kind]: spec }).map(([kind, spec]) => ({
    apiVersion: "metallb.io/v1beta1",
    kind,
    metadata: { namespace: "n", name: kind === "AddressPool" ? "old" : "main", labels: { of: "main" } },
    spec: JSON.parse(JSON.stringify(spec)),
  }));
  const { config, problems } = parseCustomResources(liveText(objects.map(liveObjectText)));
  const plain = JSON.stringify(config, (_, value) => (value instanceof Map || value instanceof Set ? [...value] : value));
  return { plain, problems };
}

for (const kind of Object.keys(schemas) as Kind[]) {
  test(`${kind}: the base is a configuration`, () => {
    assert.deepEqual(
      read(kind, base[kind]).problems.filter(({ severity }) => severity === "error"),
      [],
    );
  });
  for (const path of leaves(schemas[kind]))
    test(`${kind}: ${path} counts, or is refused by its name`, () => {
      const given = values[kind][path];
      assert.ok(given !== undefined, "say in this test a value of it");
      const less = { ...base[kind], ...given.beside };
      const [before, after] = [read(kind, less), read(kind, withValue(less, path.split("."), given.value))];
      const field = path.split(/[.[]/, 1)[0] ?? "";
      const isReferred = kind === "Community" && after.problems.some(({ message }) => message.includes(kind));
      const isNamed =
        isReferred ||
        after.problems.some(
          ({ object, path, message }) =>
            object === `${kind} n/${kind === "AddressPool" ? "old" : "main"}` && `${path} ${message}`.includes(field),
        );
      const isRefused = after.problems.some(({ severity }) => severity === "error");
      if (isRefused) assert.ok(isNamed, JSON.stringify(after.problems));
      else assert.notEqual(after.plain, before.plain, JSON.stringify(after.problems));
    });
}
