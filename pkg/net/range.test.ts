import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Address, AddressRange, Prefix, parseAddress, parsePrefix, parseRange } from "#pkg/net";
import { anyAddress, anyRange, borders } from "#pkg/net/testing";

const accepted = [
  { text: "192.0.2.1-192.0.2.9", prints: "192.0.2.1-192.0.2.9", size: 9n },
  { text: " 192.0.2.1 -\t192.0.2.9 ", prints: "192.0.2.1-192.0.2.9", size: 9n, name: "blanks around the dash and the whole" },
  { text: "192.0.2.1-192.0.2.1", prints: "192.0.2.1-192.0.2.1", size: 1n, name: "a single address" },
  { text: "2001:db8::1-2001:db8::ff", prints: "2001:db8::1-2001:db8::ff", size: 255n },
  { text: "::ffff:10.0.0.1-10.0.0.2", prints: "10.0.0.1-10.0.0.2", size: 2n, name: "an IPv4-mapped end is IPv4" },
  { text: "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", prints: "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", size: 1n << 128n },
];
for (const { text, prints, size, name } of accepted) {
  test(`parseRange: ${JSON.stringify(text)} is ${prints}${name ? `: ${name}` : ""}`, () => {
    const range = parseRange(text);
    assert.ok(range instanceof AddressRange, String(range));
    assert.equal(String(range), prints);
    assert.equal(range.size, size);
  });
}

const refused = [
  { texts: ["", "192.0.2.1", "192.0.2.0/24", "192.0.2.1-192.0.2.2-192.0.2.3"], problem: "notARange" },
  {
    texts: ["-192.0.2.1", "x-192.0.2.1", "192.0.2.0/24-192.0.2.9", "192.0.2.01-192.0.2.9", "192.0. 2.1-192.0.2.9"],
    problem: "badFirst",
  },
  { texts: ["192.0.2.1-", "192.0.2.1-9", "192.0.2.1-192.0.2.256", "fe80::1-fe80::2%eth0"], problem: "badLast" },
  { texts: ["192.0.2.1-2001:db8::1", "::1-192.0.2.1", "::-::ffff:0.0.0.1"], problem: "mixedFamilies" },
  { texts: ["192.0.2.2-192.0.2.1", "2001:db8::2-2001:db8::1"], problem: "lastBeforeFirst" },
];
for (const { texts, problem } of refused) {
  for (const text of texts)
    test(`parseRange: ${JSON.stringify(text)} is refused as ${problem}`, () => assert.equal(parseRange(text), problem));
}

test("a range cannot mix families nor end before it starts", () => {
  const [four, six, later] = ["10.0.0.1", "::1", "10.0.0.2"].map((text) => parseAddress(text) as Address) as [
    Address,
    Address,
    Address,
  ];
  assert.throws(() => new AddressRange(four, six), RangeError);
  assert.throws(() => new AddressRange(later, four), RangeError);
});

const splits = [
  { range: "192.0.2.0-192.0.2.255", want: ["192.0.2.0/24"] },
  { range: "192.0.2.7-192.0.2.7", want: ["192.0.2.7/32"] },
  { range: "192.0.2.1-192.0.2.4", want: ["192.0.2.1/32", "192.0.2.2/31", "192.0.2.4/32"] },
  { range: "192.0.2.254-192.0.3.1", want: ["192.0.2.254/31", "192.0.3.0/31"] },
  { range: "0.0.0.0-255.255.255.255", want: ["0.0.0.0/0"] },
  { range: "0.0.0.0-0.0.0.2", want: ["0.0.0.0/31", "0.0.0.2/32"] },
  { range: "255.255.255.253-255.255.255.255", want: ["255.255.255.253/32", "255.255.255.254/31"] },
  { range: "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", want: ["::/0"] },
  { range: "2001:db8::1-2001:db8::3", want: ["2001:db8::1/128", "2001:db8::2/127"] },
];
for (const { range, want } of splits) {
  test(`${range} is ${want.length} prefixes: ${want.join(" ")}`, () => {
    assert.deepEqual((parseRange(range) as AddressRange).toPrefixes().map(String), want);
  });
}

test("how many prefixes a range takes, and the first of the largest, are found without making them", () => {
  const check = (range: AddressRange) => {
    const prefixes = range.toPrefixes();
    assert.equal(range.prefixCount, prefixes.length);
    const largest = prefixes.reduce((one, other) => (other.length < one.length ? other : one));
    assert.equal(String(range.largestPrefix), String(largest));
  };
  for (const { range } of splits) check(parseRange(range) as AddressRange);
  for (const first of Array.from({ length: 17 }, (_, value) => new Address("IPv4", BigInt(value))))
    for (let last = first.value; last <= 33n; last++) check(new AddressRange(first, new Address("IPv4", last)));
  fc.assert(fc.property(anyRange, check));
});

test("the worst ranges take 2 × bits − 2 prefixes", () => {
  assert.equal((parseRange("0.0.0.1-255.255.255.254") as AddressRange).toPrefixes().length, 62);
  assert.equal((parseRange("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe") as AddressRange).toPrefixes().length, 254);
});

test("prefixes cover exactly the range, in order, and no two neighbors are halves of one prefix", () => {
  fc.assert(
    fc.property(anyRange, (range) => {
      const prefixes = range.toPrefixes();
      assert.ok(prefixes[0]?.first.equals(range.first));
      assert.ok(prefixes.at(-1)?.last.equals(range.last));
      for (const [index, prefix] of prefixes.entries()) {
        const next = prefixes[index + 1];
        if (next === undefined) continue;
        assert.equal(next.first.value, prefix.last.value + 1n);
        assert.ok(
          prefix.length !== next.length || !new Prefix(prefix.address, prefix.length - 1).contains(next.address),
          `${prefix} ${next}`,
        );
      }
    }),
  );
});

test("the range of a prefix is that prefix again", () => {
  fc.assert(
    fc.property(anyAddress, fc.nat(128), (address, length) => {
      const prefix = new Prefix(address, length % (address.bits + 1));
      assert.deepEqual(AddressRange.ofPrefix(prefix).toPrefixes(), [prefix]);
    }),
  );
});

test("a range contains an address if one of its prefixes does", () => {
  fc.assert(
    fc.property(anyRange, anyAddress, (range, address) => {
      const prefixes = range.toPrefixes();
      for (const at of [address, ...borders(range)]) {
        const inPrefix = prefixes.some((prefix) => prefix.contains(at));
        assert.equal(range.contains(at), inPrefix, String(at));
      }
    }),
  );
});

const overlaps = [
  { a: "10.0.0.0-10.0.0.9", b: "10.0.0.9-10.0.0.20", want: true },
  { a: "10.0.0.0-10.0.0.9", b: "10.0.0.10-10.0.0.20", want: false },
  { a: "10.0.0.0-10.0.0.9", b: "10.0.0.3-10.0.0.4", want: true },
  { a: "10.0.0.0-10.0.0.9", b: "10.0.0.0-10.0.0.9", want: true },
  { a: "0.0.0.1-0.0.0.9", b: "::1-::9", want: false },
];
for (const { a, b, want } of overlaps) {
  test(`${a} and ${b} ${want ? "overlap" : "do not overlap"}, both ways round`, () => {
    const [left, right] = [parseRange(a), parseRange(b)] as [AddressRange, AddressRange];
    assert.equal(left.overlaps(right), want);
    assert.equal(right.overlaps(left), want);
  });
}

test("a prefix of IPv4-mapped addresses overlaps the IPv4 range that it is", () => {
  const mapped = AddressRange.ofPrefix(parsePrefix("::ffff:10.0.0.0/120") as Prefix);
  assert.ok(mapped.overlaps(parseRange("10.0.0.9-10.0.0.9") as AddressRange));
});
