import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { parseJson } from "./untrusted.ts";

const padding = "x".repeat(70_000);
const map = (keys: number) => Object.fromEntries(Array.from({ length: keys }, (_, i) => [`key-${i}`, `value-${i}`]));

test("of a selector of more than 64 KiB a digest is left, the same however long the rest of the object is", () => {
  const selector = map(20_000);
  const sha256 = createHash("sha256").update(JSON.stringify(selector)).digest("hex");
  for (const more of [{}, { other: { padding } }]) {
    const read = parseJson(JSON.stringify({ metadata: more, spec: { selector, type: "LoadBalancer" } }));
    assert.deepEqual(read, { metadata: more, spec: { selector: { sha256 }, type: "LoadBalancer" } });
  }
});

test("of labels of more than 64 KiB nothing is left, and shorter maps stay as they are, however long the object is", () => {
  const short = { app: "web" };
  assert.deepEqual(parseJson(JSON.stringify({ labels: map(20_000), selector: short, padding })), {
    labels: {},
    selector: short,
    padding,
  });
  assert.deepEqual(parseJson(JSON.stringify({ labels: short, padding })), { labels: short, padding });
});

const sorted = (texts: Readonly<Record<string, string>>) => Object.fromEntries(Object.entries(texts).sort());

test("of annotations above 64 KiB those that are read are left, whatever others look like", () => {
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
});

test("of lists above 64 KiB that nobody asks for nothing is left", () => {
  const texts = Array.from({ length: 10_000 }, (_, i) => `a/${i}`);
  const read = parseJson(
    JSON.stringify({
      metadata: { finalizers: texts },
      spec: { loadBalancerSourceRanges: texts, externalIPs: texts, other: texts },
      short: { finalizers: ["a/b"] },
    }),
  );
  assert.deepEqual(read, {
    metadata: { finalizers: [] },
    spec: { loadBalancerSourceRanges: [], externalIPs: [], other: texts },
    short: { finalizers: ["a/b"] },
  });
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
