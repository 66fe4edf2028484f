import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { port, request } from "#pkg/allocator/testing";
import { pool } from "#pkg/config/testing";
import { address } from "#pkg/net/testing";
import type { AddressRequest } from "#pkg/service";
import { IntervalSet } from "./intervals.ts";
import { Layout } from "./layout.ts";
import { conflict, type Holding, Occupancy, termsOf } from "./occupancy.ts";

const addresses = pool("a", ["10.0.0.0/24"]);
const shared = { sharingKey: "k" };

function on(occupancy: Occupancy, slot: bigint, service: string, rest: Partial<AddressRequest> = {}): Holding {
  const allocation = { pools: ["a"], addresses: [occupancy.layout.at(slot).address] };
  const holding = { terms: termsOf(request(service, rest)), allocation, slots: [slot], settledFor: "IPv4" };
  occupancy.put(holding);
  return holding;
}

test("a shared slot is in use until the last who shares it has gone", () => {
  const occupancy = new Occupancy(Layout.of([addresses]));
  const span = occupancy.layout.span(addresses, "IPv4");
  const first = on(occupancy, 0n, "s/1", shared);
  const second = on(occupancy, 0n, "s/2", { ...shared, ports: [port("443/TCP")] });
  assert.equal(occupancy.inUse("a").IPv4, 1);
  occupancy.take(first);
  assert.deepEqual([occupancy.inUse("a").IPv4, occupancy.lowest(request("s/3"), span)], [1, 1n]);
  occupancy.take(second);
  assert.deepEqual([occupancy.inUse("a").IPv4, occupancy.lowest(request("s/3"), span)], [0, 0n]);
});

test("the lowest slot to share steps over those where any of the ports is taken", () => {
  const occupancy = new Occupancy(Layout.of([addresses]));
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

test("a Service with many ports looks once at each shared slot, where each has another one of them", () => {
  const occupancy = new Occupancy(Layout.of([pool("a", ["10.0.0.0/22"])]));
  const ports = Array.from({ length: 500 }, (_, i) => port(`${i + 1}/TCP`));
  for (const [i, each] of ports.entries()) on(occupancy, BigInt(i), `s/${i}`, { ...shared, ports: [each] });
  const nextAbsent = mock.method(IntervalSet.prototype, "nextAbsent");
  const terms = request("s/many", { ...shared, ports: ports.toReversed() });
  assert.equal(occupancy.lowest(terms, { start: 0n, end: 1_000n }, "shareable"), undefined);
  const looks = nextAbsent.mock.callCount();
  nextAbsent.mock.restore();
  assert.ok(looks <= 1_500, `${looks} looks`);
});

test("putting a Service where it may not be is a broken invariant", () => {
  const occupancy = new Occupancy(Layout.of([addresses]));
  on(occupancy, 0n, "s/1");
  on(occupancy, 1n, "s/2", shared);
  for (const slot of [0n, 1n]) assert.throws(() => on(occupancy, slot, "s/3"), /in use/);
  assert.throws(() => on(occupancy, 0n, "s/3", shared), /in use/);
});

const cluster = ""; // The backend key under externalTrafficPolicy Cluster.
const web = { sharingKey: "k", backendKey: cluster, ports: [port("80/TCP")] };

const cases: { name: string; a: Partial<AddressRequest>; b: Partial<AddressRequest>; want: string | undefined }[] = [
  { name: "no keys", a: { sharingKey: "", ports: [port("1/TCP")] }, b: { sharingKey: "" }, want: "inUse" },
  { name: "a key on one side only", a: { ports: [port("1/TCP")] }, b: { sharingKey: "" }, want: "inUse" },
  { name: "different keys", a: { ports: [port("1/TCP")] }, b: { sharingKey: "l" }, want: "sharingKeyMismatch" },
  { name: "keys that differ in case", a: { ports: [port("1/TCP")] }, b: { sharingKey: "K" }, want: "sharingKeyMismatch" },
  { name: "one key and different ports", a: { ports: [port("443/TCP")] }, b: {}, want: undefined },
  { name: "one key and one port of different protocols", a: { ports: [port("80/UDP")] }, b: {}, want: undefined },
  { name: "one key and one port", a: {}, b: {}, want: "portClash" },
  {
    name: "one port among several",
    a: { ports: [port("1/TCP"), port("2/UDP")] },
    b: { ports: [port("2/TCP"), port("2/UDP")] },
    want: "portClash",
  },
  { name: "no ports on one side", a: { ports: [] }, b: {}, want: undefined },
  {
    name: "Local and Cluster with a selector",
    a: { backendKey: "app=web", ports: [port("1/TCP")] },
    b: {},
    want: "backendKeyMismatch",
  },
  {
    name: "Local with different selectors",
    a: { backendKey: "app=web", ports: [port("1/TCP")] },
    b: { backendKey: "app=api" },
    want: "backendKeyMismatch",
  },
  {
    name: "Local with one selector",
    a: { backendKey: "app=web", ports: [port("1/TCP")] },
    b: { backendKey: "app=web" },
    want: undefined,
  },
  {
    name: "Local without a selector and Cluster",
    a: { backendKey: "", ports: [port("1/TCP")] },
    b: { backendKey: cluster },
    want: undefined,
  },
];
for (const { name, a, b, want } of cases) {
  test(`${name} ${want === undefined ? "may share" : `is refused as ${want}`}, both ways round`, () => {
    const [first, second] = [termsOf(request("s/a", { ...web, ...a })), termsOf(request("s/b", { ...web, ...b }))];
    assert.equal(conflict(first, second, address("192.0.2.7"))?.reason, want);
    assert.equal(conflict(second, first, address("192.0.2.7"))?.reason, want);
  });
}

test("a Service is never in conflict with itself", () => {
  assert.equal(conflict(termsOf(request("s/a")), termsOf(request("s/a")), address("192.0.2.7")), undefined);
});

test("a refusal names the address, the holder and what differs", () => {
  const at = address("192.0.2.7");
  const against = (a: Partial<AddressRequest>, b: Partial<AddressRequest>) =>
    conflict(request("s/a", { ...web, ...a }), request("s/b", { ...web, ...b }), at);
  const found = { address: at, holder: "s/b" };
  assert.deepEqual(against({ sharingKey: "" }, {}), { reason: "inUse", ...found });
  assert.deepEqual(against({ sharingKey: "l" }, {}), { reason: "sharingKeyMismatch", ...found, key: "l", holderKey: "k" });
  assert.deepEqual(against({}, { backendKey: "x=y" }), { reason: "backendKeyMismatch", ...found, key: "", holderKey: "x=y" });
  assert.deepEqual(against({}, {}), { reason: "portClash", ...found, port: port("80/TCP") });
});
