import assert from "node:assert/strict";
import { test } from "node:test";
import { port, request } from "#pkg/allocator/testing";
import { limits } from "#pkg/config";
import { pool } from "#pkg/config/testing";
import { address } from "#pkg/net/testing";
import { Allocator } from "./index.ts";

const shared = (index: number) => ({ sharingKey: "k", ports: [port(`${index + 1}/TCP`)] });
const first = address("10.0.0.0");

function start(): Allocator {
  const allocator = new Allocator();
  assert.deepEqual(allocator.setPools([pool("a", ["10.0.0.0/30"])], []), []);
  return allocator;
}

function settle(allocator: Allocator, index: number, more: object = {}): string {
  const { allocation, unmet } = allocator.settle(request(`team/s${index}`, { ...shared(index), ...more }));
  return `${allocation?.addresses.join() ?? "nothing"}${unmet === undefined ? "" : ` ${unmet.reason}`}`;
}

test("500 Services share an address, the next one gets another, and Services with the address keep it", () => {
  const allocator = start();
  const limit = limits.holdersOfAddress;
  for (let i = 0; i < limit; i++) assert.equal(settle(allocator, i), "10.0.0.0");
  assert.equal(settle(allocator, limit, { requestedAddresses: [first] }), "nothing sharedByTooMany");
  assert.equal(settle(allocator, limit + 1), "10.0.0.1");
  assert.equal(settle(allocator, 7), "10.0.0.0", "it has it");
  assert.equal(settle(allocator, 7, { requestedAddresses: [first] }), "10.0.0.0", "it has what it asks for");
  allocator.release("team/s7");
  assert.equal(settle(allocator, limit, { requestedAddresses: [first] }), "10.0.0.0", "there is room again");
  assert.equal(settle(allocator, 7, { requestedAddresses: [first] }), "nothing sharedByTooMany");
});

test("more that are on record keep their address, and nobody joins them", () => {
  const allocator = start();
  const many = 2 * limits.holdersOfAddress;
  for (let i = 0; i < many; i++) allocator.restore(request(`team/s${i}`, shared(i)), [first]);
  assert.equal(settle(allocator, many), "10.0.0.1");
  for (let i = 0; i < many; i++) assert.equal(settle(allocator, i), "10.0.0.0");
});
