import type { Clock, Millis, Random } from "#pkg/clock";
import { type ByKind, dispatchByKind } from "#pkg/collections";
import { decodeOffer, encodeEntries } from "#pkg/gossip";
import { logTo } from "#pkg/log";
import { Keyring } from "./codec/keyring.ts";
import { MetadataKey } from "./codec/metadata.ts";
import { CounterMemory } from "./counters.ts";
import { GossipDelegate } from "./gossip-delegate.ts";
import { type JoinResult, Memberlist, type MemberlistEvent } from "./memberlist.ts";
import type { Command, Report, WorkerStart } from "./thread-messages.ts";
import type { OpenTransport } from "./transport.ts";

export interface ThreadMemberOptions {
  readonly post: (report: Report) => void;
  readonly clock: Clock;
  readonly random: Random;
  /** The network. */
  readonly openTransport: OpenTransport;
}

/** How old the counters may be that the main thread reads. */
const countersEvery: Millis = 500;
/** Far below what fits for one node. */
const maxEntries = 20_000;

/** A member with its gossip, as the main thread commands it. */
export class ThreadMember implements AsyncDisposable {
  readonly #post: (report: Report) => void;
  readonly #clock: Clock;
  readonly #keyring: Keyring;
  readonly #member: Memberlist;
  readonly #delegate: GossipDelegate;
  readonly #counters: CounterMemory;
  #started = false;
  #countedAt: Millis = -Infinity;

  constructor(start: WorkerStart, { post, clock, random, openTransport }: ThreadMemberOptions) {
    post({ type: "loaded" });
    this.#post = post;
    this.#clock = clock;
    this.#counters = new CounterMemory(start.counters);
    this.#keyring = new Keyring(start.keys);
    this.#member = new Memberlist({
      name: start.name,
      bind: start.bind,
      keyring: this.#keyring,
      firstIncarnation: start.firstIncarnation,
      metadata: start.metadata,
      timing: start.timing,
      userState: () => this.#delegate.state(),
      userDigest: () => this.#delegate.digest(),
      onHandled: () => this.#count(),
      clock,
      random,
      log: logTo((line) => post({ type: "log", level: line.level, message: line.message, fields: line.fields })),
      openTransport,
    });
    this.#delegate = new GossipDelegate({
      node: start.name,
      life: decodeOffer(start.metadata.get(MetadataKey.gossip)) ?? 0,
      clock,
      canBroadcast: () => this.#member.running,
      broadcast: (topic, payload) => this.#member.broadcast(topic, payload),
      onEntries: (entries) => {
        for (let at = 0; at < entries.length; at += maxEntries)
          post({ type: "gossip", payload: new Uint8Array(encodeEntries(entries.slice(at, at + maxEntries))) });
      },
      onExpired: (nodes) => post({ type: "gossipExpired", nodes }),
    });
    this.#delegate.set(start.entries);
    this.#member.onEvent((event) => this.#onEvent(event));
  }

  receive(command: Command): void {
    dispatchByKind(this.#receivers, "type", command);
  }

  readonly #receivers: ByKind<Command, "type", [], void> = {
    start: ({ request }) => void this.#start(request),
    join: ({ request, addresses }) =>
      void this.#join(addresses).then((result) => this.#post({ type: "joined", request, result })),
    leave: ({ request, timeout }) => void this.#leave(timeout).then((done) => this.#post({ type: "left", request, done })),
    roundTrips: ({ request }) => {
      const times = this.#member.running ? this.#member.roundTrips() : new Map();
      this.#post({ type: "roundTrips", request, times });
    },
    metadata: ({ fields }) => this.#member.setMetadata(fields),
    entries: ({ entries }) => this.#delegate.set(entries),
    forget: ({ node }) => this.#delegate.forget(node),
    pull: ({ node }) => {
      if (this.#member.running) this.#member.pull(node);
    },
    keepPaths: ({ areKept }) => this.#member.keepPaths(areKept),
    path: ({ name, verdict }) => this.#member.pathChanged(name, verdict),
    keys: ({ keys }) => this.#keyring.replace(keys),
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#delegate[Symbol.dispose]();
    await this.#member[Symbol.asyncDispose]();
  }

  /** The port may be somebody else's still: that is no reason for the thread to die of a command. */
  async #join(addresses: readonly string[]): Promise<JoinResult> {
    if (this.#member.running) return await this.#member.join(addresses);
    return { joined: 0, failures: addresses.map((address) => ({ address, reason: "this member is not on the network" })) };
  }

  async #leave(timeout: Millis): Promise<boolean> {
    return this.#member.running && (await this.#member.leave(timeout));
  }

  async #start(request: number): Promise<void> {
    const member = this.#member;
    try {
      await member.start();
    } catch (error) {
      this.#post({ type: "notStarted", request, error: error as Error });
      return;
    }
    this.#delegate.flush();
    this.#started = true;
    this.#post({ type: "started", request, local: member.local, members: member.members(), timing: member.timing });
  }

  #onEvent(event: MemberlistEvent): void {
    if (event.type === "user") {
      this.#delegate.receive(event.payload, event.isNews);
      return;
    }
    if (this.#started) this.#post(event); // Before, all of it is in the report `started`.
    if (event.type === "member") this.#delegate.memberChanged(event.change, event.member);
  }

  #count(): void {
    const now = this.#clock.now();
    // Commands may come before it is on the network: that there are paths to keep comes before all others.
    if (!this.#member.running || now < this.#countedAt + countersEvery) return;
    this.#countedAt = now;
    this.#counters.write(this.#member.counters);
  }
}
