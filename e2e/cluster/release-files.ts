import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { release } from "../../release/main.ts";
import { digestOfSources } from "./ingot-image.ts";
import { findKcp } from "./kcp.ts";
import { kept } from "./kept.ts";

/**
 * What `make release` writes for an image called `localhost/ingot`. It is kept in `.cache/` for as long as nothing that it is made from
 * changes, and several tests look at it: none may write there.
 * @returns the folder's absolute path
 */
export async function releaseFiles(): Promise<string> {
  return await kept("release", await digestOfSources("CHANGELOG.md", "{manifests,charts}/**/*"), async (folder) => {
    const programs = await mkdtemp(join(tmpdir(), "ingot-release-"));
    try {
      const kubectl = join(programs, "kubectl");
      await symlink(await findKcp(), kubectl); // Called kubectl it is that.
      process.env.KUBECTL = kubectl;
      await release(folder, "localhost/ingot");
    } finally {
      await rm(programs, { recursive: true });
    }
  });
}

if (import.meta.main) console.log(await releaseFiles());
