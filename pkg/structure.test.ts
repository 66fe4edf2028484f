import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

// The structure of the tree: which packages stand on which, the job of an index, and the largest size of a file. `layers.test.ts` has
// the imports that keep a folder pure.
const root = normalize(join(dirname(fileURLToPath(import.meta.url)), ".."));

/** From the bottom up: a package imports only from the rows below its own. */
const order = [
  ["collections"],
  ["aes-gcm", "certificate", "clock", "net", "octets", "text", "untrusted"],
  ["quarantine", "service"],
  ["config", "flags", "gossip", "linux", "log"],
  ["connections", "convert", "core", "verdict"],
  ["allocator", "announced", "config-reader", "http", "k8s", "live-config", "placement", "threads"],
  [
    "api-access",
    "assignment",
    "bfd",
    "bgp",
    "custom-resources",
    "handover",
    "kernel",
    "layer2",
    "leader-election",
    "memberlist",
    "metrics",
    "netbox",
    "process",
    "status-objects",
  ],
  ["node-checks", "router-discovery", "what-if"],
] as const satisfies readonly (readonly string[])[];

// No file is longer, so that each can be read as a whole.
const maxLines = 400;

interface Import {
  readonly file: string;
  readonly target: string;
  readonly names: readonly string[];
}

const files = globSync("{controller,speaker,ctl,pkg,e2e,docs,manifests,config-samples,release}/**/*.ts", { cwd: root });
const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")])); // file -> text
const imports = [...texts].flatMap(([file, text]) => importsOf(file, text));

function importsOf(file: string, text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)\b([^;"]*?)\bfrom\s+"([^"]+)"/gm);
  return [...statements].map(([, clause = "", target = ""]) => ({ file, target, names: namesIn(clause) }));
}

function namesIn(clause: string): string[] {
  const list = /\{([^}]*)\}/.exec(clause)?.[1] ?? "";
  return list.split(",").flatMap(
    (each) =>
      each
        .trim()
        .replace(/^type /, "")
        .split(" as ")[0] || [],
  );
}

function isProduction(file: string): boolean {
  return !/\.test\.ts$|\/testing\/|^e2e\//.test(file);
}

function packageOf(file: string): string | undefined {
  return /^pkg\/([^/]+)\//.exec(file)?.[1];
}

/** `clock` for `#pkg/clock`; undefined for anything else, also `#pkg/clock/testing`. */
function importedPackage(target: string): string | undefined {
  return /^#pkg\/([^/]+)$/.exec(target)?.[1];
}

test("every package has its place in the order", () => {
  const packages = globSync("pkg/*/index.ts", { cwd: root }).map((file) => packageOf(file));
  assert.deepEqual(packages.sort(), order.flat().sort());
});

test("imports between packages point down only", () => {
  const height = (name: string) => order.findIndex((row) => (row as readonly string[]).includes(name));
  const upward = imports.flatMap(({ file, target }) => {
    const from = packageOf(file);
    const to = importedPackage(target);
    if (from === undefined || to === undefined || from === to || !isProduction(file)) return [];
    return height(to) < height(from) ? [] : [`${file} imports ${target}`];
  });
  assert.deepEqual(upward, []);
});

test("an index exports what others use, and nothing else", () => {
  const used = new Set(
    imports.flatMap(({ file, target, names }) => {
      const to = importedPackage(target);
      return to === undefined || packageOf(file) === to ? [] : names.map((name) => `${to}.${name}`);
    }),
  );
  const unused = [...texts].flatMap(([file, text]) => {
    const name = /^pkg\/[^/]+\/index\.ts$/.test(file) ? packageOf(file) : undefined;
    if (name === undefined) return [];
    const exported = [...text.matchAll(/^export\s+(?:type\s+)?\{([^}]*)\}/gm)].flatMap(([clause]) => namesIn(clause));
    return exported.map((each) => `${name}.${each}`).filter((each) => !used.has(each));
  });
  assert.deepEqual(unused, []);
});

test("what only tests need comes from a package's testing folder", () => {
  const strays = imports.filter(({ file, target }) => isProduction(file) && /\/testing(\/|$)/.test(target));
  assert.deepEqual(
    strays.map(({ file, target }) => `${file} imports ${target}`),
    [],
  );
});

test("no files import one another in a circle", () => {
  const graph = new Map<string, string[]>(); // file -> files that it imports
  for (const { file, target } of imports)
    if (target.startsWith(".")) graph.set(file, [...(graph.get(file) ?? []), normalize(join(dirname(file), target))]);
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
    if (done.has(file) || path.includes(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  assert.deepEqual(circles, []);
});

test("fields of literals are written plainly: nothing is spread just to set them on one line", () => {
  const spreads = [...texts].filter(([, text]) => text.includes("...".concat("{"))).map(([file]) => file);
  assert.deepEqual(spreads, []);
});

test(`no file has more than ${maxLines} lines`, () => {
  const long = [...texts]
    .filter(([file, text]) => isProduction(file) && text.split("\n").length > maxLines)
    .map(([file]) => file);
  assert.deepEqual(long, []);
});
