import assert from "node:assert/strict";
import type { RoutesOut } from "#pkg/bgp";
import { localEnd, negotiated } from "#pkg/bgp/testing";
import { Portions } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { PoolIndex, parseConfig } from "#pkg/config";
import { endpointSlice, service } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log/testing";
import { families } from "#pkg/net";
import { BgpSpeaker } from "../../speaker/bgp/bgp-speaker.ts";
import type { BgpSession } from "../../speaker/bgp/peer.ts";
import type { SpeakerEvent } from "../../speaker/core/events.ts";
import { createState } from "../../speaker/core/state.ts";
import { step } from "../../speaker/core/step.ts";

const batchOctets = 8_192; // As in a session.
const portionsPerTurn = 4; // As in a speaker.

/** A session that is up at once, and takes what it is given. */
class Session implements BgpSession {
  readonly established = true;
  readonly #routes: RoutesOut;
  readonly #portions: Portions;
  readonly #hasAddPath: boolean;
  #isPumping = false;

  constructor(routes: RoutesOut, portions: Portions, hasAddPath: boolean) {
    this.#routes = routes;
    this.#portions = portions;
    this.#hasAddPath = hasAddPath;
  }

  start(): void {
    const paths = { families: new Set(families), addPath: new Set(families) };
    this.#routes.start(negotiated(this.#hasAddPath ? paths : {}), localEnd());
    this.routesChanged();
  }

  routesChanged(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#portions.do(() => {
      this.#isPumping = false;
      for (let octets = 0; octets < batchOctets; ) {
        const message = this.#routes.next();
        if (message === undefined) break;
        octets += message.length;
      }
      if (this.#routes.pending > 0) this.routesChanged();
    });
  }

  async close(): Promise<void> {
    this.#routes.stop();
  }

  configure(): void {}
  retry(): void {}
  addressesChanged(): void {}
  reset(): void {}
  async closed(): Promise<void> {}
  describe(): never {
    throw new Error("nobody asks for it here");
  }
}

export interface BgpTurnsOptions {
  readonly state: Parameters<typeof createState>[0];
  readonly hasAddPath: boolean;
}

/** The core of a speaker and its routes, whose turns are measured; sockets are left out. */
export class BgpTurns {
  /** The longest turn, in ms of the thread's own time. */
  longest = 0;
  /** Those of each session, in the order in which these began. */
  readonly routes: RoutesOut[] = [];
  readonly #clock = new SimulatedClock();
  readonly #state: ReturnType<typeof createState>;
  readonly #bgp: BgpSpeaker;
  #isAwake = false;

  constructor({ state, hasAddPath }: BgpTurnsOptions) {
    this.#state = createState(state);
    const portions = new Portions(this.#clock, portionsPerTurn);
    this.#bgp = new BgpSpeaker({
      newSession: ({ routes }) => {
        this.routes.push(routes);
        return new Session(routes, portions, hasAddPath);
      },
      secrets: { watch: () => {}, get: () => assert.fail("no peer has a password") },
      bfd: { watch: () => assert.fail("no peer has BFD") },
      sourceTo: () => undefined,
      discovery: { watch: () => {}, on: () => assert.fail("no peer is searched"), interfacesChanged: () => {} },
      portions,
      clock: this.#clock,
      log: silentLog,
    });
  }

  configure(text: string): void {
    const { config, problems } = parseConfig(text);
    assert.ok(config, JSON.stringify(problems));
    this.dispatch({ type: "config", config, pools: new PoolIndex(config.pools) });
  }

  node(name: string, internalIPs: readonly string[]): void {
    const fields = { labels: {}, unschedulable: false, deleting: false, taints: [], flannelAddresses: [], internalIPs };
    this.dispatch({ type: "node", name, node: fields });
  }

  /** Services with one address each, and an endpoint on this node. */
  serve(addresses: number, node: string): void {
    for (let index = 0; index < addresses; index++) {
      const key = `default/service-${index}`;
      const ingress = [`10.0.${index >> 8}.${index & 255}`];
      this.dispatch({ type: "service", key, service: service(`service-${index}`, { ingress }) });
      this.dispatch({ type: "slice", key, now: endpointSlice(`service-${index}`, { [node]: true }), before: undefined });
    }
  }

  /** One turn, and all that follow from it. */
  act(act: () => void): void {
    this.#turn(act);
    while (this.#isAwake || this.#clock.pending().length > 0) {
      if (this.#isAwake) this.#turn(() => this.dispatch({ type: "continue" }));
      if (this.#clock.pending().length > 0) this.#turn(() => this.#clock.advanceToNext());
    }
  }

  dispatch(event: SpeakerEvent): void {
    if (event.type === "continue") this.#isAwake = false;
    for (const effect of step(this.#state, event, this.#clock.now()))
      if (effect.type === "setRoutes") this.#bgp.setRoutes(effect.address, effect.routes);
      else if (effect.type === "setPeers") this.#bgp.setPeers(effect.peers);
      else if (effect.type === "flushRoutes") this.#bgp.flush(effect.complete);
      else if (effect.type === "wake") this.#isAwake = true;
  }

  #turn(act: () => void): void {
    const before = process.threadCpuUsage();
    act();
    const { user, system } = process.threadCpuUsage(before);
    this.longest = Math.max(this.longest, (user + system) / 1000);
  }
}
