import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { test } from "node:test";
import { codeSpans, pages, read, root } from "./generate/markdown.ts";
import { metricNames, metricsTable } from "./generate/metrics.ts";
import { generatedPages } from "./generate/pages.ts";

for (const { file, now, wanted } of generatedPages()) {
  test(`${file}: its generated parts are as \`make docs\` writes them`, () => assert.equal(now, wanted));
}

const sources = globSync("{controller,speaker,pkg}/**/*.ts", { cwd: root }).filter(
  (file) => !/\.test\.ts$|\/testing\//.test(file),
);

test("configuration.md has the mark of Ingot's own fields at all of an advertisement but MetalLB's", () => {
  const [, section = ""] = read("docs/configuration.md").split("### `address-pools[].bgp-advertisements[]`");
  const fields = [...(section.split("\n### ")[0] ?? "").matchAll(/^\| `([\w-]+)`( †)? \|/gm)];
  const unmarked = fields.filter(([, , mark]) => mark === undefined).map(([, field]) => field);
  assert.deepEqual(unmarked, ["aggregation-length", "aggregation-length-v6", "localpref", "communities"]);
});

test("every metric that the source names is in the tables", () => {
  const known = new Set([...metricNames("controller"), ...metricNames("speaker")]);
  const unknown = sources.flatMap((file) =>
    [...read(file).matchAll(/name: [`"]((?:metallb|ingot)_[a-z0-9_]*(?:\$\{\w+\}[a-z0-9_]*)?)[`"]/g)]
      .map(([, name = ""]) => name)
      .filter((name) => ![...known].some((one) => new RegExp(`^${name.replace(/\$\{\w+\}/, ".+")}$`).test(one)))
      .map((name) => `${file}: ${name}`),
  );
  assert.deepEqual(unknown, []);
});

test("every metric of the tables has a type of Prometheus", () => {
  const rows = (["controller", "speaker"] as const).flatMap((program) => metricsTable(program).trim().split("\n").slice(2));
  assert.deepEqual(
    rows.filter((row) => !/ \| (?:counter|gauge|histogram|summary) \| /.test(row)),
    [],
  );
});

test("every metric that a page names is there", () => {
  const known = new Set([...metricNames("controller"), ...metricNames("speaker")]);
  const unknown = pages()
    .flatMap(codeSpans)
    .flatMap(({ place, text }) => [...text.matchAll(/\b(?:metallb|ingot)_[a-z0-9_]+/g)].map(([name]) => ({ place, name })))
    .filter(({ name }) => !known.has(name.replace(/_(bucket|count|sum)$/, "")));
  assert.deepEqual(unknown, []);
});
