import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { Netfilter, SystemCallError } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { FlowCounter, inPortions } from "./flow-counter.ts";

const errnoNotPermitted = 1;

test("a kernel that does not list its connections is said once, until it has listed them again", async (t) => {
  let isRefused = true;
  t.mock.method(Netfilter.prototype, "connections", () => {
    if (isRefused) throw new SystemCallError("netlink", errnoNotPermitted, "list connections");
    return [];
  });
  const clock = new SimulatedClock();
  const told: string[] = [];
  const log = { ...silentLog, warn: () => void told.push("warning") };
  using counter = new FlowCounter({ onCounts: () => void told.push("counts"), log, clock });
  counter.want(address("192.0.2.1"), true);
  const count = async (times: number) => {
    for (let i = 0; i < times; i++) {
      clock.advanceBy(5_000);
      for (let turn = 0; turn < 5; turn++) await nextTurn();
    }
  };
  await count(10);
  isRefused = false;
  await count(1);
  isRefused = true;
  await count(10);
  assert.deepEqual(told, ["warning", "counts", "warning"]);
});

test("counts of thousands of addresses are told a thousand at a time, each once", () => {
  const counts = new Map(Array.from({ length: 2_500 }, (_, i) => [`address ${i}`, i]));
  const portions = [...inPortions(counts)];
  assert.deepEqual(
    portions.map(({ size }) => size),
    [1_000, 1_000, 500],
  );
  assert.deepEqual(new Map(portions.flatMap((portion) => [...portion])), counts);
});
