import { quotedList } from "#pkg/assignment";
import { backOff, type Clock, type Millis, type Random } from "#pkg/clock";
import { ApiError, type Cluster, type EventRecorder, type Service, serviceReference } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import { isOurs } from "#pkg/service";
import { shorten } from "#pkg/text";
import { type Dated, type Verdict, verdict } from "#pkg/verdict";
import type { GivenUp } from "./given-up.ts";
import type { ControllerMetrics } from "./metrics.ts";
import type { Outcome } from "./work-queue.ts";

export interface StatusWriterOptions {
  readonly cluster: Pick<Cluster, "writeIngress">;
  readonly events: Pick<EventRecorder, "record">;
  readonly metrics: Pick<ControllerMetrics, "updateErrors" | "statusWrite">;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  readonly givenUp: GivenUp;
}

/** A status that others overwrite again and again. */
interface Contest {
  /** How often it was overwritten, and when last. */
  readonly count: number;
  readonly at: Millis;
  /** Since when it is more than a slip of the hand. */
  readonly since: Millis;
  /** Not before then it is written again. */
  readonly until: Millis;
}

/** Why the status was refused last. */
interface Refusal extends Dated<Millis> {
  /** Whether an event has said so. */
  readonly isTold: boolean;
}

/** Writes of a status that failed in a row. */
interface Failures {
  readonly count: number;
  readonly since: Millis;
  /** Whether the last one was not answered at all. */
  readonly isUnanswered: boolean;
}

// A Service whose last write was not answered has more time: it has a place among few then, and keeps nobody else waiting. So have all while
// the API server takes longer for what it does.
const firstAnswerMs: Millis = 5_000;
// From when on its owner is told of failures that may not be the Service's own: so long, or so many in a row while others were written.
const lastingMs: Millis = 60_000;
const lastingFailures = 3;
const minContestMs: Millis = 1_000;
const maxContestMs: Millis = 300_000;
// Until an address is looked at again that another status still has; it is looked at earlier when that status changes.
const givenUpMs: Millis = 5_000;
const contestMemoryMs: Millis = 600_000; // A status that was left alone for so long is contested from the start.

/**
 * Writes the status of Services. Knows which of them are on their way, so that a status that is still seen but already replaced is not
 * taken for one that somebody wrote. One that somebody else overwrites is restored, at once the first time and then ever later, so that two
 * controllers that do not agree cost the API little.
 */
export class StatusWriter {
  readonly #options: StatusWriterOptions;
  readonly #replaced = new Map<string, readonly string[]>(); // service -> the status that is being replaced, until that is seen
  readonly #written = new Map<string, readonly string[]>(); // service -> what was written last, until that is seen
  readonly #overwritten = new Set<string>(); // services whose status somebody else has replaced since
  readonly #contests = new Map<string, Contest>(); // service -> contest
  readonly #refusals = new Map<string, Refusal>(); // service -> refusal
  readonly #failures = new Map<string, Failures>(); // service -> failures
  readonly #awaited = new Map<string, Dated<Millis>>(); // service -> whose status has its address
  #writtenAt: Millis = -Infinity; // Any Service's status.
  #lastWriteMs: Millis = 0; // How long that took.

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** The Service as it is now and was before. @param held the status that it is to have */
  seen(key: string, now: Service | undefined, before: Service | undefined, held: readonly string[]): void {
    if (now === undefined) {
      for (const known of [this.#written, this.#overwritten, this.#contests]) known.delete(key);
      this.#settled(key);
      return;
    }
    const written = this.#written.get(key);
    // A write for the version before has not been carried out, and will not be: what is on record counts again.
    const replaced = this.#replaced.get(key);
    if (replaced !== undefined && isSameList(replaced, now.ingress))
      for (const known of [this.#replaced, this.#written]) known.delete(key);
    else if (written !== undefined && isSameList(written, now.ingress)) this.#written.delete(key);
    else if (before !== undefined && isOurs(now) && hasStatus(before, held) && !hasStatus(now, held)) this.#overwritten.add(key);
  }

  /** Without a status that is being replaced: the addresses in it are given up, and whoever gets them must not lose them again. */
  withoutReplaced(service: Service): Service {
    const replaced = this.#replaced.get(service.key);
    return replaced !== undefined && isSameList(replaced, service.ingress) ? { ...service, ingress: [] } : service;
  }

  /** Whether what the Service is given is on its way into its status, which need not show it yet. */
  isUnderWay(key: string): boolean {
    return this.#written.has(key);
  }

  /** Services whose status was written, or is being written, and was not seen since. */
  get unseen(): readonly string[] {
    return [...this.#written.keys()];
  }

  /** What the Service is given is not to be written any more: its status is what it was. */
  revert(key: string): void {
    this.#replaced.delete(key);
  }

  /** Makes this the Service's status, where it is not that already; `undefined` leaves it alone. */
  put(key: string, service: Service | undefined, status: readonly string[] | undefined): Outcome | Promise<Outcome> {
    const isOverwritten = this.#overwritten.delete(key);
    if (service === undefined || status === undefined || hasStatus(service, status)) {
      this.#settled(key);
      return "done";
    }
    this.#replaced.set(key, service.ingress);
    const { free, isCircle } = this.#await(service, status);
    if (isCircle) return this.#write(service, free);
    if (free.length < status.length) return { at: this.#options.clock.now() + givenUpMs };
    if (isOverwritten) this.#contest(service, status);
    const { until = 0 } = this.#contests.get(key) ?? {};
    return until > this.#options.clock.now() ? { at: until } : this.#write(service, status);
  }

  /** What is wrong with the Service's status, and since when. */
  problemOf(key: string): Dated<Millis> | undefined {
    const refused = this.#refusals.get(key) ?? this.#awaited.get(key);
    const contest = this.#contests.get(key);
    if (refused !== undefined || contest === undefined) return refused;
    const isOver = contest.count === 1 || this.#options.clock.now() - contest.at > contestMemoryMs;
    return isOver ? undefined : { verdict: overwritten(contest.count), since: contest.since };
  }

  /** There is nothing to be written. */
  #settled(key: string): void {
    for (const known of [this.#replaced, this.#awaited, this.#refusals, this.#failures]) known.delete(key);
    this.#options.givenUp.wait(key, []);
  }

  /** @returns those of its addresses that are in no status of a Service that has given them up, and whether that waits for this one */
  #await({ key, ingress }: Service, status: readonly string[]): { free: readonly string[]; isCircle: boolean } {
    const { givenUp, clock } = this.#options;
    let message: string | undefined;
    const others: string[] = [];
    const free = status.filter((address) => {
      const other = ingress.includes(address) ? undefined : givenUp.by(address, key);
      if (other === undefined) return true;
      others.push(other);
      message ??= `${address} is still in the status of ${other}, which has given it up`;
      return false;
    });
    if (message === undefined) this.#awaited.delete(key);
    else if (!this.#awaited.has(key))
      this.#awaited.set(key, { verdict: verdict("service", "addressGivenUp", { message }), since: clock.now() });
    return { free, isCircle: givenUp.wait(key, others) };
  }

  #contest(service: Service, status: readonly string[]): void {
    const { clock, random, log, events } = this.#options;
    const now = clock.now();
    const last = this.#contests.get(service.key);
    const count = last === undefined || now - last.at > contestMemoryMs ? 1 : last.count + 1;
    const wait = count === 1 ? 0 : backOff(count - 2, minContestMs, maxContestMs, random);
    const since = count > 2 && last !== undefined ? last.since : now;
    this.#contests.set(service.key, { count, at: now, since, until: now + wait });
    log.warn("service status was overwritten", {
      op: "updateServiceStatus",
      service: service.key,
      found: service.ingress,
      ips: status,
      retryAfterMs: wait,
    });
    if (count === 1) return; // Once may be a slip of the hand.
    const message =
      `Another controller overwrote the status with ${quotedList(service.ingress.slice(0, 2).map(shorten))}; it is set to ${quotedList(status)} again in ` +
      `${(wait / 1000).toFixed(1)} s. Run one controller only, or give the Service the load balancer class of the other one`;
    events.record(serviceReference(service), "Warning", "StatusOverwritten", message);
  }

  async #write(service: Service, addresses: readonly string[]): Promise<Outcome> {
    const { cluster, events, metrics, clock } = this.#options;
    const { key } = service;
    const log = this.#options.log.with({ op: "updateServiceStatus", service: key, ips: addresses });
    this.#written.set(key, addresses);
    try {
      const begunAt = clock.now();
      const isPatient = this.#failures.get(key)?.isUnanswered || this.#lastWriteMs >= firstAnswerMs;
      const answerWithin = isPatient ? undefined : firstAnswerMs;
      const result = await cluster.writeIngress(service, addresses, { answerWithin });
      const took = clock.now() - begunAt;
      metrics.statusWrite.observe(took / 1000);
      log.debug("service status write ended", { result });
      this.#refusals.delete(key);
      this.#failures.delete(key);
      if (result === "written") {
        this.#writtenAt = clock.now();
        this.#lastWriteMs = took;
        this.#options.givenUp.written(key);
      } else if (this.#written.get(key) === addresses) this.#written.delete(key);
      if (result === "written" && addresses.length > 0)
        events.record(serviceReference(service), "Normal", "IPAllocated", `Assigned IP ${quotedList(addresses)}`);
      // After a conflict the newer object is on its way, and decided on as soon as it is here.
      return result === "conflict" ? "retry" : "done";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#written.get(key) === addresses) this.#written.delete(key);
      metrics.updateErrors.inc();
      log.error("failed to update service status", { error });
      this.#recordFailure(service, error);
      return isUnavailable(error) ? { unavailableUntil: clock.now() + (error.retryAfterMs ?? 0) } : "retry";
    }
  }

  #recordFailure(service: Service, error: ApiError): void {
    const { clock, events } = this.#options;
    const now = clock.now();
    const { count, since } = this.#failures.get(service.key) ?? { count: 0, since: now };
    this.#failures.set(service.key, { count: count + 1, since, isUnanswered: isUnanswered(error) });
    const isLasting = now - since >= lastingMs || (count + 1 >= lastingFailures && this.#writtenAt > since);
    if (isUnavailable(error) && !isLasting) return;
    const refuses = isUnanswered(error) ? "does not answer to the write of" : "refuses";
    const refused = `the API server ${refuses} the status with the assigned addresses: ${textOf(error)}`;
    const before = this.#refusals.get(service.key);
    const isSame = before?.verdict.message === refused;
    const isToTell = isOfService(error) || (isLasting && !isOfController(error));
    this.#refusals.set(service.key, {
      verdict: verdict("service", "statusRefused", { message: refused }),
      since: isSame ? before.since : now,
      isTold: isToTell || (isSame && before.isTold),
    });
    if (isToTell && !(isSame && before.isTold))
      events.record(serviceReference(service), "Warning", "StatusUpdateFailed", `T${refused.slice(1)}`);
  }
}

function overwritten(count: number): Verdict {
  const message = `another controller overwrote the status ${count} times, and it is set again and again`;
  return verdict("service", "statusOverwritten", { message });
}

/** Perhaps nothing can be written, whatever it is. What a webhook answers is about the object, with whichever code. */
function isUnavailable(error: ApiError): boolean {
  const { status } = error;
  return isUnanswered(error) || (!isOfWebhook(error) && (status === 429 || status === 503 || status === 504));
}

function isUnanswered({ reason }: ApiError): boolean {
  return reason === "Unreachable";
}

/** Invalid, or forbidden by an admission policy or a webhook. Faults of the server concern all Services and none, unless they last. */
function isOfService(error: ApiError): boolean {
  const { status } = error;
  return status === 422 || status === 400 || isOfWebhook(error) || (status === 403 && !isOfController(error));
}

/** An admission webhook has denied it; the API server begins its message so, and passes the code on that the webhook chose. */
function isOfWebhook({ message }: ApiError): boolean {
  return /: admission webhook "[^"]*" denied the request/.test(message);
}

/** RBAC forbids it to the controller, which concerns all Services, or this one does not write any more. */
function isOfController({ status, reason, message }: ApiError): boolean {
  return (status === 403 && /cannot (patch|update) resource/.test(message)) || reason === "NotLeader" || reason === "Closed";
}

/** With the cause where nothing was answered: that says for how long. */
function textOf({ message, cause }: ApiError): string {
  return `${message}${cause instanceof Error ? `: ${cause.message}` : ""}`.slice(0, 800);
}

function hasStatus({ ingress, hasHostnames }: Service, status: readonly string[]): boolean {
  return isSameList(ingress, status) && !hasHostnames;
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}
