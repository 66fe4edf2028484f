import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Address, Family } from "#pkg/net";
import { address, prefix } from "#pkg/net/testing";
import { MessageReader } from "./message-reader.ts";
import { maxExtendedMessageLength, maxMessageLength, type PathAttributes } from "./messages.ts";
import { splitAttributes } from "./path-attributes.ts";
import type { Nlri } from "./prefixes.ts";
import { anyAddress, anyAttributes, anyNlri } from "./testing/arbitraries.ts";
import { external, hex, internal, message } from "./testing/octets.ts";
import { type ReadSession, type ReadUpdate, readUpdate } from "./testing/update-reader.ts";
import { encodeAnnouncement, encodeAttributes, encodeEndOfRib, encodeWithdrawal, type UpdateFormat } from "./update-encoder.ts";

const bare: PathAttributes = { asPath: [] };
const bareOctets = "40010102 400200";

/** A session without path identifiers, or with those of both families. */
function format(maxLength = maxMessageLength, withPaths = false): UpdateFormat {
  return { maxLength, addPath: new Set(withPaths ? ["IPv4", "IPv6"] : []) };
}

/** Of prefixes as text, behind the path identifier where there is one: `7 10.0.0.0/8`. */
function nlri(text: string): Nlri {
  const [first = "", second] = text.split(" ");
  return { prefix: prefix(second ?? first), path: second === undefined ? 0 : Number(first) };
}

const attributes: { name: string; said: Partial<PathAttributes>; want: string }[] = [
  { name: "ORIGIN and an empty AS_PATH alone", said: {}, want: bareOctets },
  {
    name: "AS_PATH",
    said: { asPath: [70_000, 5] },
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
  { name: "OTC (RFC 9234)", said: { onlyToCustomer: 65_001 }, want: `${bareOctets} c02304 0000fde9` },
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
  { name: "256 AS numbers", said: { asPath: new Array<number>(256).fill(1) } },
];
for (const { name, said } of unwritable)
  test(`attributes are refused: ${name}`, () => {
    assert.throws(() => encodeAttributes({ ...bare, ...said }, external), RangeError);
  });

const localHop = [address("2001:db8::1"), address("fe80::1")];
const announcements: { name: string; hops: Address[]; prefixes: string[]; withPaths?: true; want: string }[] = [
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
  {
    name: "path identifiers in the NLRI field (RFC 7911, section 3)",
    hops: [address("192.0.2.1")],
    prefixes: ["1 10.0.0.0/8", "4294967295 203.0.113.7/32"],
    withPaths: true,
    want: "0000 000e 40010102 400200 400304c0000201 00000001 080a ffffffff 20cb007107",
  },
  {
    name: "path identifiers in MP_REACH_NLRI (RFC 7911, section 3)",
    hops: [address("2001:db8::1")],
    prefixes: ["258 2001:db8:1::/48"],
    withPaths: true,
    want: `0000 002b 900e0020 0002 01 10 20010db8000000000000000000000001 00 00000102 30 20010db80001 ${bareOctets}`,
  },
  {
    name: "path identifiers that the session does not have are not sent",
    hops: [address("192.0.2.1")],
    prefixes: ["1 10.0.0.0/8"],
    want: "0000 000e 40010102 400200 400304c0000201 080a",
  },
];
for (const { name, hops, prefixes, withPaths, want } of announcements)
  test(`an announcement: ${name}`, () => {
    const all = prefixes.map(nlri);
    const family = all[0]?.prefix.family ?? "IPv4";
    const said = encodeAttributes(bare, external);
    const written = encodeAnnouncement(said, hops, family, all.values(), format(maxMessageLength, withPaths));
    assert.equal(hex(written), hex(message(2, want.replaceAll(" ", ""))));
  });

test("NEXT_HOP is behind an AS_PATH of any length", () => {
  const long: PathAttributes = { ...bare, asPath: new Array<number>(100).fill(1), med: 5 };
  const hops = [address("192.0.2.1")];
  const written = encodeAnnouncement(encodeAttributes(long, external), hops, "IPv4", [nlri("10.0.0.0/8")].values(), format());
  const types = splitAttributes(written.subarray(23, -2)).attributes.map(({ type }) => type);
  assert.deepEqual(types, [1, 2, 3, 4]);
});

const withdrawals: { family: Family; prefixes: string[]; withPaths?: true; want: string }[] = [
  { family: "IPv4", prefixes: ["10.0.0.0/8", "0.0.0.0/0"], want: "0003 080a 00 0000" },
  { family: "IPv6", prefixes: ["2001:db8:1::/48", "::/0"], want: "0000 000f 900f000b 0002 01 30 20010db80001 00" },
  { family: "IPv4", prefixes: ["5 10.0.0.0/8", "6 0.0.0.0/0"], withPaths: true, want: "000b 00000005 080a 00000006 00 0000" },
  { family: "IPv6", prefixes: ["5 ::/0"], withPaths: true, want: "0000 000c 900f0008 0002 01 00000005 00" },
];
for (const { family, prefixes, withPaths, want } of withdrawals)
  test(`a withdrawal of ${family}${withPaths ? " with path identifiers" : ""}`, () => {
    const written = encodeWithdrawal(family, prefixes.map(nlri).values(), format(maxMessageLength, withPaths));
    assert.equal(hex(written), hex(message(2, want.replaceAll(" ", ""))));
  });

test("End-of-RIB (RFC 4724, section 2)", () => {
  assert.equal(hex(encodeEndOfRib("IPv4")), hex(message(2, "00000000")));
  assert.equal(hex(encodeEndOfRib("IPv6")), hex(message(2, "00000007900f0003000201")));
});

/** `count` prefixes, and a function that tells how many were taken. */
function counted(family: Family, count: number): { prefixes: Iterator<Nlri>; taken: () => number } {
  const one = nlri(family === "IPv4" ? "7 203.0.113.7/32" : "7 2001:db8::7/128");
  let taken = 0;
  function* prefixes(): Generator<Nlri> {
    while (taken < count) {
      taken++;
      yield one;
    }
  }
  return { prefixes: prefixes(), taken: () => taken };
}

const octetsOfOne = { IPv4: 5, IPv6: 17 } as const;
for (const family of ["IPv4", "IPv6"] as const)
  for (const { maxLength: most, addPath } of [format(), format(maxExtendedMessageLength), format(maxMessageLength, true)]) {
    const withPaths = addPath.size > 0;
    const hops = [address(family === "IPv4" ? "192.0.2.1" : "2001:db8::1")];
    const ways = [
      [
        "announcement",
        (from: Iterator<Nlri>) =>
          encodeAnnouncement(encodeAttributes(bare, external), hops, family, from, format(most, withPaths)),
      ],
      ["withdrawal", (from: Iterator<Nlri>) => encodeWithdrawal(family, from, format(most, withPaths))],
    ] as const;
    for (const [name, encode] of ways)
      test(`an ${family} ${name} of at most ${most} octets${withPaths ? " with path identifiers" : ""} is filled, and takes no prefix that it does not carry`, () => {
        const { prefixes, taken } = counted(family, 100_000);
        const written = encode(prefixes);
        assert.ok(
          written.length <= most && written.length > most - octetsOfOne[family] - (withPaths ? 4 : 0),
          `${written.length}`,
        );
        const update = readUpdate(written.subarray(19), { ...external, pathsReceived: addPath });
        assert.equal(update.announced.length + update.withdrawn.length, taken());
      });
  }

test("a message needs a prefix: without one it would be an End-of-RIB, or say nothing", () => {
  const said = encodeAttributes(bare, external);
  assert.throws(() => encodeWithdrawal("IPv4", [].values(), format()), RangeError);
  assert.throws(() => encodeWithdrawal("IPv6", [].values(), format()), RangeError);
  assert.throws(() => encodeAnnouncement(said, [address("192.0.2.1")], "IPv4", [].values(), format()), RangeError);
});

test("attributes that leave no room are refused, and no prefix is taken", () => {
  const said = encodeAttributes({ ...bare, communities: new Array<number>(1020).fill(1) }, external);
  const { prefixes, taken } = counted("IPv6", 1);
  assert.throws(
    () => encodeAnnouncement(said, localHop, "IPv6", prefixes, format()),
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
    assert.throws(() => encodeAnnouncement(said, hops, family, prefixes, format()), RangeError);
    assert.equal(taken(), 0);
  });

/** All UPDATEs that these prefixes take, read back. */
function roundTrip(encode: (nlri: Iterator<Nlri>) => Uint8Array, all: readonly Nlri[], session: ReadSession): ReadUpdate[] {
  const left = [...all].reverse();
  const prefixes: Iterator<Nlri> = {
    next: () => {
      const value = left.pop();
      return value === undefined ? { done: true, value } : { done: false, value };
    },
  };
  const reader = new MessageReader();
  const updates: ReadUpdate[] = [];
  while (left.length > 0) {
    reader.push(encode(prefixes));
    const frame = reader.next(true) ?? assert.fail("no whole message");
    updates.push(readUpdate(frame.body, session));
  }
  return updates;
}

const sessions = fc.tuple(fc.boolean(), fc.subarray<Family>(["IPv4", "IPv6"])).map(([fourOctetAsn, withPaths]) => {
  return { ...internal, fourOctetAsn, pathsReceived: new Set(withPaths) };
});

/** As text, with the path identifiers that the session has. */
function texts(
  all: readonly Nlri[],
  family: Family,
  { pathsReceived }: { readonly pathsReceived: ReadonlySet<Family> },
): string[] {
  return all.map(({ prefix, path }) => (pathsReceived.has(family) ? `${path} ${prefix}` : `${prefix}`));
}

function read({ announced, announcedPaths, withdrawn, withdrawnPaths }: ReadUpdate): string[] {
  const paths = [...announcedPaths, ...withdrawnPaths];
  return [...announced, ...withdrawn].map((one, index) => (paths.length === 0 ? `${one}` : `${paths[index]} ${one}`));
}
for (const [family, hopFamily] of [
  ["IPv4", "IPv4"],
  ["IPv4", "IPv6"],
  ["IPv6", "IPv6"],
] as const)
  test(`property: decoding undoes encoding: ${family} over ${hopFamily}`, () => {
    const hop = anyAddress(hopFamily).filter(({ value }) => hopFamily === "IPv6" || (value >> 24n > 0n && value >> 24n < 127n));
    const prefixes = fc.array(anyNlri(family), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(anyAttributes, hop, prefixes, fc.nat({ max: 500 }), sessions, (said, nextHop, all, extra, session) => {
        const encoded = encodeAttributes(said, session);
        const most = encoded.length + 100 + extra;
        const wanted = { maxLength: most, addPath: session.pathsReceived };
        const encode = (from: Iterator<Nlri>) => encodeAnnouncement(encoded, [nextHop], family, from, wanted);
        const updates = roundTrip(encode, all, session);
        assert.deepEqual(
          updates.flatMap((update) => read(update)),
          texts(all, family, session),
        );
        for (const { attributes, forgiven, withdrawn, endOfRib } of updates) {
          const asPath = said.asPath.length === 0 ? [] : [{ type: "sequence", asns: said.asPath }];
          assert.deepEqual(attributes, { ...said, origin: "incomplete", asPath, nextHops: [nextHop] });
          assert.deepEqual([forgiven, withdrawn, endOfRib], [[], [], undefined]);
        }
      }),
    );
  });

test("property: what is withdrawn is read back", () => {
  const all = fc.oneof(fc.array(anyNlri("IPv4"), { minLength: 1 }), fc.array(anyNlri("IPv6"), { minLength: 1 }));
  fc.assert(
    fc.property(all, fc.integer({ min: 60, max: 200 }), sessions, (routes, maxLength, session) => {
      const family = routes[0]?.prefix.family ?? "IPv4";
      const wanted = { maxLength, addPath: session.pathsReceived };
      const updates = roundTrip((from) => encodeWithdrawal(family, from, wanted), routes, session);
      assert.deepEqual(
        updates.flatMap((update) => read(update)),
        texts(routes, family, session),
      );
    }),
  );
});
