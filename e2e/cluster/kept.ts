import { existsSync, globSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { basename, join, resolve } from "node:path";

export const cache = resolve(import.meta.dirname, "../../.cache");

/**
 * A file or folder in `.cache/`, made unless it is there. Older ones of its kind are removed.
 * @param digest of its sources
 * @param make writes it to a path that does not exist yet
 * @returns the absolute path
 */
export async function kept(
  kind: string,
  digest: string,
  make: (unfinished: string) => Promise<unknown>,
  extension = "",
): Promise<string> {
  const path = join(cache, `${kind}-${digest}${extension}`);
  if (existsSync(path)) return path;
  const unfinished = `${path}.${process.pid}`; // Two may make it at once, and one may be cut short.
  try {
    await mkdir(cache, { recursive: true });
    await make(unfinished);
    if (existsSync(path)) return path;
    for (const other of globSync(`${kind}-*${extension}`, { cwd: cache }))
      if (!/\.\d+$/.test(other) && other !== basename(path)) await rm(join(cache, other), { recursive: true, force: true });
    await rename(unfinished, path).catch((error) => {
      if (!existsSync(path)) throw error; // Else the other one was faster.
    });
    return path;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}
