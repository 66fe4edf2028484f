import { existsSync } from "node:fs";
import { cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import * as esbuild from "esbuild";
import { embedPage } from "./ctl/dashboard/bundle.ts";

const project = import.meta.dirname;

/** Programs that are run on their own. */
const entries: Readonly<Record<string, string>> = {
  controller: "controller/main.ts",
  speaker: "speaker/main.ts",
  "ingotctl-program": "ctl/main.ts",
  // Controller and speaker start these as threads, from files beside their own.
  "controller-checkpoint-worker": "controller/checkpoint-worker.ts",
  "speaker-checkpoint-worker": "speaker/checkpoint-worker.ts",
  "config-worker": "pkg/config-reader/worker.ts",
  "layer2-worker": "pkg/layer2/worker.ts",
  "bfd-worker": "pkg/bfd/worker.ts",
  "memberlist-worker": "pkg/memberlist/worker.ts",
};

// An older Node cannot even read the program, and people start this file with whatever Node they have. Compiling the program takes a third of its
// start, and is done once: Node keeps the code in a folder of the person's own, because nobody else's is to be trusted. Node
// would try for ever to make its folder for caches where nobody can make one, such as below /proc.
const ingotctl = `const { env, execPath, versions } = process;
if (parseInt(versions.node) >= 24) {
  const caches = env.XDG_CACHE_HOME || (env.HOME && env.HOME + "/.cache");
  const { existsSync } = await import("node:fs");
  if (caches && existsSync(caches)) (await import("node:module")).enableCompileCache(caches + "/ingotctl");
  await import("./ingotctl-program.js");
} else {
  console.error("ingotctl: this takes Node 24 or later, and " + execPath + " is Node " + versions.node + "; the ingotctl of a release needs no Node");
  process.exitCode = 2;
}
`;

/**
 * Imports of Node's modules become the properties that are used. For an import of its own Node reads each property of such a module, also those
 * for which it loads more: its streams of files, and its `fetch` for node:http, which takes 14 MB. A module of which a program uses functions
 * alone is loaded by the first call, after which the function stands for itself.
 */
const nodeModules: esbuild.Plugin = {
  name: "node-modules",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === "import-statement" ? { path, namespace: "node", sideEffects: false } : undefined,
    );
    onLoad({ filter: /.*/, namespace: "node" }, ({ path }) => {
      const builtin: object = process.getBuiltinModule(path) ?? {};
      const names = Object.getOwnPropertyNames(builtin).filter((name) => name !== "default");
      // Unused ones are left out.
      const properties = names.map((name) =>
        isPlainFunction(builtin, name)
          ? `let _${name} = (...values) => (_${name} = all().${name})(...values);`
          : `const _${name} = /* @__PURE__ */ (() => all().${name})();`,
      );
      const exported = names.map((name) => `_${name} as ${name}`);
      const all = `const all = () => process.getBuiltinModule(${JSON.stringify(path)});`;
      const whole = "const _default = /* @__PURE__ */ all();";
      return { contents: [all, whole, ...properties, `export { _default as default, ${exported.join(", ")} };`].join("\n") };
    });
  },
};

/** Neither a class nor one with properties, such as what `promisify` makes of it. */
function isPlainFunction(module: object, name: string): boolean {
  const { value } = Object.getOwnPropertyDescriptor(module, name) ?? {};
  const own = typeof value === "function" ? Object.getOwnPropertyNames(value) : [];
  const known = ["length", "name", "prototype", "arguments", "caller"];
  const isMore = Object.getOwnPropertySymbols(value ?? {}).length > 0 || own.some((property) => !known.includes(property));
  return own.length > 0 && !isMore && /^[a-z]/.test(name);
}

const addonFile = "koffi.node";

/** koffi is its addon, which its package finds by reading some files more; what the package adds are functions that it deprecates. */
const koffi: esbuild.Plugin = {
  name: "koffi",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^koffi$/ }, ({ path }) => ({ path, namespace: "koffi" }));
    onLoad({ filter: /.*/, namespace: "koffi" }, () => ({
      contents: `const addon = { exports: {} };
process.dlopen(addon, import.meta.dirname + "/${addonFile}");
export default addon.exports;`,
    }));
  },
};

/**
 * Makes a new `directory`: each entry as one file with its source map, and koffi's native addon, which cannot be inside a bundle. It
 * runs wherever it is copied, with nothing around it but Node.
 * @param modules the `node_modules` with koffi's addon for the target machine @param more other entries, as name -> file
 * @throws {Error} for a missing entry or addon; esbuild prints the other errors
 */
export async function build(
  directory: string,
  modules = join(project, "node_modules"),
  more: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (const entry of Object.values({ ...entries, ...more }))
    if (!existsSync(join(project, entry))) throw new Error(`Cannot build: ${entry} is missing`);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  const { outputFiles } = await esbuild.build({
    absWorkingDir: project,
    entryPoints: { ...entries, ...more },
    outdir: "dist/ingot", // Source maps have paths from there, whatever the directory is, so that equal sources give equal files.
    write: false,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    sourcemap: true,
    // Node keeps the whole text in memory, in two octets for each character where one of them is beyond ISO 8859-1, and the whole map,
    // of which a stack trace needs positions alone. Without comments and indentation that is 8 MB less.
    minifyWhitespace: true,
    charset: "ascii",
    sourcesContent: false,
    plugins: [embedPage, nodeModules, koffi],
    // CommonJS packages inside an ES module still call `require` for Node's own modules.
    banner: { js: 'const require = process.getBuiltinModule("node:module").createRequire(import.meta.url);' },
    logLevel: "warning",
  });
  for (const { path, contents } of outputFiles) await writeFile(join(directory, basename(path)), contents);
  await writeFile(join(directory, "ingotctl.js"), ingotctl);
  await writeFile(join(directory, "package.json"), '{ "type": "module" }\n'); // Else a package.json above it would decide.
  await copyKoffi(modules, directory);
}

/** Only what is loaded with glibc: koffi's packages also hold its C++ source, and the addon for musl. */
async function copyKoffi(modules: string, to: string): Promise<void> {
  const [addon] = (await readdir(join(modules, "@koromix"))).filter((name) => name.startsWith("koffi-linux-"));
  if (addon === undefined) throw new Error(`Cannot build: ${modules}/@koromix has no koffi addon for Linux; run npm ci`);
  await cp(join(modules, "@koromix", addon, addon.replace("koffi-linux-", "linux_"), addonFile), join(to, addonFile));
  await cp(join(modules, "koffi/LICENSE.txt"), join(to, "koffi.LICENSE"));
}

if (import.meta.main) await build(join(project, "dist/ingot"));
