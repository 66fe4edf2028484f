import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { writeImageArchive } from "#e2e/cluster";
import { run } from "./command.ts";

let directory: string;
let root: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), "ingot-image-test-"));
  root = join(directory, "root");
  await mkdir(join(root, "app"), { recursive: true });
  await writeFile(join(root, "app", "hello"), "hello\n", { mode: 0o755 });
});
after(() => rm(directory, { recursive: true }));

test("an image archive has the layer that its configuration names, owned by root", async () => {
  const archive = join(directory, "image.tar");
  await writeImageArchive(archive, { tag: "localhost/hello:1", root, entrypoint: ["/app/hello"], user: "65534:65534" });
  const parts = await mkdtemp(join(directory, "parts-"));
  await run(["tar", "-C", parts, "-xf", archive]);

  const manifest = JSON.parse(await readFile(join(parts, "manifest.json"), "utf8"));
  assert.deepEqual(manifest, [{ Config: "config.json", RepoTags: ["localhost/hello:1"], Layers: ["layer.tar"] }]);
  const config = JSON.parse(await readFile(join(parts, "config.json"), "utf8"));
  assert.deepEqual(config.config.Entrypoint, ["/app/hello"]);
  assert.equal(config.config.User, "65534:65534");
  const layer = join(parts, "layer.tar");
  const digest = createHash("sha256")
    .update(await readFile(layer))
    .digest("hex");
  assert.deepEqual(config.rootfs, { type: "layers", diff_ids: [`sha256:${digest}`] });
  assert.match(await run(["tar", "--numeric-owner", "-tvf", layer]), /^-rwxr-xr-x 0\/0 .* \.\/app\/hello$/m);
});

test("equal files give an equal image, whenever it is made", async () => {
  const [first, second] = [join(directory, "first.tar"), join(directory, "second.tar")];
  await writeImageArchive(first, { tag: "localhost/hello:1", root });
  await utimes(join(root, "app", "hello"), 1, 1);
  await writeImageArchive(second, { tag: "localhost/hello:1", root });
  const [one, other] = await Promise.all([readFile(first), readFile(second)]);
  assert.ok(one.equals(other));
});
