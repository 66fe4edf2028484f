import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { UsageError } from "./command.ts";
import { writePrivateFile } from "./private-file.ts";

async function temporary() {
  const folder = await mkdtemp(join(tmpdir(), "private-"));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

test("a private file can be read by nobody else, also where one was there that could", async () => {
  await using place = await temporary();
  const path = join(place.folder, "backup.yaml");
  await writeFile(path, "a former one, which is longer", { mode: 0o644 });
  assert.equal(await writePrivateFile(path, "password"), true);
  assert.deepEqual([(await stat(path)).mode & 0o777, await readFile(path, "utf8")], [0o600, "password"]);
  const inner = join(place.folder, "state/ingotctl/backup.yaml");
  await writePrivateFile(inner, "password");
  assert.deepEqual([(await stat(inner)).mode & 0o777, (await stat(join(place.folder, "state"))).mode & 0o777], [0o600, 0o700]);
});

test("a private file that is to be new takes the place of none, and one that cannot be written is a usage error", async () => {
  await using place = await temporary();
  const path = join(place.folder, "backup.yaml");
  assert.equal(await writePrivateFile(path, "first", true), true);
  assert.equal(await writePrivateFile(path, "second", true), false);
  assert.equal(await readFile(path, "utf8"), "first");
  await assert.rejects(writePrivateFile(join(path, "x"), "third"), UsageError);
});
