import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

// A namespace of each kind, so that it runs for an ordinary user and leaves nothing behind, even if it is killed.
const unshare = ["--user", "--map-root-user", "--net", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"];
const available = spawnSync("unshare", [...unshare, "ip", "link"]).status === 0;

test("BFD in a network namespace", { skip: !available && "needs unshare, ip and user namespaces" }, async () => {
  const file = new URL("./testing/netns-scenarios.ts", import.meta.url).pathname;
  const { NODE_TEST_CONTEXT: _, ...env } = process.env; // It is a run of its own, not a part of this one.
  const run = promisify(execFile)("unshare", [...unshare, process.execPath, file], {
    env,
    timeout: 300_000,
    killSignal: "SIGKILL",
  });
  await run.catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
});
