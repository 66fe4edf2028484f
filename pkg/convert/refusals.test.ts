import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readInput } from "#pkg/config";
import { type ConvertOptions, convert } from "./convert.ts";
import { converted, l2, metallb, noOptions, pool } from "./testing/converted.ts";

const refused: { name: string; text: string; options?: Partial<ConvertOptions>; problem: RegExp }[] = [
  { name: "nothing at all", text: "", problem: /^in\.yaml:1:1: error: there is nothing to convert; found kinds: none$/ },
  {
    name: "objects of another kind",
    text: "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n",
    problem: /nothing to convert; found kinds: "Pod"$/,
  },
  {
    name: "a ConfigMap for MetalLB's FRR alone",
    text: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bgpextras}\ndata: {extras: router bgp 64512}\n",
    problem: /nothing to convert; found kinds: "ConfigMap"$/,
  },
  { name: "what is no object", text: "- 1\n- kind: Pod\n", problem: /^in\.yaml:1:1: error: must be an object of Kubernetes/ },
  { name: "text that is no YAML", text: "kind: [\n", problem: /^in\.yaml:\d+:\d+: error: not valid YAML/ },
  {
    name: "an object without a name",
    text: `${pool("a", "192.0.2.0/28")}---\napiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {}\n`,
    problem: /^in\.yaml:9:11: error: required, but missing$/,
  },
  {
    name: "a number that is text",
    text: metallb("BGPPeer", "a", "{myASN: '64512', peerASN: 1, peerAddress: ::1}"),
    problem: /^in\.yaml:5:15: error: must be a whole number from 0 to 4294967295, but is "64512"$/,
  },
  {
    name: "a value beyond its range",
    text: metallb("BFDProfile", "a", "{detectMultiplier: 1}"),
    problem: /^in\.yaml:5:26: error: must be a whole number from 2 to 255, but is "1"$/,
  },
  {
    name: "a peer without AS number",
    text: metallb("BGPPeer", "a", "{myASN: 1, peerAddress: ::1}"),
    problem: /^in\.yaml:5:7: error: BGPPeer "a": needs a peerASN or a dynamicASN$/,
  },
  {
    name: "a peer's address that is none",
    text: metallb("BGPPeer", "a", "{myASN: 1, peerASN: 1, peerAddress: x}"),
    problem: /must be an IP address, but is "x"$/,
  },
  {
    name: "two of one name",
    text: `${pool("a", "192.0.2.0/28")}${pool("a", "192.0.2.16/28")}`,
    problem: /^in\.yaml:9:18: error: IPAddressPool "a": there is another one/,
  },
  {
    name: "a community twice",
    text: metallb("Community", "c", "{communities: [{name: a, value: '1:1'}, {name: a, value: '1:2'}]}"),
    problem: /there is another community "a"$/,
  },
  {
    name: "objects of several namespaces",
    text: `${pool("a", "192.0.2.0/28")}${pool("b", "192.0.2.16/28").replace("metallb-system", "other")}`,
    problem: /in several namespaces, "metallb-system", "other"; choose one with --namespace$/,
  },
  {
    name: "objects of PureLB in several namespaces, of which its releases read all or one",
    text: ["stray", "purelb"]
      .map(
        (namespace, index) =>
          `---\napiVersion: purelb.io/v2\nkind: ServiceGroup\nmetadata: {name: ${namespace}, namespace: ${namespace}}\nspec: {remote: {v4pool: {pool: 192.0.${index}.0/28, subnet: 192.0.${index}.0/24, aggregation: /32}}}\n`,
      )
      .join(""),
    problem: /in several namespaces, "stray", "purelb"; choose one with --namespace$/,
  },
  {
    name: "objects of several load balancers",
    text: `${pool("a", "192.0.2.0/28")}---\napiVersion: purelb.io/v1\nkind: ServiceGroup\nmetadata: {name: a}\n`,
    problem: /of MetalLB's custom resources and of PureLB's/,
  },
  {
    name: "what our own parser refuses",
    text: `${pool("a", "192.0.2.0/28")}${pool("b", "192.0.2.0/24")}${l2}`,
    problem: /^<result>:\d+:\d+: error: .* shares addresses with/,
  },
  {
    name: "a ConfigMap that is not valid",
    text: "address-pools: [{name: a}]\n",
    problem: /^in\.yaml:1:17: error: required, but missing$/,
  },
];
for (const { name, text, options, problem } of refused) {
  test(`refused, with its place: ${name}`, () => {
    const result = converted(text, options);
    assert.equal(result.text, undefined);
    assert.ok(
      result.problems.some((found) => problem.test(found)),
      JSON.stringify(result.problems),
    );
  });
}

test("of several namespaces one is chosen", () => {
  const text = `${pool("a", "192.0.2.0/28")}${pool("b", "192.0.2.16/28").replace("metallb-system", "other")}${l2}`;
  const { text: made, notes } = converted(text, { namespace: "metallb-system" });
  assert.deepEqual(
    readInput(made ?? "").config?.pools.map(({ name }) => name),
    ["a"],
  );
  assert.ok(notes.some((note) => note.startsWith("1 objects are in other namespaces")));
});

test("a configuration may be in several files", () => {
  const sources = [pool("a", "192.0.2.0/28"), l2].map((text, index) => ({ name: `${index}.yaml`, text }));
  const { text } = convert(sources, noOptions);
  assert.deepEqual(readInput(text ?? "").config?.pools[0]?.protocols, ["layer2"]);
});

test("of several files the one with the configuration counts, and two of them are refused", () => {
  const configMap = (name: string, data: string) => ({
    name: `${name}.yaml`,
    text: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}\ndata: ${data}\n`,
  });
  const lan = (address: string) => `{config: "address-pools: [{name: lan, protocol: layer2, addresses: [${address}]}]"}`;
  const [other, one, two] = [
    configMap("kube-root-ca.crt", "{ca.crt: x}"),
    configMap("one", lan("192.0.2.0/24")),
    configMap("two", lan("198.51.100.0/24")),
  ];
  assert.match(convert([other, one], noOptions).text ?? "", /- 192\.0\.2\.0\/24/);
  const { text, problems } = convert([one, two], noOptions);
  assert.equal(text, undefined);
  assert.deepEqual(
    problems.map(({ source, message }) => `${source}: ${message}`),
    ['two.yaml: ConfigMap "two": this is the second ConfigMap with a configuration; which one is meant?'],
  );
});

const kinds = [
  "IPAddressPool",
  "L2Advertisement",
  "BGPAdvertisement",
  "BGPPeer",
  "BFDProfile",
  "Community",
  "AddressPool",
  "Eip",
  "BgpPeer",
  "ServiceGroup",
  "ConfigMap",
  "List",
  "",
];
const groups = ["metallb.io/v1beta1", "metallb.io/v1beta2", "network.kubesphere.io/v1alpha2", "purelb.io/v1", "v1", ""];
const words = [
  "addresses",
  "myASN",
  "peerASN",
  "peerAddress",
  "nodeSelectors",
  "matchLabels",
  "matchExpressions",
  "ipAddressPools",
  "peers",
  "communities",
  "local",
  "remote",
  "v4pool",
  "conf",
  "neighborAddress",
  "address",
  "config",
  "items",
  "serviceAllocation",
  "__proto__",
];

test("whatever the objects hold: an answer, with every problem at a place in the text", () => {
  const leaf = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.constantFrom("192.0.2.0/24", "::1", "64512:1", "In", "a", "90s"),
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      leaf,
      fc.array(tie("value"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...words), tie("value"), { maxKeys: 4 }),
    ),
  }));
  const object = fc.record(
    {
      apiVersion: fc.constantFrom(...groups),
      kind: fc.constantFrom(...kinds),
      metadata: fc.oneof(fc.record({ name: fc.string() }), value),
      spec: value,
      data: value,
      items: value,
    },
    { requiredKeys: ["apiVersion", "kind"] },
  );
  fc.assert(
    fc.property(fc.array(object, { maxLength: 4 }), (objects) =>
      check(objects.map((one) => JSON.stringify(one)).join("\n---\n")),
    ),
    { numRuns: 500 },
  );
});

test("whatever the text: an answer, with every problem at a place in the text", () => {
  const piece = fc.oneof(
    fc.constantFrom("\n", "\n  ", "\n- ", ": ", "[", "]", "{", "}", "&a ", "*a", "---\n", "'", '"', "|\n ", "<<: "),
    fc.constantFrom(...words, ...kinds, "kind", "spec", "metadata", "name"),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => check(pieces.join(""))),
    { numRuns: 1000 },
  );
});

function check(text: string): void {
  const { text: made, problems } = convert([{ name: "in", text }], noOptions);
  assert.equal(
    made === undefined,
    problems.some(({ severity }) => severity === "error"),
  );
  const lines = text.split(/\r\n|\n|\r/);
  for (const { source, line, column } of problems.filter((problem) => problem.source === "in")) {
    const length = lines[line - 1]?.length;
    assert.ok(length !== undefined && column >= 1 && column <= length + 2, `${source}:${line}:${column}`);
  }
}
