import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { pool } from "#pkg/config/testing";
import { address } from "#pkg/net/testing";
import { Layout, type Scope, type Span } from "./layout.ts";

const manual = { autoAssign: false };
const pools = [
  pool("a", ["10.0.9.0/31", "fd00::/127", "10.0.0.254-10.0.1.1"]),
  pool("manual", ["10.0.5.0/30", "fd05::/128"], manual),
  pool("noBuggy", ["10.0.2.255-10.0.3.0", "10.0.6.254-10.0.7.1", "fd06::/127"], { avoidBuggyIPs: true }),
  pool("empty", ["10.0.8.0/32"], { avoidBuggyIPs: true }),
];
const layout = Layout.of(pools);
const [open] = layout.scopes as [Scope];
const [a, manualPool, noBuggy, empty] = pools as [(typeof pools)[0], (typeof pools)[0], (typeof pools)[0], (typeof pools)[0]];

function addresses({ start, end }: Span): string[] {
  return Array.from({ length: Number(end - start) }, (_, i) => String(layout.at(start + BigInt(i)).address));
}

test("slots follow the pools' order, then the entries' order, then the addresses", () => {
  assert.deepEqual(addresses(layout.scopeSpan("IPv4", open)), [
    ...["10.0.9.0", "10.0.9.1", "10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"],
    ...["10.0.6.254", "10.0.7.1"],
  ]);
  assert.deepEqual(addresses(layout.scopeSpan("IPv6", open)), ["fd00::", "fd00::1", "fd06::", "fd06::1"]);
});

test("pools without auto-assign have slots of their own, outside the automatic ones", () => {
  assert.deepEqual(addresses(layout.span(manualPool, "IPv4")), ["10.0.5.0", "10.0.5.1", "10.0.5.2", "10.0.5.3"]);
  assert.ok(layout.span(manualPool, "IPv4").start >= layout.scopeSpan("IPv4", open).end);
});

test("automatic slots can start at a later pool", () => {
  assert.deepEqual(addresses(layout.scopeSpan("IPv4", open, noBuggy)), ["10.0.6.254", "10.0.7.1"]);
  assert.deepEqual(addresses(layout.scopeSpan("IPv4", open, empty)), []);
  assert.deepEqual([layout.isAfter(noBuggy, a), layout.isAfter(a, noBuggy), layout.isAfter(a, a)], [true, false, false]);
});

test("sizes leave out what avoid-buggy-ips excludes", () => {
  assert.deepEqual(
    pools.map((pool) => [layout.size(pool, "IPv4"), layout.size(pool, "IPv6")]),
    [
      [6n, 2n],
      [4n, 1n],
      [2n, 2n],
      [0n, 0n],
    ],
  );
});

const places = [
  { text: "10.0.9.1", pool: "a" },
  { text: "10.0.5.3", pool: "manual" },
  { text: "fd06::1", pool: "noBuggy" },
  { text: "10.0.2.255", pool: "noBuggy", excluded: true },
  { text: "10.0.8.0", pool: "empty", excluded: true },
  { text: "10.0.9.2", pool: undefined },
  { text: "0.0.0.0", pool: undefined },
  { text: "255.255.255.255", pool: undefined },
  { text: "fd05::1", pool: undefined },
];
for (const { text, pool, excluded } of places) {
  test(`${text} is in ${pool ? `pool ${pool}` : "no pool"}${excluded ? ", which never hands it out" : ""}`, () => {
    const place = layout.locate(address(text));
    assert.equal(place?.pool.name, pool);
    if (place !== undefined) assert.equal(place.slot === undefined, excluded ?? false);
  });
}

test("an address is found at the slot it stands on", () => {
  for (const span of [layout.scopeSpan("IPv4", open), layout.scopeSpan("IPv6", open), layout.span(manualPool, "IPv6")])
    for (let slot = span.start; slot < span.end; slot++) {
      const found = layout.at(slot);
      assert.deepEqual(layout.locate(found.address), { pool: found.pool, slot, reservedFor: undefined });
      assert.ok(found.pool.ranges[found.entry]?.contains(found.address));
    }
});

test("any slot of an enormous pool is found again", () => {
  const large = pool("large", ["2000::/8"]);
  const layout = Layout.of([pool("small", ["10.0.0.0/24"]), large]);
  const { start, end } = layout.span(large, "IPv6");
  fc.assert(
    fc.property(fc.bigInt({ min: start, max: end - 1n }), (slot) => {
      assert.equal(layout.locate(layout.at(slot).address)?.slot, slot);
    }),
  );
});
