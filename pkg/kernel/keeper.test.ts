// Scenario: what others do to addresses in a kernel.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

// A namespace of its own, so that it runs for an ordinary user and leaves nothing behind, even if it is killed.
const unshare = ["--user", "--map-root-user", "--net", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"];
const available = spawnSync("unshare", [...unshare, "ip", "link"]).status === 0;

for (const [what, name] of [
  ["addresses are kept in a kernel", "keeper-scenarios.ts"],
  ["a node's own addresses change while addresses are kept beside them", "renumbering-scenarios.ts"],
] as const)
  test(what, { skip: !available && "needs unshare, ip and user namespaces" }, () => passesAlone(name));

async function passesAlone(name: string): Promise<void> {
  const file = new URL(`./testing/${name}`, import.meta.url).pathname;
  const { NODE_TEST_CONTEXT: _, ...env } = process.env; // It is a run of its own, not a part of this one.
  const options = { env, timeout: 300_000, killSignal: "SIGKILL" } as const;
  const run = promisify(execFile)("unshare", [...unshare, process.execPath, file], options);
  await run.catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
}
