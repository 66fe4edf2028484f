import type { BgpRole } from "#pkg/config";
import { Address } from "#pkg/net";
import { Reader, Writer } from "#pkg/octets";
import {
  type AddPathFamily,
  type AddressFamily,
  type Capability,
  encodeFrame,
  type GracefulRestart,
  type LongLivedGracefulRestart,
  MessageType,
  type Open,
} from "./messages.ts";
import { NotificationCode, NotificationError, OpenMessageError, unspecific } from "./notification-error.ts";

/** The only version of BGP that this package speaks. */
export const bgpVersion = 4;

const capabilitiesParameter = 2;
/** As the type of the first parameter, it means that lengths have two octets (RFC 9072, section 2). */
const extendedParameters = 255;

/**
 * Encodes an OPEN (RFC 4271, section 4.2) with all capabilities in one parameter, as RFC 5492 recommends. A speaker's have 73 octets at most, so
 * that it has no need of the form of RFC 9072, which older peers refuse.
 * @throws {RangeError} for a number that its field does not hold, and above 253 octets of capabilities
 */
export function encodeOpen(open: Open): Uint8Array {
  const collected = new Writer();
  for (const capability of open.capabilities) writeCapability(collected, capability);
  const capabilities = collected.finish();
  const body = new Writer().u8(open.version).u16(open.asn).u16(open.holdTimeSeconds).put(open.routerId.toBytes());
  if (capabilities.length === 0) body.u8(0);
  else {
    body.u8(capabilities.length + 2).u8(capabilitiesParameter);
    body.u8(capabilities.length).put(capabilities);
  }
  return encodeFrame(MessageType.open, body.finish());
}

/**
 * Decodes the body of an OPEN in both forms of its optional parameters. Whether the AS number and the identifier are those of the peer that
 * was expected is left to the session, and so is whether the capabilities fit together.
 * @throws {NotificationError} of RFC 4271, section 6.2: Unsupported Version Number (2/1) with the version to use, Bad BGP Identifier (2/3)
 * for 0 (RFC 6286), Unsupported Optional Parameter (2/4), Unacceptable Hold Time (2/6) for 1 and 2 s, Unspecific (2/0) for malformed octets
 */
export function decodeOpen(body: Uint8Array): Open {
  const malformed = (found: string) => openError(unspecific, found);
  const reader = new Reader(body, malformed);
  const version = reader.u8();
  if (version !== bgpVersion)
    throw openError(OpenMessageError.unsupportedVersionNumber, `its version is ${version}, wanted ${bgpVersion}`, [
      0,
      bgpVersion,
    ]);
  const asn = reader.u16();
  const holdTimeSeconds = reader.u16();
  if (holdTimeSeconds === 1 || holdTimeSeconds === 2)
    throw openError(OpenMessageError.unacceptableHoldTime, `its hold time is ${holdTimeSeconds} s, wanted 0, or at least 3 s`);
  const routerId = new Address("IPv4", BigInt(reader.u32()));
  if (routerId.value === 0n) throw openError(OpenMessageError.badBgpIdentifier, "its BGP identifier is 0.0.0.0");
  const capabilities = decodeParameters(reader.u8(), reader.rest(), malformed);
  return { type: "open", version, asn, holdTimeSeconds, routerId, capabilities };
}

function decodeParameters(length: number, octets: Uint8Array, malformed: (found: string) => Error): Capability[] {
  const reader = new Reader(octets, malformed);
  const extended = length > 0 && octets[0] === extendedParameters;
  if (extended) reader.take(1);
  const announced = extended ? reader.u16() : length;
  if (announced !== reader.remaining)
    throw malformed(`its optional parameters should be ${announced} octets, but are ${reader.remaining}`);
  const capabilities: Capability[] = [];
  while (reader.remaining > 0) {
    const type = reader.u8();
    const value = reader.take(extended ? reader.u16() : reader.u8());
    if (type !== capabilitiesParameter)
      throw openError(OpenMessageError.unsupportedOptionalParameter, `it has an optional parameter of type ${type}`);
    capabilities.push(...decodeCapabilities(value, malformed));
  }
  return capabilities;
}

function openError(subcode: number, found: string, data: readonly number[] = []): NotificationError {
  const { openMessage } = NotificationCode;
  return new NotificationError(openMessage, subcode, `Cannot decode OPEN: ${found}`, Uint8Array.from(data));
}

/** IANA's capability codes. */
const CapabilityCode = {
  multiprotocol: 1,
  routeRefresh: 2,
  extendedNextHop: 5,
  extendedMessage: 6,
  role: 9,
  gracefulRestart: 64,
  fourOctetAsn: 65,
  addPath: 69,
  enhancedRouteRefresh: 70,
  longLivedGracefulRestart: 71,
} as const;

/** RFC 4724, section 3, and RFC 8538, section 2: two flags above the 12 bits of the time, in seconds. */
const RestartFlag = { restarting: 0x8000, notification: 0x4000 } as const;
const maxRestartTimeSeconds = 0xfff;
const forwardingPreserved = 0x80;

/** RFC 9234, section 4.1, from 0 on. */
const roles = ["provider", "rs-server", "rs-client", "customer", "peer"] as const satisfies readonly BgpRole[];

/** RFC 7911, section 4, from 1 on. */
const addPathDirections = ["receive", "send", "both"] as const satisfies readonly AddPathFamily["direction"][];

/** Writes one capability (RFC 5492, section 4). @throws {RangeError} for a number that its field does not hold, and above 255 octets */
export function writeCapability(writer: Writer, capability: Capability): void {
  const value = new Writer();
  const code = writeValue(value, capability);
  writer.u8(code).u8(value.length).put(value.finish());
}

/** Writes what is behind the length. @returns the capability's code */
function writeValue(value: Writer, capability: Capability): number {
  switch (capability.type) {
    case "multiprotocol":
      value.u16(capability.afi).u8(0).u8(capability.safi);
      return CapabilityCode.multiprotocol;
    case "routeRefresh":
      return CapabilityCode.routeRefresh;
    case "enhancedRouteRefresh":
      return CapabilityCode.enhancedRouteRefresh;
    case "extendedMessage":
      return CapabilityCode.extendedMessage;
    case "fourOctetAsn":
      value.u32(capability.asn);
      return CapabilityCode.fourOctetAsn;
    case "extendedNextHop":
      for (const { afi, safi, nextHopAfi } of capability.families) value.u16(afi).u16(safi).u16(nextHopAfi);
      return CapabilityCode.extendedNextHop;
    case "gracefulRestart":
      writeGracefulRestart(value, capability);
      return CapabilityCode.gracefulRestart;
    case "addPath":
      for (const { afi, safi, direction } of capability.families)
        value
          .u16(afi)
          .u8(safi)
          .u8(addPathDirections.indexOf(direction) + 1);
      return CapabilityCode.addPath;
    case "role":
      value.u8(roles.indexOf(capability.role));
      return CapabilityCode.role;
    case "longLivedGracefulRestart":
      for (const family of capability.families) writeLongLived(value, family);
      return CapabilityCode.longLivedGracefulRestart;
    case "unknown":
      value.put(capability.value);
      return capability.code;
  }
}

function writeGracefulRestart(value: Writer, { restarting, notification, timeSeconds, families }: GracefulRestart): void {
  if (timeSeconds > maxRestartTimeSeconds)
    throw new RangeError(`Cannot write a restart time: ${timeSeconds} s, above the maximum of ${maxRestartTimeSeconds} s`);
  value.u16(timeSeconds + (restarting ? RestartFlag.restarting : 0) + (notification ? RestartFlag.notification : 0));
  for (const family of families)
    value
      .u16(family.afi)
      .u8(family.safi)
      .u8(family.forwardingPreserved ? forwardingPreserved : 0);
}

function writeLongLived(value: Writer, family: LongLivedGracefulRestart["families"][number]): void {
  const { afi, safi, staleSeconds } = family;
  value
    .u16(afi)
    .u8(safi)
    .u8(family.forwardingPreserved ? forwardingPreserved : 0);
  value.u8(staleSeconds >>> 16).u16(staleSeconds & 0xffff);
}

/**
 * Decodes the value of a parameter of the OPEN: capabilities to its end (RFC 5492, section 4). Capabilities of other codes are kept as
 * `unknown`.
 * @param fault makes the error for a capability that is cut short, or has a length that its code forbids; its argument describes the fault
 * in words
 */
export function decodeCapabilities(octets: Uint8Array, fault: (found: string) => Error): Capability[] {
  const reader = new Reader(octets, fault);
  const capabilities: Capability[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8();
    capabilities.push(decodeValue(code, reader.take(reader.u8()), fault));
  }
  return capabilities;
}

function decodeValue(code: number, octets: Uint8Array, fault: (found: string) => Error): Capability {
  const value = new Reader(octets, fault);
  const wants = (right: boolean, length: string) => {
    if (!right) throw fault(`capability ${code} of ${octets.length} octets, wanted ${length}`);
  };
  switch (code) {
    case CapabilityCode.multiprotocol:
      wants(octets.length === 4, "4");
      return { type: "multiprotocol", ...readFamily(value, () => value.u16() % 256) };
    case CapabilityCode.routeRefresh:
      wants(octets.length === 0, "none");
      return { type: "routeRefresh" };
    case CapabilityCode.enhancedRouteRefresh:
      wants(octets.length === 0, "none");
      return { type: "enhancedRouteRefresh" };
    case CapabilityCode.extendedMessage:
      wants(octets.length === 0, "none");
      return { type: "extendedMessage" };
    case CapabilityCode.fourOctetAsn:
      wants(octets.length === 4, "4");
      return { type: "fourOctetAsn", asn: value.u32() };
    case CapabilityCode.extendedNextHop:
      wants(octets.length % 6 === 0, "a multiple of 6");
      return {
        type: "extendedNextHop",
        families: untilEnd(value, () => ({ ...readFamily(value, () => value.u16()), nextHopAfi: value.u16() })),
      };
    case CapabilityCode.gracefulRestart:
      wants(octets.length % 4 === 2, "2 and a multiple of 4");
      return decodeGracefulRestart(value);
    case CapabilityCode.addPath:
      wants(octets.length % 4 === 0, "a multiple of 4");
      return { type: "addPath", families: untilEnd(value, () => readAddPath(value)).filter((one) => one !== undefined) };
    case CapabilityCode.role: {
      wants(octets.length === 1, "1");
      const role = roles[octets[0] ?? 0];
      return role === undefined ? { type: "unknown", code, value: octets.slice() } : { type: "role", role };
    }
    case CapabilityCode.longLivedGracefulRestart:
      wants(octets.length % 7 === 0, "a multiple of 7");
      return { type: "longLivedGracefulRestart", families: untilEnd(value, () => readLongLived(value)) };
    default:
      return { type: "unknown", code, value: octets.slice() };
  }
}

function decodeGracefulRestart(value: Reader): GracefulRestart {
  const flagsAndTime = value.u16();
  return {
    type: "gracefulRestart",
    restarting: (flagsAndTime & RestartFlag.restarting) !== 0,
    notification: (flagsAndTime & RestartFlag.notification) !== 0,
    timeSeconds: flagsAndTime & maxRestartTimeSeconds,
    families: untilEnd(value, () => ({
      ...readFamily(value, () => value.u8()),
      forwardingPreserved: (value.u8() & forwardingPreserved) !== 0,
    })),
  };
}

function readLongLived(value: Reader): LongLivedGracefulRestart["families"][number] {
  const family = readFamily(value, () => value.u8());
  const preserved = (value.u8() & forwardingPreserved) !== 0;
  return { ...family, forwardingPreserved: preserved, staleSeconds: value.u8() * 65_536 + value.u16() };
}

/** @returns undefined for a direction without a meaning: the family counts as not named (RFC 7911, section 4) */
function readAddPath(value: Reader): AddPathFamily | undefined {
  const family = readFamily(value, () => value.u8());
  const direction = addPathDirections[value.u8() - 1];
  return direction && { ...family, direction };
}

/** The width of a SAFI differs from capability to capability. */
function readFamily(reader: Reader, readSafi: () => number): AddressFamily {
  return { afi: reader.u16(), safi: readSafi() };
}

function untilEnd<Item>(reader: Reader, read: () => Item): Item[] {
  const items: Item[] = [];
  while (reader.remaining > 0) items.push(read());
  return items;
}
