import type { BfdEnds, BfdStatus, BfdWatch } from "#pkg/bfd";
import { type Parameters, parametersOf, SimulatedSession } from "#pkg/bfd/testing";
import { type Incoming, SimulatedNetwork, type SimulatedRouter, settings } from "#pkg/bgp/testing";
import type { Clock, Millis, Random } from "#pkg/clock";
import type { BfdProfile } from "#pkg/config";
import { routerAddress } from "../api/objects.ts";
import { type Cut, holdMs } from "../history.ts";
import type { LanConditions } from "./lan.ts";

// FRR's defaults.
const routerParameters: Parameters = {
  transmitMs: 300,
  receiveMs: 300,
  echoingReceiveMs: 300,
  multiplier: 3,
  passive: false,
  echoMs: undefined,
  echoReceiveMs: 0,
};
const latencyMs: Millis = 1;
// A router reads so late while it is busy, which it is every fourth time.
const maxReadDelayMs: Millis = 200;
// A router that dials tries again so long after it did last.
const dialAgainMs: Millis = 2_000;

export interface RouterLinkOptions {
  readonly router: SimulatedRouter;
  /** Name of the host with the address, to the router. */
  readonly name: string;
  /** The router's. */
  readonly clock: Clock;
  readonly random: Random;
  /** For how late the router reads. */
  readonly readDelay: Random;
  readonly lan: LanConditions;
  /** The router connects to the node, which has this address. */
  readonly dials: { readonly to: string } | undefined;
  /** The node gave BFD up while BGP was up, which the router takes for a failure. */
  readonly onMistake: (name: string) => void;
}

/** The node's BFD session, which all that watch the path share, as in `Bfd`. */
interface NearEnd {
  readonly session: SimulatedSession;
  /** The one that carries its packets. */
  link: RouterLink;
  readonly watchers: Set<(status: BfdStatus) => void>;
}

/**
 * The way between a node and the router: BGP's connections, and a BFD session beside them. The router keeps its end of that whether or not a
 * speaker answers, and resets the BGP session when the path fails (RFC 5882).
 */
export class RouterLink {
  readonly #options: RouterLinkOptions;
  #far: SimulatedSession;
  #near: NearEnd | undefined;
  #network: SimulatedNetwork;
  #cut: Cut | undefined;
  #isOff = false;
  #isStalled = false;
  /** The missing part of the router: its processes, or with its machine everything that could answer. */
  #routerIs: "there" | "ended" | "off" = "there";
  #isBfdGone = false;

  constructor(options: RouterLinkOptions) {
    this.#options = options;
    this.#network = this.#newNetwork();
    this.#far = this.#newFar();
    if (options.dials !== undefined) this.#dial(options.dials.to);
  }

  /** In which BGP sessions dial now. */
  get network(): SimulatedNetwork {
    return this.#network;
  }

  /** A speaker starts on the node, or the node has its address from now on. @param accept for connections of the router */
  begin(accept: (incoming: Incoming) => void): void {
    const { router, name, dials } = this.#options;
    this.#network = this.#newNetwork();
    this.#near = undefined;
    this.#isOff = false;
    this.#isStalled = false;
    router.listen(name, this.#network, routerAddress);
    if (dials !== undefined) this.#network.listener(dials.to).expect(settings(), accept);
    this.#update();
  }

  /** In place of a speaker's `Bfd`. @param clock the speaker's */
  watch(ends: BfdEnds, profile: BfdProfile, onChange: (status: BfdStatus) => void, clock: Clock): BfdWatch {
    const near = this.#near ?? this.#newNear(parametersOf(profile, ends), clock);
    this.#near = near;
    const { session, watchers } = near;
    watchers.add(onChange);
    const configure = (changed: BfdProfile) => session.configure(parametersOf(changed, ends));
    configure(profile);
    return {
      get status() {
        return session.status;
      },
      configure,
      [Symbol.dispose]: () => {
        if (!watchers.delete(onChange) || watchers.size > 0) return;
        session[Symbol.dispose]();
        if (near.link.#near === near) near.link.#near = undefined;
      },
    };
  }

  /** The speaker has ended, and with it the machine or not: only then its kernel closes the connections. */
  end(isMachineOff: boolean): void {
    this.#near = undefined; // First: what the kernel closes reaches nobody who could still end BFD in order.
    if (!isMachineOff && this.#cut === undefined) this.#network.breakAll();
    this.#isOff = true;
    this.#update();
  }

  /**
   * The node gets another address. Whichever node has this address next, connections and sessions of the node before are over, and neither
   * end knows. @returns the node's end of BFD, for the path by its next address
   */
  leave(): NearEnd | undefined {
    const near = this.#near;
    this.#near = undefined;
    this.#isOff = true;
    this.#isStalled = false;
    this.#cut = undefined;
    this.#update();
    return near;
  }

  /** Packets of BFD go out with whatever address the node has. */
  take(near: NearEnd | undefined): void {
    this.#near = near;
    if (near !== undefined) near.link = this;
  }

  /** The router's processes end, or its machine does; or only BGP, and BFD goes on. To be called before they have ended. */
  endRouter(what: "bgp" | "processes" | "machine"): void {
    this.#routerIs = what === "machine" ? "off" : "ended";
    this.#isBfdGone = what !== "bgp";
    if (this.#isBfdGone) this.#far[Symbol.dispose]();
    this.#update();
  }

  /** It runs again. Nodes that were connected to it find out that the connection is gone. */
  beginRouter(): void {
    this.#routerIs = "there";
    if (this.#isBfdGone) this.#far = this.#newFar();
    this.#isBfdGone = false;
    this.#update();
  }

  set isStalled(isStalled: boolean) {
    this.#isStalled = isStalled;
    this.#update();
  }

  set cut(cut: Cut | undefined) {
    this.#cut = cut;
    this.#update();
  }

  get cut(): Cut | undefined {
    return this.#cut;
  }

  /** How long the router takes, from now on, to find the node gone. */
  get detectionMs(): Millis {
    return this.#far.detectionMs ?? holdMs;
  }

  /** The node gave BFD up, which says nothing about the path (RFC 5882, section 3.2): the hold time finds it gone. */
  get isGivenUp(): boolean {
    return this.#far.status.verdict === "adminDown";
  }

  /** A cut in one direction stops connections in both: nothing is acknowledged. */
  #update(): void {
    this.#network.refused = this.#routerIs === "ended";
    this.#network.silent = this.#isOff || this.#cut !== undefined || this.#routerIs === "off";
    this.#network.freeze(this.#network.silent || this.#isStalled);
  }

  #dial(to: string): void {
    const { router, name, clock } = this.#options;
    if (this.#routerIs === "there") router.dial(name, this.#network, routerAddress, to);
    clock.schedule("dial", clock.now() + dialAgainMs, () => this.#dial(to));
  }

  #newNetwork(): SimulatedNetwork {
    const { clock, readDelay, lan } = this.#options;
    const readMs = () => (readDelay() < 0.25 ? Math.floor(readDelay() * maxReadDelayMs) : 0);
    return new SimulatedNetwork(clock, readMs, () => latencyMs + lan.meanDelayMs);
  }

  #newNear(parameters: Parameters, clock: Clock): NearEnd {
    const { random } = this.#options;
    const watchers: NearEnd["watchers"] = new Set();
    const session: SimulatedSession = new SimulatedSession({
      clock,
      random,
      parameters,
      onChange: (status) => {
        for (const watcher of watchers) watcher(status);
      },
      send: (octets) => {
        if (near.link.#near === near) near.link.#carry(octets, "toRouter");
      },
    });
    const near: NearEnd = { session, watchers, link: this };
    return near;
  }

  #newFar(): SimulatedSession {
    const { clock, random, router, name, onMistake } = this.#options;
    return new SimulatedSession({
      clock,
      random,
      parameters: routerParameters,
      send: (octets) => this.#carry(octets, "toNode"),
      onChange: ({ verdict }) => {
        if (verdict === "failed") router.reset(name);
        else if (verdict === "adminDown" && this.#isNodesWish && router.bfdEnded(name)) onMistake(name);
      },
    });
  }

  /** Not the router's own; and a cut, which may let BFD through, lets no NOTIFICATION. */
  get #isNodesWish(): boolean {
    return this.#routerIs === "there" && this.#cut === undefined;
  }

  #carry(octets: Uint8Array, way: "toRouter" | "toNode"): void {
    if (this.#cut === "both" || this.#cut === way || this.#isBfdGone) return;
    const { lan } = this.#options;
    const receive = () => (way === "toRouter" ? this.#far : this.#near?.session)?.receive(octets);
    lan.carry(receive, latencyMs);
  }
}
