import assert from "node:assert/strict";
import { test } from "node:test";
import { pool, port, request } from "#pkg/allocator/testing";
import type { AddressRequest } from "#pkg/service";
import { Layout } from "./layout.ts";
import { type Holding, Occupancy } from "./occupancy.ts";
import { termsOf } from "./sharing.ts";

const addresses = pool("a", ["10.0.0.0/24"]);
const shared = { sharingKey: "k" };

function on(occupancy: Occupancy, slot: bigint, service: string, rest: Partial<AddressRequest> = {}): Holding {
  const allocation = { pool: "a", addresses: [occupancy.layout.at(slot).address] };
  const holding = { terms: termsOf(request(service, rest)), allocation, slots: [slot] };
  occupancy.put(holding);
  return holding;
}

test("a shared slot is in use until the last who shares it has gone", () => {
  const occupancy = new Occupancy(new Layout([addresses]));
  const span = occupancy.layout.span(addresses, "IPv4");
  const first = on(occupancy, 0n, "s/1", shared);
  const second = on(occupancy, 0n, "s/2", { ...shared, ports: [port("443/TCP")] });
  assert.equal(occupancy.inUse("a"), 1);
  occupancy.take(first);
  assert.deepEqual([occupancy.inUse("a"), occupancy.lowest(request("s/3"), span)], [1, 1n]);
  occupancy.take(second);
  assert.deepEqual([occupancy.inUse("a"), occupancy.lowest(request("s/3"), span)], [0, 0n]);
});

test("the lowest slot to share steps over those where any of the ports is taken", () => {
  const occupancy = new Occupancy(new Layout([addresses]));
  const span = occupancy.layout.span(addresses, "IPv4");
  const [http, https] = [port("80/TCP"), port("443/TCP")];
  for (const slot of [0n, 2n, 4n]) on(occupancy, slot, `http/${slot}`, { ...shared, ports: [http] });
  for (const slot of [1n, 3n, 5n]) on(occupancy, slot, `https/${slot}`, { ...shared, ports: [https] });
  const lowest = (...ports: AddressRequest["ports"]) => occupancy.lowest(request("s/1", { ...shared, ports }), span);
  assert.deepEqual([lowest(http), lowest(https), lowest(http, https), lowest()], [1n, 0n, 6n, 0n]);
  on(occupancy, 1n, "both/1", { ...shared, ports: [http] });
  on(occupancy, 6n, "other/6", { ...shared, ports: [port("1/TCP")] });
  assert.deepEqual([lowest(http), lowest(https), lowest(http, https)], [3n, 0n, 6n]);
});

test("putting a Service where it may not be is a broken invariant", () => {
  const occupancy = new Occupancy(new Layout([addresses]));
  on(occupancy, 0n, "s/1");
  on(occupancy, 1n, "s/2", shared);
  for (const slot of [0n, 1n]) assert.throws(() => on(occupancy, slot, "s/3"), /in use/);
  assert.throws(() => on(occupancy, 0n, "s/3", shared), /in use/);
});
