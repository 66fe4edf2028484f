import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { type ArchiveOptions, writeArchive } from "./oci.ts";
import { readTar } from "./testing/read-tar.ts";

let directory: string;
let options: ArchiveOptions;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "ingot-oci-test-"));
  const root = join(directory, "root");
  await mkdir(join(root, "app"), { recursive: true });
  await writeFile(join(root, "app/hello"), "hello\n", { mode: 0o700 });
  await symlink("app/hello", join(root, "link"));
  const config = { Entrypoint: ["/app/hello"], User: "65534:65534", Labels: { "org.opencontainers.image.title": "Hello" } };
  const platforms = (["amd64", "arm64"] as const).map((architecture) => ({ architecture, layers: [root], config }));
  options = { name: "localhost/hello:1", platforms, createdSeconds: 86_400, compression: "gzip" };
});
after(() => rm(directory, { recursive: true }));

async function archiveOf(given: ArchiveOptions): Promise<Buffer> {
  const file = join(directory, "image.tar");
  await writeArchive(file, given);
  return readFile(file);
}

test("every digest and size in an archive is that of the blob that it names, down from index.json", async () => {
  const files = await readTar(await archiveOf(options));
  const blob = ({ digest, size }: { digest: string; size: number }) => {
    const data = files.get(`blobs/${digest.replace(":", "/")}`)?.data ?? Buffer.alloc(0);
    assert.equal(`sha256:${createHash("sha256").update(data).digest("hex")}`, digest);
    assert.equal(data.length, size);
    return data;
  };
  const json = (data: Uint8Array | undefined) => JSON.parse(String(data));
  assert.deepEqual(json(files.get("oci-layout")?.data), { imageLayoutVersion: "1.0.0" });
  const [top] = json(files.get("index.json")?.data).manifests;
  assert.equal(top.annotations["io.containerd.image.name"], "localhost/hello:1");
  const index = json(blob(top));
  assert.equal(index.annotations["org.opencontainers.image.title"], "Hello");
  assert.deepEqual(
    index.manifests.map(({ platform }: { platform: object }) => platform),
    [
      { architecture: "amd64", os: "linux" },
      { architecture: "arm64", os: "linux", variant: "v8" },
    ],
  );
  for (const each of index.manifests) {
    const manifest = json(blob(each));
    const config = json(blob(manifest.config));
    assert.equal(config.architecture, each.platform.architecture);
    assert.equal(config.created, "1970-01-02T00:00:00Z");
    assert.equal(config.config.User, "65534:65534");
    const layer = gunzipSync(blob(manifest.layers[0]));
    assert.deepEqual(config.rootfs.diff_ids, [`sha256:${createHash("sha256").update(layer).digest("hex")}`]);
    const entries = [...(await readTar(layer))].map(([name, { type, mode, uid, gid }]) => [name, type, mode, uid, gid]);
    assert.deepEqual(entries, [
      ["app", "directory", 0o755, 0, 0],
      ["app/hello", "file", 0o755, 0, 0],
      ["link", "symlink", 0o777, 0, 0],
    ]);
  }
});

test("Docker without an image store of containerd finds each architecture under a name of its own, and one alone under its name", async () => {
  const tags = async (given: ArchiveOptions) => {
    const files = await readTar(await archiveOf(given));
    const images = JSON.parse(String(files.get("manifest.json")?.data)) as {
      Config: string;
      RepoTags: string[];
      Layers: string[];
    }[];
    for (const { Config, Layers } of images) for (const path of [Config, ...Layers]) assert.ok(files.has(path), path);
    return images.flatMap(({ RepoTags }) => RepoTags);
  };
  assert.deepEqual(await tags(options), ["localhost/hello:1-amd64", "localhost/hello:1-arm64"]);
  assert.deepEqual(await tags({ ...options, platforms: options.platforms.slice(0, 1) }), ["localhost/hello:1"]);
});

test("equal input gives equal octets, whenever it is made and whatever the umask was", async () => {
  const first = await archiveOf(options);
  const file = join(directory, "root/app/hello");
  await utimes(file, 1, 1);
  await chmod(file, 0o755);
  await chmod(join(directory, "root/app"), 0o700);
  assert.ok(first.equals(await archiveOf(options)));
});
