import { type Clock, type Millis, sleep } from "#pkg/clock";
import { encodeOffer } from "#pkg/gossip";
import { GossipDelegate, type MemberView, MetadataKey, type RingEvent } from "#pkg/memberlist";
import { addressOf, type Effect, type Member, members, nameOf, nodeNameText, type Simulation } from "#pkg/memberlist/testing";
import type { RingMembersOptions } from "../../../speaker/members/ring-members.ts";

export interface SimulatedMemberlistOptions {
  readonly simulation: Simulation;
  /** The node's, in the simulation. */
  readonly index: number;
  /** Of this process: no two have the same. */
  readonly life: Millis;
  /** It has the formats of the version before heartbeats and views of the API. */
  readonly isEarlier?: boolean;
  /** The ring thread's, which keeps time while the main thread stands still. */
  readonly clock: Clock;
  /** How long its thread takes to start; none where absent. */
  readonly startMs?: Millis;
  readonly metadata?: ReadonlyMap<number, Uint8Array>;
  /** Runs something on the main thread, at once or when that goes on. */
  readonly onMainThread: (fn: () => void) => void;
  /** Is told how many octets each user message has that this node makes. */
  readonly onBroadcast?: (octets: number) => void;
}

type Memberlist = RingMembersOptions["memberlist"];
type Entries = Parameters<Memberlist["setEntries"]>[0];
type Join = Awaited<ReturnType<Memberlist["join"]>>;

/** How long a thread takes that follows another one. */
const restartMs: Millis = 100;
// As `MemberlistThread` has it: from when a member was met until all that it knows of are members here too.
const metMs: Millis = 500;

/** What `MemberlistThread` is to a speaker, in simulated time: the ring's protocol and the gossip are the real ones. */
export class SimulatedMemberlist implements Pick<Memberlist, keyof Memberlist> {
  readonly timing = "fast";
  /** The options of the member. */
  readonly metadata: ReadonlyMap<number, Uint8Array>;
  readonly #options: SimulatedMemberlistOptions;
  readonly #listeners = new Set<(event: RingEvent) => void>();
  readonly #joins: ((joined: Join) => void)[] = [];
  readonly #entries = new Map<string, Entries[number]>(); // key -> own entry, for a thread that follows another one
  #delegate: GossipDelegate;
  #metadata: ReadonlyMap<number, Uint8Array>;
  #host: number; // The number in its address.
  #isMoving = false;
  #before: readonly MemberView[] = []; // Members of the thread before this one of which this one has not heard.
  #met: PromiseWithResolvers<void> | undefined; // It resolves some time after this thread has met a member.
  #moves = 0;
  #arePathsKept = false;

  constructor(options: SimulatedMemberlistOptions) {
    const { simulation, index, life } = options;
    this.#options = options;
    this.metadata = new Map([...(options.metadata ?? []), [MetadataKey.gossip, encodeOffer(life)]]);
    this.#metadata = this.metadata;
    this.#host = simulation.hostOf(index);
    this.#delegate = this.#newDelegate();
  }

  /** The gossip of the ring's thread. */
  get delegate(): GossipDelegate {
    return this.#delegate;
  }

  get address(): string {
    return addressOf(this.#host);
  }

  readonly problem = undefined;
  readonly lossy = [];

  get running(): boolean {
    return this.#isMoving || this.#options.simulation.running.includes(this.#options.index);
  }

  async start(): Promise<void> {
    const { simulation, index, life, isEarlier, clock, startMs = 0 } = this.#options;
    if (startMs > 0) await sleep(clock, "start thread", startMs);
    const metadata = this.#metadata;
    if (simulation.hostOf(index) !== this.#host) throw new Error(`Cannot listen for memberlist on ${this.address}`);
    const common = { metadata, firstIncarnation: life + this.#moves, userState: () => this.#delegate.state() };
    if (isEarlier) simulation.start(index, { ...common, timing: "lan" });
    else simulation.start(index, { ...common, userDigest: () => this.#delegate.digest() });
    this.keepPaths(this.#arePathsKept);
  }

  keepPaths(areKept: boolean): void {
    const { simulation, index, isEarlier } = this.#options;
    this.#arePathsKept = areKept;
    if (isEarlier !== true) simulation.happen(index, { type: "keepPaths", areKept });
  }

  async join(addresses: readonly string[]): Promise<Join> {
    const { simulation, index } = this.#options;
    if (!simulation.running.includes(index))
      return { joined: 0, failures: addresses.map((address) => ({ address, reason: "this member is not on the network" })) };
    const { promise, resolve } = Promise.withResolvers<Join>();
    this.#joins.push(resolve);
    simulation.join(index, addresses.map(hostOf));
    return await promise;
  }

  move(address: string): void {
    const { simulation, index, clock } = this.#options;
    const others = this.running ? this.members().filter(({ self }) => !self) : undefined;
    this.#host = hostOf(address);
    this.#moves++;
    if (others === undefined) return;
    this.#before = others;
    this.#isMoving = true;
    simulation.kill(index);
    for (const resolve of this.#joins.splice(0)) resolve({ joined: 0, failures: [] });
    clock.schedule("restart thread", clock.now() + restartMs, () => void this.#restart(others));
  }

  async leave(): Promise<boolean> {
    this.#options.simulation.leave(this.#options.index);
    return true;
  }

  setEntries(entries: Entries): void {
    const own = this.#options.isEarlier ? [...entries].flatMap(earlierEntry) : entries;
    for (const entry of own) this.#entries.set(entry.key, entry);
    this.#delegate.set(own);
  }

  forget(node: string): void {
    this.#delegate.forget(node);
  }

  pull(node: string): void {
    this.#options.simulation.pull(this.#options.index, node);
  }

  setMetadata(fields: ReadonlyMap<number, Uint8Array>): void {
    this.#metadata = fields;
    this.#options.simulation.setMetadata(this.#options.index, fields);
  }

  /** Nobody looks at them. */
  async roundTrips(): Promise<ReadonlyMap<string, number>> {
    return new Map();
  }

  members(): MemberView[] {
    const { simulation, index } = this.#options;
    const now = simulation.running.includes(index) ? members(simulation.ring(index)).map((member) => viewOf(member, index)) : [];
    return [...now, ...this.#before.filter(({ name }) => !now.some((member) => member.name === name))];
  }

  onEvent(listener: (event: RingEvent) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#options.simulation.kill(this.#options.index);
  }

  /** Takes what the ring's protocol of this node emits, as the simulation tells it. */
  onEffect(effect: Effect): void {
    switch (effect.type) {
      case "joinFinished": {
        const { joined, failures } = effect;
        const failed = failures.map(({ endpoint, reason }) => ({ address: [...endpoint.address].join("."), reason }));
        const resolve = this.#joins.shift();
        this.#options.onMainThread(() => resolve?.({ joined, failures: failed }));
        break;
      }
      case "user":
        this.#delegate.receive(effect.payload, effect.isNews);
        break;
      case "member": {
        const { change } = effect;
        const member = viewOf(effect.member, this.#options.index);
        this.#before = this.#before.filter(({ name }) => name !== member.name);
        if (!member.self) this.#metSome();
        this.#emit({ type: "member", change, member });
        this.#delegate.memberChanged(change, member);
        break;
      }
      default: // Packets and timers are the simulation's.
    }
  }

  /** A thread that follows another one joins the members that there were. A member that it does not find has failed meanwhile. */
  async #restart(before: readonly MemberView[]): Promise<void> {
    this.#delegate[Symbol.dispose]();
    this.#delegate = this.#newDelegate();
    this.#delegate.set([...this.#entries.values()]);
    try {
      await this.start();
    } catch {
      const { clock } = this.#options;
      clock.schedule("restart thread", clock.now() + restartMs, () => void this.#restart(before));
      return;
    }
    this.#isMoving = false;
    this.#delegate.flush();
    for (const member of this.members()) if (member.self) this.#emit({ type: "member", change: "joined", member });
    const moves = this.#moves;
    this.#met = Promise.withResolvers();
    await Promise.race([this.join(before.map(({ address }) => address)), this.#met.promise]);
    if (this.#moves !== moves) return; // Another thread follows.
    const lost = this.#before;
    this.#before = [];
    for (const member of lost) this.#emit({ type: "member", change: "failed", member });
  }

  #metSome(): void {
    const { clock } = this.#options;
    if (this.#met !== undefined) clock.schedule("rejoin", clock.now() + metMs, this.#met.resolve);
    this.#met = undefined;
  }

  #newDelegate(): GossipDelegate {
    const { simulation, index, life, clock, onBroadcast, isEarlier } = this.#options;
    return new GossipDelegate({
      node: nameOf(index),
      life,
      clock,
      canBroadcast: () => simulation.running.includes(index),
      broadcast: (topic, payload) => {
        onBroadcast?.(payload.length);
        simulation.broadcast(index, topic, payload);
      },
      onEntries: (entries) => this.#emit({ type: "gossip", entries: isEarlier ? entries.flatMap(earlierEntry) : entries }),
      onExpired: (nodes) => this.#emit({ type: "gossipExpired", nodes }),
    });
  }

  #emit(event: RingEvent): void {
    this.#options.onMainThread(() => {
      for (const listener of this.#listeners) listener(event);
    });
  }
}

const summaryKey = "h";
const traitsKey = "t";
const earlierSummaryOctets = 8; // Without what is announced while the view of the API is not current.
const bitsOctet = 1;
const laterBits = 126; // Of views, of kernels that a speaker may not change, of drained nodes, and of data paths.

/** The same as a version wrote it that knew neither of views, nor of kernels that a speaker may not change, nor of traits. */
function earlierEntry<Entry extends { readonly key: string; readonly value: Uint8Array }>(entry: Entry): Entry[] {
  if (entry.key === traitsKey) return [];
  if (entry.key !== summaryKey) return [entry];
  const value = entry.value.slice(0, earlierSummaryOctets);
  value[bitsOctet] = (value[bitsOctet] ?? 0) & ~laterBits;
  return [{ ...entry, value }];
}

function viewOf({ node, endpoint, status, incarnation, meta }: Member, self: number): MemberView {
  const name = nodeNameText(node);
  return {
    name,
    address: [...endpoint.address].join("."),
    port: endpoint.port,
    status,
    incarnation,
    meta,
    self: name === nameOf(self),
  };
}

function hostOf(address: string): number {
  const [, , high, low] = address.split(".").map(Number);
  return (high ?? 0) * 256 + (low ?? 0);
}
