import { Alarm, type Clock } from "#pkg/clock";
import { decodeOffer, type GossipEntry, GossipStore, type OwnEntry } from "#pkg/gossip";
import { decodeMetadata, MetadataKey } from "./codec/metadata.ts";
import type { MemberView } from "./member-view.ts";
import type { MemberEvent } from "./ring/events.ts";

export interface GossipDelegateOptions {
  /** This member's name. */
  readonly node: string;
  /** See `GossipStore`. */
  readonly life: number;
  readonly clock: Clock;
  /** Whether `broadcast` may be called; else what is to be broadcast waits for `flush`. */
  readonly canBroadcast: () => boolean;
  /** Broadcasts a user message in place of one on the same topic. */
  readonly broadcast: (topic: string, payload: Uint8Array) => void;
  /** Called with entries of other nodes that changed. */
  readonly onEntries: (entries: readonly GossipEntry[]) => void;
  /** Called with nodes whose entries are forgotten, because they failed long ago. */
  readonly onExpired: (nodes: readonly string[]) => void;
}

/**
 * The gossip of a member, which members exchange beside the ring's own messages. Like HashiCorp's delegates it provides the user state of
 * a push/pull, and merges the state of others. It depends on no other part for its answers, so that it can live in the ring's thread.
 */
export class GossipDelegate implements Disposable {
  readonly #options: GossipDelegateOptions;
  readonly #store: GossipStore;
  readonly #expiry: Alarm;

  constructor(options: GossipDelegateOptions) {
    this.#options = options;
    this.#store = new GossipStore(options.node, options.life);
    this.#expiry = new Alarm(options.clock, "forget gossip", () => this.#expire());
  }

  [Symbol.dispose](): void {
    this.#expiry[Symbol.dispose]();
  }

  set(entries: Iterable<OwnEntry>): void {
    for (const { key, value, repeated } of entries) this.#store.set(key, value, { repeated });
    this.flush();
  }

  /** A user message, or the user state of a push/pull. @param isNews false: other members have it, and it is not passed on */
  receive(payload: Uint8Array, isNews = true): void {
    this.#merged(this.#store.merge(payload, this.#options.clock.now(), isNews));
    this.#setExpiry();
  }

  /** To be called after the owner has seen the change itself: entries that count from now on follow it. */
  memberChanged(change: MemberEvent["change"], { name, self, meta }: Pick<MemberView, "name" | "self" | "meta">): void {
    if (self) return;
    const life = lifeOf(meta);
    if (change === "failed") this.#store.failed(name, this.#options.clock.now());
    else if (change === "left") this.#store.left(name);
    else if ((change === "joined" || change === "updated") && life !== undefined) this.#merged(this.#store.joined(name, life));
    this.#setExpiry();
  }

  /** The node is gone for good, unless it is a member. */
  forget(node: string): void {
    this.#store.forget(node);
  }

  /** The user state of a push/pull: all entries of members. */
  state(): Uint8Array {
    return this.#store.state();
  }

  /** Digest of the members' entries. */
  digest(): number {
    return this.#store.digest();
  }

  flush(): void {
    if (!this.#options.canBroadcast()) return;
    for (const { topic, payload } of this.#store.takeUpdates()) this.#options.broadcast(topic, payload);
  }

  #merged(entries: readonly GossipEntry[]): void {
    this.flush(); // Own entries, and new entries of others, go on to the next member.
    if (entries.length > 0) this.#options.onEntries(entries);
  }

  #setExpiry(): void {
    this.#expiry.setNoLater(this.#store.nextDeadline); // One that is set finds out when the next is due.
  }

  #expire(): void {
    const nodes = this.#store.expire(this.#options.clock.now());
    if (nodes.length > 0) this.#options.onExpired(nodes);
    this.#setExpiry();
  }
}

/** The life of a member that understands our gossip; undefined for members of another kind. */
function lifeOf(meta: string | undefined): number | undefined {
  return decodeOffer(decodeMetadata(meta)?.get(MetadataKey.gossip));
}
