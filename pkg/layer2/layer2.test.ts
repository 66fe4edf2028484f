// Scenario: what speakers do on a LAN of namespaces.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { suite, test } from "node:test";
import { promisify } from "node:util";
import { SimulatedClock } from "#pkg/clock/testing";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { Layer2 } from "./layer2.ts";

// A namespace of each kind, so that it runs for an ordinary user and leaves nothing behind, even if it is killed.
const unshare = ["--user", "--map-root-user", "--net", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"];
const available = spawnSync("unshare", [...unshare, "ip", "link"]).status === 0;

const skip = !available && "needs unshare, ip and user namespaces";

suite("layer 2 on a LAN of network namespaces", { skip, concurrency: true }, () => {
  for (const scenarios of [
    "standby-scenarios",
    "interface-scenarios",
    "arp-scenarios",
    "ndp-scenarios",
    "asker-scenarios",
    "proof-scenarios",
  ])
    test(scenarios, async () => {
      const file = new URL(`./testing/${scenarios}.ts`, import.meta.url).pathname;
      const { NODE_TEST_CONTEXT: _, ...env } = process.env; // It is a run of its own, not a part of this one.
      const run = promisify(execFile)("unshare", [...unshare, process.execPath, file], {
        env,
        timeout: 600_000,
        killSignal: "SIGKILL",
      });
      await run.catch(({ stdout, stderr }) => assert.fail(stdout + stderr));
    });
});

test("an address is counted for five minutes after it is withdrawn, and no longer", async () => {
  const clock = new SimulatedClock();
  await using layer2 = new Layer2({ log: silentLog, clock });
  const counted = () => [...layer2.addressCounters()].map(({ address }) => `${address}`);
  for (let i = 1; i <= 3; i++) layer2.announce(address(`192.0.2.${i}`));
  layer2.withdraw(address("192.0.2.1"));
  clock.advanceBy(60_000);
  layer2.withdraw(address("192.0.2.2"));
  layer2.announce(address("192.0.2.1"));
  clock.advanceBy(4 * 60_000);
  assert.deepEqual(counted(), ["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
  clock.advanceBy(60_000);
  assert.deepEqual(counted(), ["192.0.2.1", "192.0.2.3"]);
});
