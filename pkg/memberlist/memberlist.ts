import { randomOctets } from "#pkg/aes-gcm";
import { Alarm, type Clock, type Millis, type Random } from "#pkg/clock";
import { EventQueue } from "#pkg/collections";
import { ConnectionGate } from "#pkg/connections";
import type { Log } from "#pkg/log";
import { parseAddress } from "#pkg/net";
import { type Keyring, Nonces } from "./codec/keyring.ts";
import { type Endpoint, nodeName, nodeNameText } from "./codec/messages.ts";
import type { MetadataFields } from "./codec/metadata.ts";
import { countRoundTrip, type MemberlistCounters, newNetworkCounters } from "./counters.ts";
import type { MemberParts } from "./member-parts.ts";
import { type EvidenceView, evidenceView, type MemberView, memberView } from "./member-view.ts";
import { exchange, send } from "./outgoing.ts";
import { IncomingPackets } from "./packets.ts";
import { userText } from "./ring/broadcast-queue.ts";
import type { Effect, Event, MemberEvent, PathVerdict } from "./ring/events.ts";
import type { Ring } from "./ring/ring.ts";
import { members, nextDeadline, startRing, step } from "./ring/step.ts";
import type { TimingName } from "./ring/timing.ts";
import { RingLog } from "./ring-log.ts";
import { IncomingStreams } from "./streams.ts";
import {
  endpoint,
  type OpenTransport,
  parseSocketAddress,
  type SocketAddress,
  socketAddress,
  type Transport,
} from "./transport.ts";

export interface MemberlistOptions {
  /** Unique in the ring: the Kubernetes node's name. */
  readonly name: string;
  /** IP address, at which others reach this member, and port, of UDP and TCP; port 0 takes any. */
  readonly bind: SocketAddress;
  /** The same on all members. */
  readonly keyring: Keyring;
  /** See `RingOptions`; 1 when unset. */
  readonly firstIncarnation?: number;
  /** The metadata of this member. */
  readonly metadata?: MetadataFields;
  /** User state that goes to others with this member's view of the ring; nothing when unset. */
  readonly userState?: (() => Uint8Array) | undefined;
  /** See `RingOptions`. */
  readonly userDigest?: (() => number) | undefined;
  /** `auto`: fast as long as all members keep up with that, else as HashiCorp's defaults for a local network. */
  readonly timing: TimingName | "auto";
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Called when an event has been handled, and counters may have changed. */
  readonly onHandled?: () => void;
  /** The network. */
  readonly openTransport: OpenTransport;
}

export type MemberlistEvent =
  | {
      readonly type: "member";
      readonly change: MemberEvent["change"];
      readonly member: MemberView;
      readonly evidence?: EvidenceView | undefined;
    }
  /** `because`: see the ring's `timingChanged`. */
  | { readonly type: "timing"; readonly timing: TimingName; readonly because: string | undefined }
  /** Packets between this member and another are lost, while it is reached otherwise, or are so no longer. */
  | { readonly type: "packets"; readonly member: string; readonly areLost: boolean }
  /** To keep paths to these members, and to no others. */
  | { readonly type: "watchPaths"; readonly members: readonly PathEnd[] }
  /** The path to this member made it count as dead here, and it lives: the path is not used for this long. */
  | { readonly type: "pathDistrusted"; readonly member: string; readonly backOff: Millis }
  /** A user message, or user state that came with a view. */
  | { readonly type: "user"; readonly payload: Uint8Array; readonly isNews: boolean };

/** A member to which a path is kept. */
export interface PathEnd extends SocketAddress {
  readonly name: string;
}

export interface JoinResult {
  /** How many of the addresses are in one ring with this member now. */
  readonly joined: number;
  readonly failures: readonly { readonly address: string; readonly reason: string }[];
}

type JoinFinished = Extract<Effect, { readonly type: "joinFinished" }>;

interface Running {
  readonly ring: Ring;
  readonly transport: Transport;
}

/** Connections a second: members dial each other every some seconds, and in a probe while packets do not arrive. */
const maxOfSource = 50;
/** Limit for speakers that start all at once, before this one has heard of them. */
const maxOfStrangers = 500;

/** One member of a ring, on the network from `start` until it is disposed. Faults of peers and of the network are logged, never thrown. */
export class Memberlist implements AsyncDisposable {
  readonly #options: MemberlistOptions;
  readonly #log: RingLog;
  readonly #counters = newNetworkCounters();
  readonly #parts: MemberParts;
  readonly #alarm: Alarm;
  readonly #streams: IncomingStreams;
  readonly #packets: IncomingPackets;
  readonly #gate: ConnectionGate;
  readonly #listeners = new Set<(event: MemberlistEvent) => void>();
  readonly #joins = new Map<number, (result: JoinFinished) => void>(); // join -> who waits for it
  readonly #left = Promise.withResolvers<void>();
  readonly #events: EventQueue<Event>;
  #lastJoin = 0;
  #metadata: MetadataFields;
  #running: Running | undefined;
  #arePathsKept = false;

  /** @throws {RangeError} for an invalid address, and for one that stands for all */
  constructor(options: MemberlistOptions) {
    const { bind, keyring, clock, log } = options;
    const address = parseAddress(bind.address);
    if (address === undefined) throw new RangeError(`Cannot make a member: not an IP address: ${bind.address}`);
    if (address.value === 0n)
      throw new RangeError(`Cannot make a member bound to ${bind.address}: it needs an address at which others reach it`);
    this.#options = options;
    this.#metadata = options.metadata ?? new Map();
    this.#events = new EventQueue(
      (event) => this.#step(event),
      () => {
        this.#arm();
        options.onHandled?.();
      },
    );
    this.#log = new RingLog(log, clock);
    const push = (event: Event): void => this.#events.push(event);
    this.#parts = { keyring, nonces: new Nonces(randomOctets), clock, counters: this.#counters, log: this.#log, push };
    this.#alarm = new Alarm(clock, "memberlist", () => this.#events.push({ type: "timer" }));
    this.#packets = new IncomingPackets(this.#parts);
    this.#gate = new ConnectionGate({
      clock,
      maxOfSource,
      maxOfStrangers,
      known: this.#packets.known,
      onRefused: (address) => this.#log.refusedConnections(address),
    });
    this.#streams = new IncomingStreams(this.#parts, this.#packets.known);
  }

  /** Binds, and is a ring of one from then on. @throws {Error} that names address, port and protocol, when they cannot be had */
  async start(): Promise<void> {
    const { name, bind, firstIncarnation, timing, clock, random, openTransport, userState, userDigest } = this.#options;
    const transport = await openTransport(bind, {
      packet: (bytes, from) => this.#packets.receive(bytes, from),
      connection: (from) => this.#gate.admits(from.address),
      stream: (stream, from) => {
        this.#counters.streamsAccepted++;
        this.#streams.accept(stream, from);
      },
      problem: (error) => this.#log.socketFailed(error),
    });
    const options = {
      node: nodeName(name),
      endpoint: endpoint(transport.local),
      metadata: this.#metadata,
      timing,
      firstIncarnation: firstIncarnation ?? 1,
      userState,
      userDigest,
      random,
    };
    const [ring, effects] = startRing(options, clock.now());
    this.#running = { ring, transport };
    this.#packets.start(transport);
    this.#gate.start(transport);
    this.#carryOutAll(effects, this.#running);
    this.keepPaths(this.#arePathsKept);
    this.#arm();
  }

  /** Whether it is on the network. */
  get running(): boolean {
    return this.#running !== undefined;
  }

  /** Where it is bound. @throws {Error} before it is */
  get local(): SocketAddress {
    return this.#started().transport.local;
  }

  /** All members that are alive or suspect, this one included until it leaves. */
  members(): MemberView[] {
    const { ring } = this.#started();
    return members(ring).map((member) => memberView(member, ring.self.node));
  }

  /** Round-trip time of the last direct ping of each other member. */
  roundTrips(): ReadonlyMap<string, Millis> {
    const { members } = this.#started().ring.places;
    return new Map(
      members.flatMap(({ node, roundTrip }) => (roundTrip === undefined ? [] : [[nodeNameText(node), roundTrip] as const])),
    );
  }

  /** At which pace it looks for failures now. */
  get timing(): TimingName {
    return this.#started().ring.timing.name;
  }

  /** Current values. */
  get counters(): MemberlistCounters {
    const { problems, roundTripBuckets, ...network } = this.#counters;
    return { ...network, roundTripBuckets: [...roundTripBuckets], problems: { ...problems }, ...this.#started().ring.counters };
  }

  /** Calls `listener` for each event from now on, until what is returned is disposed. */
  onEvent(listener: (event: MemberlistEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  /**
   * Exchanges views with each of these addresses that is no member yet: `192.0.2.1`, `[2001:db8::1]:7946`; without a port, it is this
   * member's own. The result has the failures.
   */
  async join(addresses: readonly string[]): Promise<JoinResult> {
    const { port } = this.#started().transport.local;
    const failures: { readonly address: string; readonly reason: string }[] = [];
    const endpoints: Endpoint[] = [];
    for (const text of addresses) {
      const address = parseSocketAddress(text, port);
      if (address === undefined) failures.push({ address: text, reason: "it is not an IP address, with or without a port" });
      else {
        this.#packets.know(address.address);
        endpoints.push(endpoint(address));
      }
    }
    const join = this.#lastJoin++;
    const { promise, resolve } = Promise.withResolvers<JoinFinished>();
    this.#joins.set(join, resolve);
    this.#events.push({ type: "join", join, endpoints });
    const result = await promise;
    for (const { endpoint, reason } of result.failures) failures.push({ address: socketAddress(endpoint).address, reason });
    return { joined: result.joined, failures };
  }

  /** Replaces the metadata of this member, which it starts with where it has not. @throws {RangeError} when it is too long */
  setMetadata(fields: MetadataFields): void {
    this.#metadata = fields;
    if (this.#running !== undefined) this.#events.push({ type: "metadata", fields });
  }

  /**
   * Passes a user message to the others, in place of one on the same topic that is still being passed on. A member that learns
   * something from it passes it on likewise. @throws {RangeError} for more than 1000 bytes
   */
  broadcast(topic: string, payload: Uint8Array): void {
    this.#started();
    this.#events.push({ type: "broadcast", topic, text: userText(payload) });
  }

  /** Exchanges views with a member at once; does nothing if the node is no longer a member. */
  pull(name: string): void {
    this.#started();
    this.#events.push({ type: "pull", node: nodeName(name) });
  }

  /** Keeps paths to members from now on, or no longer: `watchPaths` says to which. */
  keepPaths(areKept: boolean): void {
    this.#arePathsKept = areKept;
    this.#events.push({ type: "keepPaths", areKept });
  }

  /** The path to a member has another verdict. */
  pathChanged(name: string, verdict: PathVerdict): void {
    this.#events.push({ type: "path", node: nodeName(name), verdict });
  }

  /**
   * Broadcasts that this member leaves. It answers the others until it is disposed.
   * @returns whether that was sent often enough before `timeout` milliseconds were over
   */
  async leave(timeout: Millis): Promise<boolean> {
    this.#started();
    const { clock } = this.#options;
    const late = Promise.withResolvers<void>();
    using _timer = clock.schedule("leave", clock.now() + timeout, () => late.resolve());
    this.#events.push({ type: "leave" });
    return await Promise.race([this.#left.promise.then(() => true), late.promise.then(() => false)]);
  }

  /** Stops without a message: the others find out by probing, unless it left. Joins that are underway end without success. */
  async [Symbol.asyncDispose](): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    this.#alarm[Symbol.dispose]();
    this.#packets[Symbol.dispose]();
    this.#gate[Symbol.dispose]();
    for (const [join, resolve] of this.#joins) resolve({ type: "joinFinished", join, joined: 0, failures: [] });
    this.#joins.clear();
    await running.transport[Symbol.asyncDispose]();
  }

  #started(): Running {
    if (this.#running === undefined) throw new Error("Cannot use a member: it is not on the network");
    return this.#running;
  }

  #step(event: Event): void {
    const running = this.#running; // Effects that arrive after the end change nothing.
    if (running !== undefined) this.#carryOutAll(step(running.ring, event, this.#options.clock.now()), running);
  }

  /** Where members have more addresses than there are records, some are forgotten, or have another address. */
  #carryOutAll(effects: readonly Effect[], running: Running): void {
    for (const effect of effects) this.#carryOut(effect, running);
    const { order } = running.ring;
    if (this.#packets.members > order.length)
      this.#packets.setMembers(order.map(({ endpoint }) => socketAddress(endpoint).address));
  }

  #arm(): void {
    if (this.#running !== undefined) this.#alarm.set(nextDeadline(this.#running.ring));
  }

  #carryOut(effect: Effect, { ring, transport }: Running): void {
    switch (effect.type) {
      case "send":
        send(this.#parts, effect, transport);
        break;
      case "asks":
        this.#packets.know(socketAddress(effect.endpoint).address);
        break;
      case "exchange":
        void exchange(this.#parts, effect, transport);
        break;
      case "reply":
        this.#streams.reply(effect.stream, effect.message);
        break;
      case "close":
        this.#streams.close(effect.stream);
        break;
      case "member": {
        const member = memberView(effect.member, ring.self.node);
        this.#packets.memberChanged(member.address);
        const evidence = effect.evidence && evidenceView(effect.evidence);
        this.#emit({ type: "member", change: effect.change, member, evidence }); // Before the line, which takes longer.
        this.#log.changed(effect.change, member, evidence);
        break;
      }
      case "joinFinished":
        this.#joins.get(effect.join)?.(effect);
        this.#joins.delete(effect.join);
        break;
      case "leaveFinished":
        this.#left.resolve();
        break;
      case "timingChanged": {
        const because = effect.because && nodeNameText(effect.because);
        this.#log.timingChanged(effect.timing, because, effect.because === ring.self.node);
        this.#emit({ type: "timing", timing: effect.timing, because });
        break;
      }
      case "user":
        this.#emit({ type: "user", payload: effect.payload, isNews: effect.isNews });
        break;
      case "roundTrip":
        countRoundTrip(this.#counters, effect.time);
        break;
      case "packetsLost":
      case "packetsArrive": {
        const name = nodeNameText(effect.node);
        if (effect.type === "packetsLost") this.#log.packetsLost(name);
        this.#emit({ type: "packets", member: name, areLost: effect.type === "packetsLost" });
        break;
      }
      case "watchPaths": {
        const members = effect.members.map(({ node, endpoint }) => ({ name: nodeNameText(node), ...socketAddress(endpoint) }));
        this.#emit({ type: "watchPaths", members });
        break;
      }
      case "pathDistrusted": {
        const name = nodeNameText(effect.node);
        this.#log.pathDistrusted(name, effect.backOff);
        this.#emit({ type: "pathDistrusted", member: name, backOff: effect.backOff });
        break;
      }
      case "conflict":
      case "exchangeProblem":
        this.#log.trouble(effect);
        break;
      default:
        effect satisfies never;
    }
  }

  #emit(event: MemberlistEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
