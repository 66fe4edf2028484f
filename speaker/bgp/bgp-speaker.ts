import type { Bfd } from "#pkg/bfd";
import { forgetInterfaces, NlriTable, type RouteAttributes } from "#pkg/bgp";
import { Alarm, type Clock, inPortions, inTurns, type Millis, type Portions } from "#pkg/clock";
import type { BfdProfile, Peer } from "#pkg/config";
import type { NoValue, SecretValues } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import type { Address, Prefix } from "#pkg/net";
import type { BgpRoute } from "#pkg/placement";
import type { FoundRouter, RouterDiscovery } from "#pkg/router-discovery";
import type { BgpPeers } from "../core/index.ts";
import { BgpPeer, type BgpSession, type NewPeerSession } from "./peer.ts";
import { RouterSessions, type SessionEnds } from "./router-sessions.ts";
import { DesiredRoutes, type Paths, type RouteSink, tell } from "./routes/desired-routes.ts";

export interface NewSession extends NewPeerSession {
  readonly key: string;
  /** The process before this one may have had it (RFC 4724). */
  readonly restarting: boolean;
}

export interface BgpSpeakerOptions {
  readonly newSession: (session: NewSession) => BgpSession;
  readonly secrets: Pick<SecretValues, "watch" | "get">;
  readonly bfd: Pick<Bfd, "watch">;
  readonly discovery: Pick<RouterDiscovery, "watch" | "on" | "interfacesChanged">;
  readonly sourceTo: (ends: SessionEnds) => Address | undefined;
  /** Work on all routes of a peer is done in portions of some routes. */
  readonly portions: Pick<Portions, "do">;
  readonly clock: Clock;
  readonly log: Log;
}

/** How soon an entry tries for itself whose router had a session by another entry, and has none now. */
const lookAgainMs: Millis = 60_000;
const routesAtOnce = 1_000; // Each path by itself.
const passwordOctets = 80; // TCP_MD5SIG_MAXKEYLEN of Linux.

/** Why a peer no longer belongs to this node, as told to the peer. */
const removals: Readonly<Record<BgpPeers["whyRemoved"], string>> = {
  removedFromConfig: "removed from the configuration",
  filteredByNodeSelector: "this node is no longer selected",
};

/**
 * Advertises this node's addresses to its routers. A change of the peers restarts only those sessions that cannot go on with it. No session
 * starts before everything has been placed once, and the peer has all its routes: a router that kept routes while this process was away
 * drops those that are not advertised again (RFC 4724).
 */
export class BgpSpeaker implements RouteSink, AsyncDisposable {
  readonly #options: BgpSpeakerOptions;
  readonly #desired = new DesiredRoutes(this);
  readonly #table = new NlriTable();
  readonly #peers = new Map<string, BgpPeer>(); // key -> peer
  readonly #changed = new Set<BgpPeer>(); // Notified at the end of the present round.
  readonly #filling = new Set<BgpPeer>(); // They have not got all their routes yet.
  readonly #sessions: RouterSessions;
  readonly #lookAgain: Alarm;
  #wanted: ReadonlyMap<string, Peer> = new Map(); // key -> peer
  #whyRemoved: BgpPeers["whyRemoved"] = "removedFromConfig";
  #bfdProfiles: ReadonlyMap<string, BfdProfile> = new Map(); // name -> profile
  #isDraining = false;
  #isLeaving = false;
  #started = false;
  #restarting = true;
  #stopping = false;

  constructor(options: BgpSpeakerOptions) {
    this.#options = options;
    this.#sessions = new RouterSessions(options.sourceTo);
    this.#lookAgain = new Alarm(options.clock, "BGP entries", () => this.routersChanged());
  }

  /** The peers of this node, and no others. */
  setPeers({ peers, bfdProfiles, isDraining, isLeaving, whyRemoved }: BgpPeers): void {
    this.#wanted = new Map(peers.map(({ key, peer }) => [key, peer]));
    this.#bfdProfiles = bfdProfiles;
    this.#isDraining = isDraining;
    this.#isLeaving = isLeaving;
    this.#whyRemoved = whyRemoved;
    this.#apply();
  }

  /** A value of a Secret may be another one. */
  secretsChanged(): void {
    this.#apply();
  }

  setRoutes(address: Address, routes: readonly BgpRoute[]): void {
    this.#desired.set(address, routes);
  }

  /** The interfaces of this node have other addresses. */
  addressesChanged(): void {
    forgetInterfaces();
    for (const peer of this.#peers.values()) peer.addressesChanged();
    this.#options.discovery.interfacesChanged();
  }

  /** Other routers were found on interfaces of this node. */
  routersChanged(): void {
    for (const peer of this.#peers.values()) peer.routersChanged();
  }

  /** Whether there is a session with the router that was found on this interface. */
  hasSessionOn(name: string): boolean {
    return this.#peers.values().some((peer) => peer.searched === name && peer.isEstablished);
  }

  flush(complete: boolean): void {
    if (complete) for (const peer of this.#peers.values()) peer.awaitBfd();
    for (const peer of this.#changed) peer.session?.routesChanged();
    this.#changed.clear();
    if (!complete || this.#started) return;
    this.#started = true;
    this.#apply();
  }

  advertise(key: string, prefix: Prefix, attributes: RouteAttributes): void {
    const peer = this.#peers.get(key);
    if (peer === undefined || this.#stopping) return;
    peer.routes.advertise(prefix, attributes);
    this.#changed.add(peer);
  }

  advertisePaths(key: string, prefix: Prefix, paths: Paths): void {
    const peer = this.#peers.get(key);
    if (peer === undefined || this.#stopping) return;
    peer.routes.advertisePaths(prefix, paths.all, paths.only);
    this.#changed.add(peer);
  }

  withdraw(key: string, prefix: Prefix): void {
    const peer = this.#peers.get(key);
    if (peer === undefined) return;
    peer.routes.withdraw(prefix);
    this.#changed.add(peer);
  }

  describe(): readonly object[] {
    return this.peers.map((peer) => peer.describe());
  }

  /** In the order of their keys. */
  get peers(): readonly BgpPeer[] {
    return [...this.#peers.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  /** Takes traffic away from this node, then the routes, then ends all sessions. To be called while everything else still runs. */
  async leave(): Promise<void> {
    this.#stopping = true;
    this.#lookAgain[Symbol.dispose]();
    await Promise.all(this.peers.map((peer) => peer.leave(() => this.#withdrawAll(peer))));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    this.#lookAgain[Symbol.dispose]();
    for (const peer of this.peers) void peer.close("administrativeShutdown", "the speaker of this node stops");
    await this.#sessions.allClosed();
  }

  #withdrawAll(peer: BgpPeer): Promise<void> {
    return new Promise((resolve) => this.#walk(peer, (prefix) => peer.routes.withdraw(prefix), resolve));
  }

  /** Visits the routes that a peer should have, in portions, also those that are new meanwhile; unless it is removed. */
  #walk(peer: BgpPeer, visit: (prefix: Prefix, route: RouteAttributes | Paths) => void, done: () => void): void {
    const routes = this.#desired.of(peer.key)[Symbol.iterator]();
    const portion = (): void => {
      if (this.#peers.get(peer.key) !== peer) return;
      for (let visited = 0; visited < routesAtOnce; ) {
        const next = routes.next();
        if (next.done) {
          done();
          return;
        }
        const [prefix, route] = next.value;
        visit(prefix, route);
        visited += "all" in route ? 1 + route.all.size : 1;
      }
      this.#options.portions.do(portion);
    };
    this.#options.portions.do(portion);
  }

  /** A node may have hundreds of peers, so this takes turns; it starts over if other peers are wanted meanwhile. */
  #apply(): void {
    if (!this.#started || this.#stopping) return;
    const { secrets, discovery } = this.#options;
    const wanted = this.#wanted;
    const isSearched = ({ discovery, interface: device }: Peer) =>
      discovery?.by === "advertisements" && device !== undefined ? [device] : [];
    discovery.watch(new Set([...wanted.values()].flatMap(isSearched)));
    secrets.watch(new Set([...wanted.values()].flatMap(({ passwordSecret }) => passwordSecret?.name ?? [])));
    void inTurns(this.#options.clock, this.#applyEach(wanted));
  }

  *#applyEach(wanted: ReadonlyMap<string, Peer>): Generator<undefined, void> {
    const isOver = () => wanted !== this.#wanted || this.#stopping;
    for (const peer of this.#peers.values()) {
      if (isOver()) return;
      if (wanted.has(peer.key)) continue;
      this.#remove(peer, this.#whyRemoved);
      yield;
    }
    // Known peers come first: a new entry may name a router that a known one has found, and has to wait for the end of that session.
    const { known = [], fresh = [] } = Object.groupBy(wanted, ([key]) => (this.#peers.has(key) ? "known" : "fresh"));
    for (const [key, settings] of [...known, ...fresh]) {
      if (isOver()) return;
      const peer = this.#peers.get(key) ?? this.#add(key, settings);
      if (!this.#filling.has(peer)) this.#configure(peer, settings);
      yield;
    }
    this.#restarting = false;
  }

  #configure(peer: BgpPeer, settings: Peer): void {
    const password = this.#password(settings);
    if (typeof password === "object" && peer.waitsFor !== password.missing)
      this.#options.log.warn("BGP peer waits for its password", {
        event: "peerWaits",
        peer: peer.key,
        reason: password.missing,
      });
    peer.setLeaving(this.#isLeaving || (this.#isDraining && settings.drainWhenCordoned));
    const { bfdProfile } = settings;
    peer.configure(settings, password, bfdProfile === undefined ? undefined : this.#bfdProfiles.get(bfdProfile));
  }

  #add(key: string, settings: Peer): BgpPeer {
    const { newSession, bfd, clock, log } = this.#options;
    log.info("peer configured, starting BGP session", { event: "peerAdded", peer: key, name: settings.name });
    const restarting = this.#restarting;
    const peer = new BgpPeer(settings, {
      key,
      bfd,
      routerOn: (name) => this.#routerOn(name),
      sessions: this.#sessions,
      rivalOf: (peer, ends) => this.#rivalOf(peer, ends),
      onEstablished: (peer) => {
        for (const other of this.#peers.values()) if (other !== peer) other.yieldTo(peer);
      },
      table: this.#table,
      clock,
      newSession: (session) => newSession({ key, restarting, ...session }),
    });
    this.#peers.set(key, peer);
    this.#filling.add(peer);
    const fill = (prefix: Prefix, route: RouteAttributes | Paths) => tell(this, key, prefix, route);
    this.#walk(peer, fill, () => {
      this.#filling.delete(peer);
      const wanted = this.#wanted.get(key); // It may have got other settings meanwhile.
      if (wanted !== undefined && !this.#stopping) this.#configure(peer, wanted);
    });
    return peer;
  }

  /** The router that was found, unless another entry names it: of two sessions with a router each would end the other, as a restart. */
  #routerOn(name: string): FoundRouter {
    const found = this.#options.discovery.on(name);
    const { router } = found;
    if ("missing" in router) return found;
    const named = this.#wanted.entries().find(([, { address, interface: device }]) => device === name && address?.equals(router));
    if (named === undefined) return found;
    return { ...found, router: { missing: `the router on ${name} has an entry of its own, ${named[0]}` } };
  }

  /** A router takes each of two sessions with the same ends for a restart of the other: the one that there is stays, of two that of the first entry. */
  #rivalOf(peer: BgpPeer, ends: SessionEnds): string | undefined {
    const keys = [...this.#wanted.keys()];
    const others = peer.isEstablished ? keys.slice(0, keys.indexOf(peer.key)) : keys;
    const rival = others.find((key) => key !== peer.key && this.#peers.get(key)?.hasEnds(ends));
    if (rival !== undefined) this.#lookAgain.setNoLater(this.#options.clock.now() + lookAgainMs);
    return rival;
  }

  #remove(peer: BgpPeer, reason: BgpPeers["whyRemoved"]): void {
    this.#options.log.info("peer deconfigured, closing BGP session", { event: "peerRemoved", peer: peer.key, reason });
    this.#peers.delete(peer.key);
    this.#changed.delete(peer);
    this.#filling.delete(peer);
    void peer.close("peerDeConfigured", removals[reason]).then(() => {
      if (!this.#stopping) void inPortions(this.#options.portions, peer.routes.discard());
    });
  }

  #password({ passwordSecret }: Peer): string | NoValue | undefined {
    if (passwordSecret === undefined) return undefined;
    const value = this.#options.secrets.get(passwordSecret);
    if (typeof value === "object") return value;
    const octets = Buffer.byteLength(value);
    if (octets > 0 && octets <= passwordOctets) return value;
    const { name, key } = passwordSecret;
    return { missing: `a password of 1 to ${passwordOctets} octets: Secret ${name} has ${octets} under ${JSON.stringify(key)}` };
  }
}
