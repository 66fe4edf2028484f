import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { loadAll } from "js-yaml";
import { type Config, parseConfig } from "#pkg/config";
import { fingerprint, fingerprinting } from "./fingerprint.ts";

function configOf(text: string): Config {
  const { config, problems } = parseConfig(text);
  return config ?? assert.fail(JSON.stringify(problems));
}

const pools = (count: number) =>
  `address-pools:\n${Array.from({ length: count }, (_, i) => `- {name: p${i}, protocol: layer2, addresses: [10.${i >> 8}.${i & 255}.0/28]}\n`).join("")}`;

const samples = globSync(new URL("../../config-samples/*.yaml", import.meta.url).pathname).flatMap((file) =>
  loadAll(readFileSync(file, "utf8")).flatMap((object) => {
    const { kind, data } = object as { kind?: string; data?: { config?: string } };
    return kind === "ConfigMap" && data?.config !== undefined ? [data.config] : [];
  }),
);

test("a fingerprint is of the configuration's JSON without passwords, whatever pieces it is made of", () => {
  assert.ok(samples.length > 5);
  for (const config of ["", pools(200), pools(201), pools(1_000), ...samples].map(configOf)) {
    const plain = (key: string, value: unknown) => {
      if (key === "password") return undefined;
      return typeof value === "bigint" ? `${value}` : value instanceof Map ? [...value] : value;
    };
    const whole = createHash("sha256").update(JSON.stringify(config, plain)).digest("hex");
    assert.equal(fingerprint(config), whole.slice(0, 16));
  }
});

const many = (count: number, line: (index: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join("");
const pool = "address-pools:\n- name: a\n  protocol: bgp\n  addresses: [10.0.0.0/8]\n";
const long: Record<string, string> = {
  "of many pools": pools(2_000),
  "of many reserved addresses of one pool": `${pool}  reserved:\n${many(20_000, (i) => `  - 10.1.${i >> 8}.${i & 255}\n`)}`,
  "of many BFD profiles": `bfd-profiles:\n${many(5_000, (i) => `- {name: p${i}}\n`)}`,
  "of one selector with many labels": `peers:\n- {my-asn: 1, peer-asn: 2, peer-address: 192.0.2.1, node-selectors: [{match-labels: {${many(20_000, (i) => `a${i}: x,`)}}}]}\n`,
};
for (const [what, text] of Object.entries(long))
  test(`a fingerprint ${what} is made in steps, once`, () => {
    const config = configOf(text);
    assert.ok([...fingerprinting(config)].length >= 4);
    assert.equal([...fingerprinting(config)].length, 0);
  });
