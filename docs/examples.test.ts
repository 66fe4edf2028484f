import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { loadAll } from "js-yaml";
import { ApiServer, type KubeObject, type ObjectInput } from "#e2e/apiserver";
import { Allocator } from "#pkg/allocator";
import { readInput } from "#pkg/config";
import { servicesOf } from "#pkg/k8s";
import { classlessOnly, readRequest } from "#pkg/service";
import { commands as subcommands } from "../ctl/commands.ts";
import { run } from "../ctl/run.ts";
import { fakeIo } from "../ctl/testing/ingotctl.ts";
import { type Block, blocks, pages, read, root } from "./generate/markdown.ts";

const all = pages().flatMap(blocks);

const languages = new Set(["", "sh", "yaml", "json", "mermaid", "bird", "frr", "gobgp", "openbgpd"]);

test("every block names a language that is known here, or none", () => {
  assert.deepEqual(
    all.filter(({ language }) => !languages.has(language)).map(({ place, language }) => `${place}: ${language}`),
    [],
  );
});

const samples = globSync("config-samples/*.yaml", { cwd: root }).map((file) => ({ place: file, text: read(file) }));

for (const { place, text } of [...all.filter(({ language }) => language === "yaml"), ...samples]) {
  test(`${place}: the YAML can be used as it stands`, () => {
    const documents = loadAll(text) as Record<string, unknown>[];
    const isKustomization = documents.some((document) => "images" in document || "components" in document);
    const isValues = documents.some((document) => "configInline" in document);
    if (isKustomization || isValues) return; // For no server; the manifests and the chart have tests of their own.
    if (documents.every((document) => document.kind === undefined)) {
      assert.deepEqual(readInput(text).problems, []);
      return;
    }
    const server = new ApiServer();
    const allocator = new Allocator();
    allocator.setPools(documents.some(isConfiguration) ? (readInput(text).config?.pools ?? []) : pools);
    for (const object of documents) {
      const created = apply(server, object as unknown as ObjectInput);
      if (created.kind === "Service") assert.deepEqual(unmet(created, allocator), undefined);
    }
    if (documents.some(isConfiguration)) assert.deepEqual(readInput(text).problems, []);
  });
}

/** Pools that Services need in an example without a configuration. */
const pools =
  readInput(`address-pools:
- {name: default, protocol: layer2, addresses: [192.168.1.240-192.168.1.250, 2001:db8::/120]}
- {name: public, protocol: layer2, auto-assign: false, addresses: [203.0.113.8/29]}
`).config?.pools ?? [];

/** Why a Service gets no address. */
function unmet(object: KubeObject, allocator: Allocator): unknown {
  const { namespace = "", name, uid = "", resourceVersion = "" } = object.metadata;
  const service = servicesOf(classlessOnly, "labels").project(object, {
    key: `${namespace}/${name}`,
    namespace,
    name,
    uid,
    resourceVersion,
  });
  const reading = readRequest(service);
  return reading.type === "request" ? allocator.settle(reading.request).unmet : reading;
}

function apply(server: ApiServer, object: ObjectInput): KubeObject {
  const namespace = object.metadata.namespace;
  if (namespace !== undefined && server.get({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } }) === undefined)
    server.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  return server.create(object);
}

function isConfiguration({ kind, data }: Record<string, unknown>): boolean {
  return kind === "ConfigMap" && data !== null && typeof data === "object" && "config" in data;
}

for (const { place, text } of all.filter(({ language }) => language === "json")) {
  test(`${place}: the JSON can be read`, () => void JSON.parse(text));
}

const makefile = read("Makefile");
const targets = new Set([...makefile.matchAll(/^([a-z0-9-]+):/gm)].map(([, name]) => name));

test("there are commands to look for", () => {
  assert.ok(targets.has("demo") && subcommands.has("validate"));
});

/** Text for a reader to type: blocks without a language, and code between backticks that begins like a command. */
function commands(): { readonly place: string; readonly line: string }[] {
  const typed = all.filter(({ language }) => language === "" || language === "sh").flatMap(linesOf);
  const named = pages().flatMap(({ file, text }) =>
    text.split("\n").flatMap((line, index) => {
      const spans = [...line.matchAll(/`((?:npx |sudo )?(?:make|ingotctl|node) [^`]+)`/g)];
      return spans.map(([, span = ""]) => ({ place: `${file}:${index + 1}`, line: span }));
    }),
  );
  return [...typed, ...named];
}

function linesOf({ place, text }: Block): { readonly place: string; readonly line: string }[] {
  return text.split("\n").map((line) => ({ place, line: line.replace(/ # .*$/, "") }));
}

test("every `make` target that a page names is in the Makefile", () => {
  const unknown = commands().filter(({ line }) =>
    [...line.matchAll(/(?:^|[ &|])make ([a-z][a-z0-9-]*)/g)].some(([, target]) => !targets.has(target)),
  );
  assert.deepEqual(unknown, []);
});

test("every benchmark of the Makefile is on the page of its figures", () => {
  const figures = read("docs/performance.md");
  assert.deepEqual(
    [...targets].filter((target) => target?.startsWith("bench-") && !figures.includes(`\`make ${target}\``)),
    [],
  );
});

test("every command of `ingotctl` that a page names is there", () => {
  const unknown = commands().filter(({ line }) =>
    [...line.matchAll(/(?:^|[ |])(?:npx )?(?:ingotctl|kubectl ingot) ([a-z-]+)/g)].some(
      ([, name = ""]) => name !== "help" && !subcommands.has(name),
    ),
  );
  assert.deepEqual(unknown, []);
});

test("every file of the repository that a command names is there", () => {
  const folders = /(?:^|[ ])((?:config-samples|manifests|e2e|pkg|docs|controller|speaker|ctl|\.ci)\/[\w./-]*)/g;
  const missing = commands().flatMap(({ place, line }) =>
    [...line.matchAll(folders)].filter(([, file = ""]) => !existsSync(join(root, file))).map(([, file]) => `${place}: ${file}`),
  );
  assert.deepEqual(missing, []);
});

test("configuration.md shows what `ingotctl validate` prints", async () => {
  const shown = all.find(({ place, text }) => place.startsWith("docs/configuration.md") && text.startsWith("c.yaml:"))?.text;
  const configuration = "address-pools:\n- name: a\n  protocol: layer3\n  addresses: [192.0.2.0/24]\n";
  const io = fakeIo({ files: { "c.yaml": configuration } });
  await run(["validate", "c.yaml"], io);
  assert.equal(io.printed.out, shown);
});

/** Programs that read configurations of routers and say whether they are right. */
const routers: Readonly<Record<string, { readonly command: string; readonly arguments: readonly string[] }>> = {
  bird: { command: "bird", arguments: ["-p", "-c"] },
  frr: { command: "vtysh", arguments: ["-C", "-f"] },
};

for (const { place, language, text } of all) {
  const router = routers[language];
  if (router === undefined) continue;
  const missing = spawnSync(router.command, ["--help"]).error !== undefined;
  test(`${place}: the configuration is right for ${language}`, {
    skip: missing && `${router.command} is not installed`,
  }, (context) => {
    const folder = mkdtempSync(join(tmpdir(), "ingot-docs-"));
    context.after(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "router.conf");
    writeFileSync(file, text);
    const { status, stdout, stderr } = spawnSync(router.command, [...router.arguments, file], { encoding: "utf8" });
    assert.equal(status, 0, `${stdout}${stderr}`);
  });
}
