import assert from "node:assert/strict";
import { test } from "node:test";
import { addressesOf, architectures, arMembers, packageNames, readLock } from "./debian.ts";

test("the lock has one version of each package for each architecture, with its checksum", async () => {
  const { packages } = await readLock();
  const found = packages.map(({ name, architecture }) => `${name} ${architecture}`);
  assert.deepEqual(found.sort(), architectures.flatMap((each) => packageNames.map((name) => `${name} ${each}`)).sort());
  for (const { name, version, sha256, path } of packages) {
    assert.match(sha256, /^[0-9a-f]{64}$/);
    assert.match(path, /^debian(-security)?\/pool\//);
    assert.deepEqual(
      new Set(packages.filter((each) => each.name === name).map((each) => each.version)),
      new Set([version]),
      name,
    );
  }
});

test("a package that the mirror deleted is looked for where Debian keeps everything", () => {
  const locked = { name: "a", version: "1", architecture: "amd64", path: "debian-security/pool/a_1.deb", sha256: "" } as const;
  assert.deepEqual(addressesOf(locked, "20261120T000000Z"), [
    "https://deb.debian.org/debian-security/pool/a_1.deb",
    "https://snapshot.debian.org/archive/debian-security/20261120T000000Z/pool/a_1.deb",
  ]);
});

const member = (name: string, size: string, data: string) => `${name.padEnd(48)}${size.padEnd(10)}\`\n${data}`;

test("members of an ar archive are read with their padding", () => {
  const archive = Buffer.from(
    `!<arch>\n${member("debian-binary", "4", "2.0\n")}${member("a/", "1", "x\n")}${member("b", "2", "yz")}`,
  );
  assert.deepEqual(
    [...arMembers(archive)].map(([name, data]) => [name, String(data)]),
    [
      ["debian-binary", "2.0\n"],
      ["a", "x"],
      ["b", "yz"],
    ],
  );
});

for (const [name, archive, message] of [
  ["another format", "PK\u0003\u0004", /no ar archive/],
  ["a member cut short", `!<arch>\n${member("a", "5", "x")}`, /no whole member of an ar archive at offset 8/],
  ["a size that is no number", `!<arch>\n${member("a", "?", "")}`, /offset 8/],
  ["a negative size", `!<arch>\n${member("a", "-60", "x")}`, /offset 8/],
] as const)
  test(`${name} is refused`, () => assert.throws(() => arMembers(Buffer.from(archive, "latin1")), message));
