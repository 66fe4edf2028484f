import { Alarm, type Clock, type Millis } from "#pkg/clock";
import type { Fault } from "#pkg/gossip";
import { type EventRecorder, nodeReference } from "#pkg/k8s";
import { findingVerdict, identity, type NodeChecks, sufferers } from "#pkg/node-checks";
import { type CauseOf, isProblem, remedyFor, sentence } from "#pkg/verdict";
import type { BgpSpeaker } from "./bgp/bgp-speaker.ts";
import type { SpeakerEvent } from "./core/index.ts";
import type { ObjectVerdicts } from "./object-verdicts.ts";

export interface FaultsOptions {
  readonly node: string;
  readonly bgp: { readonly peers: readonly Pick<BgpSpeaker["peers"][number], "key" | "verdict">[] };
  readonly checks: Pick<NodeChecks, "findings">;
  readonly objects: Pick<ObjectVerdicts, "node">;
  readonly events: Pick<EventRecorder, "record">;
  readonly emit: (event: SpeakerEvent) => void;
  readonly clock: Clock;
}

interface Known {
  fault: Fault;
  readonly since: Millis;
  /** When it had this cause. */
  seen: Millis;
  isTold: boolean;
}

const lookEveryMs: Millis = 2_000;
const maxFaults = 8; // Others get no more of them.
// Services are told of a fault after 30 s without an announcement: by then it is known, also where an attempt to connect takes 10 s.
const lastingMs: Millis = 10_000;
// Of causes that alternate more often the one that was told stands.
const alternatingMs: Millis = 30_000;
const ofNodeMs: Millis = 30_000;

/** Somebody wants these, or Events about them are recorded elsewhere. */
const untold: ReadonlySet<string> = new Set<CauseOf<"node">>([
  "draining",
  "drained",
  "excluded",
  "outOfService",
  "apiViewOld",
  "apiUnreachable",
]);

/**
 * Tells of faults that last: the core of faults that Services suffer from, of this node's settings and BGP sessions; and the owner of the cluster,
 * by an Event on the Node when one begins and when it ends.
 */
export class Faults implements Disposable {
  readonly #options: FaultsOptions;
  readonly #alarm: Alarm;
  readonly #known = new Map<string, Known>(); // what a fault is about -> the fault
  readonly #recorded = new Set<string>(); // causes with an Event
  #told = "[]";

  constructor(options: FaultsOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "faults", () => this.#look());
  }

  start(): void {
    this.#look();
  }

  /** Nobody else ends the Events: the next process of this node does not know of them. */
  [Symbol.dispose](): void {
    this.#alarm[Symbol.dispose]();
    if (this.#recorded.size === 0) return;
    const causes = [...this.#recorded].join(", ");
    const message = `the speaker stops, and records what is still the case when it runs again: ${causes}`;
    this.#options.events.record(nodeReference(this.#options.node), "Normal", "nodeFaultEnded", message);
  }

  #look(): void {
    const { clock, emit } = this.#options;
    const now = clock.now();
    const found = new Map(this.#found());
    for (const key of this.#known.keys()) if (!found.has(key)) this.#known.delete(key);
    for (const [key, fault] of found) this.#note(key, fault, now);
    const lasting = [...this.#known.values()].filter((one) => one.isTold || now - one.since >= lastingMs);
    for (const one of lasting) one.isTold = true;
    const faults = lasting.slice(0, maxFaults).map(({ fault }) => fault);
    const told = JSON.stringify(faults);
    if (told !== this.#told) emit({ type: "faults", faults });
    this.#told = told;
    this.#record(now);
    this.#alarm.set(now + lookEveryMs);
  }

  #note(key: string, fault: Fault, now: Millis): void {
    const known = this.#known.get(key);
    if (known === undefined) this.#known.set(key, { fault, since: now, seen: now, isTold: false });
    else if (!known.isTold || now - known.seen >= alternatingMs) {
      known.fault = fault;
      known.seen = now;
    } else if (known.fault.cause === fault.cause) {
      known.seen = now;
      // The words that were told stay: others may only have other numbers in them.
      if (known.fault.about !== fault.about) known.fault = fault;
    }
  }

  *#found(): Iterable<[key: string, Fault]> {
    const { bgp, checks, node } = this.#options;
    for (const { key, verdict: found } of bgp.peers) {
      const verdict = { ...found.verdict, next: remedyFor(found.verdict, "node", node) };
      if (!isProblem(verdict) || verdict.cause === "connecting" || verdict.cause === "leaving") continue;
      // `path`: the session is up.
      const about = `${verdict.state === "Degraded" ? "path" : "peer"} ${key}`;
      yield [about, { cause: verdict.cause, about, text: sentence(verdict) }];
    }
    for (const finding of checks.findings) {
      const about = sufferers(finding);
      const verdict = findingVerdict(finding);
      if (about !== "") yield [identity(finding), { cause: verdict.cause, about, text: sentence(verdict) }];
    }
  }

  /** One Event for each cause, however many faults of the Node have it. */
  #record(now: Millis): void {
    const { node, objects, events } = this.#options;
    const found = objects.node().filter(({ verdict }) => isProblem(verdict) && !untold.has(verdict.cause));
    for (const { verdict, since } of found) {
      if (now - since < ofNodeMs || this.#recorded.has(verdict.cause)) continue;
      this.#recorded.add(verdict.cause);
      const message = sentence({ ...verdict, next: remedyFor(verdict, "node", node) });
      events.record(nodeReference(node), "Warning", "nodeFault", message);
    }
    for (const cause of this.#recorded) {
      if (found.some(({ verdict }) => verdict.cause === cause)) continue;
      this.#recorded.delete(cause);
      events.record(nodeReference(node), "Normal", "nodeFaultEnded", `no fault of this kind any more: ${cause}`);
    }
  }
}
