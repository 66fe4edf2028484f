import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { loadAll } from "js-yaml";
import { converted, metallb, pool } from "./testing/converted.ts";

test("every ConfigMap that is a sample becomes custom resources that MetalLB's schemas allow", () => {
  for (const name of [
    "bgp",
    "bgp-policy",
    "dual-stack",
    "layer2",
    "nodes-and-interfaces",
    "placement",
    "several-pools",
    "sharing",
  ]) {
    const text = readFileSync(new URL(`../../config-samples/${name}.yaml`, import.meta.url), "utf8");
    const { text: made, problems } = converted(text);
    assert.deepEqual(problems, [], name);
    assert.ok(loadAll(made ?? "").length > 0, name);
  }
});

const lost = `peers:
- {name: A_b, my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, passive: true, bfd-strict: true, bfd-profile: Fast, ttl-security: 1, password-secret: {name: s, key: k}}
- {name: off, my-asn: 3, peer-asn: 2, peer-address: 192.0.2.2, disabled: true}
- {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.3, peer-port: 20000}
bfd-profiles: [{name: Fast}]
address-pools:
- {name: a_b, protocol: layer2, addresses: [192.0.2.0/28], interfaces: ["eth*"], l2-placement: sticky, conflict-probe: strict}
- {name: a-b, protocol: bgp, addresses: [198.51.100.0/24], bgp-advertisements: [{med: 1, peers: [off]}, {aggregation-length: 24}]}
`;

test("to custom resources: each thing that MetalLB has not is a line on top, names fit, and nothing is for every pool by mistake", () => {
  const { text = "", losses, problems } = converted(lost);
  assert.deepEqual(
    problems.filter((problem) => problem.includes("error")),
    [],
  );
  for (const what of [
    /^BFD profile "Fast": its name becomes "fast"/,
    /^peer "A_b": its name becomes "a-b"/,
    /^peer "A_b": passive/,
    /^peer "A_b": bfd-strict/,
    /^peer "A_b": ttl-security 1/,
    /^peer "A_b": password-secret\.key "k"/,
    /^peer "off": disabled/,
    /^peers\[2\]: peer-port 20000/,
    /^pool "a_b": its name becomes "a-b-2"/,
    /^pool "a_b": interfaces "eth\*"/,
    /^pool "a_b": l2-placement sticky/,
    /^pool "a_b": conflict-probe strict/,
    /^pool "a-b", bgp-advertisements\[0\]: med 1/,
    /^pool "a-b", bgp-advertisements\[0\]: none of its peers is there/,
  ])
    assert.ok(
      losses.some((loss) => what.test(loss)),
      `${what}: ${losses.join("\n")}`,
    );
  const objects = loadAll(text) as { kind: string; metadata: { name: string }; spec: { ipAddressPools?: string[] } }[];
  for (const { kind, spec } of objects) if (kind.endsWith("Advertisement")) assert.equal(spec.ipAddressPools?.length, 1);
  const keys = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  assert.equal(new Set(keys).size, keys.length);
});

test("no text of the sources can leave the comment, or steer a terminal", () => {
  const name = JSON.stringify("x\ndata: {}\u2028\u0085\u001b[2Jy");
  const text = pool("a", "192.0.2.0/28").replace("name: a", `name: ${name}`);
  const {
    text: made = "",
    losses,
    notes,
  } = converted(`${text}${metallb("L2Advertisement", name, "{color: 1, ipAddressPools: [b]}")}`);
  for (const line of [...losses, ...notes]) assert.doesNotMatch(line, /[\p{Cc}\u2028\u2029]/u);
  const [head = ""] = made.split("apiVersion: v1");
  assert.ok(head.split("\n").every((line) => line === "" || line.startsWith("# ")));
});
