import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { atOnce } from "#pkg/clock";
import { classlessOnly } from "#pkg/service";
import { type Fields, fields } from "#pkg/untrusted";
import { nodesOf, projectMeta, resources, servicesOf } from "./resources.ts";
import { parseInSteps, parseJson } from "./untrusted.ts";

const padding = "x".repeat(70_000);
const map = (keys: number) => Object.fromEntries(Array.from({ length: keys }, (_, i) => [`key-${i}`, `value-${i}`]));

test("a selector of more than 64 KiB becomes a digest, the same however long the rest of the object is", () => {
  const selector = map(20_000);
  const sha256 = createHash("sha256").update(JSON.stringify(selector)).digest("hex");
  for (const more of [{}, { other: { padding } }]) {
    const read = parseJson(JSON.stringify({ metadata: more, spec: { selector, type: "LoadBalancer" } }));
    assert.deepEqual(read, { metadata: more, spec: { selector: { sha256 }, type: "LoadBalancer" } });
  }
});

test("of labels of more than 64 KiB it is left that they are not known, and shorter maps stay as they are, however long the object is", () => {
  const short = { app: "web" };
  assert.deepEqual(parseJson(JSON.stringify({ labels: map(20_000), selector: short, padding })), {
    labels: null,
    selector: short,
    padding,
  });
  assert.deepEqual(parseJson(JSON.stringify({ labels: short, padding })), { labels: short, padding });
  const ofNode = { labels: map(20_000) }; // They decide whether it may announce.
  assert.deepEqual(parseJson(JSON.stringify(ofNode), nodesOf("n1").annotations), ofNode);
});

const sorted = (texts: Readonly<Record<string, string>>) => Object.fromEntries(Object.entries(texts).sort());

test("annotations that are read are kept of more than 64 KiB of annotations, whatever the others look like", () => {
  const name = "metallb.universe.tf/address-pool";
  const read = { [name]: `a"}\\","b":{"`, "ingot.dev/allow-renumber": "", "flannel.alpha.coreos.com/public-ip": "192.0.2.1" };
  const others = { ...map(20_000), deceit: `,"${name}":"x"`, end: "\\" };
  const objects = [{ ...others, ...read }, { ...read, ...others }, others, read].map((annotations) => ({
    metadata: { annotations },
  }));
  const left = parseJson(JSON.stringify(objects)) as typeof objects;
  const texts = left.map(({ metadata }) => JSON.stringify(sorted(metadata.annotations)).slice(0, 1_000)); // To be shown where they differ.
  assert.deepEqual(
    texts,
    [read, read, {}, read].map((annotations) => JSON.stringify(sorted(annotations))),
  );
  const asked = { "key-1": "value-1", end: "\\" };
  assert.deepEqual(parseJson(JSON.stringify(objects[2]), new Set(["key-1", "end", "none"])), {
    metadata: { annotations: asked },
  });
  assert.deepEqual(parseJson(JSON.stringify(objects[2]), "all"), objects[2]);
});

test("nothing is kept of lists above 64 KiB that nobody asks for", () => {
  const texts = Array.from({ length: 10_000 }, (_, i) => `a/${i}`);
  const read = parseJson(
    JSON.stringify({
      metadata: { finalizers: texts, ownerReferences: texts.map((name) => ({ name })) },
      spec: { loadBalancerSourceRanges: texts, externalIPs: texts, other: texts },
      short: { finalizers: ["a/b"] },
    }),
  );
  assert.deepEqual(read, {
    metadata: { finalizers: [], ownerReferences: [] },
    spec: { loadBalancerSourceRanges: [0], externalIPs: [], other: texts },
    short: { finalizers: ["a/b"] },
  });
});

test("a Service with tens of thousands of ports keeps one more than it may have", () => {
  const ports = Array.from({ length: 60_000 }, (_, i) => ({ name: `p${i}`, port: i + 1 }));
  assert.deepEqual(parseJson(JSON.stringify({ spec: { ports, type: "LoadBalancer" } })), {
    spec: { ports: ports.slice(0, 1_001), type: "LoadBalancer" },
  });
});

test("a long map that is none of texts is left out as a whole, so that what is left is JSON", () => {
  const matchLabels = map(5_000);
  const read = parseJson(
    JSON.stringify({ selector: { matchLabels, matchExpressions: [{ key: "}" }] }, labels: { matchLabels }, end: 1 }),
  );
  assert.deepEqual(Object.keys(fields(fields(read).selector)), ["sha256"]);
  assert.deepEqual({ ...fields(read), selector: undefined }, { selector: undefined, labels: null, end: 1 });
});

/** The kept form; any digest of a selector is as good as another. */
function kept(raw: unknown): unknown {
  const meta = projectMeta(raw);
  if (meta === undefined) return undefined;
  const service = servicesOf(classlessOnly, "labels").project(fields(raw), meta);
  const selector = service.selector.sha256 === undefined ? service.selector : "digest";
  return [
    { ...service, selector },
    resources.nodes.project(fields(raw), meta).taints,
    resources.configMaps.project(fields(raw), meta),
  ];
}

const deceits = [
  '"labels":{',
  '"selector":{',
  '"annotations":{',
  '"finalizers":[',
  '"items":[',
  '"ports":[{',
  "\\",
  '\\"',
  "}",
  "]",
];
const names = ["labels", "selector", "annotations", "finalizers", "managedFields", "ports", "items"];
const sizes = [0, 1, 3, 70_000];

/** Maps with one text, or many short ones, that make the whole long. */
function anyTexts(name: fc.Arbitrary<string>): fc.Arbitrary<Fields> {
  const value = fc.oneof(fc.string(), fc.constantFrom(...deceits, ...names));
  return fc
    .tuple(fc.dictionary(name, value, { maxKeys: 6, noNullPrototype: true }), fc.constantFrom(...sizes), fc.boolean())
    .map(([texts, size, isOneText]) => ({
      ...texts,
      ...(isOneText
        ? { zz: '\\"x'.repeat(size / 4) }
        : Object.fromEntries(Array.from({ length: size / 14 }, (_, i) => [`zz-${i}`, "y"]))),
    }));
}

const anyName = fc.oneof(fc.stringMatching(/^[a-z0-9A-Z][-._a-z0-9/]{0,12}$/), fc.constantFrom(...names, "1", "02"));
const read = fc.constantFrom("metallb.universe.tf/address-pool", "ingot.dev/addresses", "ingot.dev/allow-renumber");
const anyObject = fc.record({
  metadata: fc.record({
    name: anyName,
    namespace: anyName,
    uid: fc.constant("u"),
    resourceVersion: fc.constant("1"),
    labels: anyTexts(anyName),
    annotations: anyTexts(fc.oneof(anyName, read)),
    finalizers: fc.array(fc.constantFrom(...deceits)),
    managedFields: fc.array(fc.record({ fieldsV1: fc.dictionary(fc.constantFrom("f:labels", ...deceits), fc.constant({})) })),
  }),
  spec: fc.record({
    type: fc.constant("LoadBalancer"),
    selector: anyTexts(anyName),
    ports: fc
      .tuple(fc.constantFrom(...sizes), fc.constantFrom(...deceits))
      .map(([size, name]) => Array.from({ length: size / 30 }, (_, i) => ({ name, port: i }))),
    taints: fc.array(fc.record({ key: fc.constantFrom(...deceits) })),
  }),
  data: fc.dictionary(anyName, fc.constantFrom(...deceits)),
});

test("of any object that the API takes, however long its parts are, is kept what is kept of the whole", () => {
  fc.assert(
    fc.property(anyObject, (object) => {
      const json = JSON.stringify(object);
      assert.deepEqual(kept(parseJson(json)), kept(JSON.parse(json)));
    }),
    { numRuns: 60 },
  );
});

test("a page is read one object after another, with the same result as the whole", () => {
  fc.assert(
    fc.property(fc.array(anyObject, { maxLength: 4 }), anyTexts(anyName), (objects, metadata) => {
      const json = JSON.stringify({ kind: "List", metadata, items: [...objects, {}, {}], end: "]" });
      const steps = parseInSteps(json);
      const page = fields(atOnce(steps));
      assert.deepEqual({ ...page, items: undefined }, { kind: "List", metadata, items: undefined, end: "]" });
      assert.deepEqual(
        (page.items as unknown[]).map(kept),
        [...objects, {}, {}].map((object) => kept(JSON.parse(JSON.stringify(object)))),
      );
    }),
    { numRuns: 30 },
  );
  const steps = parseInSteps(JSON.stringify({ items: [{ padding }, { padding }, {}] }));
  assert.equal([...steps].length, 3);
});

test("what only looks like a page is read as what it is", () => {
  const texts = [
    { metadata: { items: [{ a: 1 }] }, padding },
    { metadata: { items: [{ a: 1 }] }, items: [{ b: 1 }], padding },
    { metadata: { items: [] }, items: [], padding },
    { items: [{ a: 1 }, "b", { c: 1 }], padding },
    { items: [[{ a: 1 }]], padding },
    [{ items: [{ a: 1 }], padding }],
  ].map((value) => JSON.stringify(value));
  for (const text of [...texts, JSON.stringify({ items: [{ a: 1 }], padding }, null, 1)])
    assert.deepEqual(atOnce(parseInSteps(text)), JSON.parse(text));
  for (const text of [
    '{"items":[{"a":1}',
    '{"items":[{"a":1},]',
    '{"items":[{"a"}]}',
    '{"items":[{"a":1}{"a":1}]}',
    '{"items":[{"a":1},]}',
  ])
    assert.equal(atOnce(parseInSteps(text.replace("{", `{"padding":"${padding}",`))) === undefined, true, text);
});

test("a long document is read as it is, but for managedFields, whatever their keys are and whatever looks like them in texts", () => {
  const anyText = fc.oneof(fc.string(), fc.constantFrom('"managedFields":[', '"selector":{', '"labels":{', "\\", '"', "]", "}"));
  const anyValue = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, anyText, fc.integer(), tie("list"), tie("object")),
    list: fc.array(tie("value"), { maxLength: 4 }),
    object: fc.dictionary(anyText, tie("value"), { maxKeys: 4, noNullPrototype: true }),
  })).value;
  fc.assert(
    fc.property(anyValue, fc.array(anyValue, { maxLength: 3 }), anyValue, (before, managedFields, after) => {
      const read = parseJson(JSON.stringify({ before, managedFields, after, padding }));
      assert.deepEqual(read, JSON.parse(JSON.stringify({ before, managedFields: [], after, padding })));
    }),
  );
});

test("what is no JSON is undefined, also where it is long and ends within a value that is left out", () => {
  for (const text of ["", "{", `{"managedFields":[${padding}`, `{"selector":{${padding}`, `${padding}"labels":{}`])
    assert.equal(parseJson(text), undefined);
});
