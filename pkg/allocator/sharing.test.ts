import assert from "node:assert/strict";
import { test } from "node:test";
import { port, request } from "#pkg/allocator/testing";
import { address } from "#pkg/net/testing";
import type { AddressRequest } from "#pkg/service";
import { conflict, termsOf } from "./sharing.ts";

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
