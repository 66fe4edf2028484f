import { existsSync, globSync } from "node:fs";
import { mkdtemp, rename, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { release } from "../../release/main.ts";
import { digestOfSources } from "./ingot-image.ts";
import { findKcp } from "./kcp.ts";

const cache = resolve(import.meta.dirname, "../../.cache");

/**
 * What `make release` writes for an image called `localhost/ingot`. It is kept in `.cache/` for as long as nothing that it is made from
 * changes, and several tests look at it: none may write there.
 * @returns the folder's absolute path
 */
export async function releaseFiles(): Promise<string> {
  const folder = join(cache, `release-${await digestOfSources("CHANGELOG.md", "{manifests,charts}/**/*")}`);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`; // Two may write at once, and one may be cut short.
  const programs = await mkdtemp(join(tmpdir(), "ingot-release-"));
  try {
    const kubectl = join(programs, "kubectl");
    await symlink(await findKcp(), kubectl); // Called kubectl it is that.
    process.env.KUBECTL = kubectl;
    await release(unfinished, "localhost/ingot");
    if (existsSync(folder)) return folder;
    const finished = globSync("release-*", { cwd: cache }).filter((name) => !name.includes("."));
    for (const old of finished) await rm(join(cache, old), { recursive: true });
    await rename(unfinished, folder);
    return folder;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
    await rm(programs, { recursive: true });
  }
}

if (import.meta.main) console.log(await releaseFiles());
