import { Address, type Family, type Prefix } from "#pkg/net";
import { Reader } from "#pkg/octets";
import { decodeAsPath, isOutsideConfederation } from "./as-path.ts";
import {
  type AddressFamily,
  Afi,
  type AsPathSegment,
  type LargeCommunity,
  type PathAttributes,
  unicastFamily,
} from "./messages.ts";
import { UpdateMessageError } from "./notification-error.ts";
import { AttributeType, attributeFlags, type RawAttribute } from "./path-attributes.ts";
import { decodePrefixes, ipv6Address } from "./prefixes.ts";

/** The part of a session on which the meaning of an UPDATE depends. */
export interface UpdateSession {
  /** The peer has the same AS number. */
  readonly internal: boolean;
  readonly families: ReadonlySet<Family>;
  readonly fourOctetAsn: boolean;
  readonly extendedNextHop: boolean;
  /** Families in which the peer's prefixes have path identifiers (RFC 7911). This side asks no peer for that. */
  readonly pathsReceived?: ReadonlySet<Family>;
}

/** Routes that an attribute announces or withdraws. */
export interface MultiprotocolRoutes {
  readonly family: AddressFamily;
  readonly nextHops: readonly Address[];
  /** Undefined where the session does not carry the family. */
  readonly prefixes: readonly Prefix[] | undefined;
  /** Their path identifiers; empty where they have none. */
  readonly paths: readonly number[];
  /** The message has no routes of any family. */
  readonly empty: boolean;
}

/** The attributes of an UPDATE that are well-formed. */
export interface FoundAttributes {
  origin?: PathAttributes["origin"];
  asPath?: readonly AsPathSegment[];
  as4Path?: readonly AsPathSegment[];
  nextHop?: Address;
  med?: number;
  localPref?: number;
  aggregatorAsn?: number;
  as4Aggregator?: true;
  communities?: readonly number[];
  extendedCommunities?: readonly bigint[];
  largeCommunities?: readonly LargeCommunity[];
  onlyToCustomer?: number;
  announced?: MultiprotocolRoutes;
  withdrawn?: MultiprotocolRoutes;
}

/** What RFC 7606, section 2, makes of an attribute that is malformed, from the weakest on. */
export type Remedy = "attributeDiscard" | "treatAsWithdraw" | "sessionReset";

interface Rule {
  readonly flags: number;
  readonly malformed: Remedy;
  /** Says why such an attribute has no meaning in a session; it is discarded unread then. */
  readonly misplaced?: (session: UpdateSession) => string | undefined;
  /** @throws {NotificationError} for a malformed value: what RFC 4271 demands, before `malformed` is applied to it */
  readonly read: (attribute: RawAttribute, found: FoundAttributes, session: UpdateSession) => void;
}

const { wellKnown, optionalTransitive, optionalNonTransitive } = attributeFlags;
const fromExternal = (session: UpdateSession) => (session.internal ? undefined : "an external peer");
const fromFourOctetPeer = (session: UpdateSession) => (session.fourOctetAsn ? "a peer with four-octet AS numbers" : undefined);

/** RFC 7606, section 7, in the order of the types; for others the specification of each. */
export const attributeRules: Readonly<Record<number, Rule>> = {
  [AttributeType.origin]: { flags: wellKnown, malformed: "treatAsWithdraw", read: readOrigin },
  [AttributeType.asPath]: { flags: wellKnown, malformed: "treatAsWithdraw", read: readAsPath },
  [AttributeType.nextHop]: { flags: wellKnown, malformed: "treatAsWithdraw", read: readNextHop },
  [AttributeType.multiExitDisc]: {
    flags: optionalNonTransitive,
    malformed: "treatAsWithdraw",
    read: (attribute, found) => {
      found.med = exactly(attribute, 4).u32();
    },
  },
  [AttributeType.localPref]: {
    flags: wellKnown,
    malformed: "treatAsWithdraw",
    misplaced: fromExternal,
    read: (attribute, found) => {
      found.localPref = exactly(attribute, 4).u32();
    },
  },
  [AttributeType.atomicAggregate]: {
    flags: wellKnown,
    malformed: "attributeDiscard",
    read: (attribute) => void exactly(attribute, 0),
  },
  [AttributeType.aggregator]: { flags: optionalTransitive, malformed: "attributeDiscard", read: readAggregator },
  [AttributeType.communities]: {
    flags: optionalTransitive,
    malformed: "treatAsWithdraw",
    read: (attribute, found) => {
      found.communities = items(attribute, 4, (reader) => reader.u32());
    },
  },
  [AttributeType.originatorId]: {
    flags: optionalNonTransitive,
    malformed: "treatAsWithdraw",
    misplaced: fromExternal,
    read: (attribute) => void exactly(attribute, 4),
  },
  [AttributeType.clusterList]: {
    flags: optionalNonTransitive,
    malformed: "treatAsWithdraw",
    misplaced: fromExternal,
    read: (attribute) => void multipleOf(attribute, 4),
  },
  [AttributeType.mpReachNlri]: { flags: optionalNonTransitive, malformed: "sessionReset", read: readMpReach },
  [AttributeType.mpUnreachNlri]: { flags: optionalNonTransitive, malformed: "sessionReset", read: readMpUnreach },
  [AttributeType.extendedCommunities]: {
    flags: optionalTransitive,
    malformed: "treatAsWithdraw",
    read: (attribute, found) => {
      found.extendedCommunities = items(attribute, 8, (reader) => (BigInt(reader.u32()) << 32n) | BigInt(reader.u32()));
    },
  },
  [AttributeType.as4Path]: {
    flags: optionalTransitive,
    malformed: "attributeDiscard",
    misplaced: fromFourOctetPeer,
    read: (attribute, found) => {
      found.as4Path = decodeAsPath(attribute.value, true, (what) => attribute.error(UpdateMessageError.malformedAsPath, what));
    },
  },
  [AttributeType.as4Aggregator]: {
    flags: optionalTransitive,
    malformed: "attributeDiscard",
    misplaced: fromFourOctetPeer,
    read: (attribute, found) => {
      exactly(attribute, 8);
      found.as4Aggregator = true;
    },
  },
  [AttributeType.ipv6ExtendedCommunities]: {
    flags: optionalTransitive,
    malformed: "treatAsWithdraw",
    read: (attribute) => void multipleOf(attribute, 20),
  },
  [AttributeType.largeCommunities]: {
    flags: optionalTransitive,
    malformed: "treatAsWithdraw",
    read: (attribute, found) => {
      found.largeCommunities = items(attribute, 12, (reader) => {
        return { globalAdministrator: reader.u32(), localData1: reader.u32(), localData2: reader.u32() };
      });
    },
  },
  [AttributeType.onlyToCustomer]: {
    flags: optionalTransitive,
    malformed: "treatAsWithdraw",
    read: (attribute, found) => {
      found.onlyToCustomer = exactly(attribute, 4).u32();
    },
  },
};

const origins = ["igp", "egp", "incomplete"] as const;

function readOrigin(attribute: RawAttribute, found: FoundAttributes): void {
  const value = exactly(attribute, 1).u8();
  const origin = origins[value];
  if (origin === undefined) throw attribute.error(UpdateMessageError.invalidOriginAttribute, `the value ${value}, wanted 0 to 2`);
  found.origin = origin;
}

function readAsPath(attribute: RawAttribute, found: FoundAttributes, session: UpdateSession): void {
  const fault = (what: string) => attribute.error(UpdateMessageError.malformedAsPath, what);
  found.asPath = decodeAsPath(attribute.value, session.fourOctetAsn, fault);
  // RFC 5065, section 5: this side is in no confederation; one that a peer of the same AS is in is its own affair.
  if (!session.internal && !found.asPath.every(isOutsideConfederation))
    throw fault("a confederation's segment from an external peer");
}

/** Must be a valid host address (RFC 4271, section 6.3). */
function readNextHop(attribute: RawAttribute, found: FoundAttributes): void {
  const address = new Address("IPv4", BigInt(exactly(attribute, 4).u32()));
  const [first = 0] = attribute.value;
  if (first === 0 || first === 127 || first >= 224)
    throw attribute.error(UpdateMessageError.invalidNextHopAttribute, `the value ${address}, which is no host's address`);
  found.nextHop = address;
}

function readAggregator(attribute: RawAttribute, found: FoundAttributes, session: UpdateSession): void {
  const reader = exactly(attribute, session.fourOctetAsn ? 8 : 6);
  const asn = session.fourOctetAsn ? reader.u32() : reader.u16();
  if (asn === 0) throw attribute.error(UpdateMessageError.optionalAttributeError, "AS number 0"); // RFC 7607
  found.aggregatorAsn = asn;
}

/** RFC 4760, section 3, with the next hops of RFC 2545, section 3, and RFC 8950, section 3. */
function readMpReach(attribute: RawAttribute, found: FoundAttributes, session: UpdateSession): void {
  const fault = (what: string) => attribute.error(UpdateMessageError.optionalAttributeError, what);
  const reader = new Reader(attribute.value, fault);
  const family = { afi: reader.u16(), safi: reader.u8() };
  const nextHop = reader.take(reader.u8());
  reader.take(1); // Reserved; once a count of addresses that nobody sends.
  const carried = carriedFamily(family, session);
  const nextHops = carried === undefined ? [] : decodeNextHops(nextHop, family.afi, session, fault);
  const nlri = reader.rest();
  found.announced = { family, nextHops, ...readNlri(carried, nlri, session, fault), empty: nlri.length === 0 };
}

/** RFC 4760, section 4. */
function readMpUnreach(attribute: RawAttribute, found: FoundAttributes, session: UpdateSession): void {
  const fault = (what: string) => attribute.error(UpdateMessageError.optionalAttributeError, what);
  const reader = new Reader(attribute.value, fault);
  const family = { afi: reader.u16(), safi: reader.u8() };
  const carried = carriedFamily(family, session);
  const nlri = reader.rest();
  found.withdrawn = { family, nextHops: [], ...readNlri(carried, nlri, session, fault), empty: nlri.length === 0 };
}

/** Prefixes to the end of a field, and their path identifiers where the peer sends them. @param family undefined where it is not carried */
export function readNlri(
  family: Family | undefined,
  field: Uint8Array,
  { pathsReceived }: UpdateSession,
  fault: (found: string) => Error,
): Pick<MultiprotocolRoutes, "prefixes" | "paths"> {
  if (family === undefined) return { prefixes: undefined, paths: [] };
  const paths: number[] = [];
  return { prefixes: decodePrefixes(family, field, fault, pathsReceived?.has(family) ? paths : undefined), paths };
}

function carriedFamily(family: AddressFamily, { families }: UpdateSession): Family | undefined {
  const carried = unicastFamily(family);
  return carried !== undefined && families.has(carried) ? carried : undefined;
}

function decodeNextHops(
  octets: Uint8Array,
  afi: number,
  session: UpdateSession,
  fault: (found: string) => Error,
): readonly Address[] {
  if (afi === Afi.ipv4 && octets.length === 4) return [Address.fromBytes(octets)];
  const ipv6 = afi === Afi.ipv6 || session.extendedNextHop;
  if (!ipv6 || (octets.length !== 16 && octets.length !== 32)) throw fault(`a next hop of ${octets.length} octets`);
  return octets.length === 16 ? [ipv6Address(octets)] : [ipv6Address(octets), ipv6Address(octets.subarray(16))];
}

function items<Item>(attribute: RawAttribute, width: number, read: (reader: Reader) => Item): Item[] {
  const reader = multipleOf(attribute, width);
  const all: Item[] = [];
  while (reader.remaining > 0) all.push(read(reader));
  return all;
}

function exactly(attribute: RawAttribute, length: number): Reader {
  return sized(attribute, attribute.value.length === length, `${length}`);
}

function multipleOf(attribute: RawAttribute, width: number): Reader {
  const { length } = attribute.value;
  return sized(attribute, length > 0 && length % width === 0, `a multiple of ${width} above 0`);
}

function sized(attribute: RawAttribute, right: boolean, wanted: string): Reader {
  const fault = (found: string) => attribute.error(UpdateMessageError.attributeLengthError, found);
  if (!right) throw fault(`a length of ${attribute.value.length}, wanted ${wanted}`);
  return new Reader(attribute.value, fault);
}
