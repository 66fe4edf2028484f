import { crc32 } from "node:zlib";
import type { SessionSettings } from "#pkg/config";
import type { InterfaceAddress } from "#pkg/linux";
import { Address, type Family, isLinkLocal, Prefix, parsePrefix } from "#pkg/net";

/** This side's end of a connection. */
export interface SocketEnd {
  readonly address: Address;
  /** The interface with `address`; undefined if no interface has it any more. */
  readonly interface: string | undefined;
  /** `address`, or in place of a link-local one a better one, and the best one of the other family that the interface has, for next hops. */
  readonly addresses: ReadonlyMap<Family, Address>; // family -> address
  /** The interface's address, where the peer is on its link. */
  readonly linkLocal: Address | undefined;
  /** Where `address` comes from router advertisements: the static address of the interface that `source-interface` would take. */
  readonly steadier?: Address | undefined;
}

/** Events of a connection. None comes before the caller has the connection. */
export interface ConnectionEvents {
  /** It is established. Not reported for one that the peer opened. */
  connected(end: SocketEnd): void;
  /** `octets` may be kept. */
  received(octets: Uint8Array): void;
  /**
   * Always the last event: the connection failed, the peer or the network ended it, or `end` or `destroy` did. In words, and the system's code of an
   * error, such as ECONNREFUSED.
   */
  closed(because: string, code?: string): void;
}

export interface Connection {
  /** Sends what it can and keeps the rest; `written` is called when the kernel has all of it, never if the connection breaks before. */
  write(octets: Uint8Array, written: () => void): void;
  /** Reports nothing that arrives until `resume`. */
  pause(): void;
  resume(): void;
  /** Closes this direction after what was written, and waits until the peer closes the other. */
  end(): void;
  /** Ends it at once. */
  destroy(): void;
}

/** A connection that the peer opened. */
export interface Incoming {
  readonly end: SocketEnd;
  /** Gives the connection to `events`. To be called once, at once. */
  open(events: ConnectionEvents): Connection;
}

export interface Transport {
  /** Begins to connect to a peer. Failures are reported by `closed`. */
  dial(peer: SessionSettings, events: ConnectionEvents): Connection;
  /** This side's end with the addresses that its interface has by now; what it had and still has stays. */
  endNow(end: SocketEnd, peer: SessionSettings): SocketEnd;
}

/** By name, the addresses of the node's interfaces that are up and running. */
export type Interfaces = ReadonlyMap<string, readonly OwnAddress[]>;
export type OwnAddress = Pick<InterfaceAddress, "address" | "prefixLength" | "flags">;

// Of IPv6 addresses: IFA_F_TEMPORARY, IFA_F_DADFAILED, IFA_F_DEPRECATED (as addresses of Services are), IFA_F_TENTATIVE
const unfitFlags = 0x01 | 0x08 | 0x20 | 0x40;
const permanentFlag = 0x80; // IFA_F_PERMANENT: neither SLAAC nor DHCP gave it.

const ipv4LinkLocal = parsePrefix("169.254.0.0/16");
const loopback = [parsePrefix("127.0.0.0/8"), parsePrefix("::1/128")];

/** Link-local addresses of both families (RFC 4291, RFC 3927). */
function isOfOneLink(address: Address): boolean {
  return isLinkLocal(address) || ipv4LinkLocal?.contains(address) === true;
}

/** @param name the interface, where `address` is link-local and several may have it */
export function socketEnd(address: Address, peer: Address, interfaces: Interfaces, name?: string): SocketEnd {
  const [device, own = []] =
    interfaces
      .entries()
      .find(([each, all]) => (name === undefined || name === each) && all.some((one) => address.equals(one.address))) ?? [];
  const fit = byFitness(own);
  const addresses = new Map<Family, Address>();
  if (!isOfOneLink(address)) addresses.set(address.family, address);
  for (const other of fit) if (!addresses.has(other.family) && isOfUseElsewhere(other)) addresses.set(other.family, other);
  // The router shares the link, as of a tunnel. An IPv6 one is `linkLocal`.
  if (address.family === "IPv4" && !addresses.has("IPv4")) addresses.set("IPv4", address);
  const onLink = isOfOneLink(peer) || own.some((one) => new Prefix(one.address, one.prefixLength).contains(peer));
  const linkLocal = onLink ? fit.find(isLinkLocal) : undefined;
  return { address, interface: device, addresses, linkLocal, steadier: steadierThan(address, own, fit) };
}

/** Of equal addresses Linux takes the newest as the source, so that a router's first advertisement changes it. */
function steadierThan(address: Address, own: readonly OwnAddress[], fit: readonly Address[]): Address | undefined {
  const isStatic = (one: Address): boolean => own.some((each) => one.equals(each.address) && (each.flags & permanentFlag) !== 0);
  if (address.family === "IPv4" || isOfOneLink(address) || isStatic(address)) return undefined;
  return fit.find((one) => one.family === "IPv6" && isOfUseElsewhere(one) && isStatic(one));
}

/**
 * The addresses that may be next hops, in this order: an address of a subnet before the address of a host route, as Services have; for IPv6
 * static addresses first, and the lowest of equals. For IPv4 the kernel's order counts, whose first is the primary address.
 */
function byFitness(own: readonly OwnAddress[]): Address[] {
  const rank = ({ address, prefixLength, flags }: OwnAddress): number =>
    (prefixLength === address.bits ? 2 : 0) + (address.family === "IPv6" && (flags & permanentFlag) === 0 ? 1 : 0);
  return own
    .filter(({ address, flags }) => address.family === "IPv4" || (flags & unfitFlags) === 0)
    .map((one) => ({ address: one.address, rank: rank(one) }))
    .sort((a, b) => a.rank - b.rank || (a.address.family === "IPv6" ? a.address.compare(b.address) : 0))
    .map(({ address }) => address);
}

/**
 * This side's address for a session from the interface with `own`, which is one that may be a next hop; undefined where it has none of the peer's family.
 * @param current that of the session. It stays while it is fit, and while no other is
 */
export function sourceAmong(own: readonly OwnAddress[], peer: Address, current: Address | undefined): Address | undefined {
  const isOfUse = isOfOneLink(peer) ? isOfOneLink : isOfUseElsewhere;
  const fit = byFitness(own).filter((each) => each.family === peer.family && isOfUse(each));
  const isCurrent = (each: Address): boolean => current?.equals(each) === true;
  return fit.find(isCurrent) ?? fit[0] ?? own.map(({ address }) => address).find(isCurrent);
}

/** @param end as it was; it stays as it is where no interface has its address any more, since its connection will break */
export function socketEndNow(end: SocketEnd, peer: Address, interfaces: Interfaces): SocketEnd {
  const now = socketEnd(end.address, peer, interfaces, end.interface);
  if (now.interface === undefined) return end;
  const had = new Set([end.address, ...byFitness(interfaces.get(now.interface) ?? [])].map(String));
  const isKept = (address: Address | undefined): address is Address => address !== undefined && had.has(address.toString());
  const kept = [...end.addresses].filter(([, address]) => isKept(address));
  const linkLocal = now.linkLocal !== undefined && isKept(end.linkLocal) ? end.linkLocal : now.linkLocal;
  return { ...now, addresses: new Map([...now.addresses, ...kept]), linkLocal };
}

function isOfUseElsewhere(address: Address): boolean {
  return !isOfOneLink(address) && !loopback.some((prefix) => prefix?.contains(address));
}

/**
 * This side's identifier in a connection: the configured one, this end where it is IPv4, the first IPv4 address of its interface, or one
 * that is made from the node's name; each the same as MetalLB's, so that a router sees the same neighbor. A link-local address may be the same on
 * several nodes, and an identifier is one node's within an AS (RFC 6286).
 */
export function routerIdOf({ routerId }: SessionSettings, { addresses }: SocketEnd, node: string): Address {
  const own = addresses.get("IPv4");
  return routerId ?? (own === undefined || isOfOneLink(own) ? fromName(node) : own);
}

function fromName(node: string): Address {
  const octets = new Uint8Array(4);
  new DataView(octets.buffer).setUint32(0, crc32(node), true);
  return Address.fromBytes(octets);
}
