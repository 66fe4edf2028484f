import type { NetworkInterfaceInfo } from "node:os";
import { type Address, type Family, parseAddress, parsePrefix } from "#pkg/net";
import type { SocketEnd } from "./transport.ts";

/** Interfaces by name, as `os.networkInterfaces` lists them. */
export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

const linkLocal = [parsePrefix("fe80::/10"), parsePrefix("169.254.0.0/16")];
const loopback = [parsePrefix("127.0.0.0/8"), parsePrefix("::1/128")];

export function isLinkLocal(address: Address): boolean {
  return linkLocal.some((prefix) => prefix?.contains(address));
}

/** @param name the interface, where `address` is link-local and several may have it */
export function socketEnd(address: Address, peer: Address, interfaces: Interfaces, name?: string): SocketEnd {
  const own = Object.entries(interfaces).find(
    ([each, infos]) => (name === undefined || name === each) && infos?.some((info) => address.equals(addressOf(info))),
  );
  const infos = own?.[1] ?? [];
  const addresses = new Map<Family, Address>();
  if (!isLinkLocal(address)) addresses.set(address.family, address);
  for (const info of infos) {
    const other = addressOf(info);
    if (!addresses.has(other.family) && isOfUseElsewhere(other)) addresses.set(other.family, other);
  }
  const onLink = isLinkLocal(peer) || infos.some(({ cidr }) => cidr !== null && parsePrefix(cidr)?.contains(peer));
  const link = infos.map(addressOf).find((each) => each.family === "IPv6" && isLinkLocal(each));
  return { address, interface: own?.[0], addresses, linkLocal: onLink ? link : undefined };
}

function isOfUseElsewhere(address: Address): boolean {
  return !isLinkLocal(address) && !loopback.some((prefix) => prefix?.contains(address));
}

function addressOf({ address }: NetworkInterfaceInfo): Address {
  const parsed = parseAddress(address);
  if (parsed === undefined) throw new Error(`Cannot read an interface's address: ${address}`);
  return parsed;
}
