import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import * as esbuild from "esbuild";

const project = import.meta.dirname;

/** What is run on its own. */
const entries: Record<string, string> = {
  controller: "controller/main.ts",
  speaker: "speaker/main.ts",
  ingotctl: "ctl/main.ts",
  // The speaker starts these as threads, from files beside its own.
  "layer2-worker": "pkg/layer2/worker.ts",
  "bfd-worker": "pkg/bfd/worker.ts",
  "memberlist-worker": "pkg/memberlist/worker.ts",
};

/**
 * Makes `directory` anew: each entry as one file with its source map, and koffi, whose native addon cannot be inside a bundle.
 * It runs wherever it is copied, with nothing around it but Node.
 * @throws {Error} for an entry or an addon that is missing; esbuild has printed what else is wrong
 */
export async function build(directory: string): Promise<void> {
  for (const entry of Object.values(entries))
    if (!existsSync(join(project, entry))) throw new Error(`Cannot build: ${entry} is missing`);
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  await esbuild.build({
    absWorkingDir: project,
    entryPoints: entries,
    outdir: directory,
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
    // CommonJS packages inside an ES module still call `require` for Node's own modules.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: "warning",
  });
  await writeFile(join(directory, "package.json"), '{ "type": "module" }\n'); // Else a package.json above it would decide.
  await copyKoffi(join(directory, "node_modules"));
}

/** Only what is loaded: koffi's package also holds its C++ source. The addon is there for the architectures that npm installed. */
async function copyKoffi(to: string): Promise<void> {
  const modules = join(project, "node_modules");
  const loaded = (source: string) => !/\/(vendor|doc|lib)$/.test(source) && /(\.(c?js|json|node)|\/[^.]*)$/.test(source);
  const addons = (await readdir(join(modules, "@koromix"))).filter((name) => name.startsWith("koffi-linux-"));
  if (addons.length === 0) throw new Error("Cannot build: node_modules/@koromix has no koffi addon for Linux; run npm ci");
  for (const name of ["koffi", ...addons.map((addon) => join("@koromix", addon))])
    await cp(join(modules, name), join(to, name), { recursive: true, filter: loaded });
}

/**
 * Writes what the bundles and the image consist of, as the lock file has it (CycloneDX). npm would leave out what a development
 * dependency needs too, so it sees a project without any.
 */
export async function writeSbom(file: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "ingot-sbom-"));
  try {
    const { devDependencies: _, ...manifest } = JSON.parse(await readFile(join(project, "package.json"), "utf8"));
    const lock = JSON.parse(await readFile(join(project, "package-lock.json"), "utf8"));
    const packages = Object.entries(lock.packages as Record<string, { dev?: boolean }>).filter(([, { dev }]) => dev !== true);
    const { devDependencies: __, ...root } = lock.packages[""];
    await writeFile(join(directory, "package.json"), JSON.stringify(manifest));
    await writeFile(
      join(directory, "package-lock.json"),
      JSON.stringify({ ...lock, packages: { ...Object.fromEntries(packages), "": root } }),
    );
    const args = ["sbom", "--package-lock-only", "--sbom-format=cyclonedx", "--loglevel=error"];
    const { stdout } = await promisify(execFile)("npm", args, { cwd: directory, maxBuffer: 1 << 24 });
    await writeFile(file, stdout);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const dist = join(project, "dist");
  await build(dist);
  await writeSbom(join(dist, "sbom.cdx.json"));
}
