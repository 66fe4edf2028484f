import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { buildIngotImage, releaseFiles } from "#e2e/cluster";
import { readTar, type TarFile } from "../../release/testing/read-tar.ts";

interface Image {
  /** Path -> what there is, with a checksum instead of the octets. */
  readonly files: Map<string, string>;
  readonly config: { User: string; Entrypoint: string[]; Cmd: string[]; Env: string[]; WorkingDir: string; Labels: object };
}

let built: Image; // By buildah, for this machine's architecture.
let archived: Map<string, TarFile>; // By `make release`.
before(async () => {
  built = await imageIn(await readTar(await readFile(await buildIngotImage())), 0);
  const folder = await releaseFiles();
  const [archive = ""] = globSync("ingot-*-image.tar", { cwd: folder });
  archived = await readTar(await readFile(join(folder, archive)));
});

/** One of the images that a docker archive lists. */
async function imageIn(archive: Map<string, TarFile>, number: number): Promise<Image> {
  const { Config, Layers } = JSON.parse(String(archive.get("manifest.json")?.data))[number];
  const files = new Map<string, string>();
  for (const layer of Layers) {
    const data = archive.get(layer)?.data ?? Buffer.alloc(0);
    for (const [path, file] of await readTar(data[0] === 0x1f ? gunzipSync(data) : data)) {
      const content = createHash("sha256").update(file.data).digest("hex");
      files.set(path, `${file.type} ${(file.mode & 0o7777).toString(8)} ${file.uid}:${file.gid} ${file.linkname || content}`);
    }
  }
  files.delete("");
  return { files, config: JSON.parse(String(archive.get(Config)?.data)).config };
}

test("the image built from the Dockerfile and the one of `make release` hold the same files", async () => {
  const made = await imageIn(archived, process.arch === "arm64" ? 1 : 0);
  const only = (one: Image, other: Image) => [...one.files].filter(([path, about]) => other.files.get(path) !== about);
  assert.deepEqual([only(built, made), only(made, built)], [[], []]);
  assert.ok(made.files.has("ingot/speaker.js"));
});

test("both are configured alike", async () => {
  const made = await imageIn(archived, 0);
  for (const key of ["User", "Entrypoint", "Cmd", "Env", "WorkingDir"] as const)
    assert.deepEqual(built.config[key], made.config[key], key);
  const labels = ({ config }: Image) => ({ ...config.Labels, "org.opencontainers.image.revision": "" });
  assert.deepEqual(labels(built), labels(made));
});

test("the image holds no shell and no program but Node, and nothing that anybody but root may write", () => {
  const programs = [...built.files].filter(([path, about]) => /^file 755/.test(about) && !/\.(js|so[.\d]*)$/.test(path));
  assert.deepEqual(
    programs.map(([path]) => path),
    ["usr/local/bin/node"],
  );
  for (const [path, about] of built.files) assert.match(about, /^(file|directory) (755|644) 0:0 |^symlink 777 0:0 /, path);
  assert.equal(built.config.User, "65534:65534");
});

test("the images for both architectures hold the same files but for names of the architecture", async () => {
  const names = ({ files }: Image) =>
    [...files.keys()]
      .map((path) => path.replace(/x86_64|aarch64/, "ARCH").replace(/([-_])(x64|arm64)/g, "$1ARCH"))
      .filter((path) => !/^(usr\/)?lib64|ld-linux/.test(path))
      .sort();
  assert.deepEqual(names(await imageIn(archived, 1)), names(await imageIn(archived, 0)));
});
