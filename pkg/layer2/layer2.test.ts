import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { suite, test } from "node:test";
import { promisify } from "node:util";

// A namespace of each kind, so that it runs for an ordinary user and leaves nothing behind, even if it is killed.
const unshare = ["--user", "--map-root-user", "--net", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"];
const available = spawnSync("unshare", [...unshare, "ip", "link"]).status === 0;

const skip = !available && "needs unshare, ip and user namespaces";

suite("layer 2 on a LAN of network namespaces", { skip, concurrency: true }, () => {
  for (const scenarios of ["standby-scenarios", "interface-scenarios", "arp-scenarios", "ndp-scenarios"])
    test(scenarios, async () => {
      const file = new URL(`./testing/${scenarios}.ts`, import.meta.url).pathname;
      const { NODE_TEST_CONTEXT: _, ...env } = process.env; // It is a run of its own, not a part of this one.
      const run = promisify(execFile)("unshare", [...unshare, process.execPath, file], {
        env,
        timeout: 180_000,
        killSignal: "SIGKILL",
      });
      await run.catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
    });
});
