import type { Bfd, BfdEnds, BfdStatus, BfdWatch } from "#pkg/bfd";
import { interfacesNow } from "#pkg/bgp";
import type { Clock, Millis } from "#pkg/clock";
import type { BfdProfile, Peer } from "#pkg/config";
import { type Prefix, parsePrefix } from "#pkg/net";

/** The path to one peer, watched where the configuration has a profile. */
export class PeerBfd implements Disposable {
  readonly #bfd: Pick<Bfd, "watch">;
  readonly #clock: Clock;
  readonly #onChange: (status: BfdStatus) => void;
  #wanted: { readonly peer: Peer; readonly profile: BfdProfile } | undefined;
  #ends = "";
  #watch: BfdWatch | undefined;
  /** When the verdict of `status` became what it is. */
  #changedAt: Millis;

  constructor(bfd: Pick<Bfd, "watch">, clock: Clock, onChange: (status: BfdStatus) => void) {
    this.#bfd = bfd;
    this.#clock = clock;
    this.#changedAt = clock.now();
    this.#onChange = onChange;
  }

  /** Undefined where the path is not to be watched. */
  get status(): BfdStatus | undefined {
    return this.#watch?.status ?? (this.#wanted && notStarted);
  }

  /** For how long the path has been what `status` says. */
  get seconds(): number {
    return (this.#clock.now() - this.#changedAt) / 1000;
  }

  /** Goes on with other settings in the same session, unless it is between other ends. */
  configure(peer: Peer, profile: BfdProfile | undefined): void {
    this.#wanted = profile && { peer, profile };
    if (profile === undefined) this.#end();
    else if (this.#watch !== undefined || peer.bfdStrict) this.start();
  }

  /**
   * Starts the session where the path is to be watched, or moves it to other ends if the node has other addresses by now. To be called
   * when BGP is established, not before: FRR binds its BFD session to the addresses of the TCP connection, and ends one that is up already
   * together with BGP. Only a strict BGP session has to wait for BFD.
   */
  start(): void {
    if (this.#wanted === undefined) return;
    const { peer, profile } = this.#wanted;
    const ends = bfdEnds(peer, nodeSubnets());
    const text = JSON.stringify(ends);
    if (this.#watch === undefined || text !== this.#ends) {
      this.#end();
      this.#ends = text;
      this.#changedAt = this.#clock.now();
      this.#watch = this.#bfd.watch(ends, profile, (status) => {
        this.#changedAt = this.#clock.now();
        this.#onChange(status);
      });
    } else this.#watch.configure(profile);
  }

  [Symbol.dispose](): void {
    this.#wanted = undefined;
    this.#end();
  }

  #end(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
  }
}

const notStarted: BfdStatus = { verdict: "unknown", reason: "BFD starts when the BGP session is established" };

/**
 * The ends of the BFD session with a peer. It is multihop where the BGP session may be: as configured for eBGP, and
 * for iBGP with an address that is on none of the node's subnets.
 */
export function bfdEnds(peer: Peer, subnets: readonly Prefix[]): BfdEnds {
  const { address, sourceAddress, interface: device, ebgpMultihop, ttlSecurityHops = 1, myAsn, peerAsn } = peer;
  const distant = device === undefined && !subnets.some((subnet) => subnet.contains(address));
  const multihop = ebgpMultihop || ttlSecurityHops > 1 || (myAsn === peerAsn && distant);
  return { peer: address, local: sourceAddress, interface: device, multihop };
}

const subnetsOf = new WeakMap<ReturnType<typeof interfacesNow>, readonly Prefix[]>(); // interfaces -> their subnets

/** The subnets of the node's interfaces, as they are now. */
export function nodeSubnets(): readonly Prefix[] {
  const interfaces = interfacesNow();
  const known = subnetsOf.get(interfaces);
  if (known !== undefined) return known;
  const subnets = Object.values(interfaces).flatMap((addresses = []) =>
    addresses.flatMap(({ cidr }) => (cidr === null ? [] : (parsePrefix(cidr) ?? []))),
  );
  subnetsOf.set(interfaces, subnets);
  return subnets;
}
