import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { build } from "../../build.ts";
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

/**
 * Builds the project and writes its image as a docker archive, laid out as the Dockerfile's, with no container engine and no
 * registry: the Node that runs this, the shared libraries it is linked with here, and the bundles.
 */
export async function writeIngotImage(file: string, tag: string): Promise<void> {
  const root = await mkdtemp(`${file}.root.`);
  try {
    const bundles = join(root, "ingot");
    await build(bundles);
    const addon = `@koromix/koffi-linux-${process.arch}/linux_${process.arch}/koffi.node`;
    const libraries = await Promise.all([process.execPath, join(bundles, "node_modules", addon)].map(librariesOf));
    await copyInto(root, process.execPath, "/usr/local/bin/node");
    for (const library of new Set(libraries.flat())) await copyInto(root, library, library);
    await writeImageArchive(file, { tag, root, entrypoint: ["node", "--enable-source-maps"], user: "65534:65534" });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** Absolute paths, the loader among them, as `ldd` prints them: `libc.so.6 => /lib/…/libc.so.6 (0x…)` or `/lib64/ld-… (0x…)`. */
async function librariesOf(binary: string): Promise<string[]> {
  const lines = await run(["ldd", binary]);
  return [...lines.matchAll(/(?:=>|^)\s+(\/\S+) \(/gm)].map((match) => String(match[1]));
}

async function copyInto(root: string, file: string, path: string): Promise<void> {
  await mkdir(join(root, dirname(path)), { recursive: true });
  await copyFile(file, join(root, path));
}
