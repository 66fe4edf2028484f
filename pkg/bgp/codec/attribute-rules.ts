import { Address, type Family } from "#pkg/net";
import { Reader } from "#pkg/octets";
import { checkAsPath } from "./as-path.ts";
import { type AddressFamily, Afi, unicastFamily } from "./messages.ts";
import { UpdateMessageError } from "./notification-error.ts";
import { AttributeType, attributeFlags, type RawAttribute } from "./path-attributes.ts";
import { countPrefixes } from "./prefixes.ts";

/** The part of a session on which the meaning of an UPDATE depends. */
export interface UpdateSession {
  /** The peer has the same AS number. */
  readonly internal: boolean;
  readonly families: ReadonlySet<Family>;
  readonly fourOctetAsn: boolean;
  readonly extendedNextHop: boolean;
}

/** The routes of an UPDATE that are in its attributes. */
export interface MultiprotocolRoutes {
  /** How many prefixes are announced in a family that the session carries; `empty`: none are in any. */
  announced?: { readonly prefixes: number; readonly empty: boolean };
  withdrawn?: { readonly family: AddressFamily; readonly empty: boolean };
}

/** What RFC 7606, section 2, makes of an attribute that is malformed, from the weakest on. */
export type Remedy = "attributeDiscard" | "treatAsWithdraw" | "sessionReset";

interface Rule {
  readonly flags: number;
  readonly malformed: Remedy;
  /** Says why such an attribute has no meaning in a session; it is discarded unread then. */
  readonly misplaced?: (session: UpdateSession) => string | undefined;
  /** @throws {NotificationError} for a malformed value: what RFC 4271 demands, before `malformed` is applied to it */
  readonly check: (attribute: RawAttribute, session: UpdateSession, routes: MultiprotocolRoutes) => void;
}

const { wellKnown, optionalTransitive, optionalNonTransitive } = attributeFlags;
const fromExternal = (session: UpdateSession) => (session.internal ? undefined : "an external peer");
const fromFourOctetPeer = (session: UpdateSession) => (session.fourOctetAsn ? "a peer with four-octet AS numbers" : undefined);

const ofLength = (length: number) => (attribute: RawAttribute) => void exactly(attribute, length);
const ofItems = (width: number) => (attribute: RawAttribute) => multipleOf(attribute, width);

/** RFC 7606, section 7, in the order of the types; for others the specification of each. */
export const attributeRules: Readonly<Record<number, Rule>> = {
  [AttributeType.origin]: { flags: wellKnown, malformed: "treatAsWithdraw", check: checkOrigin },
  [AttributeType.asPath]: { flags: wellKnown, malformed: "treatAsWithdraw", check: checkPath },
  [AttributeType.nextHop]: { flags: wellKnown, malformed: "treatAsWithdraw", check: checkNextHop },
  [AttributeType.multiExitDisc]: { flags: optionalNonTransitive, malformed: "treatAsWithdraw", check: ofLength(4) },
  [AttributeType.localPref]: {
    flags: wellKnown,
    malformed: "treatAsWithdraw",
    misplaced: fromExternal,
    check: ofLength(4),
  },
  [AttributeType.atomicAggregate]: { flags: wellKnown, malformed: "attributeDiscard", check: ofLength(0) },
  [AttributeType.aggregator]: { flags: optionalTransitive, malformed: "attributeDiscard", check: checkAggregator },
  [AttributeType.communities]: { flags: optionalTransitive, malformed: "treatAsWithdraw", check: ofItems(4) },
  [AttributeType.originatorId]: {
    flags: optionalNonTransitive,
    malformed: "treatAsWithdraw",
    misplaced: fromExternal,
    check: ofLength(4),
  },
  [AttributeType.clusterList]: {
    flags: optionalNonTransitive,
    malformed: "treatAsWithdraw",
    misplaced: fromExternal,
    check: ofItems(4),
  },
  [AttributeType.mpReachNlri]: { flags: optionalNonTransitive, malformed: "sessionReset", check: readMpReach },
  [AttributeType.mpUnreachNlri]: { flags: optionalNonTransitive, malformed: "sessionReset", check: readMpUnreach },
  [AttributeType.extendedCommunities]: { flags: optionalTransitive, malformed: "treatAsWithdraw", check: ofItems(8) },
  [AttributeType.as4Path]: {
    flags: optionalTransitive,
    malformed: "attributeDiscard",
    misplaced: fromFourOctetPeer,
    check: (attribute) => void isConfederated(attribute, true),
  },
  [AttributeType.as4Aggregator]: {
    flags: optionalTransitive,
    malformed: "attributeDiscard",
    misplaced: fromFourOctetPeer,
    check: ofLength(8),
  },
  [AttributeType.ipv6ExtendedCommunities]: { flags: optionalTransitive, malformed: "treatAsWithdraw", check: ofItems(20) },
  [AttributeType.largeCommunities]: { flags: optionalTransitive, malformed: "treatAsWithdraw", check: ofItems(12) },
  [AttributeType.onlyToCustomer]: { flags: optionalTransitive, malformed: "treatAsWithdraw", check: ofLength(4) },
};

function checkOrigin(attribute: RawAttribute): void {
  const value = exactly(attribute, 1).u8();
  if (value > 2) throw attribute.error(UpdateMessageError.invalidOriginAttribute, `the value ${value}, wanted 0 to 2`);
}

function checkPath(attribute: RawAttribute, session: UpdateSession): void {
  // RFC 5065, section 5: this side is in no confederation; one that a peer of the same AS is in is its own affair.
  if (isConfederated(attribute, session.fourOctetAsn) && !session.internal)
    throw attribute.error(UpdateMessageError.malformedAsPath, "a confederation's segment from an external peer");
}

function isConfederated(attribute: RawAttribute, fourOctetAsn: boolean): boolean {
  return checkAsPath(attribute.value, fourOctetAsn, (what) => attribute.error(UpdateMessageError.malformedAsPath, what));
}

/** Must be a valid host address (RFC 4271, section 6.3). */
function checkNextHop(attribute: RawAttribute): void {
  const address = new Address("IPv4", BigInt(exactly(attribute, 4).u32()));
  const [first = 0] = attribute.value;
  if (first === 0 || first === 127 || first >= 224)
    throw attribute.error(UpdateMessageError.invalidNextHopAttribute, `the value ${address}, which is no host's address`);
}

function checkAggregator(attribute: RawAttribute, session: UpdateSession): void {
  const reader = exactly(attribute, session.fourOctetAsn ? 8 : 6);
  const asn = session.fourOctetAsn ? reader.u32() : reader.u16();
  if (asn === 0) throw attribute.error(UpdateMessageError.optionalAttributeError, "AS number 0"); // RFC 7607
}

/** RFC 4760, section 3, with the next hops of RFC 2545, section 3, and RFC 8950, section 3. */
function readMpReach(attribute: RawAttribute, session: UpdateSession, routes: MultiprotocolRoutes): void {
  const fault = (what: string) => attribute.error(UpdateMessageError.optionalAttributeError, what);
  const reader = new Reader(attribute.value, fault);
  const family = { afi: reader.u16(), safi: reader.u8() };
  const nextHop = reader.take(reader.u8());
  reader.take(1); // Reserved; once a count of addresses that nobody sends.
  const carried = carriedFamily(family, session);
  const nlri = reader.rest();
  if (carried !== undefined) checkNextHops(nextHop.length, family.afi, session, fault);
  const prefixes = carried === undefined ? 0 : countPrefixes(carried, nlri, fault);
  routes.announced = { prefixes, empty: nlri.length === 0 };
}

/** RFC 4760, section 4. */
function readMpUnreach(attribute: RawAttribute, session: UpdateSession, routes: MultiprotocolRoutes): void {
  const fault = (what: string) => attribute.error(UpdateMessageError.optionalAttributeError, what);
  const reader = new Reader(attribute.value, fault);
  const family = { afi: reader.u16(), safi: reader.u8() };
  const carried = carriedFamily(family, session);
  const nlri = reader.rest();
  if (carried !== undefined) countPrefixes(carried, nlri, fault);
  routes.withdrawn = { family, empty: nlri.length === 0 };
}

function carriedFamily(family: AddressFamily, { families }: UpdateSession): Family | undefined {
  const carried = unicastFamily(family);
  return carried !== undefined && families.has(carried) ? carried : undefined;
}

function checkNextHops(length: number, afi: number, session: UpdateSession, fault: (found: string) => Error): void {
  if (afi === Afi.ipv4 && length === 4) return;
  const ipv6 = afi === Afi.ipv6 || session.extendedNextHop;
  if (!ipv6 || (length !== 16 && length !== 32)) throw fault(`a next hop of ${length} octets`);
}

function exactly(attribute: RawAttribute, length: number): Reader {
  const fault = (found: string) => attribute.error(UpdateMessageError.attributeLengthError, found);
  if (attribute.value.length !== length) throw fault(wrongLength(attribute, `${length}`));
  return new Reader(attribute.value, fault);
}

function multipleOf(attribute: RawAttribute, width: number): void {
  const { length } = attribute.value;
  if (length === 0 || length % width !== 0)
    throw attribute.error(UpdateMessageError.attributeLengthError, wrongLength(attribute, `a multiple of ${width} above 0`));
}

function wrongLength({ value }: RawAttribute, wanted: string): string {
  return `a length of ${value.length}, wanted ${wanted}`;
}
