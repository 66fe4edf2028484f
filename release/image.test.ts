import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { packageChart } from "./chart.ts";
import { describeSource, readTag, readVersion } from "./image.ts";
import { packageManifests } from "./manifests.ts";
import { readTar } from "./testing/read-tar.ts";

const folder = mkdtempSync(join(tmpdir(), "ingot-tag-"));
after(() => rmSync(folder, { recursive: true }));
const version = await readVersion();

test("builds of different sources have different tags, which are the version, then the commit", async () => {
  const project = join(folder, "project");
  const git = (...args: string[]) => execFileSync("git", ["-C", project, ...args], { encoding: "utf8" }).trim();
  const write = (name: string, text: string) => writeFileSync(join(project, name), text);
  const commit = () => git("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "--all", "--message=m");
  execFileSync("git", ["init", "--quiet", project]);
  write("a", "1");
  git("add", "a");
  commit();
  const tags = [await readTag(project)];
  assert.equal(tags[0], `${version}-${git("rev-parse", "--short=12", "HEAD")}`);
  assert.equal(await readTag(project), tags[0], "equal sources have equal tags");
  write("a", "2");
  tags.push(await readTag(project));
  write("a", "3");
  tags.push(await readTag(project));
  const before = git("status", "--porcelain");
  write("untracked", "1");
  tags.push(await readTag(project));
  write("untracked", "2");
  tags.push(await readTag(project));
  rmSync(join(project, "untracked"));
  assert.equal(git("status", "--porcelain"), before, "what is staged stays as it is");
  commit();
  tags.push(await readTag(project));
  assert.equal(new Set(tags).size, tags.length, tags.join("\n"));
  for (const tag of tags) assert.match(tag, /^[\w.-]{1,63}$/, "it is a tag of an image and the value of a label");
});

test("outside a repository the tag is the version", async () => {
  const env = process.env.GIT_CEILING_DIRECTORIES;
  process.env.GIT_CEILING_DIRECTORIES = tmpdir();
  try {
    assert.equal((await describeSource(folder)).revision, undefined);
    assert.equal(await readTag(folder), version);
  } finally {
    if (env === undefined) delete process.env.GIT_CEILING_DIRECTORIES;
    else process.env.GIT_CEILING_DIRECTORIES = env;
  }
});

test("chart and manifests take the image of their build", async () => {
  const parts = async (file: string) => await readTar(gunzipSync(readFileSync(join(folder, file))));
  const chart = await parts(await packageChart(folder, "reg/ingot", "1.2-abc"));
  assert.match(String(chart.get("ingot/Chart.yaml")?.data), /^appVersion: 1\.2-abc$/m);
  assert.match(String(chart.get("ingot/values.yaml")?.data), /^ {2}repository: reg\/ingot$/m);
  const manifests = await parts(await packageManifests(folder, "1.2-abc"));
  assert.match(String(manifests.get("ingot/manifests/kustomization.yaml")?.data), /^ {4}newTag: 1\.2-abc$/m);
});
