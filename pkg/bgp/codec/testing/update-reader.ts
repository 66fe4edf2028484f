/** Reads an UPDATE as a router does: a speaker checks UPDATEs and counts their prefixes, and the tests read what it sends. */
import { Address, type Family, Prefix } from "#pkg/net";
import { Reader } from "#pkg/octets";
import { SegmentType } from "../as-path.ts";
import type { UpdateSession } from "../attribute-rules.ts";
import { decodeMessage } from "../message-codec.ts";
import type { Frame } from "../message-reader.ts";
import {
  type AddressFamily,
  type Message,
  MessageType,
  type PathAttributes,
  type Update,
  unicast,
  unicastFamily,
} from "../messages.ts";
import { UpdateMessageError } from "../notification-error.ts";
import { AttributeFlag, AttributeType, type RawAttribute, splitAttributes, updateError } from "../path-attributes.ts";
import { decodeUpdate } from "../update-decoder.ts";

/** A session in which the other side may send path identifiers (RFC 7911). */
export interface ReadSession extends UpdateSession {
  readonly pathsReceived?: ReadonlySet<Family>;
}

export interface AsPathSegment {
  readonly type: keyof typeof SegmentType;
  readonly asns: readonly number[];
}

export interface ReadAttributes extends Omit<PathAttributes, "asPath"> {
  readonly origin: "igp" | "egp" | "incomplete";
  /** That of AS4_PATH, where the session has AS numbers of two octets and the path others (RFC 6793). */
  readonly asPath: readonly AsPathSegment[];
  /**
   * One address, or a global and a link-local address of IPv6 (RFC 2545). For an UPDATE that announces both in its NLRI field and in
   * MP_REACH_NLRI: first the IPv4 address of NEXT_HOP, then the others.
   */
  readonly nextHops: readonly Address[];
}

export interface ReadUpdate {
  readonly type: "update";
  readonly withdrawn: readonly Prefix[];
  /** Path identifiers, in the same order; empty in a session without. */
  readonly withdrawnPaths: readonly number[];
  readonly announced: readonly Prefix[];
  readonly announcedPaths: readonly number[];
  /** Undefined where nothing is announced. */
  readonly attributes: ReadAttributes | undefined;
  readonly endOfRib: Update["endOfRib"];
  /** Families that the session does not carry. */
  readonly ignored: readonly AddressFamily[];
  readonly forgiven: Update["forgiven"];
}

export type ReadMessage = Exclude<Message, Update> | ReadUpdate;

/** @throws {NotificationError} for what a speaker would refuse */
export function readMessage(frame: Frame, session: ReadSession): ReadMessage {
  if (frame.type === MessageType.update) return readUpdate(frame.body, session);
  const message = decodeMessage(frame, session);
  if (message.type === "update") throw fault("it is no UPDATE");
  return message;
}

/** @throws {NotificationError} for what a speaker would refuse */
export function readUpdate(body: Uint8Array, session: ReadSession): ReadUpdate {
  const { withdrawn, attributes, nlri } = fieldsOf(body);
  const { endOfRib, forgiven } = decodeUpdate(withoutPaths(body, session), session);
  const goes = [routes(unicast.IPv4, withdrawn, session), ...multiprotocol(attributes, AttributeType.mpUnreachNlri, session)];
  const comes = [routes(unicast.IPv4, nlri, session), ...multiprotocol(attributes, AttributeType.mpReachNlri, session)];
  const announced = comes.flatMap(({ prefixes }) => prefixes);
  const ignored = [...goes, ...comes].filter(({ isCarried, octets }) => !isCarried && octets > 0).map(({ family }) => family);
  return {
    type: "update",
    withdrawn: goes.flatMap(({ prefixes }) => prefixes),
    withdrawnPaths: goes.flatMap(({ paths }) => paths),
    announced,
    announcedPaths: comes.flatMap(({ paths }) => paths),
    attributes: announced.length > 0 ? pathAttributes(attributes, session) : undefined,
    endOfRib,
    ignored,
    forgiven,
  };
}

function fault(found: string): Error {
  return updateError(UpdateMessageError.malformedAttributeList, found);
}

function fieldsOf(body: Uint8Array) {
  const reader = new Reader(body, fault);
  const withdrawn = reader.take(reader.u16());
  const { attributes } = splitAttributes(reader.take(reader.u16()));
  return { withdrawn, attributes, nlri: reader.rest() };
}

/** Prefixes with their lengths as on the wire, and their path identifiers. */
function* entries(
  field: Uint8Array,
  hasPaths: boolean,
): Generator<{ readonly path: number | undefined; readonly octets: Uint8Array }> {
  const reader = new Reader(field, fault);
  while (reader.remaining > 0) {
    const path = hasPaths ? reader.u32() : undefined;
    const bits = reader.u8();
    yield { path, octets: Uint8Array.of(bits, ...reader.take((bits + 7) >>> 3)) };
  }
}

function routes(family: AddressFamily, field: Uint8Array, { families, pathsReceived }: ReadSession) {
  const name = unicastFamily(family);
  const isCarried = name !== undefined && families.has(name);
  const all = isCarried ? [...entries(field, pathsReceived?.has(name) === true)] : [];
  const prefixes = all.map(({ octets: [bits = 0, ...octets] }) => {
    const address = new Uint8Array(name === "IPv4" ? 4 : 16);
    address.set(octets);
    return new Prefix(addressOf(address), bits);
  });
  return { family, isCarried, octets: field.length, prefixes, paths: all.flatMap(({ path }) => path ?? []) };
}

/** Without a look at what it is: an IPv4-mapped address stays IPv6. */
function addressOf(octets: Uint8Array): Address {
  return new Address(
    octets.length === 4 ? "IPv4" : "IPv6",
    octets.reduce((value, octet) => (value << 8n) | BigInt(octet), 0n),
  );
}

function readerOf(attributes: readonly RawAttribute[], type: number): Reader | undefined {
  const found = attributes.find((one) => one.type === type);
  return found && new Reader(found.value, fault);
}

function multiprotocol(attributes: readonly RawAttribute[], type: number, session: ReadSession) {
  const value = readerOf(attributes, type);
  if (value === undefined) return [];
  const family = { afi: value.u16(), safi: value.u8() };
  if (type === AttributeType.mpReachNlri) value.take(value.take(value.u8()) && 1);
  return [routes(family, value.rest(), session)];
}

function nextHops(attributes: readonly RawAttribute[]): Address[] {
  const nextHop = readerOf(attributes, AttributeType.nextHop)?.rest();
  const mpReach = readerOf(attributes, AttributeType.mpReachNlri);
  mpReach?.take(3);
  const octets = mpReach?.take(mpReach.u8());
  const both = octets?.length === 32 ? [octets.subarray(0, 16), octets.subarray(16)] : [octets];
  return [nextHop, ...both].flatMap((one) => (one === undefined ? [] : [addressOf(one)]));
}

const origins = ["igp", "egp", "incomplete"] as const;

function pathAttributes(attributes: readonly RawAttribute[], { fourOctetAsn }: ReadSession): ReadAttributes {
  const {
    origin,
    asPath,
    as4Path,
    multiExitDisc,
    localPref,
    communities,
    extendedCommunities,
    largeCommunities,
    onlyToCustomer,
  } = AttributeType;
  const number = (type: number) => readerOf(attributes, type)?.u32();
  const list = <Item>(type: number, read: (reader: Reader) => Item) => {
    const reader = readerOf(attributes, type);
    if (reader === undefined) return undefined;
    const all: Item[] = [];
    while (reader.remaining > 0) all.push(read(reader));
    return all;
  };
  const path = readerOf(attributes, asPath)?.rest() ?? new Uint8Array();
  const wide = fourOctetAsn ? undefined : readerOf(attributes, as4Path)?.rest();
  return {
    origin: origins[readerOf(attributes, origin)?.u8() ?? 2] ?? "incomplete",
    asPath: wide === undefined ? segmentsOf(path, fourOctetAsn) : segmentsOf(wide, true),
    nextHops: nextHops(attributes),
    med: number(multiExitDisc),
    localPref: number(localPref),
    communities: list(communities, (reader) => reader.u32()),
    extendedCommunities: list(extendedCommunities, (reader) => (BigInt(reader.u32()) << 32n) | BigInt(reader.u32())),
    largeCommunities: list(largeCommunities, (reader) => {
      return { globalAdministrator: reader.u32(), localData1: reader.u32(), localData2: reader.u32() };
    }),
    onlyToCustomer: number(onlyToCustomer),
  };
}

const segmentNames = new Map(
  Object.entries(SegmentType).map(([name, code]) => [code as number, name as keyof typeof SegmentType]),
);

function segmentsOf(octets: Uint8Array, fourOctetAsn: boolean): AsPathSegment[] {
  const reader = new Reader(octets, fault);
  const segments: AsPathSegment[] = [];
  while (reader.remaining > 0) {
    const type = segmentNames.get(reader.u8());
    if (type === undefined) throw fault("a segment of an unknown type");
    const asns = Array.from({ length: reader.u8() }, () => (fourOctetAsn ? reader.u32() : reader.u16()));
    segments.push({ type, asns });
  }
  return segments;
}

/** The same UPDATE in a session without path identifiers, which a speaker can check. */
function withoutPaths(body: Uint8Array, { pathsReceived = new Set() }: ReadSession): Uint8Array {
  if (pathsReceived.size === 0) return body;
  const { withdrawn, attributes, nlri } = fieldsOf(body);
  const stripped = ({ afi, safi }: AddressFamily, field: Uint8Array) => {
    const family = unicastFamily({ afi, safi });
    const hasPaths = family !== undefined && pathsReceived.has(family);
    return hasPaths ? Buffer.concat(Array.from(entries(field, true), ({ octets }) => octets)) : field;
  };
  const attribute = ({ type, flags, octets, value }: RawAttribute): Uint8Array => {
    const isReach = type === AttributeType.mpReachNlri;
    if (!isReach && type !== AttributeType.mpUnreachNlri) return octets;
    const [high = 0, afi = 0, safi = 0, nextHop = 0] = value;
    const head = value.subarray(0, isReach ? 5 + nextHop : 3);
    const rest = Buffer.concat([head, stripped({ afi: high * 256 + afi, safi }, value.subarray(head.length))]);
    return Buffer.concat([Uint8Array.of(flags | AttributeFlag.extendedLength, type), withLength(rest)]);
  };
  return Buffer.concat([
    withLength(stripped(unicast.IPv4, withdrawn)),
    withLength(Buffer.concat(attributes.map(attribute))),
    stripped(unicast.IPv4, nlri),
  ]);
}

function withLength(octets: Uint8Array): Uint8Array {
  return Buffer.concat([Uint8Array.of(octets.length >>> 8, octets.length & 255), octets]);
}
