import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { Netfilter, SystemCallError } from "#pkg/linux";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { lastConnections } from "./last-connections.ts";

const [a, b] = [address("192.0.2.1"), address("192.0.2.2")];
const errnoPermission = 1;
const open = (to = a) => [{ to, closed: undefined }];

for (const { name, kept, counts, seconds } of [
  { name: "none is open", kept: [a, b], counts: [[]], seconds: 1 },
  { name: "some are open for a while", kept: [a, b], counts: [open(), open(b), []], seconds: 3 },
  { name: "some stay open", kept: [a], counts: [open()], seconds: 30 },
  { name: "the address that came back is both owned and served", kept: [a, a], counts: [[]], seconds: 1 },
  { name: "they cannot be counted, as without NET_ADMIN", kept: [a], counts: [], seconds: 10 },
  { name: "no address is kept", kept: [], counts: [[]], seconds: 0 },
] as const)
  test(`a speaker on a node that goes waits for ${seconds} s where ${name}`, async (t) => {
    let count = 0;
    t.mock.method(Netfilter.prototype, "connections", (): ReturnType<Netfilter["connections"]> => {
      const portion = counts[Math.min(count++, counts.length - 1)];
      if (portion === undefined) throw new SystemCallError("netlink", errnoPermission, "list connections");
      return [portion];
    });
    const clock = new SimulatedClock();
    let endedAt: number | undefined;
    const view = { isNodeLeaving: true, keptAddresses: kept };
    void lastConnections({ view, graceMs: 30_000, clock, log: silentLog }).then(() => (endedAt = clock.now()));
    for (let ms = 0; ms <= 40_000 && endedAt === undefined; ms += 250) {
      for (let turns = 0; turns < 5; turns++) await nextTurn();
      if (endedAt === undefined) clock.advanceBy(250);
    }
    assert.equal(endedAt, 1_000 * seconds);
  });
