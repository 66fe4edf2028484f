import type { Family } from "#pkg/net";

/** The configuration of a router, in any dialect. A renderer throws RangeError for settings that its dialect lacks. */
export interface RouterConfiguration {
  readonly asn: number;
  /** Dotted. */
  readonly routerId: string;
  readonly neighbors: readonly Neighbor[];
  /** RFC 5065: its AS is a part of this one, as are those of the members. */
  readonly confederation?: { readonly asn: number; readonly members: readonly number[] };
  /** False: its routes stay out of the kernel of its host. */
  readonly kernel?: boolean;
  /** How many equally good routes the kernel gets for one prefix; 1 when unset. */
  readonly multipath?: number;
  /** Prefixes that it announces to all neighbors. */
  readonly networks?: readonly string[];
  /** Besides, in its own language: neighbors of which nothing is said here. */
  readonly text?: string;
  /** In its own language, the whole: nothing else of this counts but the AS. */
  readonly whole?: string;
}

export interface Neighbor {
  /** A link-local one with its interface: `fe80::1%eth0`. */
  readonly address: string;
  readonly asn: number;
  /** Waits for the neighbor to connect; otherwise tries itself too. */
  readonly passive?: boolean;
  /** The TTL of an eBGP or iBGP session over routers; unset for a neighbor on the same link. */
  readonly multihop?: number;
  /** Generalized TTL security (RFC 5082) for a neighbor at most this many hops away. */
  readonly ttlSecurityHops?: number;
  /** TCP MD5 (RFC 2385). */
  readonly password?: string;
  /** 90 when unset; keepalives are sent every third of it. */
  readonly holdTimeSeconds?: number;
  /** Unicast families; the one of the address when unset. */
  readonly families?: readonly Family[];
  /** IPv4 prefixes may have IPv6 next hops (RFC 8950). */
  readonly extendedNextHop?: boolean;
  /** Its own role towards the neighbor, and whether it wants one of it (RFC 9234). */
  readonly role?: { readonly own: "provider" | "customer" | "peer"; readonly strict: boolean };
  /** Keeps routes longer than graceful restart does, if the neighbor asks for that (RFC 9494). */
  readonly longLived?: boolean;
  /** Receives several paths to a prefix (RFC 7911), of all families; unset as the router has it by itself, which FRR does. */
  readonly addPath?: boolean;
  /** False: as a router that only knows AS numbers of two octets. */
  readonly fourOctetAsn?: boolean;
  /** Keeps routes while the neighbor restarts (RFC 4724); true when unset. */
  readonly gracefulRestart?: boolean;
  /** Limit for each family; with one more the router ends the session. */
  readonly maxPrefixes?: number;
  /** False: BIRD takes the neighbor's routes and uses none, by a filter; true when unset. */
  readonly accepts?: boolean;
  /** For how long BIRD keeps the session down after an error, and after each end that follows; 1 when unset. Its own default is 60, and then more. */
  readonly errorWaitSeconds?: number;
  /** BFD (RFC 5880) with this interval both ways. */
  readonly bfd?: { readonly intervalMs: number; readonly multiplier: number };
}

export function familyOf(addressOrPrefix: string): Family {
  return addressOrPrefix.includes(":") ? "IPv6" : "IPv4";
}

export function familiesOf({ address, families }: Neighbor): readonly Family[] {
  return families ?? [familyOf(address)];
}

/** An address and, where it has one, its interface. */
export function scoped(address: string): { readonly ip: string; readonly interfaceName: string | undefined } {
  const [ip = "", interfaceName] = address.split("%");
  return { ip, interfaceName };
}

export function holdTimeOf({ holdTimeSeconds = 90 }: Neighbor): { readonly hold: number; readonly keepalive: number } {
  return { hold: holdTimeSeconds, keepalive: Math.floor(holdTimeSeconds / 3) };
}

/** Text for a configuration whose strings stand in double quotes without escapes. @throws {RangeError} */
export function quoted(text: string): string {
  if (/["\\\n]/.test(text))
    throw new RangeError(`Cannot quote ${JSON.stringify(text)} for a router: it has a quote, backslash or line break`);
  return `"${text}"`;
}
