/**
 * Measures the turns of a central speaker: decisions of its core, and the routes that follow, for two routers with ADD-PATH; sockets and encoding of
 * messages are others' (`make bench-bgp`). Run it with `make bench-speaker`, or `node e2e/bench/central.bench.ts`.
 */
import assert from "node:assert/strict";
import type { RoutesOut } from "#pkg/bgp";
import { localEnd, negotiated } from "#pkg/bgp/testing";
import { Portions } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { PoolIndex, parseConfig } from "#pkg/config";
import { centralName } from "#pkg/gossip";
import { endpointSlice, service } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log/testing";
import { families } from "#pkg/net";
import { BgpSpeaker } from "../../speaker/bgp/bgp-speaker.ts";
import type { BgpSession } from "../../speaker/bgp/peer.ts";
import type { SpeakerEvent } from "../../speaker/core/events.ts";
import { createState } from "../../speaker/core/state.ts";
import { step } from "../../speaker/core/step.ts";

const self = centralName("node-0");
const rounds = 3;
const peers = [1, 2].map((host) => `{my-asn: 64512, peer-asn: 64513, peer-address: 192.0.2.${host}, add-path: true}`);

/** A session that is up at once, and takes what it is given. */
class Session implements BgpSession {
  readonly established = true;
  readonly #routes: RoutesOut;
  readonly #portions: Portions;
  #isPumping = false;

  constructor(routes: RoutesOut, portions: Portions) {
    this.#routes = routes;
    this.#portions = portions;
  }

  start(): void {
    this.#routes.start(negotiated({ families: new Set(families), addPath: new Set(families) }), localEnd());
    this.routesChanged();
  }

  routesChanged(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#portions.do(() => {
      this.#isPumping = false;
      for (let octets = 0; octets < 8_192; ) {
        const message = this.#routes.next();
        if (message === undefined) break;
        octets += message.length;
      }
      if (this.#routes.pending > 0) this.routesChanged();
    });
  }

  configure(): void {}
  retry(): void {}
  addressesChanged(): void {}
  reset(): void {}
  async close(): Promise<void> {}
  async closed(): Promise<void> {}
  describe(): never {
    throw new Error("nobody asks for it here");
  }
}

/** A central speaker, whose turns are measured. */
class Bench {
  longest = 0;
  readonly routes: RoutesOut[] = [];
  readonly #clock = new SimulatedClock();
  readonly #portions = new Portions(this.#clock, 4);
  readonly #state = createState({ node: self, ignoreExcludeLabel: false, hasRing: true, announceFor: "all" });
  readonly #bgp: BgpSpeaker;
  readonly #nodes: readonly string[];
  #isAwake = false;

  constructor(addresses: number, count: number) {
    this.#nodes = Array.from({ length: count }, (_, index) => `node-${index}`);
    this.#bgp = new BgpSpeaker({
      newSession: ({ routes }) => {
        this.routes.push(routes);
        return new Session(routes, this.#portions);
      },
      secrets: { watch: () => {}, get: () => assert.fail("no peer has a password") },
      bfd: { watch: () => assert.fail("no peer has BFD") },
      discovery: { watch: () => {}, on: () => assert.fail("no peer is searched"), interfacesChanged: () => {} },
      portions: this.#portions,
      clock: this.#clock,
      log: silentLog,
    });
    const { config } = parseConfig(`peers: [${peers}]\naddress-pools: [{name: a, protocol: bgp, addresses: [10.0.0.0/16]}]`);
    assert.ok(config);
    this.#dispatch({ type: "config", config, pools: new PoolIndex(config.pools) });
    this.members(count);
    for (const [index, name] of this.#nodes.entries()) {
      const internalIPs = [`172.16.${index >> 8}.${index & 255}`];
      const fields = { labels: {}, unschedulable: false, deleting: false, taints: [], flannelAddresses: [], internalIPs };
      this.#dispatch({ type: "node", name, node: fields });
    }
    for (let index = 0; index < addresses; index++) {
      const key = `default/service-${index}`;
      const ingress = [`10.0.${index >> 8}.${index & 255}`];
      this.#dispatch({ type: "service", key, service: service(`service-${index}`, { ingress }) });
      this.#dispatch({ type: "slice", key, now: endpointSlice(`service-${index}`, { "node-0": true }), before: undefined });
    }
  }

  start(): void {
    this.#turn(() => this.#dispatch({ type: "start" }));
    this.#settle();
  }

  /** So many nodes live. */
  members(count: number): void {
    const active = [...this.#nodes.slice(0, count), self];
    this.#turn(() => this.#dispatch({ type: "members", active, withoutGossip: [], isSynced: true }));
    this.#settle();
  }

  #settle(): void {
    while (this.#isAwake || this.#clock.pending().length > 0) {
      if (this.#isAwake) this.#turn(() => this.#dispatch({ type: "continue" }));
      this.#turn(() => this.#clock.advanceToNext());
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

const cases = [
  { addresses: 10_000, nodes: 16 },
  { addresses: 10_000, nodes: 64 },
  { addresses: 1_000, nodes: 1_000 },
] as const;
for (const { addresses, nodes } of cases) {
  const rows = Array.from({ length: rounds }, () => {
    const bench = new Bench(addresses, nodes);
    const measured = (act: () => void) => {
      bench.longest = 0;
      const before = process.cpuUsage();
      act();
      const { user, system } = process.cpuUsage(before);
      for (const routes of bench.routes) assert.equal(routes.pending, 0);
      return { cpu: (user + system) / 1000, longest: bench.longest };
    };
    const acts = [measured(() => bench.start()), measured(() => bench.members(nodes - 1)), measured(() => bench.members(nodes))];
    for (const routes of bench.routes) assert.equal(routes.advertised, addresses * Math.min(nodes, 64));
    return acts;
  });
  const least = (act: number, what: "cpu" | "longest") => Math.min(...rows.map((row) => row[act]?.[what] ?? Number.NaN));
  console.log(`central speaker, ${addresses} addresses, ${nodes} nodes, 2 routers; least of ${rounds} runs:`);
  for (const [act, name] of ["start", "a node dies", "it comes back"].entries())
    console.log(
      `  ${name.padEnd(16)} ${least(act, "cpu").toFixed(0).padStart(6)} ms of the processor, longest turn ${least(act, "longest").toFixed(1)} ms`,
    );
}
