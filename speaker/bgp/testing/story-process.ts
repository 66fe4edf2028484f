import assert from "node:assert/strict";
import type { BfdEnds, BfdStatus, BfdWatch } from "#pkg/bfd";
import { PeerSession } from "#pkg/bgp";
import type { Connection, ModelRouter, SimulatedNetwork, Stall, Transport } from "#pkg/bgp/testing";
import { type Clock, type Millis, Portions, type Random } from "#pkg/clock";
import type { SessionSettings } from "#pkg/config";
import type { NoValue } from "#pkg/k8s";
import { silentLog } from "#pkg/log/testing";
import { address } from "#pkg/net/testing";
import { BgpSpeaker } from "../bgp-speaker.ts";
import { own, routerAddresses, type StoryPeers } from "./story-peers.ts";

export const ownIpv6 = address("2001:db8::1");

/** How soon BFD is up, and how soon it finds a path gone. */
const detectionMs: Millis = 1_000;

/** A clock of a process that can end. */
class Life implements Clock {
  readonly #clock: Clock;
  isOver = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): Millis {
    return this.#clock.now();
  }

  schedule(name: string, at: Millis, fn: () => void): Disposable {
    return this.#clock.schedule(name, at, () => {
      if (!this.isOver) fn();
    });
  }
}

/** Around the process. */
export interface StoryWorld {
  readonly clock: Clock;
  readonly stall: Stall;
  readonly random: Random;
  readonly networks: readonly SimulatedNetwork[];
  /** Where packets go that are signed with another key: they get no answer. */
  readonly nowhere: SimulatedNetwork;
  readonly routers: readonly ModelRouter[];
  readonly peers: StoryPeers;
  /** This side has an IPv6 address for next hops. */
  hasIpv6: boolean;
  /** When the network, or the router's processes, broke off connections last, by router. */
  readonly brokenAt: readonly Millis[];
  readonly say: (what: string) => void;
  readonly fault: (what: string) => void;
}

type Accept = Parameters<ReturnType<SimulatedNetwork["listener"]>["expect"]>[1];

/** One life of a speaker, with real sessions. */
export class StoryProcess {
  readonly bgp: BgpSpeaker;
  readonly forwardingPreserved: boolean;
  /** Routers with which it had a session. */
  readonly known = new Set<number>();
  /** When BFD was up last, by router. */
  readonly pathUpAt = routerAddresses.map((): Millis => -Infinity);
  readonly #watches = routerAddresses.map(() => 0);
  readonly #world: StoryWorld;
  readonly #life: Life;
  readonly #accepts = new Map<string, Accept>(); // router and own address -> who takes its connections

  /** @param lateMs after so long it has read Secrets and heard routers */
  constructor(world: StoryWorld, forwardingPreserved: boolean, lateMs: Millis) {
    const { clock, stall, random, peers } = world;
    this.#world = world;
    this.forwardingPreserved = forwardingPreserved;
    const life = new Life(stall);
    this.#life = life;
    const beganAt = clock.now();
    const transport = this.#transport();
    let isLate = lateMs > 0;
    const notYet: NoValue = { missing: "it has not been read yet" };
    const shared = { node: "node", portions: new Portions(life, 4), clock: life, random, log: silentLog };
    this.bgp = new BgpSpeaker({
      newSession: ({ key: _, ...session }) =>
        new PeerSession({
          ...session,
          ...shared,
          transport,
          forwardingPreserved: forwardingPreserved || clock.now() - beganAt > session.settings.gracefulRestartSeconds * 1000,
          listener: { listens: () => true, expect: (...what) => this.#expect(...what) },
        }),
      discovery: { watch() {}, on: (name) => (isLate ? { router: notYet, others: [] } : peers.on(name)), interfacesChanged() {} },
      secrets: { watch() {}, get: () => (isLate ? notYet : (peers.secret ?? { missing: "the Secret is gone" })) },
      bfd: { watch: (ends, _profile, onChange) => this.#watch(ends, onChange) },
      sourceTo: () => (peers.hasAddress ? address(own) : undefined),
      ...shared,
    });
    if (!isLate) return;
    life.schedule("read", beganAt + lateMs, () => {
      isLate = false;
      this.bgp.secretsChanged();
      this.bgp.routersChanged();
    });
  }

  /** The session that takes a router's connections. */
  accepts(router: string): Accept | undefined {
    return this.#accepts.get(`${router} to ${own}`) ?? this.#accepts.get(`${router} to undefined`);
  }

  hasSession(router: number): boolean {
    const its = (peer: BgpSpeaker["peers"][number]) => `${peer.session?.describe().router}` === routerAddresses[router];
    return this.bgp.peers.some((peer) => peer.isEstablished && its(peer));
  }

  kill(): void {
    this.#life.isOver = true;
  }

  #expect({ address, sourceAddress }: SessionSettings, accept: Accept, former?: Disposable): Disposable {
    former?.[Symbol.dispose]();
    const ends = `${address} to ${sourceAddress}`;
    if (this.#accepts.has(ends)) this.#world.fault(`two wait for connections of ${ends}`);
    this.#accepts.set(ends, accept);
    return { [Symbol.dispose]: () => void (this.#accepts.get(ends) === accept && this.#accepts.delete(ends)) };
  }

  #transport(): Transport {
    const { stall, networks, nowhere, routers } = this.#world;
    const events = <Args extends unknown[]>(tell: (...args: Args) => void) => {
      return (...args: Args) => {
        if (!this.#life.isOver) tell(...args);
      };
    };
    const endNow: Transport["endNow"] = (end) => {
      const addresses = new Map([...end.addresses].filter(([family]) => family === "IPv4"));
      if (this.#world.hasIpv6) addresses.set("IPv6", ownIpv6);
      return { ...end, addresses };
    };
    return stall.transport({
      dial: (settings, { connected, received, closed }): Connection => {
        const router = indexOf(settings.address);
        const isHeard = settings.password === routers[router]?.settings.password;
        const network = isHeard ? networks[router] : nowhere;
        assert.ok(network);
        return network.transport(own).dial(settings, {
          connected: events(connected),
          received: events(received),
          closed: events(closed),
        });
      },
      endNow,
    });
  }

  /** In place of `Bfd`: up once packets pass for a second and the router does BFD, and failed once they do not. */
  #watch({ peer }: BfdEnds, onChange: (status: BfdStatus) => void): BfdWatch {
    const { clock, routers, networks, brokenAt, say, fault } = this.#world;
    const life = this.#life;
    const index = indexOf(peer);
    const router = routers[index] as ModelRouter;
    let status: BfdStatus = { verdict: "unknown", reason: "new" };
    let otherSince: Millis | undefined;
    let isOver = false;
    this.#watches[index] = (this.#watches[index] ?? 0) + 1;
    const look = (): void => {
      if (isOver || life.isOver) return;
      life.schedule("BFD", clock.now() + 100, look);
      const isReached = router.runs && !networks[index]?.silent;
      const ofUp = isReached ? (router.settings.bfd ? "up" : "adminDown") : "failed";
      const verdict = status.verdict === "up" ? ofUp : isReached && router.settings.bfd ? "up" : status.verdict;
      if (verdict === "up") this.pathUpAt[index] = clock.now();
      if (verdict === status.verdict) otherSince = undefined;
      else otherSince ??= clock.now();
      if (otherSince === undefined || clock.now() - otherSince < detectionMs) return;
      status = { verdict, reason: "drawn" };
      say(`BFD to router ${index} is ${verdict}`);
      onChange(status);
      if (verdict === "failed" && router.runs) router.pathFailed();
    };
    look();
    return {
      get status() {
        return status;
      },
      configure() {},
      [Symbol.dispose]: () => {
        isOver = true;
        const left = (this.#watches[index] ?? 0) - 1;
        this.#watches[index] = left;
        if (left > 0) return; // Watches of the same ends share a session.
        if (status.verdict !== "up" || life.isOver || !router.settings.bfd || networks[index]?.silent) return;
        const isCalm = clock.now() - (brokenAt[index] ?? 0) > 5_000;
        if (router.pathFailed() && isCalm) fault(`router ${index}: BFD ended before BGP`);
      },
    };
  }
}

function indexOf(router: { toString(): string }): number {
  return routerAddresses.indexOf(`${router}` as (typeof routerAddresses)[number]);
}
