import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Address, Family, Prefix } from "#pkg/net";
import { address, prefix } from "#pkg/net/testing";
import type { UpdateSession } from "./attribute-rules.ts";
import { MessageReader } from "./message-reader.ts";
import { maxExtendedMessageLength, maxMessageLength, type PathAttributes, type Update } from "./messages.ts";
import { splitAttributes } from "./path-attributes.ts";
import { anyAddress, anyAttributes, anyPrefix } from "./testing/arbitraries.ts";
import { external, hex, internal, message } from "./testing/octets.ts";
import { decodeUpdate } from "./update-decoder.ts";
import { encodeAnnouncement, encodeAttributes, encodeEndOfRib, encodeWithdrawal } from "./update-encoder.ts";

const bare: PathAttributes = { origin: "incomplete", asPath: [], nextHops: [] };
const bareOctets = "40010102 400200";

const attributes: { name: string; said: Partial<PathAttributes>; want: string }[] = [
  { name: "ORIGIN and an empty AS_PATH alone", said: {}, want: bareOctets },
  { name: "IGP", said: { origin: "igp" }, want: "40010100 400200" },
  {
    name: "AS_PATH",
    said: { asPath: [{ type: "sequence", asns: [70_000, 5] }] },
    want: "40010102 40020a 0202 00011170 00000005",
  },
  { name: "MULTI_EXIT_DISC, were it 0", said: { med: 0 }, want: `${bareOctets} 800404 00000000` },
  { name: "LOCAL_PREF", said: { localPref: 0xffff_ffff }, want: `${bareOctets} 400504 ffffffff` },
  { name: "communities", said: { communities: [0xffff_0000, 1] }, want: `${bareOctets} c00808 ffff0000 00000001` },
  {
    name: "extended communities",
    said: { extendedCommunities: [0x4004_fde9_4b00_0000n] },
    want: `${bareOctets} c01008 4004fde94b000000`,
  },
  {
    name: "large communities",
    said: { largeCommunities: [{ globalAdministrator: 1, localData1: 2, localData2: 0xffff_ffff }] },
    want: `${bareOctets} c0200c 00000001 00000002 ffffffff`,
  },
  {
    name: "a length of two octets where one does not do",
    said: { communities: new Array<number>(64).fill(1) },
    want: `${bareOctets} d0080100 ${"00000001".repeat(64)}`,
  },
];
for (const { name, said, want } of attributes)
  test(`attributes: ${name}`, () => {
    assert.equal(hex(encodeAttributes({ ...bare, ...said }, external)), want.replaceAll(" ", ""));
  });

const unwritable: { name: string; said: Partial<PathAttributes> }[] = [
  { name: "a MED beyond 32 bits", said: { med: 2 ** 32 } },
  { name: "a negative community", said: { communities: [-1] } },
  { name: "an extended community beyond 64 bits", said: { extendedCommunities: [1n << 64n] } },
  { name: "256 AS numbers in one segment", said: { asPath: [{ type: "sequence", asns: new Array<number>(256).fill(1) }] } },
];
for (const { name, said } of unwritable)
  test(`attributes are refused: ${name}`, () => {
    assert.throws(() => encodeAttributes({ ...bare, ...said }, external), RangeError);
  });

const localHop = [address("2001:db8::1"), address("fe80::1")];
const announcements: { name: string; hops: Address[]; prefixes: string[]; want: string }[] = [
  {
    name: "IPv4 in the NLRI field, with NEXT_HOP behind AS_PATH",
    hops: [address("192.0.2.1")],
    prefixes: ["10.0.0.0/8", "203.0.113.7/32", "0.0.0.0/0", "10.128.0.0/9"],
    want: "0000 000e 40010102 400200 400304c0000201 080a 20cb007107 00 090a80",
  },
  {
    name: "IPv6 in MP_REACH_NLRI, in front of all (RFC 7606, section 5.1)",
    hops: [address("2001:db8::1")],
    prefixes: ["2001:db8:1::/48", "::/0", "::1/128"],
    want: `0000 0039 900e002e 0002 01 10 20010db8000000000000000000000001 00 30 20010db80001 00 80${"00".repeat(15)}01 ${bareOctets}`,
  },
  {
    name: "a link-local next hop beside the global one (RFC 2545, section 3)",
    hops: localHop,
    prefixes: ["2001:db8:1::/48"],
    want: `0000 0037 900e002c 0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00 30 20010db80001 ${bareOctets}`,
  },
  {
    name: "IPv4 with an IPv6 next hop in MP_REACH_NLRI (RFC 8950)",
    hops: [address("2001:db8::1")],
    prefixes: ["10.0.0.0/8"],
    want: `0000 0022 900e0017 0001 01 10 20010db8000000000000000000000001 00 080a ${bareOctets}`,
  },
];
for (const { name, hops, prefixes, want } of announcements)
  test(`an announcement: ${name}`, () => {
    const all = prefixes.map(prefix);
    const family = all[0]?.family ?? "IPv4";
    const written = encodeAnnouncement(encodeAttributes(bare, external), hops, family, all.values(), maxMessageLength);
    assert.equal(hex(written), hex(message(2, want.replaceAll(" ", ""))));
  });

test("NEXT_HOP is behind an AS_PATH of any length", () => {
  const long: PathAttributes = { ...bare, asPath: [{ type: "sequence", asns: new Array<number>(100).fill(1) }], med: 5 };
  const hops = [address("192.0.2.1")];
  const written = encodeAnnouncement(
    encodeAttributes(long, external),
    hops,
    "IPv4",
    [prefix("10.0.0.0/8")].values(),
    maxMessageLength,
  );
  const types = splitAttributes(written.subarray(23, -2)).attributes.map(({ type }) => type);
  assert.deepEqual(types, [1, 2, 3, 4]);
});

const withdrawals: { family: Family; prefixes: string[]; want: string }[] = [
  { family: "IPv4", prefixes: ["10.0.0.0/8", "0.0.0.0/0"], want: "0003 080a 00 0000" },
  { family: "IPv6", prefixes: ["2001:db8:1::/48", "::/0"], want: "0000 000f 900f000b 0002 01 30 20010db80001 00" },
];
for (const { family, prefixes, want } of withdrawals)
  test(`a withdrawal of ${family}`, () => {
    const written = encodeWithdrawal(family, prefixes.map(prefix).values(), maxMessageLength);
    assert.equal(hex(written), hex(message(2, want.replaceAll(" ", ""))));
  });

test("End-of-RIB (RFC 4724, section 2)", () => {
  assert.equal(hex(encodeEndOfRib("IPv4")), hex(message(2, "00000000")));
  assert.equal(hex(encodeEndOfRib("IPv6")), hex(message(2, "00000007900f0003000201")));
});

/** `count` prefixes, and a function that tells how many were taken. */
function counted(family: Family, count: number): { prefixes: Iterator<Prefix>; taken: () => number } {
  const one = prefix(family === "IPv4" ? "203.0.113.7/32" : "2001:db8::7/128");
  let taken = 0;
  function* prefixes(): Generator<Prefix> {
    while (taken < count) {
      taken++;
      yield one;
    }
  }
  return { prefixes: prefixes(), taken: () => taken };
}

const octetsOfOne = { IPv4: 5, IPv6: 17 } as const;
for (const family of ["IPv4", "IPv6"] as const)
  for (const most of [maxMessageLength, maxExtendedMessageLength]) {
    const hops = [address(family === "IPv4" ? "192.0.2.1" : "2001:db8::1")];
    const ways = [
      [
        "announcement",
        (from: Iterator<Prefix>) => encodeAnnouncement(encodeAttributes(bare, external), hops, family, from, most),
      ],
      ["withdrawal", (from: Iterator<Prefix>) => encodeWithdrawal(family, from, most)],
    ] as const;
    for (const [name, encode] of ways)
      test(`an ${family} ${name} of at most ${most} octets is filled, and takes no prefix that it does not carry`, () => {
        const { prefixes, taken } = counted(family, 100_000);
        const written = encode(prefixes);
        assert.ok(written.length <= most && written.length > most - octetsOfOne[family], `${written.length}`);
        const update = decodeUpdate(written.subarray(19), external);
        assert.equal(update.announced.length + update.withdrawn.length, taken());
      });
  }

test("a message needs a prefix: without one it would be an End-of-RIB, or say nothing", () => {
  const said = encodeAttributes(bare, external);
  assert.throws(() => encodeWithdrawal("IPv4", [].values(), maxMessageLength), RangeError);
  assert.throws(() => encodeWithdrawal("IPv6", [].values(), maxMessageLength), RangeError);
  assert.throws(() => encodeAnnouncement(said, [address("192.0.2.1")], "IPv4", [].values(), maxMessageLength), RangeError);
});

test("attributes that leave no room are refused, and no prefix is taken", () => {
  const said = encodeAttributes({ ...bare, communities: new Array<number>(1020).fill(1) }, external);
  const { prefixes, taken } = counted("IPv6", 1);
  assert.throws(
    () => encodeAnnouncement(said, localHop, "IPv6", prefixes, maxMessageLength),
    /no IPv6 prefix is left, or fits into -\d+ octets/,
  );
  assert.equal(taken(), 0);
});

const wrongHops: { name: string; family: Family; hops: Address[] }[] = [
  { name: "none for IPv4", family: "IPv4", hops: [] },
  { name: "none for IPv6", family: "IPv6", hops: [] },
  { name: "IPv4 for IPv6", family: "IPv6", hops: [address("192.0.2.1")] },
  { name: "both families at once", family: "IPv4", hops: [address("192.0.2.1"), address("2001:db8::1")] },
  { name: "three", family: "IPv6", hops: [...localHop, address("2001:db8::2")] },
];
for (const { name, family, hops } of wrongHops)
  test(`next hops that would end the session are refused: ${name}`, () => {
    const { prefixes, taken } = counted(family, 1);
    const said = encodeAttributes(bare, external);
    assert.throws(() => encodeAnnouncement(said, hops, family, prefixes, maxMessageLength), RangeError);
    assert.equal(taken(), 0);
  });

/** All UPDATEs that these prefixes take, read back. */
function roundTrip(encode: (prefixes: Iterator<Prefix>) => Uint8Array, all: readonly Prefix[], session: UpdateSession): Update[] {
  const left = [...all].reverse();
  const prefixes: Iterator<Prefix> = {
    next: () => {
      const value = left.pop();
      return value === undefined ? { done: true, value } : { done: false, value };
    },
  };
  const reader = new MessageReader();
  const updates: Update[] = [];
  while (left.length > 0) {
    reader.push(encode(prefixes));
    const frame = reader.next(true) ?? assert.fail("no whole message");
    updates.push(decodeUpdate(frame.body, session));
  }
  return updates;
}

const sessions = fc.boolean().map((fourOctetAsn) => ({ ...internal, fourOctetAsn }));
for (const [family, hopFamily] of [
  ["IPv4", "IPv4"],
  ["IPv4", "IPv6"],
  ["IPv6", "IPv6"],
] as const)
  test(`property: decoding undoes encoding: ${family} over ${hopFamily}`, () => {
    const hop = anyAddress(hopFamily).filter(({ value }) => hopFamily === "IPv6" || (value >> 24n > 0n && value >> 24n < 127n));
    const prefixes = fc.array(anyPrefix(family), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(anyAttributes, hop, prefixes, fc.nat({ max: 500 }), sessions, (said, nextHop, all, extra, session) => {
        const encoded = encodeAttributes(said, session);
        const most = encoded.length + 100 + extra;
        const encode = (from: Iterator<Prefix>) => encodeAnnouncement(encoded, [nextHop], family, from, most);
        const updates = roundTrip(encode, all, session);
        assert.deepEqual(
          updates.flatMap(({ announced }) => announced.map(String)),
          all.map(String),
        );
        for (const { attributes, forgiven, withdrawn, endOfRib } of updates) {
          assert.deepEqual(attributes, { ...said, nextHops: [nextHop] });
          assert.deepEqual([forgiven, withdrawn, endOfRib], [[], [], undefined]);
        }
      }),
    );
  });

test("property: what is withdrawn is read back", () => {
  const all = fc.oneof(fc.array(anyPrefix("IPv4"), { minLength: 1 }), fc.array(anyPrefix("IPv6"), { minLength: 1 }));
  fc.assert(
    fc.property(all, fc.integer({ min: 60, max: 200 }), (prefixes, most) => {
      const family = prefixes[0]?.family ?? "IPv4";
      const updates = roundTrip((from) => encodeWithdrawal(family, from, most), prefixes, external);
      assert.deepEqual(
        updates.flatMap(({ withdrawn }) => withdrawn.map(String)),
        prefixes.map(String),
      );
    }),
  );
});
