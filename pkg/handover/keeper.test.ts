// Scenario: what others do to tables in a kernel.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

// A namespace of its own, so that it runs for an ordinary user and leaves nothing behind, even if it is killed.
const unshare = ["--user", "--map-root-user", "--net", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"];
const available = spawnSync("unshare", [...unshare, "nft", "list", "ruleset"]).status === 0;

test("handovers are kept in a kernel", { skip: !available && "needs unshare, nft and user namespaces" }, async () => {
  const file = new URL("./testing/keeper-scenarios.ts", import.meta.url).pathname;
  const { NODE_TEST_CONTEXT: _, ...env } = process.env; // It is a run of its own, not a part of this one.
  const options = { env, timeout: 300_000, killSignal: "SIGKILL" } as const;
  const run = promisify(execFile)("unshare", [...unshare, process.execPath, file], options);
  await run.catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
});
