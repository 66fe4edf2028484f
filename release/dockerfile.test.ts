import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readLastStage } from "./dockerfile.ts";

const text = readFileSync("Dockerfile", "utf8");
const { version } = JSON.parse(readFileSync("package.json", "utf8"));

test("the Dockerfile's last stage is the image's layers and configuration", () => {
  const { copies, config } = readLastStage(text, { REVISION: "0123abcd" });
  assert.deepEqual(copies, ["/tmp/root/system", "/tmp/root/node", "/tmp/root/ingot"]);
  assert.equal(config.User, "65534:65534");
  assert.equal(config.Entrypoint?.[0], "node");
  assert.equal(config.Labels?.["org.opencontainers.image.version"], version);
  assert.equal(config.Labels?.["org.opencontainers.image.revision"], "0123abcd");
  assert.ok(!Object.hasOwn(readLastStage(text, {}).config.Labels ?? {}, "org.opencontainers.image.revision"));
});

for (const [name, stage, message] of [
  ["a last stage on a base", "FROM scratch AS one\nFROM debian\n", /its last stage is FROM debian, not FROM scratch/],
  ["a copy of single files", "FROM scratch\nCOPY --from=build --chown=0:0 /a /b\n", /COPY --from=build --chown=0:0 \/a \/b/],
  ["an entry point for a shell", "FROM scratch\nENTRYPOINT node\n", /ENTRYPOINT node/],
  ["an instruction that it does not know", "FROM scratch\nEXPOSE 7472\n", /EXPOSE 7472/],
] as const)
  test(`${name} is refused`, () => assert.throws(() => readLastStage(stage, {}), message));

test("the image is made from a base with a digest, without scripts of packages", () => {
  const lines = text.split("\n");
  const bases = lines.filter((line) => line.startsWith("FROM ")).map((line) => line.split(" ")[1] ?? "");
  for (const base of bases) assert.match(base, /@sha256:[0-9a-f]{64}$|^\$\{\w+_IMAGE\}$|^scratch$/);
  for (const line of lines.filter((line) => line.startsWith("ARG "))) assert.doesNotMatch(line, /_IMAGE=(?!.*@sha256:)/);
  for (const line of lines.filter((line) => /npm (ci|install)/.test(line))) assert.match(line, /npm ci .*--ignore-scripts/);
});
