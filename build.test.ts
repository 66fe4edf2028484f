import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "./build.ts";

// Outside the project, so that nothing of the project's node_modules is found.
const directory = mkdtempSync(join(tmpdir(), "ingot-build-test-"));
before(() => build(directory));
after(() => rmSync(directory, { recursive: true }));

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
  packages: Record<string, { version: string; integrity?: string; dev?: boolean; hasInstallScript?: boolean }>;
};

for (const name of ["controller", "speaker", "ingotctl"]) {
  test(`the bundle ${name}.js runs with nothing around it but what was built`, () => {
    const output = execFileSync(process.execPath, [`${name}.js`, "--help"], { cwd: directory, encoding: "utf8" });
    assert.match(output, /ingot/);
    assert.ok(existsSync(join(directory, `${name}.js.map`)));
  });
}

test("koffi and its addon are found beside the bundles", () => {
  const script = 'import koffi from "koffi"; console.log(koffi.load("libc.so.6").func("int getpid()")() === process.pid)';
  const args = ["--input-type=module", "-e", script];
  assert.equal(execFileSync(process.execPath, args, { cwd: directory, encoding: "utf8" }), "true\n");
});

test("the threads are bundled beside the programs", () => {
  for (const name of ["config-worker.js", "layer2-worker.js", "bfd-worker.js", "memberlist-worker.js"])
    assert.ok(existsSync(join(directory, name)), name);
});

test("no bundle has a character that takes Node two octets of memory for each of all", () => {
  for (const name of readdirSync(directory).filter((file) => file.endsWith(".js")))
    assert.doesNotMatch(readFileSync(join(directory, name), "utf8"), /[\u0100-\uffff]/, name);
});

test("every package of the lock file has a checksum, the Node that runs everything too", () => {
  const without = Object.entries(packages).filter(([path, { integrity }]) => path !== "" && !integrity?.startsWith("sha512-"));
  assert.deepEqual(without, []);
  assert.ok(packages[`node_modules/node-linux-${process.arch}`]?.version === process.versions.node);
});
