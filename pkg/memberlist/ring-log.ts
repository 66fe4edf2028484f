import type { Clock, Millis } from "#pkg/clock";
import type { Fields, Log } from "#pkg/log";
import type { MemberlistError, MemberlistProblem } from "./codec/memberlist-error.ts";
import { nodeNameText } from "./codec/messages.ts";
import type { EvidenceView, MemberView } from "./member-view.ts";
import type { Effect, MemberEvent } from "./ring/events.ts";
import { socketAddress } from "./transport.ts";

/** Trouble that one peer can cause time and again. */
type Trouble = Extract<Effect, { readonly type: "conflict" | "exchangeProblem" }>;

// A node that starts again refutes others' records of its former process, also when that process left in an orderly way.
const newFor: Millis = 10_000;

/** The log for a ring's operator: each change of membership, and each cause of trouble once, with a remedy. */
export class RingLog {
  readonly #log: Log;
  readonly #limited: RateLimitedLog;
  readonly #clock: Clock;
  readonly #startedAt: Millis;

  constructor(log: Log, clock: Clock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#log = log.with({ op: "memberlist" });
    this.#limited = new RateLimitedLog(this.#log, clock);
  }

  changed(change: MemberEvent["change"], { name, address, self }: MemberView, evidence?: EvidenceView): void {
    const fields = { member: name, address, ...evidence };
    if (change === "refuted" && self && this.#clock.now() < this.#startedAt + newFor)
      this.#log.info("others knew an earlier process of this member", fields);
    else if (change === "refuted" && self) {
      const advice = "check this node's network for packet loss, and its CPU: it answered too late";
      this.#limited.warn("this member was suspected by others", name, { ...fields, advice });
    } else if (change === "failed") this.#log.warn("member failed", fields);
    else if (change === "joined" || change === "left") this.#log.info(`member ${change}`, fields);
    else this.#log.debug(`member ${change}`, fields);
  }

  /** `because`: the member that keeps the ring from being fast; `self` where it is this one. */
  timingChanged(timing: string, because: string | undefined, self: boolean): void {
    const advice = "check this node's CPU, and the CPU limit of this Pod: the process is not run in time";
    this.#log.info("memberlist timing changed", { timing, because, ...(self && { advice }) });
  }

  trouble(trouble: Trouble): void {
    if (trouble.type === "exchangeProblem") {
      const peer = socketAddress(trouble.with).address;
      this.#limited.warn("memberlist exchange failed", peer, { peer, reason: trouble.reason });
      return;
    }
    const member = nodeNameText(trouble.node);
    const fields = { member, known: socketAddress(trouble.known), claimed: socketAddress(trouble.claimed) };
    const advice = "check for two nodes with one name; the name of a failed member can be used by another address after a minute";
    this.#limited.warn("member name is used twice", member, { ...fields, advice });
  }

  packetsLost(member: string): void {
    const advice = "allow UDP on the ring's port, too, in both directions";
    this.#limited.warn("member answers over TCP or other members alone", member, { member, advice });
  }

  /** A path made this member declare another dead that lives. */
  pathDistrusted(member: string, backOff: Millis): void {
    const fields = { member, seconds: backOff / 1000 };
    this.#log.warn("member lives that BFD took for gone: for a while the ring alone watches it", fields);
  }

  /** Something arrived from `peer` and could not be understood. */
  refused(peer: string, transport: "UDP" | "TCP", error: MemberlistError): void {
    const { reason } = error;
    const fields: Fields = { peer, transport, reason, error, advice: problemAdvice[reason] };
    this.#limited.warn("memberlist message refused", `${peer} ${reason}`, fields);
  }

  notSent(peer: string, error: Error): void {
    this.#limited.warn("memberlist packet was not sent", peer, { peer, error });
  }

  /** More came from hosts that are no members than this one looks at. */
  flooded(): void {
    const advice = "look who sends to memberlist's port: only speakers have to reach it";
    this.#limited.warn("memberlist packets of unknown hosts are dropped", "packets", { advice });
  }

  /** The maximum number of connections was reached. */
  evicted(peer: string): void {
    const advice = "look who connects to memberlist's port: only speakers have to reach it";
    this.#limited.warn("memberlist connections without a request are closed for others", "connections", { peer, advice });
  }

  /** A source that connects too often is refused for a while. */
  refusedConnections(peer: string): void {
    const advice = "look who connects to memberlist's port: only speakers have to reach it";
    this.#limited.warn("memberlist connections of a host are refused for a second", "refused", { peer, advice });
  }

  socketFailed(error: Error): void {
    this.#limited.warn("memberlist socket failed", error.message, { error });
  }
}

const repeatAfter: Millis = 10 * 60_000;
// Addresses can be forged and are many: past this new ones only count in the metrics, until older lines may be repeated.
const maxLines = 256;

/**
 * Logs a message once for each subject, and again every 10 minutes while it goes on: a peer with another key sends several packets a second. At most
 * 256 different subjects in 10 minutes.
 */
export class RateLimitedLog {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #logged = new Map<string, { at: Millis; since: number }>(); // message and subject -> when it was logged, how often it came since

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
  }

  /** @param subject what this is about: the same message about another one is another thing */
  warn(message: string, subject: string, fields: Fields): void {
    const now = this.#clock.now();
    const key = `${message} ${subject}`;
    const logged = this.#logged.get(key);
    if (logged !== undefined && now < logged.at + repeatAfter) {
      logged.since++;
      return;
    }
    if (logged === undefined && !this.#makeRoom(now)) return;
    this.#logged.delete(key); // Inserted again below: the map stays in the order of `at`.
    this.#logged.set(key, { at: now, since: 0 });
    this.#log.warn(message, logged === undefined ? fields : { ...fields, more: logged.since });
  }

  /** Forgets what may be logged again. */
  #makeRoom(now: Millis): boolean {
    for (const [key, { at }] of this.#logged) {
      if (now < at + repeatAfter) break;
      this.#logged.delete(key);
    }
    return this.#logged.size < maxLines;
  }
}

const foreign = "check what runs there: it is no speaker";

/** Remedies for an address that sends messages with such problems. */
export const problemAdvice: Readonly<Record<MemberlistProblem, string>> = {
  label: "look what sends there: no ring of speakers has a label",
  plaintext: "give the sender the memberlist secret that this speaker has",
  wrongKey: "give both speakers the same memberlist secret; MetalLB's read it when they start, ours also follow the Secret",
  unknownVersion: foreign,
  checksum: "check the network between the two nodes: packets are damaged",
  unsupported: foreign,
  tooLarge: foreign,
  malformed: foreign,
};
