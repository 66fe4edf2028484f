import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Address, Prefix, parseAddress, parsePrefix } from "#pkg/net";
import { anyAddress, borders } from "#pkg/net/testing";

const accepted = [
  { text: "192.0.2.0/24", prints: "192.0.2.0/24", first: "192.0.2.0", last: "192.0.2.255", size: 256n },
  {
    text: "192.0.2.77/24",
    prints: "192.0.2.0/24",
    first: "192.0.2.0",
    last: "192.0.2.255",
    size: 256n,
    name: "host bits are cleared",
  },
  { text: "192.0.2.77/32", prints: "192.0.2.77/32", first: "192.0.2.77", last: "192.0.2.77", size: 1n },
  { text: "255.255.255.255/0", prints: "0.0.0.0/0", first: "0.0.0.0", last: "255.255.255.255", size: 1n << 32n },
  {
    text: "2001:DB8::7/64",
    prints: "2001:db8::/64",
    first: "2001:db8::",
    last: "2001:db8::ffff:ffff:ffff:ffff",
    size: 1n << 64n,
  },
  { text: "::/0", prints: "::/0", first: "::", last: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", size: 1n << 128n },
  {
    text: "10.0.0.0/008",
    prints: "10.0.0.0/8",
    first: "10.0.0.0",
    last: "10.255.255.255",
    size: 1n << 24n,
    name: "as Go reads it",
  },
  { text: "::1/128", prints: "::1/128", first: "::1", last: "::1", size: 1n },
  {
    text: "::ffff:192.0.2.77/120",
    prints: "192.0.2.0/24",
    first: "192.0.2.0",
    last: "192.0.2.255",
    size: 256n,
    name: "IPv4-mapped is IPv4",
  },
  { text: "::ffff:0:0/96", prints: "0.0.0.0/0", first: "0.0.0.0", last: "255.255.255.255", size: 1n << 32n },
];
for (const { text, prints, first, last, size, name } of accepted) {
  test(`parsePrefix: ${text} is ${prints}${name ? `: ${name}` : ""}`, () => {
    const prefix = parsePrefix(text);
    assert.equal(prefix?.toString(), prints);
    assert.equal(JSON.stringify(prefix), `"${prints}"`);
    assert.deepEqual([prefix?.first.toString(), prefix?.last.toString(), prefix?.size], [first, last, size]);
    assert.equal(prefix?.family, first.includes(":") ? "IPv6" : "IPv4");
  });
}

const refused = [
  { name: "no length", texts: ["", "192.0.2.0", "192.0.2.0/", "::/"] },
  { name: "no address", texts: ["/24", "192.0.2/24", "192.0.2.256/24"] },
  { name: "a length above the family's", texts: ["192.0.2.0/33", "::/129", "192.0.2.0/999", "::ffff:192.0.2.0/129"] },
  { name: "an IPv4-mapped prefix wider than all of IPv4", texts: ["::ffff:192.0.2.0/95", "::ffff:192.0.2.0/24"] },
  {
    name: "a length with a sign, a fraction or blanks",
    texts: ["10.0.0.0/+8", "10.0.0.0/-8", "10.0.0.0/8.0", "10.0.0.0/ 8", "10.0.0.0 /8", "10.0.0.0/8 "],
  },
  { name: "a mask", texts: ["10.0.0.0/255.0.0.0"] },
  { name: "two lengths", texts: ["10.0.0.0/8/8"] },
  { name: "a zone", texts: ["fe80::%eth0/64"] },
];
for (const { name, texts } of refused) {
  test(`parsePrefix refuses ${name}`, () => {
    for (const text of texts) assert.equal(parsePrefix(text), undefined, JSON.stringify(text));
  });
}

for (const length of [-1, 33, 1.5, Number.NaN]) {
  test(`an IPv4 prefix cannot be ${length} bits long`, () => {
    assert.throws(() => new Prefix(parseAddress("192.0.2.0") as Address, length), RangeError);
  });
}

const anyPrefix = fc.tuple(anyAddress, fc.nat(128)).map(([address, length]) => new Prefix(address, length % (address.bits + 1)));

test("parsing undoes printing", () => {
  fc.assert(fc.property(anyPrefix, (prefix) => assert.ok(parsePrefix(String(prefix))?.equals(prefix))));
});

test("a prefix contains what lies between its first and last address, both included, and nothing of the other family", () => {
  fc.assert(
    fc.property(anyPrefix, anyAddress, (prefix, address) => {
      const { first, last } = prefix;
      for (const at of [address, ...borders(prefix)]) {
        const between = at.family === prefix.family && first.value <= at.value && at.value <= last.value;
        assert.equal(prefix.contains(at), between, String(at));
      }
    }),
  );
});

test("prefixes of one address and different lengths are different", () => {
  const [wide, narrow, same] = ["10.0.0.0/8", "10.0.0.0/9", "10.0.0.1/8"].map((text) => parsePrefix(text) as Prefix);
  assert.equal(wide?.equals(narrow as Prefix), false);
  assert.equal(wide?.equals(same as Prefix), true);
});
