import { existsSync, globSync, statSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { labPrograms } from "#e2e/lab";
import { build } from "../../build.ts";
import { digestOfSources } from "./ingot-image.ts";

/** Running tests may start programs from bundles that were built before a change. */
const keptMs = 24 * 3600_000;
const cache = resolve(import.meta.dirname, "../../.cache");

/**
 * The programs as the image has them, and those of labs, for `INGOT_BUNDLES`; see `programFile`. They are kept in `.cache/` for as long as nothing that they are
 * made from changes.
 * @returns the folder's absolute path
 */
async function bundledPrograms(): Promise<string> {
  const folder = join(cache, `bundles-${await digestOfSources("e2e/{apiserver,demo-cluster,lab}/**/*.ts")}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`; // Two may build at once, and a build may be cut short.
  try {
    await mkdir(cache, { recursive: true });
    await build(unfinished, undefined, labPrograms);
    if (existsSync(folder)) return folder;
    await rename(unfinished, folder);
    const since = Date.now() - keptMs;
    const old = globSync(join(cache, "bundles-*")).filter((other) => isOlder(other, since));
    for (const other of old) await rm(other, { recursive: true, force: true });
    return folder;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

function isOlder(path: string, since: number): boolean {
  const stat = statSync(path, { throwIfNoEntry: false }); // Somebody else may have removed it.
  return stat !== undefined && stat.mtimeMs < since;
}

if (import.meta.main) console.log(await bundledPrograms());
