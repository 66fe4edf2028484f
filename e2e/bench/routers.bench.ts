/**
 * Measures what many routers cost one speaker with 10,000 addresses: decisions of its core, the routes that follow, and their messages; sockets are
 * others' (`make bench-bgp`). Each act has the processor's time, the longest turn and the memory for each router and route. Run it with
 * `make bench-speaker`, or `node --expose-gc e2e/bench/routers.bench.ts [ROUTERS…]`.
 */
import assert from "node:assert/strict";
import type { RoutesOut } from "#pkg/bgp";
import { localEnd, negotiated } from "#pkg/bgp/testing";
import { Portions } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { PoolIndex, parseConfig } from "#pkg/config";
import { endpointSlice, service } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log/testing";
import { BgpSpeaker } from "../../speaker/bgp/bgp-speaker.ts";
import type { BgpSession } from "../../speaker/bgp/peer.ts";
import type { SpeakerEvent } from "../../speaker/core/events.ts";
import { createState } from "../../speaker/core/state.ts";
import { step } from "../../speaker/core/step.ts";

const addresses = 10_000;
const rounds = 3;
const portionsPerTurn = 2; // As in a speaker.
const batchOctets = 8_192; // As in a session.

/** A session that is up at once, and takes what it is given. */
class Session implements BgpSession {
  readonly established = true;
  readonly routes: RoutesOut;
  readonly #portions: Portions;
  #isPumping = false;

  constructor(routes: RoutesOut, portions: Portions) {
    this.routes = routes;
    this.#portions = portions;
  }

  start(): void {
    this.routes.start(negotiated(), localEnd());
    this.routesChanged();
  }

  routesChanged(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#portions.do(() => {
      this.#isPumping = false;
      for (let octets = 0; octets < batchOctets; ) {
        const message = this.routes.next();
        if (message === undefined) break;
        octets += message.length;
      }
      if (this.routes.pending > 0) this.routesChanged();
    });
  }

  async close(): Promise<void> {
    this.routes.stop();
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

/** One speaker, whose turns are measured. */
class Bench {
  longest = 0;
  readonly sessions: Session[] = [];
  readonly #clock = new SimulatedClock();
  readonly #portions = new Portions(this.#clock, portionsPerTurn);
  readonly #state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false, announceFor: "node" });
  readonly #bgp: BgpSpeaker;
  #isAwake = false;

  constructor() {
    this.#bgp = new BgpSpeaker({
      newSession: ({ routes }) => {
        const session = new Session(routes, this.#portions);
        this.sessions.push(session);
        return session;
      },
      secrets: { watch: () => {}, get: () => assert.fail("no peer has a password") },
      bfd: { watch: () => assert.fail("no peer has BFD") },
      discovery: { watch: () => {}, on: () => assert.fail("no peer is searched"), interfacesChanged: () => {} },
      portions: this.#portions,
      clock: this.#clock,
      log: silentLog,
    });
    const fields = { labels: {}, unschedulable: false, deleting: false, taints: [], flannelAddresses: [], internalIPs: [] };
    this.#dispatch({ type: "node", name: "node1", node: fields });
    this.#dispatch({ type: "members", active: ["node1"], withoutGossip: [], isSynced: true });
    for (let index = 0; index < addresses; index++) {
      const key = `default/service-${index}`;
      const ingress = [`10.0.${index >> 8}.${index & 255}`];
      this.#dispatch({ type: "service", key, service: service(`service-${index}`, { ingress }) });
      this.#dispatch({ type: "slice", key, now: endpointSlice(`service-${index}`, { node1: true }), before: undefined });
    }
  }

  /** One router, and all addresses placed. */
  start(): void {
    this.#configure(1, 0);
    this.#dispatch({ type: "start" });
    this.#settle();
  }

  /** @param med of all routes */
  configure(routers: number, med = 0): void {
    this.#turn(() => this.#configure(routers, med));
    this.#settle();
  }

  #configure(routers: number, med: number): void {
    const peer = (index: number) => `{my-asn: 64512, peer-asn: 64513, peer-address: 172.30.${index >> 8}.${index & 255}}`;
    const peers = Array.from({ length: routers }, (_, index) => peer(index + 1));
    const pool = `{name: a, protocol: bgp, addresses: [10.0.0.0/16], bgp-advertisements: [{med: ${med}}]}`;
    const { config, problems } = parseConfig(`peers: [${peers}]\naddress-pools: [${pool}]`);
    assert.ok(config, JSON.stringify(problems));
    this.#dispatch({ type: "config", config, pools: new PoolIndex(config.pools) });
  }

  #settle(): void {
    while (this.#isAwake || this.#clock.pending().length > 0) {
      if (this.#isAwake) this.#turn(() => this.#dispatch({ type: "continue" }));
      if (this.#clock.pending().length > 0) this.#turn(() => this.#clock.advanceToNext());
    }
  }

  #turn(act: () => void): void {
    const before = process.threadCpuUsage();
    act();
    const { user, system } = process.threadCpuUsage(before);
    this.longest = Math.max(this.longest, (user + system) / 1000);
  }

  #dispatch(event: SpeakerEvent): void {
    if (event.type === "continue") this.#isAwake = false;
    for (const effect of step(this.#state, event, this.#clock.now()))
      if (effect.type === "setRoutes") this.#bgp.setRoutes(effect.address, effect.routes);
      else if (effect.type === "setPeers") this.#bgp.setPeers(effect.peers);
      else if (effect.type === "flushRoutes") this.#bgp.flush(effect.complete);
      else if (effect.type === "wake") this.#isAwake = true;
  }
}

function memory(): number {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const asked = process.argv.slice(2).map(Number);
for (const routers of asked.length > 0 ? asked : [20, 64, 250]) {
  const rows = Array.from({ length: rounds }, () => {
    const bench = new Bench();
    bench.start();
    const before = memory();
    const measured = (act: () => void) => {
      bench.longest = 0;
      const from = process.threadCpuUsage();
      act();
      const { user, system } = process.threadCpuUsage(from);
      const octets = (memory() - before) / (routers - 1) / addresses;
      return { cpu: (user + system) / 1000, longest: bench.longest, octets };
    };
    const added = measured(() => bench.configure(routers));
    for (const { routes } of bench.sessions) assert.deepEqual([routes.advertised, routes.pending], [addresses, 0]);
    return [added, measured(() => bench.configure(routers, 1)), measured(() => bench.configure(1, 1))];
  });
  console.log(`${routers} routers, ${addresses} addresses; the least of ${rounds} runs:`);
  for (const [act, name] of ["all but one are added", "all routes change", "all but one are removed"].entries()) {
    const least = (what: "cpu" | "longest" | "octets") => Math.min(...rows.map((row) => row[act]?.[what] ?? Number.NaN));
    const times = `${least("cpu").toFixed(0).padStart(6)} ms of the thread, longest turn ${least("longest").toFixed(1).padStart(5)} ms`;
    console.log(`  ${name.padEnd(24)} ${times}, ${least("octets").toFixed(0).padStart(4)} octets for each router and route`);
  }
}
