import { Address, parseAddress } from "#pkg/net";
import type { Endpoint } from "./messages.ts";
import type { SocketAddress } from "./transport.ts";

export function socketAddress({ address, port }: Endpoint): SocketAddress {
  return { address: Address.fromBytes(address).toString(), port };
}

/** @throws {RangeError} when the address is none */
export function endpoint({ address, port }: SocketAddress): Endpoint {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new RangeError(`Cannot use as an IP address: ${address}`);
  return { address: parsed.toBytes(), port };
}

/** Reads `192.0.2.1`, `192.0.2.1:7946`, `2001:db8::1` or `[2001:db8::1]:7946`. @returns undefined for anything else */
export function parseSocketAddress(text: string, defaultPort: number): SocketAddress | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? [undefined, undefined, text];
  const address = parseAddress(bracketed ?? plain ?? "");
  const port = digits === undefined ? defaultPort : Number(digits);
  if (address === undefined || port < 1 || port > 65_535) return undefined;
  return { address: address.toString(), port };
}
