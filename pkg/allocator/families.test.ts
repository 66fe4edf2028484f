import assert from "node:assert/strict";
import { describe as suite, test } from "node:test";
import { request } from "#pkg/allocator/testing";
import { pool } from "#pkg/config/testing";
import { address } from "#pkg/net/testing";
import type { AddressRequest } from "#pkg/service";
import { Allocator, describe } from "./index.ts";

const prefers = { families: ["IPv4", "IPv6"], prefersDualStack: true } as const;
const v4 = pool("v4", ["10.0.0.0/31"]);
const v6 = pool("v6", ["fd00::/127"]);
const both = pool("both", ["10.1.0.0/32", "fd01::/127"]);

function withPools(...pools: ReturnType<typeof pool>[]): Allocator {
  const allocator = new Allocator();
  assert.deepEqual(allocator.setPools(pools), []);
  return allocator;
}

/** Its addresses; what it did not get, and what it lacks of both families. */
function settle(allocator: Allocator, service = "s/1", rest: Partial<AddressRequest> = prefers) {
  const { allocation, unmet, lacking } = allocator.settle(request(service, rest));
  return { has: allocation?.addresses.join(" "), unmet: unmet && describe(unmet), lacking: lacking?.reason };
}

const lacksOne = { unmet: undefined, lacking: "poolLacksFamily" };
const whole = { unmet: undefined, lacking: undefined };

suite("a Service that prefers two families", () => {
  test("gets both, of the first pool that has both", () => {
    assert.deepEqual(settle(withPools(v4, v6, both)), { has: "10.1.0.0 fd01::", ...whole });
  });

  test("gets one of its first family where no pool has both, whatever the order of the pools", () => {
    assert.deepEqual(settle(withPools(v6, v4)), { has: "10.0.0.0", ...lacksOne });
    const turned = { ...prefers, families: ["IPv6", "IPv4"] } as const;
    assert.deepEqual(settle(withPools(v4, v6), "s/1", turned), { has: "fd00::", ...lacksOne });
  });

  test("gets one of the other family where nothing else is free", () => {
    const allocator = withPools(v4, v6);
    settle(allocator, "s/2", {});
    settle(allocator, "s/3", {});
    assert.deepEqual(settle(allocator), { has: "fd00::", ...lacksOne });
  });

  test("gets the second one when that is free in its pool, and keeps the first", () => {
    const allocator = withPools(both);
    settle(allocator, "s/2", {});
    assert.deepEqual(settle(allocator), { has: "fd01::", unmet: undefined, lacking: "poolFull" });
    allocator.release("s/2");
    assert.deepEqual(settle(allocator), { has: "10.1.0.0 fd01::", ...whole });
  });

  test("gets the second one when its pool has that family, and changes its pool for nothing", () => {
    const allocator = withPools(v4);
    settle(allocator);
    assert.deepEqual(allocator.setPools([v4, both]), []);
    assert.deepEqual(settle(allocator), { has: "10.0.0.0", ...lacksOne });
    assert.deepEqual(allocator.setPools([pool("v4", ["10.0.0.0/31", "fd00::/127"])]), []);
    assert.deepEqual(settle(allocator), { has: "10.0.0.0 fd00::", ...whole });
  });

  test("stays where it is when it had one family until now, and moves when it requires both", () => {
    const allocator = withPools(v4, both);
    settle(allocator, "s/1", {});
    assert.deepEqual(settle(allocator), { has: "10.0.0.0", ...lacksOne });
    assert.deepEqual(settle(allocator, "s/1", { families: prefers.families }), { has: "10.1.0.0 fd01::", ...whole });
  });

  test("goes to the pool that it asks for, though that has one family", () => {
    const allocator = withPools(both, v6);
    settle(allocator);
    assert.deepEqual(settle(allocator, "s/1", { ...prefers, requestedPool: "v6" }), { has: "fd00::", ...lacksOne });
  });

  test("gives up nothing for more addresses of one family", () => {
    const allocator = withPools(both, pool("second", ["10.2.0.0/31", "fd02::/128"]));
    settle(allocator);
    settle(allocator, "s/2", { families: ["IPv6"], requestedPool: "second" });
    const { has, unmet } = settle(allocator, "s/1", { ...prefers, requestedPool: "both,second" });
    assert.deepEqual([has, unmet?.includes('pool "second" has no free IPv6 address')], ["10.1.0.0 fd01::", true]);
  });

  test("gets the one address that it asks for, and no other", () => {
    const asked = { ...prefers, requestedAddresses: [address("10.1.0.0")] };
    assert.deepEqual(settle(withPools(both), "s/1", asked), { has: "10.1.0.0", ...whole });
  });

  test("keeps the one address on record", () => {
    const { allocation, unmet } = withPools(both).restore(request("s/1", prefers), [address("fd01::1")]);
    assert.deepEqual([allocation?.addresses.join(), unmet], ["fd01::1", undefined]);
  });

  test("hears of what is full, not of what a pool never had, where it gets neither", () => {
    const allocator = withPools(pool("v4", ["10.0.0.0/32"]), pool("v6", ["fd00::/128"]));
    settle(allocator, "s/2", {});
    settle(allocator, "s/3", { families: ["IPv6"] });
    assert.deepEqual(settle(allocator), {
      has: undefined,
      unmet:
        'no pool can serve this Service: pool "v4" has no free IPv4 address (its only one is in use), pool "v6" has no free IPv6 address (its only one is in use); add addresses to a pool',
      lacking: undefined,
    });
  });
});
