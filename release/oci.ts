import { createHash, type Hash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { lstat, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import type { Architecture } from "./debian.ts";
import type { ImageConfig } from "./dockerfile.ts";
import { tar } from "./tar.ts";

export interface PlatformImage {
  readonly architecture: Architecture;
  /** Directories with one layer's files each, at their paths from the root. In the image everything belongs to root. */
  readonly layers: readonly string[];
  readonly config: ImageConfig;
}

export interface ArchiveOptions {
  /** Such as `registry.example.com/ingot:0.1.0`; what imports the archive knows the image by it. */
  readonly name: string;
  readonly platforms: readonly PlatformImage[];
  /** When the image was made, in seconds since 1970: an input like the others. */
  readonly createdSeconds: number;
  /** Compression of the layers. It takes seconds for 100 MB, which an archive that stays on the machine does not earn back. */
  readonly compression: "gzip" | "none";
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const type = "application/vnd.oci.image";

/**
 * Writes container images of the same name for several platforms as one archive: an OCI image layout (OCI image specification,
 * image-layout.md), with containerd's annotation of the name. Docker without containerd's image store reads `manifest.json` instead,
 * which knows no platforms: it gets each image under the name with the architecture at the end, where there are several.
 * Equal input gives equal octets.
 * @param file where to; also the directory for temporary files
 */
export async function writeArchive(
  file: string,
  { name, platforms, createdSeconds, compression }: ArchiveOptions,
): Promise<void> {
  const layout = await mkdtemp(`${file}.`);
  const created = new Date(createdSeconds * 1000).toISOString().replace(".000Z", "Z");
  try {
    const blobs = join(layout, "blobs/sha256");
    await mkdir(blobs, { recursive: true });
    const writeJson = (mediaType: string, value: object) => writeBlob(blobs, mediaType, JSON.stringify(value));
    const manifests: object[] = [];
    const forDocker: object[] = [];
    for (const { architecture, layers, config } of platforms) {
      const packed = [];
      for (const layer of layers) packed.push(await writeLayer(blobs, layer, compression));
      const platform = { architecture, os: "linux", ...(architecture === "arm64" ? { variant: "v8" } : {}) };
      const rootfs = { type: "layers", diff_ids: packed.map(({ diffId }) => diffId) };
      const history = layers.map(() => ({ created, created_by: "make image" }));
      const configBlob = await writeJson(`${type}.config.v1+json`, { created, ...platform, config, rootfs, history });
      const manifest = {
        schemaVersion: 2,
        mediaType: `${type}.manifest.v1+json`,
        config: configBlob,
        layers: packed.map(({ descriptor }) => descriptor),
        annotations: { ...config.Labels, "org.opencontainers.image.created": created },
      };
      manifests.push({ ...(await writeJson(manifest.mediaType, manifest)), platform });
      forDocker.push({
        Config: pathOf(configBlob),
        RepoTags: [platforms.length === 1 ? name : `${name}-${architecture}`],
        Layers: manifest.layers.map(pathOf),
      });
    }
    const mediaType = `${type}.index.v1+json`;
    const annotations = { ...platforms[0]?.config.Labels, "org.opencontainers.image.created": created };
    const index = await writeJson(mediaType, { schemaVersion: 2, mediaType, manifests, annotations });
    const names = { "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name };
    const top = { schemaVersion: 2, mediaType, manifests: [{ ...index, annotations: names }] };
    await writeFile(join(layout, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    await writeFile(join(layout, "index.json"), JSON.stringify(top));
    await writeFile(join(layout, "manifest.json"), JSON.stringify(forDocker));
    await pipeline(tar(layout), createWriteStream(`${layout}.tar`));
    await rename(`${layout}.tar`, file);
  } finally {
    for (const each of [layout, `${layout}.tar`]) await rm(each, { recursive: true, force: true });
  }
}

function pathOf({ digest }: Descriptor): string {
  return `blobs/${digest.replace(":", "/")}`;
}

async function writeBlob(blobs: string, mediaType: string, text: string): Promise<Descriptor> {
  const digest = createHash("sha256").update(text).digest("hex");
  await writeFile(join(blobs, digest), text);
  return { mediaType, digest: `sha256:${digest}`, size: Buffer.byteLength(text) };
}

async function writeLayer(
  blobs: string,
  directory: string,
  compression: ArchiveOptions["compression"],
): Promise<{ descriptor: Descriptor; diffId: string }> {
  const unfinished = join(blobs, "layer");
  const [plain, packed] = [createHash("sha256"), createHash("sha256")];
  const compress = compression === "gzip" ? createGzip() : new PassThrough();
  await pipeline(tar(directory), tap(plain), compress, tap(packed), createWriteStream(unfinished));
  const digest = packed.digest("hex");
  const { size } = await lstat(unfinished);
  await rename(unfinished, join(blobs, digest));
  const mediaType = `${type}.layer.v1.tar${compression === "gzip" ? "+gzip" : ""}`;
  return { descriptor: { mediaType, digest: `sha256:${digest}`, size }, diffId: `sha256:${plain.digest("hex")}` };
}

function tap(hash: Hash): PassThrough {
  const stream = new PassThrough();
  return stream.on("data", (chunk: Uint8Array) => void hash.update(chunk));
}
