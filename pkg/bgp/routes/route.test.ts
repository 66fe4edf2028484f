import assert from "node:assert/strict";
import { test } from "node:test";
import type { Address, Family } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { type LocalEnd, nextHops, resolveAttributes } from "./route.ts";
import { localEnd, route } from "./testing/fixtures.ts";

test("RFC 9234, section 5: who is above or beside the peer marks a route for customers alone", () => {
  const marks = (role: LocalEnd["role"]) => resolveAttributes(route(), localEnd({ role }), false).onlyToCustomer;
  for (const role of ["provider", "rs-server", "peer"] as const) assert.equal(marks(role), 64_500, role);
  for (const role of ["customer", "rs-client", undefined] as const) assert.equal(marks(role), undefined, role);
});

test("an eBGP session sends the own AS number and no preference", () => {
  const sent = resolveAttributes(route({ localPref: 300 }), localEnd(), false);
  assert.deepEqual(sent.asPath, [64_500]);
  assert.equal(sent.localPref, undefined);
});

test("an iBGP session sends an empty path and always a preference, 0 unless configured, as MetalLB does", () => {
  const end = localEnd({ internal: true });
  assert.deepEqual(resolveAttributes(route({ asPathPrepend: 2 }), end, false).asPath, []);
  assert.equal(resolveAttributes(route(), end, false).localPref, 0);
  assert.equal(resolveAttributes(route({ localPref: 300 }), end, false).localPref, 300);
});

test("prepending repeats the own AS number beside the one that is always there", () => {
  const sent = resolveAttributes(route({ asPathPrepend: 2 }), localEnd(), false);
  assert.deepEqual(sent.asPath, [64_500, 64_500, 64_500]);
});

test("a route of the last resort is marked as all of a session that leaves, and no other is", () => {
  const sent = (isLastResort: boolean) => resolveAttributes(route({ isLastResort }), localEnd({ internal: true }), false);
  assert.deepEqual([sent(true).communities, sent(true).localPref], [[0xffff_0000], 0]);
  assert.deepEqual(sent(false).communities, undefined);
});

test("leaving adds the community once, and the lowest preference on iBGP", () => {
  const leaving = resolveAttributes(route({ localPref: 300, communities: [0xffff_0000] }), localEnd({ internal: true }), true);
  assert.deepEqual([leaving.communities, leaving.localPref], [[0xffff_0000], 0]);
});

test("a link bandwidth is an AS number and a float", () => {
  const sent = (asn: number) => resolveAttributes(route({ linkBandwidth: 125_000_000 }), localEnd({ asn }), false);
  assert.deepEqual(sent(64_500).extendedCommunities, [0x4004_fbf4_4cee_6b28n]);
  assert.deepEqual(sent(4_200_000_000).extendedCommunities, [0x4004_5ba0_4cee_6b28n]); // AS_TRANS
});

const v4 = address("192.0.2.10");
const v6 = address("2001:db8::10");
const linkLocal = address("fe80::1");
const configured = address("192.0.2.99");
const ends: Record<string, { addresses: readonly [Family, Address][]; linkLocal?: Address }> = {
  both: { addresses: [["IPv4", v4], ["IPv6", v6]] }, // biome-ignore format: one line each
  v6: { addresses: [["IPv6", v6]], linkLocal },
  linkLocal: { addresses: [], linkLocal },
  v4: { addresses: [["IPv4", v4]] },
};
const hops: { name: string; end: string; family: Family; extended?: boolean; nextHop?: Address; want: readonly Address[] }[] = [
  { name: "is this end", end: "both", family: "IPv4", want: [v4] },
  { name: "of IPv6 is global and link-local where both ends share a link", end: "v6", family: "IPv6", want: [v6, linkLocal] },
  { name: "is link-local alone where there is nothing else", end: "linkLocal", family: "IPv6", want: [linkLocal] },
  { name: "is what is configured", end: "both", family: "IPv4", nextHop: configured, want: [configured] },
  { name: "is not of the other family", end: "both", family: "IPv6", nextHop: configured, want: [v6] },
  { name: "of IPv4 may be IPv6 where the peer agreed", end: "v6", family: "IPv4", extended: true, want: [v6, linkLocal] },
  { name: "of IPv4 is IPv4 where there is one, even then", end: "both", family: "IPv4", extended: true, want: [v4] },
  { name: "of IPv4 is missing without IPv4 and without consent", end: "v6", family: "IPv4", want: [] },
  { name: "of IPv6 is missing without IPv6", end: "v4", family: "IPv6", want: [] },
];
for (const { name, end, family, extended = false, nextHop, want } of hops) {
  test(`the next hop ${name}`, () => {
    const { addresses = [], linkLocal } = ends[end] ?? {};
    assert.deepEqual(
      nextHops(route({ nextHop }), family, localEnd({ addresses: new Map(addresses), linkLocal }), extended),
      want,
    );
  });
}
