import { Reader, Writer } from "#pkg/octets";
import type { AddressFamily, Capability, GracefulRestart } from "./messages.ts";

/** IANA's capability codes. */
const CapabilityCode = {
  multiprotocol: 1,
  routeRefresh: 2,
  extendedNextHop: 5,
  extendedMessage: 6,
  gracefulRestart: 64,
  fourOctetAsn: 65,
  enhancedRouteRefresh: 70,
} as const;

/** RFC 4724, section 3, and RFC 8538, section 2: two flags above the 12 bits of the time, in seconds. */
const RestartFlag = { restarting: 0x8000, notification: 0x4000 } as const;
const maxRestartTimeSeconds = 0xfff;
const forwardingPreserved = 0x80;

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

/**
 * Decodes the value of a parameter of the OPEN: capabilities to its end (RFC 5492, section 4). Those of other codes are kept as `unknown`.
 * @param fault the error for a capability that is cut short, or whose length is not what its code wants; it is told in words what was found
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

/** The width of a SAFI differs from capability to capability. */
function readFamily(reader: Reader, readSafi: () => number): AddressFamily {
  return { afi: reader.u16(), safi: readSafi() };
}

function untilEnd<Item>(reader: Reader, read: () => Item): Item[] {
  const items: Item[] = [];
  while (reader.remaining > 0) items.push(read());
  return items;
}
