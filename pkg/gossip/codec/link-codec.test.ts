import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Address } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { decodeLinks, encodeLinks, type Link } from "./link-codec.ts";

const mac = fc
  .uint8Array({ minLength: 6, maxLength: 6 })
  .map((octets) => Array.from(octets, (o) => o.toString(16).padStart(2, "0")).join(":"));
const v4 = fc.uint8Array({ minLength: 4, maxLength: 4 });
const v6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((octets) => octets.with(0, 0xfe));
const any = fc.oneof(v4, v6).map((octets) => Address.fromBytes(octets));
const links: fc.Arbitrary<Link[]> = fc
  .array(fc.record({ mac, addresses: fc.array(any, { maxLength: 4 }) }), { maxLength: 8 })
  .map((some) => some.map(({ mac, addresses }, index) => ({ mac, addresses: index < 7 ? addresses : addresses.slice(0, 3) })));
const shown = (some: readonly Link[] | undefined) => some?.map(({ mac, addresses }) => [mac, addresses.map(String)]);

test("property: decoding undoes encoding, and it fits into an entry", () => {
  fc.assert(
    fc.property(links, (some) => {
      const value = encodeLinks(some);
      assert.ok(value.length <= 600, `${value.length} octets`);
      assert.deepEqual(shown(decodeLinks(value)), shown(some));
    }),
  );
});

test("property: arbitrary octets raise nothing", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100, size: "max" }), (octets) => void decodeLinks(octets)));
});

const one = { mac: "02:00:00:00:00:01", addresses: [address("192.0.2.1")] };
const good = encodeLinks([one]);
for (const [name, value] of [
  ["of another version", good.with(0, 2)],
  ["cut short", good.slice(0, -1)],
  ["with a length of no family", good.with(8, 5)],
  ["with more addresses than fit", good.with(7, 5)],
  ["that is empty", new Uint8Array()],
] as const)
  test(`decodeLinks refuses a value ${name}`, () => assert.equal(decodeLinks(value), undefined));

test("of many interfaces and addresses the first are told, as many as fit into an entry", () => {
  const many = Array.from({ length: 12 }, () => ({ ...one, addresses: Array.from({ length: 9 }, () => address("fe80::1")) }));
  const value = encodeLinks(many);
  assert.ok(value.length <= 600, `${value.length} octets`);
  assert.deepEqual(
    decodeLinks(value)?.map(({ addresses }) => addresses.length),
    [4, 4, 4, 4, 4, 4, 4, 3],
  );
});
