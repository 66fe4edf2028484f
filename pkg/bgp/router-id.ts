import { crc32 } from "node:zlib";
import { Address } from "#pkg/net";
import type { SessionSettings } from "./session/settings.ts";
import type { SocketEnd } from "./transport.ts";

/**
 * This side's identifier in a connection: the configured one, this end where it is IPv4, the first IPv4 address of its interface, or one
 * that is made from the node's name; each the same as MetalLB's, so that a router sees the same neighbour.
 */
export function routerIdOf({ routerId }: SessionSettings, { addresses }: SocketEnd, node: string): Address {
  return routerId ?? addresses.get("IPv4") ?? fromName(node);
}

function fromName(node: string): Address {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, crc32(node), true);
  return Address.fromBytes(octets);
}
