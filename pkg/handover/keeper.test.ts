// Scenario: what others do to tables in a kernel.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";
import { SimulatedClock } from "#pkg/clock/testing";
import { HandoverKeeper } from "#pkg/handover";
import { SimulatedFilter } from "#pkg/handover/testing";
import { SystemCallError } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";

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

test("a kernel that is short of memory for a moment is asked again within seconds, since addresses move meanwhile", () => {
  const clock = new SimulatedClock();
  const filter = new SimulatedFilter(() => clock.now());
  const errnoNoBuffers = 105;
  let failures = 0;
  const kernel = {
    query: filter.query.bind(filter),
    change(...[table, changes]: Parameters<SimulatedFilter["change"]>) {
      if (table.table === "ingot" && failures++ === 0) throw new SystemCallError("recvfrom", errnoNoBuffers, "receive a message");
      return filter.change(table, changes);
    },
  };
  const options = { read: () => "", onFailures: () => {}, onInherited: () => {}, log: silentLog, clock };
  using keeper = new HandoverKeeper({ kernel, ...options });
  keeper.check();
  const to = { to: address("10.0.0.2"), interfaceIndex: 1, from: undefined, lingers: false, until: 600_000 };
  keeper.want(address("192.0.2.1"), { address: address("192.0.2.1"), ...to });
  keeper.flush();
  assert.deepEqual([failures, filter.isActive], [1, false]);
  clock.advanceBy(2_001);
  assert.ok(filter.isActive);
});

test("a kernel without memory while handovers become impossible is asked again, and the speaker goes on", () => {
  const clock = new SimulatedClock();
  const filter = new SimulatedFilter(() => clock.now());
  const errnoNoMemory = 12;
  let failures = 0;
  const kernel = {
    query: filter.query.bind(filter),
    change(...[table, changes]: Parameters<SimulatedFilter["change"]>) {
      if (table.table === "ingot" && changes.some(({ type }) => type === "deleteTable") && failures++ === 0)
        throw new SystemCallError("send", errnoNoMemory, "send a netlink request");
      return filter.change(table, changes);
    },
  };
  let devices = "";
  const read = (path: string) => (path === "/proc/net/dev" ? devices : "");
  using keeper = new HandoverKeeper({ kernel, read, onFailures: () => {}, onInherited: () => {}, log: silentLog, clock });
  keeper.check();
  const to = { to: address("10.0.0.2"), interfaceIndex: 1, from: undefined, lingers: false, until: 600_000 };
  keeper.want(address("192.0.2.1"), { address: address("192.0.2.1"), ...to });
  keeper.flush();
  assert.ok(filter.isActive);
  devices = "cilium_host: 0\n";
  clock.advanceBy(60_001);
  assert.deepEqual([failures, filter.isActive], [1, true]);
  clock.advanceBy(60_001);
  assert.equal(filter.isActive, false);
});
