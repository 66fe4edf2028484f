import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { Problems, parseConfig, parseManifest, readFields, readInput, type YamlNode } from "../../../pkg/config/index.ts";
import { limits } from "../../../pkg/config/limits.ts";
import { convert, liveObjectsIn, liveObjectText, liveText, parseConfiguration } from "../../../pkg/convert/index.ts";
import { type Bounds, octetsOf, type Target, textOf } from "../target.ts";
import { wordsIn } from "../words.ts";

const samples = new URL("../../../config-samples/", import.meta.url);
const manifests = readdirSync(samples)
  .filter((file) => file.endsWith(".yaml"))
  .map((file) => readFileSync(new URL(file, samples), "utf8"));
// Two to three times the cost of the costliest of `expensive`.
const bounds: Bounds = {
  work: 30_000,
  workPerOctet: 400,
  memory: 20, // A list of a thousand empty pools takes 35 MiB in all, most of it in messages.
  memoryPerOctet: 4_096,
  time: 50,
  timePerOctet: 0.05,
};
// Cost of a value that an alias or a merge key brings, as against one that is read from the text.
const octetsOfValue = 0.5;
const maxProblems = 101; // And one that says how many there are.

const words = [
  ...[
    "address-pools:",
    "- name: a",
    "protocol: layer2",
    "protocol: bgp",
    "addresses:",
    "- 192.0.2.0/24",
    "192.0.2.1-192.0.2.9",
    "2001:db8::/64",
  ],
  ...[
    "bgp-advertisements:",
    "aggregation-length: 24",
    "aggregation-length-v6: 64",
    "keep-more-specifics: true",
    "localpref: 100",
    "communities:",
    "- 65535:65281",
    "large:1:2:3",
  ],
  ...[
    "peers:",
    "peer-address: 10.0.0.1",
    "peer-asn: 64512",
    "my-asn: 64513",
    "hold-time: 90s",
    "node-selectors:",
    "match-labels:",
    "match-expressions:",
  ],
  ...[
    "operator: In",
    "values:",
    "bfd-profiles:",
    "bfd-profile: a",
    "bgp-communities:",
    "auto-assign: false",
    "avoid-buggy-ips: true",
    "interfaces:",
  ],
  ...[
    "l2-placement: sticky",
    "source-address: 10.0.0.2",
    "source-interface: eth1",
    "password: x",
    "&a",
    "*a",
    "<<: *a",
    "!!str ",
    "!!binary ",
    "? ",
    "| ",
    ">-",
    "'",
    '"',
    "---",
    "...",
    "%YAML 1.2",
  ],
  ...["{}", "[]", "null", "~", "true", "0x10", "1e9", ".inf", ".nan", "\t", "\r\n", "\ufeff", "\u2028", "#", ": ", "- - - "],
].map(octetsOf);
const read = wordsIn("pkg/config/**/*.ts");

/** Aliases and merge keys may stand for 150,000 values in a text of any length (`pkg/config/limits.ts`). */
function sizeOf(input: Uint8Array): number {
  const ofText = (text: string) => valuesIn(text, () => 0);
  return input.length + octetsOfValue * valuesIn(textOf(input), ofText); // A ConfigMap has a text inside.
}

/** Number of values of a text with aliases. @param ofText the number of values of a text inside it */
function valuesIn(text: string, ofText: (text: string) => number): number {
  if (!text.includes("*")) return 0;
  const count = (node: YamlNode): number => {
    if (node.kind === "scalar") return 1 + ofText(node.text);
    const inside = node.kind === "list" ? node.items : [...node.entries.values()].map(({ value }) => value);
    return inside.reduce((sum, each) => sum + count(each), 1);
  };
  const documents = parseManifest(text, new Problems());
  return documents?.reduce((sum, node) => sum + (node === undefined ? 0 : count(node)), 0) ?? limits.values;
}

const peer = "my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1";
const pool = "name: a, protocol: bgp, addresses: [192.0.2.0/24]";

/** Short texts that take long to check. */
const expensive = [
  `peers: [{${peer}, node-selectors: [&m {match-expressions: [&f {key: a, operator: In, values: [${"x,".repeat(30)}]}${", *f".repeat(20)}]}${", *m".repeat(20)}]}]`,
  `address-pools: [&p {${pool}, bgp-advertisements: [&a {localpref: 1}${", *a".repeat(200)}]}${", *p".repeat(50)}]`,
  `address-pools: [&p {name: a, protocol: layer2, addresses: [192.0.2.0/28${", 192.0.2.0/28".repeat(100)}]}${", *p".repeat(100)}]`,
  `address-pools:\n- &p {${Array.from({ length: 100 }, (_, index) => `k${index}: 1`).join(", ")}}\n${"- {<<: *p}\n".repeat(100)}`,
  `address-pools: [{${pool}, bgp-advertisements: [${"{}, ".repeat(1_200)}]}]`,
  `address-pools: [${"{}, ".repeat(1_200)}]`,
].map(octetsOf);

export const yaml: Target = {
  name: "yaml",
  maxLength: 6_000,
  seeds: [...manifests.flatMap((text) => readInput(text).text ?? []).map(octetsOf), ...expensive],
  words: [...words, ...read],
  isText: true,
  bounds,
  size: sizeOf,
  run: (input) => {
    const text = textOf(input);
    const { config, problems } = parseConfig(text);
    assert.ok(problems.length <= maxProblems);
    const lines = text.split(/\r\n|\r|\n/).length;
    for (const { line, column } of problems)
      assert.ok(line >= 1 && line <= lines && column >= 1, `a problem at line ${line}, column ${column}`);
    assert.equal(
      config === undefined,
      problems.some(({ severity }) => severity === "error"),
    );
    if (config !== undefined) readFields(text);
  },
};

export const manifest: Target = {
  name: "manifest",
  maxLength: 8_000,
  seeds: manifests.map(octetsOf),
  words: [
    ...words,
    ...read,
    ...[
      "apiVersion: v1",
      "kind: ConfigMap",
      "kind: List",
      "metadata:",
      "namespace: metallb-system",
      "data:",
      "config: |",
      "items:",
    ].map(octetsOf),
  ],
  isText: true,
  bounds,
  size: sizeOf,
  run: (input) => {
    const { config, problems } = readInput(textOf(input));
    assert.equal(
      config === undefined,
      problems.some(({ severity }) => severity === "error"),
    );
  },
};

const metallb = `apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: a, namespace: metallb-system, labels: {for: lan}}
spec: {addresses: [192.0.2.0/28, "2001:db8::/112"], autoAssign: false, avoidBuggyIPs: true, serviceAllocation: {priority: 1, namespaces: [web], serviceSelectors: [{matchLabels: {a: b}}]}}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: l2, namespace: metallb-system}
spec: {ipAddressPoolSelectors: [{matchLabels: {for: lan}}], interfaces: [eth0], nodeSelectors: [{matchExpressions: [{key: rack, operator: NotIn, values: [a, b]}]}]}
---
apiVersion: metallb.io/v1beta1
kind: BGPAdvertisement
metadata: {name: bgp, namespace: metallb-system}
spec: {ipAddressPools: [b], aggregationLength: 24, aggregationLengthV6: 64, localPref: 100, communities: [one, "65535:65281"], peers: [tor]}
---
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: b, namespace: metallb-system}
spec: {addresses: [198.51.100.0/24]}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: tor, namespace: metallb-system}
spec: {myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, holdTime: 90s, keepaliveTime: 30s, bfdProfile: fast, ebgpMultiHop: true, passwordSecret: {name: s}, nodeSelectors: [{matchLabels: {rack: a}}]}
---
apiVersion: metallb.io/v1beta1
kind: BFDProfile
metadata: {name: fast, namespace: metallb-system}
spec: {receiveInterval: 50, transmitInterval: 50, detectMultiplier: 3, echoMode: true, minimumTtl: 254}
---
apiVersion: metallb.io/v1beta1
kind: Community
metadata: {name: c, namespace: metallb-system}
spec: {communities: [{name: one, value: "64512:1"}]}
`;
const openelb = `apiVersion: network.kubesphere.io/v1alpha2
kind: Eip
metadata: {name: lan, annotations: {eip.openelb.kubesphere.io/is-default-eip: "true"}}
spec: {address: 192.0.2.10-192.0.2.20, protocol: layer2, interface: eth0, priority: 1, disable: false}
---
apiVersion: network.kubesphere.io/v1alpha2
kind: BgpConf
metadata: {name: default}
spec: {as: 65001, routerId: 10.0.0.1, listenPort: 179}
---
apiVersion: network.kubesphere.io/v1alpha2
kind: BgpPeer
metadata: {name: tor}
spec: {conf: {peerAs: 65002, neighborAddress: 192.0.2.1}, timers: {config: {holdTime: "30"}}, afiSafis: [{config: {family: {afi: AFI_IP, safi: SAFI_UNICAST}, enabled: true}}], nodeSelector: {matchLabels: {a: b}}}
`;
const purelb = `apiVersion: purelb.io/v1
kind: List
items:
- apiVersion: purelb.io/v1
  kind: ServiceGroup
  metadata: {name: default, namespace: purelb}
  spec: {local: {v4pool: {subnet: 192.0.2.0/24, pool: 192.0.2.10-192.0.2.20, aggregation: default}, v6pools: [{subnet: "2001:db8::/64", pool: "2001:db8::/120", aggregation: /128}]}}
- apiVersion: purelb.io/v1
  kind: LBNodeAgent
  metadata: {name: default, namespace: purelb}
  spec: {local: {localint: default}}
`;

/** `ingotctl convert`, either way. */
export const converter: Target = {
  name: "convert",
  maxLength: 8_000,
  seeds: [metallb, openelb, purelb, ...manifests].map(octetsOf),
  words: [
    ...words,
    ...wordsIn("pkg/convert/**/*.ts"),
    ...[
      "kind: IPAddressPool",
      "kind: L2Advertisement",
      "kind: BGPPeer",
      "kind: BGPAdvertisement",
      "kind: ServiceGroup",
      "kind: Eip",
      "kind: BgpPeer",
      "kind: List",
    ].map(octetsOf),
    ...[
      "apiVersion: metallb.io/v1beta1",
      "apiVersion: purelb.io/v1",
      "apiVersion: network.kubesphere.io/v1alpha2",
      "matchExpressions:",
      "spec: {}",
      "/128",
      "/0",
      "-1",
    ].map(octetsOf),
  ],
  isText: true,
  bounds: { ...bounds, workPerOctet: 150 },
  size: sizeOf,
  run: (input) => {
    const { text, problems } = convert([{ name: "in.yaml", text: textOf(input) }], { namespace: undefined, prefer: undefined });
    assert.equal(
      text === undefined,
      problems.some(({ severity }) => severity === "error"),
    );
  },
};

/** MetalLB's custom resources of any shape, as a live source. */
export const customResources: Target = {
  ...converter,
  name: "custom-resources",
  seeds: [metallb].map(octetsOf),
  // Each object is written again, and then the configuration of all.
  bounds: { ...bounds, workPerOctet: 600 },
  run: (input) => {
    const objects = objectsIn(textOf(input));
    if (objects === undefined) return;
    const texts = objects.map(liveObjectText);
    const { config, problems } = parseConfiguration(liveText(texts));
    assert.equal(
      config === undefined,
      problems.some(({ severity }) => severity === "error"),
    );
    assert.deepEqual(parseConfiguration(liveText(texts.toReversed())).config, config);
  },
};

function objectsIn(text: string): ReturnType<typeof liveObjectsIn> | undefined {
  try {
    return liveObjectsIn(text, "n");
  } catch {
    return undefined; // No YAML: the API has no such object.
  }
}
