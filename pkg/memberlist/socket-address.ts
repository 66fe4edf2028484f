import { Address, parseAddress } from "#pkg/net";
import type { Endpoint, WireAddress } from "./messages.ts";
import type { SocketAddress } from "./transport.ts";

export function socketAddress({ address, port }: Endpoint): SocketAddress {
  return { address: address.length === 4 ? address.join(".") : Address.fromBytes(address).toString(), port };
}

/** Every packet names its sender by text, and most come from the same few: text -> octets. */
const parsed = new Map<string, WireAddress>();
const parsedMost = 4096;

/** @throws {RangeError} when the address is none */
export function endpoint({ address, port }: SocketAddress): Endpoint {
  const octets = parsed.get(address) ?? parseAddress(address)?.toBytes();
  if (octets === undefined) throw new RangeError(`Cannot use as an IP address: ${address}`);
  if (parsed.size >= parsedMost) parsed.clear();
  parsed.set(address, octets);
  return { address: octets, port };
}

/** Reads `192.0.2.1`, `192.0.2.1:7946`, `2001:db8::1` or `[2001:db8::1]:7946`. @returns undefined for anything else */
export function parseSocketAddress(text: string, defaultPort: number): SocketAddress | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [undefined, undefined, text];
  const address = parseAddress(bracketed ?? plain ?? "");
  const port = digits === undefined ? defaultPort : Number(digits);
  if (address === undefined || port < 1 || port > 65_535) return undefined;
  return { address: address.toString(), port };
}
