import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Address, families, parseAddress, urlHost } from "#pkg/net";
import { anyAddress } from "#pkg/net/testing";

const accepted = [
  { text: "0.0.0.0", prints: "0.0.0.0" },
  { text: "192.0.2.1", prints: "192.0.2.1" },
  { text: "255.255.255.255", prints: "255.255.255.255" },
  { text: "::ffff:192.0.2.1", prints: "192.0.2.1", name: "an IPv4-mapped address is the IPv4 one" },
  { text: "::FFFF:c000:201", prints: "192.0.2.1", name: "so it is in hexadecimal" },
  { text: "0:0:0:0:0:ffff:1.2.3.4", prints: "1.2.3.4", name: "and written out" },
  { text: "::", prints: "::" },
  { text: "::1", prints: "::1" },
  { text: "1::", prints: "1::" },
  { text: "2001:DB8::A", prints: "2001:db8::a", name: "upper case (RFC 5952, section 4.3)" },
  { text: "2001:0db8::0001", prints: "2001:db8::1", name: "leading zeros (RFC 5952, section 4.1)" },
  { text: "2001:db8:0:0:0:0:2:1", prints: "2001:db8::2:1", name: "shortened as much as possible (RFC 5952, section 4.2.1)" },
  { text: "2001:db8::1:1:1:1:1", prints: "2001:db8:0:1:1:1:1:1", name: "one zero group is not shortened (section 4.2.2)" },
  { text: "2001:0:0:1:0:0:0:1", prints: "2001:0:0:1::1", name: "the longest run is shortened (section 4.2.3)" },
  { text: "2001:db8:0:0:1:0:0:1", prints: "2001:db8::1:0:0:1", name: "of equal runs the first one (section 4.2.3)" },
  { text: "1:2:3:4:5:6:7:8", prints: "1:2:3:4:5:6:7:8" },
  { text: "1:2:3:4:5:6:7::", prints: "1:2:3:4:5:6:7:0", name: "`::` for a single group at the end" },
  { text: "::2:3:4:5:6:7:8", prints: "0:2:3:4:5:6:7:8", name: "`::` for a single group at the start" },
  { text: "::1.2.3.4", prints: "::102:304", name: "a dotted end that is not IPv4-mapped stays IPv6" },
  { text: "64:ff9b::192.0.2.33", prints: "64:ff9b::c000:221" },
  { text: "1:2:3:4:5:6:1.2.3.4", prints: "1:2:3:4:5:6:102:304" },
  { text: "::fffe:1.2.3.4", prints: "::fffe:102:304" },
  { text: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", prints: "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
];
for (const { text, prints, name } of accepted) {
  test(`parseAddress: ${text} is ${prints}${name ? `: ${name}` : ""}`, () => {
    const address = parseAddress(text);
    assert.equal(address?.toString(), prints);
    assert.equal(address?.family, prints.includes(":") ? "IPv6" : "IPv4");
    assert.equal(JSON.stringify(address), `"${prints}"`);
  });
}

const refused = [
  { name: "nothing", texts: [""] },
  { name: "blanks", texts: [" 192.0.2.1", "192.0.2.1 ", "192.0.2.1\n", " ::1", "::1 ", "2001:db8:: 1"] },
  { name: "too few or too many octets", texts: ["1", "1.2.3", "1.2.3.", ".1.2.3", "1.2.3.4.5", "1.2.3.4."] },
  { name: "octets above 255", texts: ["256.0.0.0", "1.2.3.1000", "1.2.3.4294967296"] },
  { name: "octets with leading zeros", texts: ["192.0.2.01", "00.0.0.0", "192.0.2.001", "::ffff:192.0.2.01"] },
  { name: "octets that are not decimal", texts: ["0x7f.0.0.1", "1.2.3.a", "1.2.3.-4", "1.2.3.+4", "1.2.3.4e1", "1.2.3.٤"] },
  { name: "a zone", texts: ["fe80::1%eth0", "::1%", "192.0.2.1%eth0"] },
  { name: "a port or brackets", texts: ["192.0.2.1:80", "[::1]", "[::1]:80"] },
  { name: "a prefix length", texts: ["192.0.2.1/32", "::1/128"] },
  { name: "too few or too many groups", texts: ["1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8"] },
  { name: "a lone colon", texts: [":", ":1:2:3:4:5:6:7", "1:2:3:4:5:6:7:", ":1", "1:"] },
  { name: "two gaps", texts: ["1::2::3", ":::", "1:::2", "::::"] },
  { name: "groups that are not 1 to 4 hexadecimal digits", texts: ["12345::", "::00001", "g::", "::-1", "::0x1"] },
  {
    name: "a dotted part elsewhere or cut short",
    texts: ["1.2.3.4::", "::1.2.3.4:5", "::1.2.3", "::256.0.0.0", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:1.2.3.4"],
  },
  { name: "a host name", texts: ["localhost", "example.com", "a.b.c.d"] },
];
for (const { name, texts } of refused) {
  test(`parseAddress refuses ${name}`, () => {
    for (const text of texts) assert.equal(parseAddress(text), undefined, JSON.stringify(text));
  });
}

test("parsing undoes printing", () => {
  fc.assert(fc.property(anyAddress, (address) => assert.ok(parseAddress(String(address))?.equals(address))));
});

test("the platform's own URL parser prints an IPv6 address the same way", () => {
  const ipv6 = anyAddress.filter(({ family }) => family === "IPv6");
  const hostname = (address: Address) => new URL(`http://${urlHost(String(address))}/`).hostname;
  fc.assert(fc.property(ipv6, (address) => assert.equal(hostname(address), `[${address}]`)));
});

test("any text is parsed or refused, and what is parsed prints as a text that means the same", () => {
  const text = fc.string({ unit: fc.constantFrom(..."0123456789abcdefF:::...% /-"), maxLength: 24 });
  fc.assert(
    fc.property(text, (text) => {
      const address = parseAddress(text);
      if (address !== undefined) assert.ok(parseAddress(String(address))?.equals(address), text);
    }),
    { numRuns: 2000 },
  );
});

test("octets undo octets, 4 for IPv4 and 16 for IPv6", () => {
  fc.assert(
    fc.property(anyAddress, (address) => {
      const bytes = address.toBytes();
      assert.equal(bytes.length * 8, address.bits);
      assert.ok(Address.fromBytes(bytes).equals(address));
    }),
  );
});

test("octets are in network order", () => {
  assert.deepEqual([...(parseAddress("192.0.2.1")?.toBytes() ?? [])], [192, 0, 2, 1]);
  assert.deepEqual([...(parseAddress("2001:db8::1")?.toBytes() ?? [])], [0x20, 0x01, 0x0d, 0xb8, ...new Array(11).fill(0), 1]);
});

test("16 octets of an IPv4-mapped address are the IPv4 address", () => {
  const mapped = Uint8Array.of(...new Array(10).fill(0), 255, 255, 192, 0, 2, 1);
  assert.equal(String(Address.fromBytes(mapped)), "192.0.2.1");
});

for (const length of [0, 3, 5, 15, 17]) {
  test(`${length} octets are no address`, () => {
    assert.throws(
      () => Address.fromBytes(new Uint8Array(length)),
      new RangeError(`Cannot make an address: ${length} octets, wanted 4 or 16`),
    );
  });
}

const misfits = [
  { family: "IPv4", value: -1n },
  { family: "IPv4", value: 1n << 32n },
  { family: "IPv6", value: -1n },
  { family: "IPv6", value: 1n << 128n },
] as const;
for (const { family, value } of misfits) {
  test(`${value} is no ${family} address`, () => assert.throws(() => new Address(family, value), RangeError));
}

test("addresses are in a total order: IPv4 before IPv6, then by number", () => {
  const inOrder = ["0.0.0.0", "9.0.0.0", "10.0.0.0", "255.255.255.255", "::", "::1", "::ffff:ffff", "ffff::"];
  const sorted = inOrder.toReversed().map((text) => parseAddress(text) as Address);
  assert.deepEqual(sorted.sort((a, b) => a.compare(b)).map(String), inOrder);
  fc.assert(
    fc.property(anyAddress, anyAddress, anyAddress, (a, b, c) => {
      assert.equal(a.compare(b) + b.compare(a), 0);
      assert.equal(a.compare(b) === 0, a.equals(b));
      if (a.compare(b) <= 0 && b.compare(c) <= 0) assert.ok(a.compare(c) <= 0);
    }),
  );
});

test("the same number in both families is two addresses", () => {
  const [four, six] = [new Address("IPv4", 1n), new Address("IPv6", 1n)];
  assert.equal(four.equals(six), false);
  assert.notEqual(String(four), String(six));
});

test("families are named as Kubernetes names them", () => {
  assert.deepEqual(families, ["IPv4", "IPv6"]);
});
