import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ApiClient } from "./index.ts";

const script = fileURLToPath(new URL("main.ts", import.meta.url));

test("the lab stays until Ctrl-C, and what it prints works meanwhile", async () => {
  const directory = mkdtempSync(join(tmpdir(), "demo-cluster-"));
  const child = spawn(process.execPath, [script, "--nodes", "1", "--directory", directory], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const lines: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      if (line.startsWith("  node1 ")) break;
    }
    const enter = /^ {2}node1\s+(nsenter .*)$/.exec(lines.at(-1) ?? "")?.[1];
    const shown = execFileSync("sh", ["-c", `${enter} ip -brief address show dev eth0`], { encoding: "utf8" });
    assert.match(shown, /172\.30\.0\.11\/24/);
    assert.ok(lines.includes("Service web has 172.30.0.200. From the client:"));

    const kubeconfig = readFileSync(join(directory, "kubeconfig"), "utf8");
    using api = new ApiClient(kubeconfig, Number(/127\.0\.0\.1:(\d+)/.exec(kubeconfig)?.[1]));
    assert.deepEqual((await api.list("v1", "Node")).length, 1);

    child.kill("SIGINT");
    assert.deepEqual(await once(child, "exit"), [0, null]);
    assert.match(readFileSync(join(directory, "speaker-node1.log"), "utf8"), /"stopped"/);
    assert.notEqual(spawnSync("sh", ["-c", `${enter} true`]).status, 0, "the host is gone");
  } finally {
    child.kill("SIGKILL");
    rmSync(directory, { recursive: true });
  }
});

test("a number of nodes that cannot be is refused", () => {
  const { status, stderr } = spawnSync(process.execPath, [script, "--nodes", "none"], { encoding: "utf8" });
  assert.equal(status, 2);
  assert.match(stderr, /^Cannot make none nodes\n/);
});
