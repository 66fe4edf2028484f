import { Alarm, type Clock, type Millis } from "#pkg/clock";
import type { GossipState } from "#pkg/gossip";
import { type Cluster, type Informer, named, resources, type Secret } from "#pkg/k8s";
import type { Layer2 } from "#pkg/layer2";
import type { Log } from "#pkg/log";
import { decodeMetadata, type MemberlistThread, metallbKey, metallbKeys } from "#pkg/memberlist";

export interface RingKeysOptions {
  readonly memberlist: Pick<MemberlistThread, "setKeys" | "members">;
  /** The thread that proves this node's announcements by the ring's key. */
  readonly layer2: Pick<Layer2, "setKeys">;
  /** How the other members see what changes in the API. */
  readonly gossip: Pick<GossipState, "view"> | undefined;
  /** The key that this process was started with, as the Secret had it then. */
  readonly first: string;
  readonly cluster: Pick<Cluster, "informer">;
  readonly namespace: string;
  /** Name of the Secret. */
  readonly secret: string;
  readonly log: Log;
  readonly clock: Clock;
}

/** One that is accepted, and not used yet. */
interface NextKey {
  readonly key: string;
  readonly seenAt: Millis;
  /** When it is used, unless members have to be waited for. */
  readonly at: Millis;
  readonly isAwaiting: boolean;
}

/** Under which the Secret has the ring's key, and one that members may use still. */
const keyName = "secretkey";
const oldKeyName = "secretkey-old";
// By then every speaker whose view of the API is fresh accepts the new key.
const useAfterMs: Millis = 10_000;
// A member whose view is not current could read nothing of the others and take them for dead, and so could a speaker of MetalLB, which reads the
// key when it starts. They wait for it for this long, and look this often.
const awaitMs: Millis = 10 * 60_000;
const lookEveryMs: Millis = 1_000;
// A speaker whose view of the API is older than that is cut off until it sees the Secret again.
const acceptReplacedMs: Millis = 60 * 60_000;
// However often the Secret is changed.
const maxReplaced = 4;

/**
 * Follows the Secret with the ring's key, so that it can be replaced while the ring runs: a new key is accepted at once and used after 10 s, or
 * when every member is Ingot's and sees the API again, and the one before is accepted for an hour. When the Secret is deleted, the last key stays. Keys are never logged.
 */
export class RingKeys implements Disposable {
  readonly #options: RingKeysOptions;
  readonly #informer: Informer<Secret>;
  readonly #alarm: Alarm;
  readonly #replaced = new Map<string, Millis>(); // key that was used -> until when it is accepted
  #used: string;
  #next: NextKey | undefined;
  #alsoAccepted = ""; // as the Secret asks for
  #set: string; // what the ring has, as one text

  constructor(options: RingKeysOptions) {
    const { first, cluster, namespace, secret, clock } = options;
    this.#options = options;
    this.#used = first;
    this.#set = proofKeys([first]).join();
    this.#alarm = new Alarm(clock, "ring keys", () => this.#settle());
    this.#informer = cluster.informer(resources.secrets, named(namespace, secret), {
      changed: (_key, now) => this.#changed(now?.data ?? {}),
    });
  }

  start(): void {
    this.#informer.start();
  }

  [Symbol.dispose](): void {
    this.#informer[Symbol.dispose]();
    this.#alarm[Symbol.dispose]();
  }

  #changed(data: Readonly<Record<string, string>>): void {
    const { log, clock, secret } = this.#options;
    const { [keyName]: key = "", [oldKeyName]: old = "" } = data;
    this.#alsoAccepted = old;
    if (key === "")
      log.warn("the Secret of the speakers' ring has no key, the last one stays in use", { op: "memberlist", secret });
    else if (key !== (this.#next?.key ?? this.#used)) {
      const now = clock.now();
      if (this.#next !== undefined) this.#replaced.set(this.#next.key, now + acceptReplacedMs); // Others may use it already.
      this.#next = { key, seenAt: now, at: now + useAfterMs, isAwaiting: false };
      log.info("the speakers' ring accepts a new key", { op: "memberlist", secret });
    }
    this.#settle();
  }

  #settle(): void {
    const { memberlist, layer2, clock } = this.#options;
    const now = clock.now();
    if (this.#next !== undefined && now >= this.#next.at) this.#useOrAwait(this.#next, now);
    for (const [key, until] of this.#replaced) if (until <= now || key === this.#used) this.#replaced.delete(key);
    for (const oldest of [...this.#replaced.keys()].slice(0, -maxReplaced)) this.#replaced.delete(oldest);
    const texts = [this.#used, this.#next?.key ?? "", this.#alsoAccepted, ...this.#replaced.keys()];
    const keys = proofKeys(texts);
    if (keys.join() !== this.#set) {
      this.#set = keys.join();
      memberlist.setKeys(ringKeys(texts));
      layer2.setKeys(keys);
    }
    this.#alarm.set(Math.min(this.#next?.at ?? Infinity, ...this.#replaced.values()));
  }

  #useOrAwait(next: NextKey, now: Millis): void {
    const { memberlist, gossip, log, secret } = this.#options;
    const others = memberlist.members().filter(({ self }) => !self);
    const unaware = others.filter(
      ({ name, meta }) => decodeMetadata(meta) === undefined || (gossip?.view(name) ?? "current") !== "current",
    );
    if (unaware.length > 0 && now < next.seenAt + awaitMs) {
      this.#next = { ...next, at: now + lookEveryMs, isAwaiting: true };
      if (!next.isAwaiting)
        log.warn(
          "the new key of the speakers' ring is not used yet: members that do not see the API, or are MetalLB's and not restarted, may not know it",
          { op: "memberlist", secret, members: unaware.map(({ name }) => name) },
        );
      return;
    }
    this.#replaced.set(this.#used, now + acceptReplacedMs);
    this.#used = next.key;
    this.#next = undefined;
    log.info("the speakers' ring uses the new key", { op: "memberlist", secret });
  }
}

/** Keys that open the ring's messages, the one that seals them first: of each text those of both generations of MetalLB. */
export function ringKeys(texts: readonly string[]): Uint8Array[] {
  return distinct(texts.filter((text) => text !== "").flatMap(metallbKeys));
}

/** Keys that prove announcements on layer 2, which MetalLB does not know: the first 16 octets of each text. Empty texts are no keys. */
export function proofKeys(texts: readonly string[]): Uint8Array[] {
  return distinct(texts.filter((text) => text !== "").map((text) => metallbKey(text)));
}

function distinct(keys: readonly Uint8Array[]): Uint8Array[] {
  return [...new Map(keys.map((key) => [key.join(), key])).values()];
}
