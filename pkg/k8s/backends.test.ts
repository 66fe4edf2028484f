import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backendsOf } from "./backends.ts";

const slice = {
  addressType: "IPv4",
  ports: [
    { name: "dns", protocol: "UDP", port: 53 },
    { name: "http", port: 8080 },
  ],
  endpoints: [
    { addresses: ["10.0.0.1", "10.0.0.9"], nodeName: "n1", conditions: { ready: true } },
    { addresses: ["10.0.0.2"], conditions: { ready: false } },
    { addresses: ["10.0.0.3"], conditions: {} },
    { addresses: [] },
  ],
};
const wanted = { portName: "http", family: "IPv4" } as const;

test("ready endpoints with the port of that name, of one family", () => {
  const items = [slice, { ...slice, addressType: "IPv6" }, { ...slice, ports: [{ name: "https", port: 8443 }] }];
  assert.deepEqual(backendsOf({ items }, wanted), [
    { address: "10.0.0.1", port: 8080, node: "n1" },
    { address: "10.0.0.3", port: 8080, node: undefined },
  ]);
});

test("of very many no more than are tried", () => {
  const endpoints = Array.from({ length: 1_000 }, (_, index) => ({ addresses: [`10.0.${index >> 8}.${index & 255}`] }));
  assert.equal(backendsOf({ items: [{ ...slice, endpoints }] }, wanted).length, 100);
});

test("whatever the API answers is a list", () => {
  fc.assert(fc.property(fc.dictionary(fc.constantFrom("items", "x"), fc.jsonValue()), (value) => void backendsOf(value, wanted)));
  for (const port of [0, 65_536, "80", null])
    assert.deepEqual(backendsOf({ items: [{ ...slice, ports: [{ name: "http", port }] }] }, wanted), []);
});
