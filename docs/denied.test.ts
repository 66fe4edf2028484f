import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { annotations } from "#pkg/service";

/** Existing features, the names that others use, and where each is documented, so that each entry can be seen to be true. */
const features: readonly { readonly page: string; readonly documents: RegExp; readonly called: RegExp }[] = [
  { page: "netbox.md", documents: /^# Addresses in NetBox$/m, called: /netbox/i },
  {
    page: "services.md",
    documents: /^### Several addresses$/m,
    called: /multi-?pool|several addresses|one address of each family/i,
  },
  { page: "services.md", documents: /^### Load balancer classes$/m, called: /loadBalancerClass|load balancer class/i },
  { page: "services.md", documents: /^### Several Services on one address$/m, called: /allow-shared-ip|share an address/i },
  { page: "services.md", documents: /^### IPv4 and IPv6$/m, called: /dual[- ]stack/i },
  { page: "pools-for-teams.md", documents: /quota/, called: /\bquotas?\b/i },
  { page: "pools-for-teams.md", documents: /namespace-selectors/, called: /namespace ?selectors?/i },
  { page: "bgp.md", documents: /graceful-restart-time/, called: /graceful restart/i },
  { page: "bgp.md", documents: /ttl-security/, called: /ttl[- ]security|GTSM/i },
  { page: "bfd.md", documents: /^# /m, called: /\bBFD\b/ },
  { page: "interface-pools.md", documents: /protocol: interface/, called: /dummy[- ]interface|kube-lb0/i },
  { page: "dashboard.md", documents: /^# /m, called: /dashboard/i },
];
const read = (...path: readonly string[]) => readFileSync(join(import.meta.dirname, ...path), "utf8");
const pages = readdirSync(import.meta.dirname).filter((name) => name.endsWith(".md"));
const schema = JSON.parse(read("../pkg/config/schema.json")) as unknown;
// Fields with a name of two words at least: others, such as `name`, are anybody's words.
const fields = [...new Set(fieldNames(schema))].filter((name) => name.includes("-"));

function fieldNames(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  const { properties = {} } = node as { properties?: Readonly<Record<string, unknown>> };
  return [...Object.keys(properties), ...Object.values(node).flatMap(fieldNames)];
}

const denial = /^(not (there|supported|here|possible)|there is (none|no such)|no counterpart|cannot be had|unsupported)\b/i;

/** Features that a page denies: each row of a table whose other cells begin with a denial; and the text behind "Not supported:" alone. */
function denials(page: string): string[] {
  return page.split("\n").filter((line) => {
    const cells = line.split("|").map((cell) => cell.trim());
    return line.startsWith("|") && cells.slice(2).some((cell) => denial.test(cell));
  });
}

/** The sentences of the converter in which something is said to be not supported. */
function denialsOfConverter(): string[] {
  const folder = join(import.meta.dirname, "../pkg/convert");
  const sources = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => /(?<!\.test)\.ts$/.test(name));
  const quoted = /(["`])(?:(?!\1).)*?(?:not supported|does not exist here|one address of each family here)(?:(?!\1).)*\1/g;
  return sources.flatMap((name) => readFileSync(join(folder, name), "utf8").match(quoted) ?? []);
}

for (const { page, documents, called } of features)
  test(`what ${page} documents as ${documents} no page and no conversion denies`, () => {
    assert.match(read(page), documents);
    const found = pages.flatMap((name) => denials(read(name)).map((line) => `${name}: ${line}`));
    assert.deepEqual(
      [...found, ...denialsOfConverter()].filter((text) => called.test(text)),
      [],
    );
  });

test("no page says of a field of the configuration or of an annotation that it is not there", () => {
  const names = [...fields, ...Object.values(annotations)];
  assert.ok(names.length > 50);
  for (const name of pages)
    for (const line of denials(read(name)))
      assert.deepEqual(
        names.filter((field) => line.includes(`\`${field}\``)),
        [],
        `${name}: ${line}`,
      );
});

test("a denial is seen where it stands", () => {
  assert.deepEqual(denials("| `external`, `netbox` | not there |\n| a | there |\nnot there"), [
    "| `external`, `netbox` | not there |",
  ]);
});
