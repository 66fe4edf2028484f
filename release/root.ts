import { chmod, copyFile, lstat, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { build } from "../build.ts";
import { type Architecture, architectures, readLock, writeDebianFiles } from "./debian.ts";
import { modulesFor, nodeArchitecture } from "./modules.ts";
import { writeSbom } from "./sbom.ts";

/**
 * Writes new files of the image for one architecture: `directory/system`, `directory/node` and `directory/ingot`, each as it is to
 * be at the root, stable parts apart from parts that always change. There is no shell, no package manager, nothing else.
 */
export async function writeRoot(directory: string, architecture: Architecture): Promise<void> {
  const [system, node, ingot] = ["system", "node", "ingot"].map((name) => join(directory, name)) as [string, string, string];
  for (const part of [system, node, ingot]) await rm(part, { recursive: true, force: true });
  await writeDebianFiles(system, architecture, await readLock());

  const modules = await modulesFor(architecture);
  const from = join(modules, `node-linux-${nodeArchitecture(architecture)}`);
  await mkdir(join(node, "usr/local/bin"), { recursive: true });
  await copyFile(join(from, "bin/node"), join(node, "usr/local/bin/node"));
  await mkdir(join(node, "usr/share/doc/node"), { recursive: true });
  await copyFile(join(from, "LICENSE"), join(node, "usr/share/doc/node/copyright"));

  const bundles = join(ingot, "ingot");
  await build(bundles, modules);
  await copyFile(join(import.meta.dirname, "../LICENSE"), join(bundles, "LICENSE"));
  await writeSbom(join(bundles, "sbom.cdx.json"), [architecture]);
  for (const part of [system, node, ingot]) await setModes(part);
}

/** Replaces the modes that the machine's umask and the packages gave: all may read, nobody but root may write. */
async function setModes(path: string): Promise<void> {
  const entry = await lstat(path);
  if (entry.isSymbolicLink()) return;
  await chmod(path, entry.isDirectory() || (entry.mode & 0o100) !== 0 ? 0o755 : 0o644);
  if (entry.isDirectory()) for (const name of await readdir(path)) await setModes(join(path, name));
}

if (import.meta.main) {
  const [directory = "", name] = process.argv.slice(2);
  const architecture = architectures.find((each) => each === name);
  if (architecture === undefined || process.argv.length !== 4) {
    console.error(`usage: node release/root.ts DIRECTORY ${architectures.join("|")}`);
    process.exit(2);
  }
  await writeRoot(directory, architecture);
}
