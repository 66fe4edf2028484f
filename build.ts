import { existsSync } from "node:fs";
import { cp, mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
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

// An older Node cannot even read the program, and people start this file with whatever Node they have.
const ingotctl = `const { execPath, versions } = process;
if (parseInt(versions.node) >= 24) await import("./ingotctl-program.js");
else {
  console.error("ingotctl: this takes Node 24 or later, and " + execPath + " is Node " + versions.node + "; the ingotctl of a release needs no Node");
  process.exitCode = 2;
}
`;

/**
 * Makes a new `directory`: each entry as one file with its source map, and koffi, whose native addon cannot be inside a bundle. It
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
    external: ["koffi"],
    plugins: [embedPage],
    // CommonJS packages inside an ES module still call `require` for Node's own modules.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: "warning",
  });
  for (const { path, contents } of outputFiles) await writeFile(join(directory, basename(path)), contents);
  await writeFile(join(directory, "ingotctl.js"), ingotctl);
  await writeFile(join(directory, "package.json"), '{ "type": "module" }\n'); // Else a package.json above it would decide.
  await copyKoffi(modules, join(directory, "node_modules"));
}

/** Only what is loaded with glibc: koffi's package also holds its C++ source, and the addon's one for musl. */
async function copyKoffi(modules: string, to: string): Promise<void> {
  const addons = (await readdir(join(modules, "@koromix"))).filter((name) => name.startsWith("koffi-linux-"));
  if (addons.length === 0) throw new Error(`Cannot build: ${modules}/@koromix has no koffi addon for Linux; run npm ci`);
  const files = ["package.json", "LICENSE.txt", "index.js", "src/koffi/index.js", "src/koffi/src/static.js"].map((file) =>
    join("koffi", file),
  );
  for (const addon of addons) {
    const binary = join(addon.replace("koffi-linux-", "linux_"), "koffi.node");
    files.push(...["package.json", "index.js", binary].map((file) => join("@koromix", addon, file)));
  }
  for (const file of files) {
    await mkdir(dirname(join(to, file)), { recursive: true });
    await cp(join(modules, file), join(to, file));
  }
}

if (import.meta.main) await build(join(project, "dist/ingot"));
