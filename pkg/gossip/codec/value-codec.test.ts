import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { families, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { fnv1a } from "#pkg/text";
import {
  dataPathReport,
  decodeDeliveries,
  decodeFault,
  decodePage,
  decodeSubnets,
  decodeSummary,
  encodeDeliveries,
  encodeFault,
  encodePage,
  encodeSubnets,
  encodeSummary,
  healthPortBit,
  interfaceKey,
  interfaceOf,
  isUndelivered,
  type NodeSummary,
  pageKey,
  pathSigns,
  seenWithoutBit,
  seenWithoutBits,
  setOf,
} from "./value-codec.ts";

function prefixes(...texts: string[]) {
  return texts.map((text) => parsePrefix(text) ?? assert.fail(text));
}

const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex");

test("a summary holds whether its node answers, how uncertain its view is, and its incarnation", () => {
  assert.equal(
    hex(
      encodeSummary({
        answers: true,
        hasKernelAccess: true,
        view: "current",
        knowsDrain: true,
        dataPath: "unknown",
        announced: 0,
        viewUncertainty: 0x8003,
        incarnation: 0xfedcba98,
        seenWithout: 0,
        heedsViews: true,
      }),
    ),
    "01118003fedcba980000000001",
  );
  const summaries: readonly NodeSummary[] = [
    {
      answers: false,
      hasKernelAccess: true,
      view: "behind",
      knowsViews: true,
      knowsDrain: true,
      dataPath: "delivers",
      announced: 300,
      viewUncertainty: 7,
      incarnation: 0,
      seenWithout: 0x17,
      heedsViews: true,
    },
    {
      answers: true,
      hasKernelAccess: true,
      view: "old",
      knowsViews: true,
      knowsDrain: false,
      dataPath: "broken",
      announced: 0xffff,
      viewUncertainty: 0xffff,
      incarnation: 0xffff_ffff,
      seenWithout: 0x1ff,
      heedsViews: false,
    },
  ];
  for (const summary of summaries)
    for (const dataPath of ["unknown", "delivers", "IPv4Only", "IPv6Only", "broken"] as const)
      assert.deepEqual(decodeSummary(encodeSummary({ ...summary, dataPath })), { ...summary, dataPath });
  const later = Uint8Array.of(2, 1, 0, 0, 0, 0, 0, 3, 9);
  assert.deepEqual(
    decodeSummary(later),
    {
      answers: true,
      hasKernelAccess: true,
      view: "current",
      knowsViews: false,
      knowsDrain: false,
      dataPath: "unknown",
      announced: 0,
      viewUncertainty: 0,
      incarnation: 3,
      seenWithout: 0,
      heedsViews: false,
    },
    "a later version has more, an earlier one less",
  );
  assert.equal(decodeSummary(Uint8Array.of(1, 3, 0, 0, 0, 0, 0, 3))?.view, "old");
  for (const none of [[], [1, 1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]])
    assert.equal(decodeSummary(Uint8Array.from(none)), undefined);
});

test("a node reports the families that it does not deliver", () => {
  for (const [undelivered, report] of [
    [[], "delivers"],
    [["IPv4"], "IPv6Only"],
    [["IPv6"], "IPv4Only"],
    [["IPv4", "IPv6"], "broken"],
  ] as const) {
    assert.equal(dataPathReport(undelivered), report);
    for (const family of families)
      assert.equal(
        isUndelivered(report, family),
        undelivered.some((one) => one === family),
      );
  }
  assert.equal(isUndelivered("unknown", "IPv4"), false);
});

test("each sign that a node was without, of each family, is told by itself", () => {
  const bits = families.flatMap((family) => pathSigns.map((sign) => seenWithoutBit(family, sign)));
  assert.equal(new Set(bits).size, 8);
  assert.equal(seenWithoutBits({ IPv4: pathSigns, IPv6: pathSigns }), 255);
  assert.equal(seenWithoutBits({ IPv4: ["noPodRoute"], IPv6: [] }), seenWithoutBit("IPv4", "noPodRoute"));
});

test("health check ports are told beyond the signs, where a version that does not know of them sees the signs alone", () => {
  const summary = {
    answers: true,
    hasKernelAccess: true,
    view: "current",
    knowsDrain: true,
    dataPath: "delivers",
    announced: 0,
    viewUncertainty: 0,
    incarnation: 0,
    heedsViews: true,
  } as const;
  const encoded = encodeSummary({ ...summary, seenWithout: healthPortBit | 0x17 });
  assert.equal(encoded[10], 0x17);
  for (const octets of [13, 12]) assert.equal(decodeSummary(encoded.subarray(0, octets))?.seenWithout, healthPortBit | 0x17);
  assert.equal(decodeSummary(encoded.subarray(0, 11))?.seenWithout, 0x17);
  assert.equal(decodeSummary(encoded.subarray(0, 10))?.seenWithout, 0);
});

test("a summary of a version that says nothing of the kernel is of a node that may change it, and one without access stays readable for it", () => {
  const summary = {
    answers: true,
    view: "behind",
    knowsViews: true,
    knowsDrain: true,
    dataPath: "unknown",
    announced: 0,
    viewUncertainty: 1,
    incarnation: 2,
    seenWithout: 0,
    heedsViews: false,
  } as const;
  assert.equal(decodeSummary(Uint8Array.of(1, 5, 0, 1, 0, 0, 0, 2))?.hasKernelAccess, true);
  assert.equal(hex(encodeSummary({ ...summary, hasKernelAccess: false })), "011d0001000000020000000000");
  assert.deepEqual(decodeSummary(encodeSummary({ ...summary, hasKernelAccess: false })), { ...summary, hasKernelAccess: false });
});

test("subnets of an interface take as many octets as they have bits", () => {
  const subnets = prefixes("10.1.2.0/23", "2001:db8::/64", "0.0.0.0/0");
  assert.equal(hex(encodeSubnets(subnets)), "01 0417 0a0102 0640 20010db800000000 0400".replaceAll(" ", ""));
  assert.deepEqual(decodeSubnets(encodeSubnets(subnets))?.map(String), subnets.map(String));
  assert.deepEqual(decodeSubnets(encodeSubnets([])), []);
  const many = Array.from({ length: 40 }, (_, i) => `2001:db8:0:${i.toString(16)}::/128`);
  assert.equal(decodeSubnets(encodeSubnets(prefixes(...many)))?.length, 32, "as many as fit into an entry");
  assert.ok(encodeSubnets(prefixes(...many)).length <= 600);
});

test("subnets that are none, or cut short, are undefined", () => {
  for (const [name, octets] of [
    ["another version", "02"],
    ["no version", ""],
    ["another family", "01 0508 0a"],
    ["more bits than the family has", "01 0421 0a00000000"],
    ["cut short", "01 0418 0a00"],
    ["without a length", "01 04"],
  ] as const)
    assert.equal(decodeSubnets(Buffer.from(octets.replaceAll(" ", ""), "hex")), undefined, name);
});

test("an interface's name is found in its key, and in no other", () => {
  for (const name of ["eth0", "bond0.7", "wlan-ü", "can_reach:192.0.2.1", "can_reach:2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"])
    assert.equal(interfaceOf(interfaceKey(name)), name);
  for (const key of ["h", "i", "4abc"]) assert.equal(interfaceOf(key), undefined);
});

test("ownership: a page has 256 addresses, and lists its own alone", () => {
  const page = pageKey("owned", address("192.0.2.7"));
  assert.equal(page, pageKey("owned", address("192.0.2.255")));
  assert.notEqual(page, pageKey("owned", address("192.0.3.7")));
  for (const set of ["owned", "asked", "announced"] as const)
    for (const text of ["192.0.2.7", "2001:db8::1"]) assert.equal(setOf(pageKey(set, address(text))), set);
  for (const key of ["h", "4ab", "4abcd", "5abc", "i6abc", "q4ab", "a", "a5abc"]) assert.equal(setOf(key), undefined, key);
  assert.equal(hex(encodePage([address("192.0.2.7"), address("192.0.2.1")])), "0107");
});

test("ownership: decoding undoes encoding, for few addresses and for many", () => {
  const octets = fc.uniqueArray(fc.nat({ max: 255 }), { maxLength: 256 });
  fc.assert(
    fc.property(octets, fc.constantFrom("198.51.100.", "2001:db8::ff:"), (last, start) => {
      const text = (octet: number) => start + (start.includes(":") ? octet.toString(16) : octet);
      const addresses = last.sort((a, b) => a - b).map((octet) => address(text(octet)));
      const encoded = encodePage(addresses);
      assert.ok(encoded.length <= 32);
      for (const set of ["owned", "asked"] as const)
        assert.deepEqual(decodePage(pageKey(set, address(text(0))), encoded).map(String), addresses.map(String));
    }),
  );
});

const delivery = fc.constantFrom("carried", "noPeer", "noSession", "notCarried");
const ofFamilies = fc.record({ IPv4: delivery, IPv6: delivery }, { noNullPrototype: true });
test("deliveries: decoding gives each of a hundred pools its state, however they differ, in one entry", () => {
  fc.assert(
    fc.property(fc.array(ofFamilies, { maxLength: 100 }), (states) => {
      const pools = new Map(states.map((state, index) => [`pool-${index}`, state]));
      const encoded = encodeDeliveries(pools);
      assert.ok(encoded.length <= 600);
      const { usual, others } = decodeDeliveries(encoded) ?? assert.fail();
      for (const [name, state] of pools) assert.deepEqual(others.get(fnv1a(name)) ?? usual, state);
    }),
  );
});

test("deliveries of a thousand pools that are alike have two octets, and of others than that as many as there is room for", () => {
  const session = { IPv4: "carried", IPv6: "noPeer" } as const;
  const pools = new Map(Array.from({ length: 1_000 }, (_, index) => [`pool-${index}`, session]));
  assert.equal(hex(encodeDeliveries(pools)), "0104");
  const mixed = new Map(
    [...pools].map(([name], index) => [name, index < 400 ? ({ IPv4: "noSession", IPv6: "noPeer" } as const) : session]),
  );
  assert.ok(encodeDeliveries(mixed).length <= 600);
});

test("faults: decoding undoes encoding, and a long text is cut to what an entry has room for", () => {
  const word = fc.stringMatching(/^[ -~]{1,40}$/);
  fc.assert(
    fc.property(fc.record({ cause: word, about: word, text: fc.stringMatching(/^[^\n]{1,100}$/u) }), (fault) => {
      assert.deepEqual(decodeFault(encodeFault(fault)), { ...fault, text: fault.text.toWellFormed() });
    }),
  );
  assert.equal(encodeFault({ cause: "rpFilter", about: "192.0.2.0/24", text: "é".repeat(1_000) }).length, 600);
  assert.equal(decodeFault(new Uint8Array()), undefined);
});

test("arbitrary octets are decoded to something or nothing", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40, size: "max" }),
      fc.string({ unit: "binary-ascii", maxLength: 16 }),
      (octets, key) => {
        decodeSummary(octets);
        decodeFault(octets);
        for (const input of [octets, Uint8Array.of(1, ...octets)]) decodeDeliveries(input);
        interfaceOf(key);
        for (const input of [octets, Uint8Array.of(1, ...octets)]) decodeSubnets(input);
        for (const page of ["4abc", `6${"a".repeat(15)}`, "6\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0"])
          for (const owned of decodePage(page, octets)) assert.equal(pageKey("owned", owned), page);
      },
    ),
  );
});
