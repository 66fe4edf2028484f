import { PeerSession } from "#pkg/bgp";
import type { SimulatedNetwork } from "#pkg/bgp/testing";
import { Portions } from "#pkg/clock";
import { encodeOffer } from "#pkg/gossip";
import { resources } from "#pkg/k8s";
import { Cluster } from "#pkg/k8s/testing";
import type { AddressSighting, InterfaceState } from "#pkg/layer2";
import { silentLog } from "#pkg/log";
import { GossipDelegate, type MemberView, MetadataKey, type RingEvent } from "#pkg/memberlist";
import { type Effect, type Member, members as membersOf, nodeNameText, type Simulation } from "#pkg/memberlist/testing";
import { KubernetesMetrics, Registry } from "#pkg/metrics";
import type { Address } from "#pkg/net";
import { classlessOnly } from "#pkg/service";
import { BgpSpeaker } from "../../../speaker/bgp/bgp-speaker.ts";
import { carryOut } from "../../../speaker/carry-out.ts";
import { createState, type SpeakerState } from "../../../speaker/core/state.ts";
import { CoreRunner } from "../../../speaker/core-runner.ts";
import { macsOf } from "../../../speaker/members/macs.ts";
import { RingMembers } from "../../../speaker/members/ring-members.ts";
import { registerTimings } from "../../../speaker/metrics.ts";
import { OccupantsWriter } from "../../../speaker/occupants-writer.ts";
import { Sources } from "../../../speaker/sources.ts";
import type { ApiConnection } from "./api-connection.ts";
import { addressOf, macOf, namespace, nodeOf } from "./objects.ts";
import type { SimulatedProcess } from "./simulated-process.ts";

/** What the speaker does on its LAN. */
export interface LanActions {
  /** Sends gratuitous announcements. */
  announce(address: string): void;
  /** @param to a MAC address; undefined for all */
  probe(address: string, to: string | undefined): void;
}

export interface SpeakerProcessOptions {
  readonly index: number;
  readonly process: SimulatedProcess;
  readonly connection: ApiConnection;
  readonly ring: Simulation;
  readonly lan: LanActions;
  readonly bgp: SimulatedNetwork;
  /** No two processes have the same. */
  readonly life: number;
  readonly record: (line: string) => void;
}

/**
 * A speaker as `speaker/main.ts` builds it. Its core, sources, members, gossip and BGP sessions are the real ones; the ring's protocol is too, on
 * simulated packets. In place of the layer 2 thread stands who answers for which address. It has no BFD and no node checks.
 */
export class SpeakerProcess {
  readonly process: SimulatedProcess;
  readonly connection: ApiConnection;
  readonly state: SpeakerState;
  /** Addresses that it answers for, and those that it only watches. */
  readonly announced = new Set<string>();
  readonly watched = new Set<string>();
  readonly #options: SpeakerProcessOptions;
  readonly #runner: CoreRunner;
  readonly #members: RingMembers;
  readonly #bgp: BgpSpeaker;
  readonly #delegate: GossipDelegate;
  readonly #listeners = new Set<(event: RingEvent) => void>();
  readonly #joins: ((effect: Extract<Effect, { type: "joinFinished" }>) => void)[] = [];

  constructor(options: SpeakerProcessOptions) {
    const { index, process, connection, bgp: network, life, record } = options;
    this.#options = options;
    this.process = process;
    this.connection = connection;
    const { clock, random } = process;
    const node = nodeOf(index);
    const log = silentLog;
    const cluster = new Cluster({ [Symbol.dispose]: () => {} }, connection, { log, clock, random });
    this.#runner = new CoreRunner(clock, random);
    const portions = new Portions(clock, 4);
    const emit = this.#runner.dispatch;
    this.#delegate = new GossipDelegate({
      node,
      life,
      clock,
      canBroadcast: () => this.#isOnRing,
      broadcast: (topic, payload) => options.ring.broadcast(index, topic, payload),
      onEntries: (entries) => this.#emitRing({ type: "gossip", entries }),
      onExpired: (nodes) => this.#emitRing({ type: "gossipExpired", nodes }),
    });
    const metadata = new Map([
      [MetadataKey.gossip, encodeOffer(life)],
      [MetadataKey.macs, macsOf([interfaceOf(index, true)])],
    ]);
    this.#members = new RingMembers({
      memberlist: this.#memberlist(metadata),
      keys: undefined,
      metadata,
      cluster,
      namespace,
      labels: "component=speaker",
      node,
      emit,
      log,
      clock,
      random,
    });
    this.#bgp = new BgpSpeaker({
      newSession: ({ key: _key, restarting, ...session }) =>
        new PeerSession({
          ...session,
          node,
          restarting,
          forwardingPreserved: true,
          clock,
          random,
          transport: network.transport(addressOf(index)),
          portions,
          log,
        }),
      secrets: { watch: () => {}, get: () => ({ missing: "there are no Secrets" }) },
      bfd: {
        watch: () => {
          throw new Error("Cannot watch a BFD session: none is simulated");
        },
      },
      portions,
      clock,
      log,
    });
    const sources = new Sources({
      cluster,
      namespace,
      configMap: "config",
      classes: classlessOnly,
      metrics: new KubernetesMetrics(new Registry()),
      emit,
      clock,
      log,
    });
    this.state = createState({ node, ignoreExcludeLabel: false, hasRing: true });
    const drivers = {
      runner: this.#runner,
      layer2: this.#layer2(),
      occupants: new OccupantsWriter({ cluster, namespace, log, clock, random }),
      bgp: this.#bgp,
      members: this.#members,
      sources,
      checks: { changed: () => {} },
      events: {
        record: (about: { namespace: string; name: string }, _type: string, reason: string, message: string) =>
          process.isRunning && record(`${process.name}: ${about.namespace}/${about.name}: ${reason}: ${message}`),
      },
      timings: registerTimings(new Registry()),
      log,
    };
    this.#runner.start(this.state, (effect) => {
      // A turn of the main thread is where a process can stand still.
      if (effect.type === "wake") process.at(options.ring.now + random(), () => emit({ type: "continue" }));
      else carryOut(drivers, effect);
    });
    this.setCarrier(true);
    sources.start(resources.endpointSlices);
  }

  /** Whether it may be counted on: as `/readyz` says. */
  get isReady(): boolean {
    return this.process.isRunning && this.state.isStarted;
  }

  setCarrier(running: boolean): void {
    this.#runner.dispatch({ type: "interfaces", interfaces: [interfaceOf(this.#options.index, running)] });
  }

  see(sighting: Pick<AddressSighting, "address" | "mac" | "kind">): void {
    const own = { interface: "eth0", ownMac: macOf(this.#options.index) };
    this.process.at(this.#options.ring.now, () => this.#runner.dispatch({ type: "sighting", sighting: { ...sighting, ...own } }));
  }

  /** Ends as on SIGTERM; answers until its successors do. */
  async stop(): Promise<void> {
    await this.#bgp.leave();
    await this.#members[Symbol.asyncDispose]();
    for (const address of this.announced) this.announced.delete(address);
    await this.#bgp[Symbol.asyncDispose]();
    this.#runner[Symbol.dispose]();
  }

  /** What the ring's protocol of this node emitted. */
  onRingEffect(effect: Effect): void {
    if (effect.type === "joinFinished") this.#joins.shift()?.(effect);
    if (effect.type === "user") this.#delegate.receive(effect.payload);
    if (effect.type !== "member") return;
    const { change } = effect;
    const member = viewOf(effect.member, this.#options.index);
    this.#emitRing({ type: "member", change, member });
    this.#delegate.memberChanged(change, member);
  }

  get #isOnRing(): boolean {
    return this.#options.ring.running.includes(this.#options.index);
  }

  /** The ring has a thread of its own: what it reports waits for the main thread, which may stand still. */
  #emitRing(event: RingEvent): void {
    this.process.at(this.#options.ring.now, () => {
      for (const listener of this.#listeners) listener(event);
    });
  }

  #memberlist(metadata: ReadonlyMap<number, Uint8Array>): ConstructorParameters<typeof RingMembers>[0]["memberlist"] {
    const { index, ring, life } = this.#options;
    const views = () => (this.#isOnRing ? membersOf(ring.ring(index)).map((member) => viewOf(member, index)) : []);
    return {
      start: async () => ring.start(index, { metadata, firstIncarnation: life, userState: () => this.#delegate.state() }),
      join: (addresses) => {
        const { promise, resolve } = Promise.withResolvers<{
          joined: number;
          failures: readonly { address: string; reason: string }[];
        }>();
        this.#joins.push(({ joined, failures }) => {
          const failed = failures.map(({ endpoint, reason }) => ({ address: [...endpoint.address].join("."), reason }));
          this.process.at(ring.now, () => resolve({ joined, failures: failed }));
        });
        ring.join(index, addresses.map(indexOf));
        return promise;
      },
      leave: async () => {
        ring.leave(index);
        return true;
      },
      setEntries: (entries) => this.#delegate.set(entries),
      forget: (other) => this.#delegate.forget(other),
      pull: (other) => ring.pull(index, other),
      get running() {
        return ring.running.includes(index);
      },
      setMetadata: (fields) => ring.setMetadata(index, fields),
      members: views,
      timing: "fast",
      onEvent: (listener) => {
        this.#listeners.add(listener);
        return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
      },
      [Symbol.asyncDispose]: async () => ring.kill(index),
    };
  }

  #layer2() {
    const { lan } = this.#options;
    return {
      begin: async () => {},
      announce: (address: Address) => {
        this.watched.delete(`${address}`);
        this.announced.add(`${address}`);
        lan.announce(`${address}`);
      },
      listen: (address: Address) => {
        this.announced.delete(`${address}`);
        this.watched.add(`${address}`);
      },
      withdraw: (address: Address) => {
        this.announced.delete(`${address}`);
        this.watched.delete(`${address}`);
      },
      reannounce: (address: Address) => lan.announce(`${address}`),
      defend: (address: Address) => lan.announce(`${address}`),
      probe: (address: Address, { to }: { readonly to?: string }) => lan.probe(`${address}`, to),
    };
  }
}

function interfaceOf(index: number, running: boolean): InterfaceState {
  const addresses = [`192.0.2.${200 + index}/24`, `2001:db8::${200 + index}/64`];
  return { index: 2, name: "eth0", mac: macOf(index), status: "answering", running, addresses };
}

function viewOf({ node, status, incarnation, meta }: Member, self: number): MemberView {
  const name = nodeNameText(node);
  const address = addressOf(Number(name.slice(nodeOf(0).length - 1)));
  return { name, address, port: 7946, status, incarnation, meta, self: name === nodeOf(self) };
}

function indexOf(address: string): number {
  const [, , high, low] = address.split(".").map(Number);
  return (high ?? 0) * 256 + (low ?? 0);
}
