/** Arbitrary messages, for the property tests. */

import fc from "fast-check";
import { Address, type Family, Prefix } from "#pkg/net";
import { Writer } from "#pkg/octets";
import type { Capability, LargeCommunity, Open, PathAttributes } from "../messages.ts";
import { writeCapability } from "../open-codec.ts";
import type { Nlri } from "../prefixes.ts";

/** Objects with a prototype, like literals. */
const record = <Shape>(model: { [Key in keyof Shape]: fc.Arbitrary<Shape[Key]> }) => fc.record(model, { noNullPrototype: true });
const unsigned = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const asn = fc.oneof(fc.integer({ min: 1, max: 70_000 }), fc.integer({ min: 1, max: 2 ** 32 - 1 }));
const some = <Item>(item: fc.Arbitrary<Item>) => fc.array(item, { minLength: 1, maxLength: 40 });

export function anyAddress(family: Family): fc.Arbitrary<Address> {
  const max = family === "IPv4" ? 2n ** 32n - 1n : 2n ** 128n - 1n;
  return fc.bigInt({ min: 0n, max }).map((value) => new Address(family, value));
}

export function anyPrefix(family: Family): fc.Arbitrary<Prefix> {
  return fc
    .tuple(anyAddress(family), fc.integer({ min: 0, max: family === "IPv4" ? 32 : 128 }))
    .map(([address, length]) => new Prefix(address, length));
}

export function anyNlri(family: Family): fc.Arbitrary<Nlri> {
  return record({ prefix: anyPrefix(family), path: unsigned(32) });
}

export const anyAsPath = fc.array(asn, { maxLength: 40 });

const largeCommunity: fc.Arbitrary<LargeCommunity> = record({
  globalAdministrator: unsigned(32),
  localData1: unsigned(32),
  localData2: unsigned(32),
});

export const anyAttributes: fc.Arbitrary<PathAttributes> = record({
  asPath: anyAsPath,
  med: fc.option(unsigned(32), { nil: undefined }),
  localPref: fc.option(unsigned(32), { nil: undefined }),
  communities: fc.option(some(unsigned(32)), { nil: undefined }),
  extendedCommunities: fc.option(some(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })), { nil: undefined }),
  largeCommunities: fc.option(some(largeCommunity), { nil: undefined }),
  onlyToCustomer: fc.option(unsigned(32), { nil: undefined }),
});

const family = { afi: unsigned(16), safi: unsigned(8) };
const families = <Item>(item: fc.Arbitrary<Item>) => fc.array(item, { maxLength: 8 });

export const anyCapability: fc.Arbitrary<Capability> = fc.oneof(
  record({ type: fc.constant("multiprotocol"), ...family }),
  fc.constantFrom<Capability>({ type: "routeRefresh" }, { type: "enhancedRouteRefresh" }, { type: "extendedMessage" }),
  record({ type: fc.constant("fourOctetAsn"), asn: unsigned(32) }),
  record({
    type: fc.constant("extendedNextHop"),
    families: families(record({ ...family, nextHopAfi: unsigned(16) })),
  }),
  record({
    type: fc.constant("gracefulRestart"),
    restarting: fc.boolean(),
    notification: fc.boolean(),
    timeSeconds: unsigned(12),
    families: families(record({ ...family, forwardingPreserved: fc.boolean() })),
  }),
  record({
    type: fc.constant("addPath"),
    families: families(record({ ...family, direction: fc.constantFrom("receive", "send", "both") })),
  }),
  record({ type: fc.constant("role"), role: fc.constantFrom("provider", "rs-server", "rs-client", "customer", "peer") }),
  record({
    type: fc.constant("longLivedGracefulRestart"),
    families: families(record({ ...family, forwardingPreserved: fc.boolean(), staleSeconds: unsigned(24) })),
  }),
  record({
    type: fc.constant("unknown"),
    code: fc.integer({ min: 72, max: 255 }),
    value: fc.uint8Array({ maxLength: 40, size: "max" }),
  }),
);

/** The first ones, as many as one parameter has room for. */
function thatFit(all: readonly Capability[]): Capability[] {
  const writer = new Writer();
  return all.filter((one) => {
    if (writer.length <= 253) writeCapability(writer, one);
    return writer.length <= 253;
  });
}

export const anyOpen: fc.Arbitrary<Open> = record({
  type: fc.constant("open"),
  version: fc.constant(4),
  asn: unsigned(16),
  holdTimeSeconds: unsigned(16).filter((seconds) => seconds !== 1 && seconds !== 2),
  routerId: anyAddress("IPv4").filter(({ value }) => value !== 0n),
  capabilities: fc.array(anyCapability, { maxLength: 30 }).map(thatFit),
});
