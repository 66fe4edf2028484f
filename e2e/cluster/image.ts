import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { run } from "./command.ts";

export interface ImageOptions {
  /** Such as `localhost/ingot:e2e`; with a tag other than `latest`, so that the kubelet does not look for a newer one. */
  readonly tag: string;
  /** The whole file system. Owners become root. */
  readonly root: string;
  readonly entrypoint?: readonly string[];
  /** Numeric, as `Config.User` has it; root unless given. */
  readonly user?: string;
}

/**
 * Writes a container image of one layer as a docker archive (manifest.json, config.json, layer.tar), which
 * `ctr -n k8s.io images import` and `docker load` take. Equal files give an equal image.
 * @param file where to; also the folder for temporary files
 */
export async function writeImageArchive(file: string, { tag, root, entrypoint = [], user = "0" }: ImageOptions): Promise<void> {
  const parts = await mkdtemp(`${file}.`);
  try {
    const layer = join(parts, "layer.tar");
    await tar(layer, root, ["."]);
    const hash = createHash("sha256");
    await pipeline(createReadStream(layer), hash);
    const config = {
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: { Entrypoint: entrypoint, User: user, Env: ["PATH=/usr/local/bin:/usr/bin:/bin"] },
      rootfs: { type: "layers", diff_ids: [`sha256:${hash.digest("hex")}`] },
    };
    await writeFile(join(parts, "config.json"), JSON.stringify(config));
    await writeFile(
      join(parts, "manifest.json"),
      JSON.stringify([{ Config: "config.json", RepoTags: [tag], Layers: ["layer.tar"] }]),
    );
    await tar(file, parts, ["manifest.json", "config.json", "layer.tar"]);
  } finally {
    await rm(parts, { recursive: true, force: true });
  }
}

async function tar(file: string, directory: string, members: readonly string[]): Promise<void> {
  const same = ["--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "--sort=name"];
  await run(["tar", ...same, "-C", directory, "-cf", file, ...members]);
}
