import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Address, AddressRange, parseAddress } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { Pool } from "./config.ts";
import { parseConfig } from "./parse.ts";
import { countUsable, countUsableBelow, isBuggyAddress, PoolIndex, usableAt } from "./pool-addresses.ts";
import { pool } from "./testing/index.ts";

const pools =
  parseConfig(`address-pools:
- {name: a, protocol: layer2, addresses: [192.0.2.0-192.0.2.9, "2001:db8::/126", 192.0.2.20/32]}
- {name: b, protocol: bgp, addresses: [192.0.2.10/32, 0.0.0.0/8, "::/128", 255.255.255.255/32]}
`).config?.pools ?? [];

const places: [address: string, pool: string | undefined][] = [
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
for (const [text, want] of places) {
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
        made.push(pool(`${i}`, [], { ranges: [range] }));
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

const sizes: { addresses: string; avoid?: boolean; reserved?: string; want: bigint }[] = [
  { addresses: "192.0.2.0/24", want: 256n },
  { addresses: "192.0.2.0/24", avoid: true, want: 254n },
  { addresses: "192.0.2.1-192.0.2.254", avoid: true, want: 254n },
  { addresses: "192.0.2.255-192.0.3.0", avoid: true, want: 0n },
  { addresses: "192.0.2.255-192.0.3.1", avoid: true, want: 1n },
  { addresses: "192.0.2.0/32, 192.0.2.7/32", avoid: true, want: 1n },
  { addresses: "10.0.0.0/8", avoid: true, want: 2n ** 24n - 2n * 65536n },
  { addresses: "0.0.0.0/0, '::/0'", avoid: true, want: 2n ** 32n - 2n ** 25n + 2n ** 128n },
  { addresses: "2001:db8::/120", avoid: true, want: 256n },
  { addresses: "192.0.2.0/24", reserved: "192.0.2.1, 192.0.2.240/28", want: 239n },
  { addresses: "192.0.2.0/24", avoid: true, reserved: "192.0.2.240/28", want: 239n },
  { addresses: "192.0.2.0/24", reserved: "{addresses: [192.0.2.1], service: shop/www}", want: 256n },
];
for (const { addresses, avoid = false, reserved = "", want } of sizes) {
  test(`countUsable: ${addresses}${avoid ? " without .0 and .255" : ""}, with ${reserved || "nothing"} reserved, holds ${want}`, () => {
    const text = `address-pools: [{name: a, protocol: layer2, avoid-buggy-ips: ${avoid}, addresses: [${addresses}], reserved: [${reserved}]}]`;
    assert.deepEqual(parseConfig(text).config?.pools.map(countUsable), [want]);
  });
}

const endings = [
  { text: "192.0.2.0", buggy: true },
  { text: "192.0.2.1", buggy: false },
  { text: "192.0.2.254", buggy: false },
  { text: "192.0.2.255", buggy: true },
  { text: "192.0.0.7", buggy: false },
  { text: "2001:db8::", buggy: false },
  { text: "2001:db8::ff", buggy: false },
];
for (const { text, buggy } of endings) {
  test(`${text} is ${buggy ? "" : "not "}buggy`, () => {
    const address = parseAddress(text);
    assert.equal(address && isBuggyAddress(address), buggy);
  });
}

test("the count of usable addresses below and the usable address at a count agree over several /24", () => {
  let count = countUsableBelow(0x0a00_0000n);
  for (let value = 0x0a00_0000n; value < 0x0a00_0400n; value++) {
    assert.equal(countUsableBelow(value), count, `below ${value}`);
    const octet = value & 255n;
    if (octet === 0n || octet === 255n) continue;
    assert.equal(usableAt(count), value);
    count++;
  }
  assert.equal(count - countUsableBelow(0x0a00_0000n), 4n * 254n);
});

test("the whole of IPv4 has 254 usable addresses in each /24", () => {
  assert.equal(countUsableBelow(1n << 32n), 254n << 24n);
  assert.equal(usableAt((254n << 24n) - 1n), 0xffff_fffen);
});

const inPools = new PoolIndex(
  parseConfig(
    "address-pools: [{name: a, protocol: layer2, addresses: [192.0.2.0/28, 'fd00::/124']}, {name: b, protocol: layer2, addresses: [198.51.100.0/28, 'fd01::/124']}]",
  ).config?.pools ?? [],
);
const togetherness: { name: string; addresses: string; mayHoldSeveral: boolean; goWith: string }[] = [
  {
    name: "a dual-stack Service's second goes with its first",
    addresses: "fd00::1 192.0.2.1",
    mayHoldSeveral: false,
    goWith: "fd00::1 fd00::1",
  },
  {
    name: "the same where the two were asked for",
    addresses: "192.0.2.1 fd00::1",
    mayHoldSeveral: true,
    goWith: "192.0.2.1 192.0.2.1",
  },
  {
    name: "of several of a family each goes by itself",
    addresses: "192.0.2.1 192.0.2.2 192.0.2.3",
    mayHoldSeveral: true,
    goWith: "192.0.2.1 192.0.2.2 192.0.2.3",
  },
  {
    name: "the first of one family goes with the first of the other, and the second with the second",
    addresses: "192.0.2.1 192.0.2.2 fd00::1 fd00::2",
    mayHoldSeveral: true,
    goWith: "192.0.2.1 192.0.2.2 192.0.2.1 192.0.2.2",
  },
  {
    name: "addresses of each pool go by themselves",
    addresses: "192.0.2.1 fd01::1 fd00::1 198.51.100.1",
    mayHoldSeveral: true,
    goWith: "192.0.2.1 fd01::1 192.0.2.1 fd01::1",
  },
  {
    name: "one in no pool goes by itself",
    addresses: "192.0.2.1 203.0.113.1",
    mayHoldSeveral: true,
    goWith: "192.0.2.1 203.0.113.1",
  },
];
for (const { name, addresses, mayHoldSeveral, goWith } of togetherness)
  test(`goesWith: ${name}`, () => {
    const all = addresses.split(" ").map(address);
    assert.equal(all.map((one) => inPools.goesWith(all, one, mayHoldSeveral)).join(" "), goWith);
  });
