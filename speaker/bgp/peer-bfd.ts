import type { Bfd, BfdEnds, BfdStatus, BfdWatch } from "#pkg/bfd";
import { interfacesNow } from "#pkg/bgp";
import type { Clock, Millis } from "#pkg/clock";
import type { BfdProfile, ReachedPeer } from "#pkg/config";
import { Prefix } from "#pkg/net";

/**
 * The path to one peer, watched where the configuration has a profile. BIRD and FRR take the end of a BFD session for a failure, AdminDown or
 * not, and BIRD lets the node have no BGP session for a minute then: so BFD ends after the connection of BGP has.
 */
export class PeerBfd {
  readonly #bfd: Pick<Bfd, "watch">;
  readonly #clock: Clock;
  readonly #onChange: (status: BfdStatus) => void;
  #wanted: { readonly peer: ReachedPeer; readonly profile: BfdProfile } | undefined;
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

  get isUp(): boolean {
    return this.#watch?.status.verdict === "up";
  }

  /** For how long the path has been what `status` says. */
  get seconds(): number {
    return (this.#clock.now() - this.#changedAt) / 1000;
  }

  /** Whether these settings give up a session that is up. */
  isGivenUp(peer: ReachedPeer, profile: BfdProfile | undefined): boolean {
    return this.isUp && (profile === undefined || this.isElsewhere(peer));
  }

  /** Whether a session is watched between other ends than these settings have. */
  isElsewhere(peer: ReachedPeer): boolean {
    return this.#watch !== undefined && endsOf(peer).text !== this.#ends;
  }

  /** Goes on with other settings in the same session, unless it is between other ends. */
  configure(peer: ReachedPeer, profile: BfdProfile | undefined, isBgpEstablished: boolean): void {
    if (this.#wanted === undefined) this.#changedAt = this.#clock.now();
    this.#wanted = profile && { peer, profile };
    if (profile === undefined) this.#unwatch();
    else if (this.#watch !== undefined || peer.bfdStrict || isBgpEstablished) this.start();
  }

  /**
   * Starts the session where the path is to be watched, or moves it to other ends if the node has other addresses by now. To be called
   * when BGP is established, not before: FRR binds its BFD session to the addresses of the TCP connection, and ends one that is up already
   * together with BGP. Only a strict BGP session has to wait for BFD.
   */
  start(): void {
    if (this.#wanted === undefined) return;
    const { peer, profile } = this.#wanted;
    const { ends, text } = endsOf(peer);
    if (this.#watch !== undefined && text === this.#ends) {
      this.#watch.configure(profile);
      return;
    }
    this.#unwatch();
    this.#ends = text;
    this.#changedAt = this.#clock.now();
    const watch = this.#bfd.watch(ends, profile, (status) => {
      if (this.#watch !== watch) return; // It is about to end.
      this.#changedAt = this.#clock.now();
      this.#onChange(status);
    });
    this.#watch = watch;
  }

  /** Ends the session once BGP has `closed`, and reports nothing of it from now on. */
  end(closed: Promise<void> | undefined): void {
    const watch = this.#watch;
    this.#watch = undefined;
    this.#changedAt = this.#clock.now();
    if (watch !== undefined) void Promise.resolve(closed).finally(() => watch[Symbol.dispose]());
  }

  #unwatch(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
  }
}

function endsOf(peer: ReachedPeer): { readonly ends: BfdEnds; readonly text: string } {
  const ends = bfdEnds(peer, nodeSubnets());
  return { ends, text: JSON.stringify(ends) };
}

const notStarted: BfdStatus = { verdict: "unknown", reason: "BFD starts when the BGP session is established" };

/**
 * The ends of the BFD session with a peer. It is multihop where the BGP session may be: as configured for eBGP, and
 * for iBGP with an address that is on none of the node's subnets.
 */
export function bfdEnds(peer: ReachedPeer, subnets: readonly Prefix[]): BfdEnds {
  const { address, sourceAddress, interface: device, ebgpMultihop, ttlSecurityHops = 1, myAsn, peerAsn } = peer;
  const distant = device === undefined && !subnets.some((subnet) => subnet.contains(address));
  const multihop = ebgpMultihop || ttlSecurityHops > 1 || (myAsn === peerAsn && distant);
  return { peer: address, local: sourceAddress, interface: device, multihop };
}

const subnetsOf = new WeakMap<ReturnType<typeof interfacesNow>, readonly Prefix[]>(); // interfaces -> their subnets

/** The present subnets of the node's interfaces. */
export function nodeSubnets(): readonly Prefix[] {
  const interfaces = interfacesNow();
  const known = subnetsOf.get(interfaces);
  if (known !== undefined) return known;
  const subnets = [...interfaces.values()].flat().map(({ address, prefixLength }) => new Prefix(address, prefixLength));
  subnetsOf.set(interfaces, subnets);
  return subnets;
}
