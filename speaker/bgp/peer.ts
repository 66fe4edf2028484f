import { isDeepStrictEqual } from "node:util";
import type { Bfd, BfdStatus } from "#pkg/bfd";
import { type NlriTable, type PeerSession, type PeerSessionOptions, type PeerView, RoutesOut, sourceNow } from "#pkg/bgp";
import { type Clock, type Millis, sleep } from "#pkg/clock";
import { type BfdProfile, needsRestart, type Peer, type ReachedPeer, type SessionSettings, sessionSettings } from "#pkg/config";
import type { NoValue } from "#pkg/k8s";
import { type Address, isLinkLocal } from "#pkg/net";
import type { FoundRouter } from "#pkg/router-discovery";
import { PeerBfd } from "./peer-bfd.ts";
import { type PathStatus, type PeerWait, peerVerdict, sessionWarnings, whyNotFound } from "./peer-verdict.ts";
import type { RouterSessions, SessionEnds } from "./router-sessions.ts";

/** A session with one peer, which takes what it sends from the peer's routes. */
export type BgpSession = Pick<
  PeerSession,
  | "start"
  | "configure"
  | "routesChanged"
  | "addressesChanged"
  | "established"
  | "describe"
  | "reset"
  | "retry"
  | "close"
  | "closed"
>;

export interface NewPeerSession extends Pick<PeerSessionOptions, "settings" | "onEstablished" | "onDown"> {
  readonly routes: RoutesOut;
}

export interface BgpPeerOptions {
  readonly key: string;
  readonly newSession: (session: NewPeerSession) => BgpSession;
  readonly bfd: Pick<Bfd, "watch">;
  /** The router on an interface, for a peer without an address. */
  readonly routerOn: (name: string) => FoundRouter;
  readonly sessions: RouterSessions;
  /** The key of another entry whose session has these ends, and stays. */
  readonly rivalOf: (peer: BgpPeer, ends: SessionEnds) => string | undefined;
  /** Called when the session is established. */
  readonly onEstablished: (peer: BgpPeer) => void;
  /** The prefixes of all peers. */
  readonly table: NlriTable;
  readonly clock: Clock;
}

type MissingEnd = Exclude<PeerWait["for"], "password" | "bfd">;

/** How long to wait until the peer has the last withdrawals. */
const maxWithdrawMs: Millis = 1_000;
const withdrawPollMs: Millis = 10;

/** One router: its routes, and the session that advertises them. */
export class BgpPeer {
  readonly key: string;
  readonly routes: RoutesOut;
  readonly #options: BgpPeerOptions;
  #peer: Peer;
  #session: BgpSession | undefined;
  readonly #bfd: PeerBfd;
  #settings: SessionSettings | undefined; // Settings of the session.
  /** The session has been started, and not stopped since. */
  #begun = false;
  /** Beside the peer; undefined before the first, and after the end. */
  #configured: { readonly password: string | NoValue | undefined; readonly profile: BfdProfile | undefined } | undefined;
  /** A strict session keeps its former settings until BFD is up: with the others it would begin only then. */
  #isHeld = false;
  /** The router, or this side's address, is not there yet. */
  #waitsForEnd: { readonly for: MissingEnd; readonly what: string; readonly since: Millis } | undefined;
  #waitsForPassword: { readonly what: string; readonly since: Millis } | undefined;
  /** Since when the peer is to prefer every other path; undefined where it need not. */
  #leavingSince: Millis | undefined;

  constructor(peer: Peer, options: BgpPeerOptions) {
    this.key = options.key;
    this.#peer = peer;
    this.#options = options;
    this.routes = new RoutesOut(options);
    this.#bfd = new PeerBfd(options.bfd, options.clock, (status) => this.#pathChanged(status));
  }

  /**
   * Begins a session, or lets the present one go on with other settings. While the password is not known no session begins, but a present
   * session stays as it is: a missing Secret takes no routes away.
   * @param password that of the peer's Secret, where it has one
   * @param profile how to watch the path to the peer, where it is to be watched
   */
  configure(peer: Peer, password: string | NoValue | undefined, profile: BfdProfile | undefined): void {
    this.#peer = peer;
    const since = this.#waitsForPassword?.since ?? this.#options.clock.now();
    this.#waitsForPassword = typeof password === "object" ? { what: password.missing, since } : undefined;
    this.#configured = { password, profile };
    this.#apply();
  }

  /** A session that waits for BFD may need it between other ends by now. */
  awaitBfd(): void {
    if (this.#begun || !this.#peer.bfdStrict || this.#session === undefined || this.#waitsForEnd !== undefined) return;
    this.#bfd.start();
    this.#begin(); // Another peer may have these watched already, and they are up.
  }

  /** The interfaces of this node have other addresses: what goes by them is to go by those. */
  addressesChanged(): void {
    if (this.#peer.sourceInterface !== undefined) this.#apply();
    this.awaitBfd();
    this.#session?.addressesChanged();
  }

  /** Another router may be the one on the interface of a peer without an address, and one that was taken may be free. */
  routersChanged(): void {
    if (this.#peer.address === undefined || this.#waitsForEnd !== undefined) this.#apply();
  }

  /** Another peer has a session now. */
  yieldTo(other: BgpPeer): void {
    if (this.#begun && this.#settings !== undefined && other.hasEnds(this.#settings)) this.#apply();
  }

  /** Whether it has a session between these ends. */
  hasEnds(ends: SessionEnds): boolean {
    const own = this.#settings;
    if (!this.isEstablished || own?.address.equals(ends.address) !== true || own.port !== ends.port) return false;
    if (isLinkLocal(ends.address) && own.interface !== ends.interface) return false;
    const source = this.#options.sessions.sourceOf(ends);
    return source !== undefined && this.#session?.describe().session?.localAddress.equals(source) === true;
  }

  /** The peer, as messages name it. */
  get #title(): string {
    const isGateway = this.#peer.discovery?.by === "gateway" && this.#peer.address !== undefined;
    return isGateway ? `${this.key}, the gateway of this node,` : this.key;
  }

  /** The interface on which the router is looked for. */
  get searched(): string | undefined {
    return this.#peer.discovery?.by === "advertisements" ? this.#peer.interface : undefined;
  }

  /** Its name in the configuration. */
  get name(): string | undefined {
    return this.#peer.name;
  }

  /** Undefined without a session. */
  get session(): BgpSession | undefined {
    return this.#session;
  }

  /** The condition for a session with these settings that is not met yet, in words. */
  get waitsFor(): string | undefined {
    return this.#wait?.what;
  }

  get #wait(): PeerWait | undefined {
    if (this.#waitsForPassword !== undefined) {
      const { what, since } = this.#waitsForPassword;
      return { for: "password", what, seconds: this.#secondsSince(since) };
    }
    if (this.#waitsForEnd !== undefined) {
      const { since, ...wait } = this.#waitsForEnd;
      return { ...wait, seconds: this.#secondsSince(since) };
    }
    if (this.#session === undefined || (this.#begun && !this.#isHeld) || !this.#waitsForBfd) return undefined;
    const what = `BFD is not up, and bfd-strict is set: ${this.#bfd.status?.reason}`;
    return { for: "bfd", what, seconds: this.#bfd.seconds };
  }

  /** draft-ietf-idr-bgp-bfd-strict-mode, without its capability. */
  get #waitsForBfd(): boolean {
    return this.#peer.bfdStrict && this.#bfd.status !== undefined && !this.#bfd.isUp;
  }

  get #path(): PathStatus | undefined {
    const { status, seconds } = this.#bfd;
    return status && { ...status, seconds };
  }

  /** The verdict on the peer, and for how many seconds it holds. */
  get verdict(): ReturnType<typeof peerVerdict> {
    const view = this.#session?.describe();
    const leavingSeconds = this.#leavingSince === undefined ? undefined : this.#secondsSince(this.#leavingSince);
    const otherRouters = this.#found?.others ?? [];
    return peerVerdict(this.#title, { wait: this.#wait, view, bfd: this.#path, leavingSeconds, otherRouters });
  }

  /** Routes of this node that the session cannot carry, and for how long. */
  get unsendable(): PeerView["unsendable"] {
    return this.#session?.describe().unsendable ?? [];
  }

  get isEstablished(): boolean {
    return this.#session?.established === true;
  }

  /** The states of the session, and of the path to the peer where that is watched. */
  get states() {
    const state = this.#session?.describe().state ?? ("idle" as const);
    const router = this.#peer.address ?? this.#peer.interface ?? "";
    return { router, state, path: this.#bfd.status?.verdict };
  }

  /** Obstacles that keep the peer from hearing of this node's addresses, in sentences. */
  get warnings(): readonly string[] {
    return sessionWarnings(this.#title, { wait: this.#wait, view: this.#session?.describe(), bfd: this.#path });
  }

  /** For people and programs; printed as JSON. */
  describe(): object {
    return {
      ...this.#session?.describe(),
      peer: this.key,
      name: this.name,
      waitsFor: this.waitsFor,
      bfd: this.#bfd.status,
      leaving: this.#leavingSince !== undefined,
      prefixesWanted: this.routes.wanted,
    };
  }

  /** Whether the peer is to prefer every other path (RFC 8326). */
  setLeaving(leaving: boolean): void {
    if (leaving === (this.#leavingSince !== undefined)) return;
    this.#leavingSince = leaving ? this.#options.clock.now() : undefined;
    this.routes.setLeaving(leaving);
    this.#session?.routesChanged();
  }

  /**
   * Takes traffic away before the routes go: they stay out as the last resort for the configured time, then are withdrawn,
   * and when the peer has taken that, the session is closed.
   */
  async leave(withdrawAll: () => Promise<void>): Promise<void> {
    if (this.#session?.established && this.routes.advertised > 0) {
      this.setLeaving(true);
      await sleep(this.#options.clock, "BGP withdraw", this.#peer.gracefulShutdownSeconds * 1000);
      await withdrawAll();
      // It may have been closed meanwhile.
      this.#session?.routesChanged();
      for (let waited = 0; waited < maxWithdrawMs && this.isEstablished && this.routes.pending > 0; waited += withdrawPollMs)
        await sleep(this.#options.clock, "BGP withdraw", withdrawPollMs);
    }
    await this.close("administrativeShutdown", "the speaker of this node stops");
  }

  async close(...why: Parameters<BgpSession["close"]>): Promise<void> {
    const closed = this.#end(...why);
    this.#session = undefined;
    this.#configured = undefined;
    await closed;
  }

  /** Lets the session be as it is configured, from the address that its interface has by now. */
  #apply(): void {
    this.#isHeld = false;
    if (this.#configured === undefined) return;
    const { password, profile } = this.#configured;
    const peer = this.#ends;
    if ("what" in peer) {
      this.#awaitEnd(peer.for, peer.what);
      return;
    }
    this.#waitsForEnd = undefined;
    const known = this.#settings && { ...this.#settings, address: peer.address, sourceAddress: peer.sourceAddress };
    const settings = typeof password === "object" ? known : sessionSettings(peer, password);
    // It would connect at once with the other settings, or goes on trying without BFD.
    const restarts = settings !== undefined && needsRestart(this.#settings ?? settings, settings);
    const connects = this.#begun && (restarts || !this.isEstablished);
    const isAlone = profile !== undefined && connects && !this.#bfd.isUp;
    const isMoved = this.#bfd.isElsewhere(peer);
    if (peer.bfdStrict && isAlone && this.isEstablished && !isMoved) {
      this.#bfd.configure(peer, profile, true);
      this.#isHeld = !this.#bfd.isUp;
      if (this.#isHeld) return;
    } else if (peer.bfdStrict && (isAlone || isMoved)) this.#stop("BFD is configured otherwise");
    const isPathGivenUp = this.#bfd.isGivenUp(peer, profile);
    if (settings !== undefined) this.#adopt(settings, isPathGivenUp, restarts);
    this.#bfd.configure(peer, profile, this.isEstablished);
    this.#begin();
  }

  /** The peer with both ends of its session, or the end that is not there. */
  get #ends(): ReachedPeer | { readonly for: MissingEnd; readonly what: string } {
    const { refusal } = this.#peer;
    if (refusal !== undefined) return { for: refusal.by, what: refusal.what };
    const address = this.#address;
    if ("missing" in address) return { for: "router", what: address.missing };
    const sourceAddress = this.#sourceAddressTo(address);
    if (sourceAddress !== undefined && "missing" in sourceAddress) return { for: "source", what: sourceAddress.missing };
    const peer = { ...this.#peer, address, sourceAddress };
    const rival = this.#options.rivalOf(this, peer);
    if (rival === undefined) return peer;
    return { for: "router", what: `the router has a session with this node from the same address by another entry, ${rival}` };
  }

  /** The router's, as far as it is known by now. */
  get #address(): Address | NoValue {
    return this.#peer.address ?? this.#found?.router ?? { missing: whyNotFound(this.#peer) };
  }

  get #found(): FoundRouter | undefined {
    const { discovery, interface: device } = this.#peer;
    return discovery?.by !== "advertisements" || device === undefined ? undefined : this.#options.routerOn(device);
  }

  #sourceAddressTo(address: Address): Address | NoValue | undefined {
    const { sourceAddress, sourceInterface } = this.#peer;
    if (sourceInterface === undefined) return sourceAddress;
    return sourceNow(sourceInterface, address, this.#begun ? this.#settings?.sourceAddress : undefined);
  }

  /** Ends the session, whose connection lacks an end now, until there is another one. */
  #awaitEnd(which: MissingEnd, what: string): void {
    this.#waitsForEnd = { for: which, what, since: this.#waitsForEnd?.since ?? this.#options.clock.now() };
    this.#stop(what);
  }

  #stop(why: string): void {
    void this.#end("otherConfigurationChange", why);
  }

  /** Ends the session, and then BFD. */
  #end(...why: Parameters<BgpSession["close"]>): Promise<void> | undefined {
    const closed = this.#begun ? this.#endSession(...why) : this.#session?.closed();
    this.#bfd.end(closed);
    return closed;
  }

  #endSession(...why: Parameters<BgpSession["close"]>): Promise<void> | undefined {
    this.#begun = false;
    const closed = this.#session?.close(...why);
    if (closed !== undefined) this.#options.sessions.close(closed, this, this.#settings?.address);
    return closed;
  }

  /** @param isPathGivenUp the session restarts even where the settings do not take that: the router may take the end of BFD for a failure */
  #adopt(settings: SessionSettings, isPathGivenUp: boolean, restarts: boolean): void {
    if (!isPathGivenUp && isDeepStrictEqual(settings, this.#settings)) return;
    const former = this.#settings?.address;
    this.#settings = settings;
    if (this.#session === undefined) {
      this.#session = this.#options.newSession({
        settings,
        routes: this.routes,
        onEstablished: () => this.#established(),
        onDown: () => this.#begun && this.#waitsForBfd && this.#endSession("bfdDown", "BFD is not up, and bfd-strict is set"),
      });
      return;
    }
    this.#session.configure(settings);
    if (isPathGivenUp && !restarts) this.#session.reset("otherConfigurationChange", "BFD is configured otherwise");
    if (isPathGivenUp || restarts) this.#options.sessions.close(this.#session.closed(), this, former);
    // The router starts its BFD session again together with BGP, which looks like a failure to a session that goes on here.
    if (isPathGivenUp || (restarts && !this.#peer.bfdStrict)) this.#bfd.end(this.#session.closed());
  }

  /** Starts the session, unless it is to wait for BFD, or for the end of another one with the router. */
  #begin(): void {
    if (this.#begun || this.#session === undefined || this.#waitsForEnd !== undefined || this.#waitsForBfd) return;
    if (this.#isHeld) {
      this.#apply();
      return;
    }
    const closing = this.#options.sessions.closingOfOthers(this, this.#settings?.address);
    if (closing.length > 0) {
      void Promise.all(closing).then(() => this.#apply()); // Another one may have a session by then.
      return;
    }
    this.#begun = true;
    this.#session.start(this.#options.sessions.isKnown(this.#settings));
  }

  #established(): void {
    this.#options.sessions.established(this.#settings, this.#session?.describe().session?.localAddress);
    this.#bfd.start();
    this.#options.onEstablished(this);
  }

  /**
   * A path that fails takes the session and its routes with it (RFC 5882, section 10.1; RFC 9384), and no other status does: a peer may
   * not speak BFD, or no longer. Attempts at a strict session end with any status but up.
   */
  #pathChanged({ verdict, reason }: BfdStatus): void {
    const because = `BFD: ${reason}`;
    if (verdict === "up") {
      if (!this.#begun) this.#begin();
      else if (this.#isHeld) this.#apply();
      else this.#session?.retry(); // The peer is back: no need to wait for the end of a back-off.
    } else if (!this.#peer.bfdStrict) {
      if (verdict === "failed") this.#session?.reset("bfdDown", because);
    } else if (this.#begun && (verdict === "failed" || !this.isEstablished)) void this.#endSession("bfdDown", because);
  }

  #secondsSince(instant: Millis): number {
    return (this.#options.clock.now() - instant) / 1000;
  }
}
