import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Address, AddressRange, parseAddress } from "#pkg/net";
import type { Pool } from "./config.ts";
import { parseConfig } from "./parse.ts";
import { PoolIndex } from "./pool-index.ts";

const pools =
  parseConfig(`address-pools:
- {name: a, protocol: layer2, addresses: [192.0.2.0-192.0.2.9, "2001:db8::/126", 192.0.2.20/32]}
- {name: b, protocol: bgp, addresses: [192.0.2.10/32, 0.0.0.0/8, "::/128", 255.255.255.255/32]}
`).config?.pools ?? [];

const cases: [address: string, pool: string | undefined][] = [
  ["192.0.1.255", undefined],
  ["192.0.2.0", "a"],
  ["192.0.2.9", "a"],
  ["192.0.2.10", "b"],
  ["192.0.2.11", undefined],
  ["192.0.2.20", "a"],
  ["192.0.2.21", undefined],
  ["0.0.0.0", "b"],
  ["255.255.255.254", undefined],
  ["255.255.255.255", "b"],
  ["::", "b"],
  ["::1", undefined],
  ["2001:db8::3", "a"],
  ["2001:db8::4", undefined],
  ["::192.0.2.1", undefined], // The number of an IPv4 address of the pool, in the other family.
];
for (const [text, want] of cases) {
  test(`PoolIndex: ${text} belongs to ${want ?? "no pool"}`, () => {
    const address = parseAddress(text);
    assert.ok(address);
    assert.equal(new PoolIndex(pools).find(address)?.name, want);
  });
}

test("PoolIndex: nothing belongs to no pools", () => assert.equal(new PoolIndex([]).find(new Address("IPv4", 0n)), undefined));

test("PoolIndex: finds what asking every pool finds", () => {
  const bounds = fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 20 }).map((all) => all.sort((a, b) => a - b));
  fc.assert(
    fc.property(bounds, (bounds) => {
      const made: Pool[] = [];
      for (let i = 0; i + 1 < bounds.length; i += 2) {
        const range = new AddressRange(
          new Address("IPv4", BigInt(bounds[i] ?? 0)),
          new Address("IPv4", BigInt(bounds[i + 1] ?? 0)),
        );
        made.push({
          name: `${i}`,
          protocol: "layer2",
          ranges: [range],
          cidrs: [],
          autoAssign: true,
          avoidBuggyIPs: false,
          advertisements: [],
          nodeSelectors: [],
          interfaces: [],
          l2Placement: { subnet: false, sticky: false },
          conflictProbe: "report" as const,
        });
      }
      const index = new PoolIndex(made.toReversed());
      for (let value = 0n; value < 62n; value++) {
        const address = new Address("IPv4", value);
        assert.equal(
          index.find(address),
          made.find(({ ranges }) => ranges.some((range) => range.contains(address))),
        );
      }
    }),
  );
});
