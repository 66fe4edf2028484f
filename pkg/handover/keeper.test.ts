// Scenario: what others do to tables in a kernel.
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mock, test } from "node:test";
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

const other = address("10.0.0.2");
const errnoInterrupted = 4;
const client = "02:00:00:00:00:99";

/** One keeper that hands over packets to .1, and its node's packet filter. */
function keeping() {
  const clock = new SimulatedClock();
  const filter = new SimulatedFilter(() => clock.now());
  const options = { read: () => "", onFailures: () => {}, onInherited: () => {}, log: silentLog, clock };
  const keeper = new HandoverKeeper({ kernel: filter, ...options });
  const hand = (text: string) => {
    const way = { to: other, interfaceIndex: 1, from: undefined, lingers: false, until: clock.now() + 600_000 };
    keeper.want(address(text), { address: address(text), ...way });
  };
  keeper.check();
  hand("192.0.2.1");
  keeper.flush();
  return { clock, filter, keeper, hand, nextOf: (text: string) => filter.next(address(text), client)?.toString() };
}

test("an address that moves while somebody takes the table away again and again is handed over before it is announced", () => {
  const { clock, filter, keeper, hand, nextOf } = keeping();
  using _ = keeper;
  for (let i = 0; i < 3; i++) {
    filter.flush();
    clock.advanceBy(2_100);
  }
  assert.equal(nextOf("192.0.2.1"), undefined); // It waits.
  hand("192.0.2.2");
  keeper.flush();
  assert.equal(nextOf("192.0.2.2"), other.toString());
  clock.advanceBy(60_000);
  assert.equal(nextOf("192.0.2.1"), other.toString());
});

test("an address that moves right after somebody took the table away is handed over before it is announced", () => {
  const { clock, filter, keeper, hand, nextOf } = keeping();
  using _ = keeper;
  clock.advanceBy(10_000);
  filter.flush();
  hand("192.0.2.2");
  keeper.flush();
  assert.equal(nextOf("192.0.2.2"), other.toString());
});

test("a kernel that keeps no mark of a table, as before Linux 5.10, has it known by the marks of its rules", () => {
  const { clock, filter, keeper, hand, nextOf } = keeping();
  using _ = keeper;
  const query = filter.query.bind(filter);
  mock.method(filter, "query", (...asked: Parameters<typeof query>) =>
    query(...asked)?.map((message) => (message.type === "table" ? { ...message, mark: undefined } : message)),
  );
  clock.advanceBy(10_000);
  hand("192.0.2.2");
  keeper.flush();
  assert.equal(nextOf("192.0.2.2"), other.toString());
  keeper.complete();
  for (const n of [1, 2]) keeper.want(address(`192.0.2.${n}`), undefined);
  clock.advanceBy(10_000);
  assert.equal(query({ family: "IPv4", table: "ingot" }, { type: "table" }), undefined);
});

test("nobody has taken away what is yet to be added when all is compared", () => {
  const { clock, keeper, hand } = keeping();
  using _ = keeper;
  // One of them comes just before all is compared.
  using timers = new DisposableStack();
  for (let ms = 59_900; ms < 60_100; ms++) timers.use(clock.schedule("another address", ms, () => hand(`192.0.2.${ms % 200}`)));
  clock.advanceTo(61_000);
  assert.equal(keeper.restored, 0);
});

test("an address that moves while others change the packet filter all the time is handed over before it is announced", () => {
  const { clock, filter, keeper, hand, nextOf } = keeping();
  using _ = keeper;
  const query = mock.method(filter, "query", () => {
    throw new SystemCallError("netlink", errnoInterrupted, "read elements of a filter");
  });
  clock.advanceBy(61_000);
  assert.notEqual(query.mock.callCount(), 0);
  hand("192.0.2.2");
  keeper.flush();
  assert.equal(nextOf("192.0.2.2"), other.toString());
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
