import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";

const main = new URL("main.ts", import.meta.url).pathname;

function run(
  ...args: string[]
): ChildProcess & { stdout: NonNullable<ChildProcess["stdout"]>; stderr: NonNullable<ChildProcess["stderr"]> } {
  return spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"], timeout: 300_000 });
}

test("the process says where it listens, writes a kubeconfig for it, and takes that away at the end", async () => {
  const directory = mkdtempSync(join(tmpdir(), "apiserver-"));
  const kubeconfig = join(directory, "kubeconfig");
  const child = run("--port", "0", "--host", "localhost", "--kubeconfig", kubeconfig);
  try {
    const [line] = await once(createInterface(child.stdout), "line");
    const [, url] = /^listening on (https:\/\/localhost:\d+)$/.exec(line) ?? [];
    assert.ok(url !== undefined, line);
    assert.ok(readFileSync(kubeconfig, "utf8").includes(`server: ${url}\n`));
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    assert.equal(code, 0);
    assert.equal(existsSync(kubeconfig), false);
  } finally {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  }
});

for (const [flag, value] of [
  ["--port", "http"],
  ["--node-ports", "1-x"],
  ["--history", "-1"],
] as const) {
  test(`${flag}=${value} is refused with the usage`, async () => {
    const child = run(`${flag}=${value}`);
    let text = "";
    child.stderr.on("data", (chunk) => {
      text += chunk;
    });
    const [code] = await once(child, "close");
    assert.equal(code, 2);
    assert.match(text, new RegExp(`^Cannot read ${flag}: .*\n\nusage:`));
  });
}
