import assert from "node:assert/strict";
import { test } from "node:test";
import { port, request } from "#pkg/allocator/testing";
import { pool } from "#pkg/config/testing";
import { address } from "#pkg/net/testing";
import { Allocator } from "./index.ts";

function world(...occupied: string[]): Allocator {
  const allocator = new Allocator();
  allocator.setPools([pool("a", ["192.0.2.0/30"]), pool("b", ["2001:db8::/126"])]);
  allocator.setOccupied(new Map(occupied.map((text) => [text, "a printer"])));
  return allocator;
}

const given = (allocator: Allocator, service: string, rest = {}) =>
  allocator.settle(request(service, rest)).allocation?.addresses.join();

test("an address that another host has is passed over, until it is free", () => {
  const allocator = world("192.0.2.0", "192.0.2.2", "198.51.100.1");
  assert.deepEqual([given(allocator, "s/1"), given(allocator, "s/2")], ["192.0.2.1", "192.0.2.3"]);
  assert.equal(allocator.settle(request("s/3")).unmet?.reason, "noPoolFits");
  allocator.setOccupied(new Map([["192.0.2.0", "a printer"]]));
  assert.equal(given(allocator, "s/3"), "192.0.2.2");
});

test("it is passed over under other pools, too", () => {
  const allocator = world("192.0.2.0");
  allocator.setPools([pool("c", ["192.0.2.0/31"])]);
  assert.equal(given(allocator, "s/1"), "192.0.2.1");
});

test("a Service that asks for it learns which host has it", () => {
  const wanted = address("192.0.2.0");
  const { allocation, unmet } = world("192.0.2.0").settle(request("s/1", { requestedAddresses: [wanted] }));
  assert.equal(allocation, undefined);
  assert.deepEqual(unmet, { reason: "occupied", address: wanted, by: "a printer" });
});

test("who holds it gets another one, and keeps nothing of it", () => {
  const allocator = world();
  assert.equal(given(allocator, "s/1"), "192.0.2.0");
  allocator.setOccupied(new Map([["192.0.2.0", "a printer"]]));
  const held = [address("192.0.2.0")];
  assert.equal(allocator.adopt(request("s/1"), held).unmet?.reason, "occupied");
  assert.equal(given(allocator, "s/1"), "192.0.2.1");
});

test("nobody comes to share it", () => {
  const allocator = world();
  const sharing = (number: number) => ({ sharingKey: "k", ports: [port(`${number}/TCP`)] });
  assert.equal(given(allocator, "s/1", sharing(80)), "192.0.2.0");
  allocator.setOccupied(new Map([["192.0.2.0", "a printer"]]));
  assert.equal(given(allocator, "s/2", sharing(81)), "192.0.2.1");
});

test("the pool of an address is known, and that it has none", () => {
  const allocator = world();
  assert.deepEqual([allocator.poolOf(address("2001:db8::1")), allocator.poolOf(address("198.51.100.1"))], ["b", undefined]);
});

test("other pools come into force in steps, before the last of which the old ones are, with what is known of hosts by then", () => {
  const allocator = world();
  given(allocator, "s/1");
  const many = Array.from({ length: 2_000 }, (_, i) => pool(`p${i}`, [`10.${i >> 8}.${i & 255}.0/30`]));
  const steps = allocator.replacePools([...many, pool("c", ["192.0.2.0/29"])], []);
  let count = 0;
  while (!steps.next().done) {
    if (count++ === 1) allocator.setOccupied(new Map([["10.0.0.0", "a printer"]]));
    assert.deepEqual(
      [[...allocator.usage()].map((usage) => usage.pool), allocator.poolOf(address("10.0.0.1"))],
      [["a", "b"], undefined],
    );
  }
  assert.ok(count >= 4, `${count} steps`);
  assert.equal(allocator.poolOf(address("192.0.2.0")), "c");
  assert.equal(given(allocator, "s/2"), "10.0.0.1");
});

test("an address that two spellings name as occupied stays so when one of them has gone", () => {
  const allocator = new Allocator();
  allocator.setPools([pool("a", ["fd00::1-fd00::1"])]);
  const settle = () => allocator.settle(request("s/1", { families: ["IPv6"] })).allocation?.addresses.join();
  allocator.setOccupied(new Map(["fd00::1", "FD00:0::1"].map((text) => [text, "a host"])));
  allocator.setOccupied(new Map([["FD00:0::1", "a host"]]));
  assert.equal(settle(), undefined);
  allocator.setOccupied(new Map());
  assert.equal(settle(), "fd00::1");
});
