import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { dump } from "js-yaml";
import { formatProblem } from "./index.ts";
import { readInput } from "./manifest.ts";
import { parseConfig } from "./parse.ts";

const header = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: config\n  namespace: metallb-system\n";
const problemsOf = (text: string) => readInput(text).problems.map(formatProblem);
const nope = 'unknown field "nope"; the fields here are address-pools, quotas, peers, failover, bgp-communities, bfd-profiles';

test("readInput: bare text is read like parseConfig", () => {
  const { config, configMap } = readInput("address-pools:\n- {name: a, protocol: layer2, addresses: [192.0.2.0/24]}\n");
  assert.equal(config?.pools[0]?.name, "a");
  assert.equal(configMap, undefined);
});

test("readInput: of bare text only the first document counts, also where another one is not valid YAML", () => {
  const text = "address-pools:\n- {name: a, protocol: layer2, addresses: [192.0.2.0/24]}\n---\na: [\n";
  assert.equal(readInput(text).config?.pools[0]?.name, "a");
  assert.deepEqual(problemsOf(text), parseConfig(text).problems.map(formatProblem));
  for (const broken of [`${header}data: {config: ""}\n---\na: [\n`, "a: [\n---\nb: 1\n"])
    assert.equal(readInput(broken).config, undefined, broken);
});

test("readInput: where a configuration asks for labels of namespaces is known, also inside a ConfigMap", () => {
  const text =
    "address-pools:\n- name: a\n  protocol: layer2\n  addresses: [192.0.2.0/24]\n  sharing: cluster\n  namespace-selectors: [{}]\n";
  const place = { path: "address-pools[0].namespace-selectors", column: 3 };
  assert.deepEqual(readInput(text).namespaceLabels, { ...place, line: 6 });
  const manifest = `${header}data:\n  config: |\n    ${text.replaceAll("\n", "\n    ")}`;
  assert.deepEqual(readInput(manifest).namespaceLabels, { ...place, line: 13, column: 7 });
  assert.equal(readInput(`${text}- {}\n`).namespaceLabels, undefined);
});

const manifests: { name: string; text: string; key?: string; warns?: string[] }[] = [
  { name: "a ConfigMap", text: `${header}data:\n  config: |\n    peers: []\n` },
  {
    name: "JSON, as kubectl prints it",
    text: JSON.stringify(
      {
        apiVersion: "v1",
        data: { config: "peers: []\n" },
        kind: "ConfigMap",
        metadata: { name: "config", namespace: "metallb-system" },
      },
      null,
      4,
    ),
  },
  {
    name: "a ConfigMap among other documents",
    text: `kind: Namespace\nmetadata:\n  name: x\n---\n${header}data:\n  config: ""\n---\n---\nkind: Secret\ndata: {a: b}\n`,
  },
  {
    name: "the ConfigMap with the key config among several",
    text: `kind: ConfigMap\ndata: {other: x}\n---\n${header}data: {config: "", more: y}\n`,
  },
  {
    name: "the ConfigMap in a List, as kubectl prints several",
    text: JSON.stringify({
      apiVersion: "v1",
      kind: "List",
      items: [
        { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "kube-root-ca.crt" }, data: { "ca.crt": "x" } },
        {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { name: "config", namespace: "metallb-system" },
          data: { config: "peers: []\n" },
        },
      ],
    }),
  },
  {
    name: "a ConfigMap with one other key",
    text: `${header}data:\n  config.yaml: ""\n`,
    key: "config.yaml",
    warns: ['7:3: warning: the controller and the speakers read the key "config", not "config.yaml"'],
  },
];
for (const { name, text, key = "config", warns = [] } of manifests) {
  test(`readInput: finds ${name}`, () => {
    const { config, problems, configMap } = readInput(text);
    assert.deepEqual(problems.map(formatProblem), warns);
    assert.deepEqual(config, { pools: [], quotas: [], peers: [], bfdProfiles: new Map() });
    assert.deepEqual(configMap, { namespace: "metallb-system", name: "config", key });
  });
}

const placed: { name: string; text: string; want: string[] }[] = [
  {
    name: "a literal block",
    text: `${header}data:\n  config: |\n    # first\n\n    peers: []\n    nope: 1\n`,
    want: [`11:5: error: nope: ${nope}`],
  },
  {
    name: "a literal block with more indentation than it needs",
    text: `${header}data:\n  config: |2-\n      peers: []\n      nope: 1\n`,
    want: [`9:7: error: nope: ${nope}`],
  },
  {
    name: "a literal block with carriage returns",
    text: `${header}data:\n  config: |\n    peers: []\n    nope: 1\n`.replaceAll("\n", "\r\n"),
    want: [`9:5: error: nope: ${nope}`],
  },
  {
    name: "a folded block",
    text: `${header}data:\n  config: >\n    peers: []\n\n    bfd-profiles:\n    []\n\n    nope:\n     1\n`,
    want: [`13:5: error: nope: ${nope}`],
  },
  {
    name: "a double-quoted text",
    text: `${header}data:\n  config: "peers: []\\n\\\n    \\u0062fd-profiles: []\\n\\x6eope: 1\\n"\n`,
    want: [`8:28: error: nope: ${nope}`],
  },
  {
    name: "a double-quoted text that is folded",
    text: `${header}data:\n  config: "peers: []\n\n    nope:   \n    1"\n`,
    want: [`9:5: error: nope: ${nope}`],
  },
  {
    name: "a double-quoted text with a character beyond 16 bits",
    text: `${header}data:\n  config: "{\\U0001F600: 1, nope: 2}"\n`,
    want: [`7:13: error: ["😀"]: ${nope.replace("nope", "😀")}`, `7:28: error: nope: ${nope}`],
  },
  {
    name: "a single-quoted text",
    text: `${header}data:\n  config: 'bgp-communities: {''a'': "1:2"}\n\n    nope: ''1'''\n`,
    want: [`9:5: error: nope: ${nope}`],
  },
  {
    name: "a plain text",
    text: `${header}data:\n  config:\n    nope\n`,
    want: ['8:5: error: must be a mapping, but is the text "nope"'],
  },
  {
    name: "JSON on one line",
    text: `{"kind":"ConfigMap","data":{"config":"peers: []\\nnope: 1\\n"}}`,
    want: [`1:50: error: nope: ${nope}`],
  },
  {
    name: "YAML that cannot be read inside",
    text: `${header}data:\n  config: |\n    peers:\n    \t- a\n`,
    want: ["9:5: error: not valid YAML: tab characters must not be used in indentation"],
  },
  {
    name: "a text without an end inside",
    text: `${header}data:\n  config: |-\n    peers: [\n`,
    want: ["8:13: error: not valid YAML: unexpected end of the stream within a flow collection"],
  },
];
for (const { name, text, want } of placed)
  test(`readInput: problems keep their place in ${name}`, () => assert.deepEqual(problemsOf(text), want));

const refused: { name: string; text: string; want: string[] }[] = [
  {
    name: "no ConfigMap among the manifests",
    text: "kind: List\nitems: []\n---\nkind: Pod\n",
    want: ['1:1: error: a manifest has to hold a ConfigMap with the key "config" under "data"; found kinds: "List", "Pod"'],
  },
  {
    name: "a ConfigMap without data",
    text: header,
    want: ['1:1: error: a manifest has to hold a ConfigMap with the key "config" under "data"; found kinds: "ConfigMap"'],
  },
  {
    name: "a ConfigMap with several other keys",
    text: `${header}data: {a: x, b: y}\n`,
    want: ['1:1: error: a manifest has to hold a ConfigMap with the key "config" under "data"; found kinds: "ConfigMap"'],
  },
  {
    name: "two ConfigMaps",
    text: `${header}data: {config: ""}\n---\n${header}data: {config: ""}\n`,
    want: ["8:1: error: this is the second ConfigMap with a configuration; which one is meant?"],
  },
  {
    name: "a configuration that is not text",
    text: `${header}data:\n  config:\n    peers: []\n`,
    want: ['7:3: error: the value of "config" has to be text; put a "|" after the colon'],
  },
  {
    name: "a configuration that is nothing",
    text: `${header}data:\n  config:\n`,
    want: ['7:3: error: the value of "config" has to be text; put a "|" after the colon'],
  },
  {
    name: "a key set twice in the manifest",
    text: `${header}data: {config: ""}\nkind: ConfigMap\n`,
    want: ['7:1: error: kind: "kind" is already set above'],
  },
  {
    name: "a manifest that is not YAML",
    text: "kind: ConfigMap\n data:\n",
    want: ["2:6: error: not valid YAML: bad indentation of a mapping entry"],
  },
];
for (const { name, text, want } of refused) {
  test(`readInput refuses: ${name}`, () => {
    assert.deepEqual(problemsOf(text), want);
    assert.equal(readInput(text).config, undefined);
  });
}

test("readInput: however a text is written into the manifest, a problem points at its first character", () => {
  const line = fc.constantFrom(
    "# comment",
    '# it\'s "quoted" \\ text',
    "",
    "peers: []  # x",
    "bfd-profiles: [ ]",
    "   ",
    "#\ttab",
    "# é😀",
  );
  const before = fc.uniqueArray(line, { maxLength: 6 });
  const style = fc.record({
    lineWidth: fc.constantFrom(-1, 20),
    forceQuotes: fc.boolean(),
    quoteStyle: fc.constantFrom("single" as const, "double" as const),
    indent: fc.constantFrom(2, 4),
  });
  fc.assert(
    fc.property(before, style, (lines, style) => {
      const text = [...lines, "nope: 1", ""].join("\n");
      const manifest = dump({ kind: "ConfigMap", data: { config: text } }, style);
      const { problems } = readInput(manifest);
      const found = problems.find(({ path }) => path === "nope");
      assert.ok(found, manifest);
      const [at] = (manifest.split("\n")[found.line - 1] ?? "").slice(found.column - 1).split(":");
      assert.equal(at, "nope", manifest);
    }),
  );
});
