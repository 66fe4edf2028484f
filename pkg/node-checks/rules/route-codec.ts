import { Address, Prefix } from "#pkg/net";

/** What /proc says of this node could not be read, or is not what the kernel writes there. */
export class FactsError extends Error {
  override readonly name = "FactsError";
}

/** A route of the main table that leads somewhere. The kernel shows IPv4 users only the first path of a multipath route. */
export interface Route {
  readonly prefix: Prefix;
  readonly interface: string;
  /** Without, the hosts of `prefix` are on the LAN of the interface. */
  readonly gateway: boolean;
  readonly metric: number;
}

const Flag = { gateway: 0x2, reject: 0x200, local: 0x8000_0000 } as const; // RTF_*, linux/route.h and linux/ipv6_route.h

/**
 * Decodes /proc/net/route: a heading, then lines of `interface destination gateway flags … metric mask …`, with addresses as numbers
 * of a little-endian machine, in hexadecimal. Routes that reject are left out.
 * @throws {FactsError}
 */
export function decodeIpv4Routes(text: string): Route[] {
  return lines(text)
    .slice(1)
    .flatMap((line) => {
      const [name, destination, , flags, , , metric, mask] = line.split(/\s+/);
      const address = new Address("IPv4", BigInt(swap(hex(destination, 8, line))));
      const length = leadingOnes(swap(hex(mask, 8, line)), line);
      const flagBits = hex(flags, 4, line);
      return route({ line, name, prefix: new Prefix(address, length), flags: flagBits, metric: Number(metric) });
    });
}

/**
 * Decodes /proc/net/ipv6_route: lines of `destination length source length gateway metric references uses flags interface`, all in
 * hexadecimal. Routes that reject are left out, and so are those to the machine itself.
 * @throws {FactsError}
 */
export function decodeIpv6Routes(text: string): Route[] {
  return lines(text).flatMap((line) => {
    const [destination = "", length, , , , metric, , , flags, name] = line.split(/\s+/);
    const bits = hex(length, 2, line);
    if (!/^[0-9a-f]{32}$/.test(destination) || bits > 128) throw new FactsError(`Cannot decode route: ${line}`);
    const prefix = new Prefix(new Address("IPv6", BigInt(`0x${destination}`)), bits);
    return route({ line, name, prefix, flags: hex(flags, 8, line), metric: hex(metric, 8, line) });
  });
}

interface Fields {
  readonly line: string;
  readonly name: string | undefined;
  readonly prefix: Prefix;
  readonly flags: number;
  readonly metric: number;
}

function route({ line, name, prefix, flags, metric }: Fields): Route[] {
  if (name === undefined || !Number.isInteger(metric)) throw new FactsError(`Cannot decode route: ${line}`);
  if ((flags & (Flag.reject | Flag.local)) !== 0) return [];
  // Metrics are unsigned, but those of IPv4 are written as if they were not.
  return [{ prefix, interface: name, gateway: (flags & Flag.gateway) !== 0, metric: metric >>> 0 }];
}

function lines(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function hex(text: string | undefined, digits: number, line: string): number {
  if (text?.length !== digits || !/^[0-9a-f]+$/i.test(text)) throw new FactsError(`Cannot decode route: ${line}`);
  return Number.parseInt(text, 16);
}

function swap(value: number): number {
  return ((value & 0xff) * 2 ** 24 + (value & 0xff00) * 2 ** 8 + ((value >>> 8) & 0xff00) + (value >>> 24)) >>> 0;
}

function leadingOnes(mask: number, line: string): number {
  const length = Math.clz32(~mask);
  if (mask !== (length === 0 ? 0 : (-1 << (32 - length)) >>> 0)) throw new FactsError(`Cannot decode route: ${line}`);
  return length;
}
