import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

// Rules of imports. The tree is the architecture: these rules make a package's name a promise.
const root = normalize(join(dirname(fileURLToPath(import.meta.url)), ".."));

/** Folders, by their beginning, that do no I/O and take time and chance as arguments. */
const pure = [
  "pkg/allocator/",
  "pkg/announced/",
  "pkg/assignment/",
  "pkg/collections/",
  "pkg/gossip/",
  "pkg/handover/state/",
  "pkg/kernel/state/",
  "pkg/linux/codec/",
  "pkg/node-checks/rules/",
  "pkg/layer2/frames/",
  "pkg/layer2/engine/",
  "pkg/config/",
  "pkg/convert/",
  "pkg/live-config/",
  "pkg/net/",
  "pkg/octets/",
  "pkg/placement/",
  "pkg/service/",
  "pkg/quarantine/",
  "pkg/core/contract/",
  "pkg/core/recording/",
  "pkg/text/",
  "pkg/untrusted/",
  "pkg/verdict/",
  "pkg/what-if/",
  "pkg/memberlist/codec/",
  "pkg/memberlist/ring/",
  "pkg/bfd/codec/",
  "pkg/bfd/session/",
  "pkg/bgp/codec/",
  "pkg/bgp/session/",
  "pkg/bgp/routes/",
  "pkg/router-discovery/codec/",
  "pkg/router-discovery/engine/",
  "pkg/leader-election/protocol/",
  "speaker/bgp/routes/",
  "speaker/core/",
  "speaker/members/ring/",
  "controller/core/",
  "pkg/http/codec/",
  "ctl/dashboard/model/",
];
/** Computation that Node happens to offer under `node:`. */
const pureNodeModules = new Set(["node:crypto", "node:zlib"]);
/** Each foreign library has its home; People write two things in YAML, and read answers in it. */
const homes: Record<string, readonly string[]> = {
  "@kubernetes/client-node": ["ctl/"],
  koffi: ["pkg/linux/", "pkg/aes-gcm/"],
  preact: ["ctl/dashboard/page/"],
  esbuild: ["ctl/dashboard/"],
  "js-yaml": ["pkg/config/", "pkg/convert/", "pkg/k8s/", "ctl/"],
  "prom-client": ["pkg/metrics/"],
};

interface Import {
  readonly file: string;
  readonly target: string;
  /** Erased, so that nothing is loaded. */
  readonly typeOnly: boolean;
}

function sources(): string[] {
  return globSync("{controller,speaker,ctl,pkg}/**/*.{ts,tsx}", { cwd: root }).filter(
    (file) => !/\.test\.ts$|\/(testing|netns)\//.test(file),
  );
}

function imports(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8");
  const found = text.matchAll(
    /^(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\(\s*"([^"]+)"|\brequire\("([^"]+)"/gm,
  );
  return [...found].map((match) => ({
    file,
    target: match[1] ?? match[2] ?? match[3] ?? match[4] ?? "",
    typeOnly: /^(import|export) type\b/.test(match[0]),
  }));
}

const all = sources().flatMap(imports);

function isPure(file: string): boolean {
  return pure.some((folder) => file.startsWith(folder));
}

function offenders(bad: (one: Import) => boolean): string[] {
  return all.filter(bad).map(({ file, target }) => `${file} imports ${target}`);
}

test("there is something to check", () => {
  assert.ok(all.length > 50, `${all.length} imports found`);
  assert.ok(sources().some(isPure));
});

test("pure code imports no I/O, no clock and no system call", () => {
  const impure = (target: string) =>
    (target.startsWith("node:") && !pureNodeModules.has(target)) ||
    /^#pkg\/(k8s|linux|http|metrics|log|flags|layer2|threads)$/.test(target);
  assert.deepEqual(
    offenders(({ file, target, typeOnly }) => isPure(file) && !typeOnly && impure(target)),
    [],
  );
});

test("pure code reads no clock and draws no chance", () => {
  const reads = sources().filter(
    (file) =>
      isPure(file) &&
      /\b(Date\.now|new Date\(\)|performance\.now|Math\.random|setTimeout|process\.\w)/.test(
        readFileSync(join(root, file), "utf8"),
      ),
  );
  assert.deepEqual(reads, []);
});

test("a package is imported by its index alone", () => {
  const past = ({ file, target }: Import) => {
    if (target.startsWith("#pkg/")) return target.split("/").length > 2;
    if (!target.startsWith(".") || target === "../package.json") return false;
    const from = file
      .split("/")
      .slice(0, file.startsWith("pkg/") ? 2 : 1)
      .join("/");
    return relative(from, normalize(join(dirname(file), target))).startsWith("..");
  };
  assert.deepEqual(offenders(past), []);
});

test("a daemon's core is imported by its index alone", () => {
  const past = ({ file, target }: Import) => {
    const [, core] = /^((controller|speaker)\/core\/)/.exec(normalize(join(dirname(file), target))) ?? [];
    return core !== undefined && !file.startsWith(core) && target.startsWith(".") && !target.endsWith("core/index.ts");
  };
  assert.deepEqual(offenders(past), []);
});

test("packages know neither the programs nor the test equipment, and ingotctl alone knows another program", () => {
  assert.deepEqual(
    offenders(
      ({ file, target }) => target.startsWith("#e2e/") || (/^#(controller|speaker)\//.test(target) && !file.startsWith("ctl/")),
    ),
    [],
  );
});

test("the page of the dashboard imports nothing that a browser lacks", () => {
  const foreign = ({ file, target, typeOnly }: Import) =>
    file.startsWith("ctl/dashboard/page/") &&
    !typeOnly &&
    !/^(preact(\/hooks)?|#pkg\/(net|text|verdict)|\.\/[\w.-]+|\.\.\/model\/[\w.-]+)$/.test(target);
  assert.deepEqual(offenders(foreign), []);
});

test("each library is used where it belongs", () => {
  const astray = ({ file, target }: Import) => {
    const name = Object.keys(homes).find((library) => target === library || target.startsWith(`${library}/`));
    return name !== undefined && !homes[name]?.some((home) => file.startsWith(home));
  };
  assert.deepEqual(offenders(astray), []);
});

test("ingotctl loads no library that is built for one processor: its archive is the same everywhere", () => {
  const reached = new Set(["ctl/main.ts"]);
  for (const from of reached)
    for (const { file, target, typeOnly } of all) {
      if (file !== from || typeOnly) continue;
      assert.notEqual(target, "koffi", `${file} imports koffi`);
      const [, folder] = /^#((?:pkg|speaker)\/.+)$/.exec(target) ?? [];
      if (folder !== undefined) reached.add(`${folder}/index.ts`);
      else if (target.startsWith(".")) reached.add(normalize(join(dirname(file), target)));
    }
  assert.ok(reached.has("pkg/core/index.ts"));
});
