import { assignedMessage, quotedList } from "#pkg/assignment";
import type { Millis } from "#pkg/clock";
import { areSameTexts } from "#pkg/collections";
import { PartOf } from "#pkg/core";
import type { Service } from "#pkg/k8s";
import { isOurs, recordedAddresses } from "#pkg/service";
import { shorten } from "#pkg/text";
import { type Dated, sentence, type Verdict, verdict } from "#pkg/verdict";
import { type Contest, contested, contestMemoryMs } from "../contest.ts";
import type { Context } from "../context.ts";
import type { StatusWrite, WriteFailure } from "../events.ts";
import type { Outcome } from "../queue/work-plan.ts";
import type { GivenUp } from "./given-up.ts";
import { isOfController, isOfService, isUnanswered, isUnavailable, textOf } from "./write-failure.ts";

/** A status that others overwrite again and again. */
interface StatusContest extends Contest {
  /** Since when it is more than a slip of the hand. */
  readonly since: Millis;
}

interface WrittenStatus {
  readonly status: readonly string[];
  readonly at: Millis;
  /** The Service's version before it. */
  readonly version: string;
}

/** Why the status was refused last. */
interface RefusedStatus extends Dated<Millis> {
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
const forbiddenMs: Millis = 30_000; // RBAC keeps the controller from all Services: long enough for rights that are applied after it.
const lastingFailures = 3;
const whereUnavailable =
  "see whether the API server is up and has time; if it is, change the policy, the webhook or the rights that the message names; the controller keeps trying to write the status";
// Until an address is looked at again that another status still has; it is looked at earlier when that status changes.
const givenUpMs: Millis = 5_000;
// The API shows within moments what it was given; it does not what an admission webhook made something else of.
const unseenMs: Millis = 60_000;

/**
 * The wanted status of Services, and the results of writing it. It remembers the statuses that are on their way. Until these are seen, the API shows
 * the former ones, which nobody edited. It restores a status that somebody else overwrites, at once the first time
 * and then ever later, so that two controllers that do not agree cost the API little.
 */
export class Statuses extends PartOf<Context> {
  private readonly givenUp: GivenUp;
  private readonly replaced = new Map<string, readonly string[]>(); // service -> the status that is being replaced, until that is seen
  private readonly writing = new Map<string, Service>(); // service -> as it was when the write under way began
  private readonly written = new Map<string, WrittenStatus>(); // service -> what was written last, until that is seen
  private readonly overwritten = new Set<string>(); // services whose status somebody else has replaced since
  private readonly contests = new Map<string, StatusContest>(); // service -> contest
  private readonly refusals = new Map<string, RefusedStatus>(); // service -> refusal
  private readonly failures = new Map<string, Failures>(); // service -> failures
  private readonly awaited = new Map<string, Dated<Millis>>(); // service -> whose status has its address
  private writtenAt: Millis = -Infinity; // Any Service's status.
  private lastWriteMs: Millis = 0; // How long that took.

  constructor(context: Context, givenUp: GivenUp) {
    super(context);
    this.givenUp = givenUp;
  }

  /** There is no such Service any more. */
  forget(key: string): void {
    for (const known of [this.writing, this.written, this.overwritten, this.contests]) known.delete(key);
    this.#settled(key);
  }

  /** The present and the former Service. @param held the status that it is to have */
  changed(now: Service, before: Service, held: readonly string[]): void {
    const { key } = now;
    const written = this.written.get(key);
    // A write for the version before has not been carried out, and will not be: what is on record counts again.
    const replaced = this.replaced.get(key);
    if (replaced !== undefined && areSameTexts(replaced, now.ingress))
      for (const known of [this.replaced, this.written]) known.delete(key);
    else if (written !== undefined && areSameTexts(written.status, now.ingress)) this.written.delete(key);
    else if (isOurs(now) && hasStatus(before, held) && !hasStatus(now, held)) this.overwritten.add(key);
  }

  /** Without a status that is being replaced: the addresses in it are given up, and whoever gets them must not lose them again. */
  withoutReplaced<S extends Service | undefined>(service: S): S {
    const replaced = service && this.replaced.get(service.key);
    return service !== undefined && replaced !== undefined && areSameTexts(replaced, service.ingress)
      ? { ...service, ingress: [] }
      : service;
  }

  /** Whether what the Service is given is on its way into its status, which need not show it yet. */
  isUnderWay(key: string): boolean {
    return this.written.has(key);
  }

  /**
   * The addresses that may be in the Service's status now: those that were seen there, and until an answer comes those that are being written. Only
   * the version is replaced that a write names, so that another one is later.
   */
  mayHave(key: string, service: Service | undefined): readonly string[] {
    const seen = service === undefined ? [] : recordedAddresses(service).map(String);
    const written = this.written.get(key);
    if (written === undefined || written.version !== service?.resourceVersion) return seen;
    return this.writing.has(key) ? [...new Set([...seen, ...written.status])] : written.status;
  }

  /** Services whose status was written, or is being written, and was not seen since. */
  get unseen(): readonly string[] {
    return [...this.written.keys()];
  }

  /** The Service's new addresses are not to be written any more: its status is the former one. */
  revert(key: string): void {
    this.replaced.delete(key);
  }

  /** This is to be the Service's status. */
  replace(service: Service | undefined, status: readonly string[] | undefined): void {
    if (service !== undefined && status !== undefined && !hasStatus(service, status))
      this.replaced.set(service.key, service.ingress);
  }

  /** Makes this the Service's status, where it is not that already; `undefined` leaves it alone. @returns undefined while it is being written */
  put(key: string, service: Service | undefined, status: readonly string[] | undefined): Outcome | undefined {
    const isUnseen = this.context.now - (this.written.get(key)?.at ?? Infinity) >= unseenMs;
    if (isUnseen) this.written.delete(key);
    const isOverwritten = this.overwritten.delete(key) || isUnseen;
    if (service === undefined || status === undefined || hasStatus(service, status)) {
      // Others wrote after that, and nobody saw what was there in between.
      if (this.written.get(key)?.version !== service?.resourceVersion) this.written.delete(key);
      this.#settled(key);
      return "done";
    }
    const { free, isCircle } = this.#await(service, status);
    if (isCircle) return this.#write(service, free);
    if (free.length < status.length) return { at: this.context.now + givenUpMs };
    if (isOverwritten) this.#contest(service, status);
    const { until = 0 } = this.contests.get(key) ?? {};
    return until > this.context.now ? { at: until } : this.#write(service, status);
  }

  /** Somebody has overwritten the Service's status again since it was put right. Once may be a slip of the hand. */
  isContested({ key }: Service): boolean {
    const last = this.contests.get(key);
    return this.overwritten.has(key) && last !== undefined && this.context.now - last.at <= contestMemoryMs;
  }

  /** The problem of the Service's status, and since when. */
  problemOf(key: string, now: Millis): Dated<Millis> | undefined {
    const refused = this.refusals.get(key) ?? this.awaited.get(key);
    const contest = this.contests.get(key);
    if (refused !== undefined || contest === undefined) return refused;
    const isOver = contest.count === 1 || now - contest.at > contestMemoryMs;
    return isOver ? undefined : { verdict: overwritten(contest.count), since: contest.since };
  }

  /** There is nothing to be written. */
  #settled(key: string): void {
    for (const known of [this.replaced, this.awaited, this.refusals, this.failures]) known.delete(key);
    this.givenUp.wait(key, []);
  }

  /** @returns `free`: addresses that no other status has any more; `isCircle`: whether the other Service waits for this one */
  #await({ key, ingress }: Service, status: readonly string[]): { free: readonly string[]; isCircle: boolean } {
    let message: string | undefined;
    const others: string[] = [];
    const free = status.filter((address) => {
      const other = ingress.includes(address) ? undefined : this.givenUp.by(address, key);
      if (other === undefined) return true;
      others.push(other);
      message ??= `${address} is still in the status of ${other}, which has given it up`;
      return false;
    });
    if (message === undefined) this.awaited.delete(key);
    else if (!this.awaited.has(key))
      this.awaited.set(key, { verdict: verdict("service", "addressGivenUp", { message }), since: this.context.now });
    return { free, isCircle: this.givenUp.wait(key, others) };
  }

  #contest(service: Service, status: readonly string[]): void {
    const { now } = this.context;
    const last = this.contests.get(service.key);
    const contest = contested(last, this.context);
    const { count, until } = contest;
    const wait = until - now;
    this.contests.set(service.key, { ...contest, since: count > 2 && last !== undefined ? last.since : now });
    this.context.log("warn", "service status was overwritten", {
      op: "updateServiceStatus",
      service: service.key,
      found: service.ingress,
      ips: status,
      retryAfterMs: wait,
    });
    if (count === 1) return; // Once may be a slip of the hand.
    const message =
      `Another controller or an admission webhook overwrote the status with ${quotedList(service.ingress.slice(0, 2).map((address) => shorten(address)))}; it is set to ${quotedList(status)} again in ` +
      `${(wait / 1000).toFixed(1)} s. Run one controller only, or give the Service the load balancer class of the other one; have no webhook change statuses`;
    this.context.record(service, "Warning", "StatusOverwritten", message);
  }

  #write(service: Service, addresses: readonly string[]): undefined {
    this.writing.set(service.key, service);
    this.written.set(service.key, { status: addresses, at: this.context.now, version: service.resourceVersion });
    const isPatient = this.failures.get(service.key)?.isUnanswered || this.lastWriteMs >= firstAnswerMs;
    this.context.do({ type: "writeStatus", service, addresses, answerWithin: isPatient ? undefined : firstAnswerMs });
  }

  ended(key: string, addresses: readonly string[], write: StatusWrite): Outcome {
    const service = this.writing.get(key); // Undefined once that Service is gone.
    this.writing.delete(key);
    const written = this.written.get(key);
    if (write.result !== "written" && written !== undefined && areSameTexts(written.status, addresses)) this.written.delete(key);
    if (write.result === "failed") {
      const { failure } = write;
      if (service !== undefined) this.#recordFailure(service, failure);
      return isUnavailable(failure) ? { unavailableUntil: this.context.now + (failure.retryAfterMs ?? 0) } : "retry";
    }
    if (service === undefined) return "done";
    this.refusals.delete(key);
    this.failures.delete(key);
    if (write.result === "written") {
      this.writtenAt = this.context.now;
      this.lastWriteMs = write.tookMs;
      if (addresses.length > 0) this.context.record(service, "Normal", "IPAllocated", assignedMessage(addresses));
    }
    // After a conflict the newer object is on its way, and decided on as soon as it is here.
    if (write.result === "conflict") return "retry";
    return this.written.has(key) ? { at: this.context.now + unseenMs } : "done";
  }

  #recordFailure(service: Service, error: WriteFailure): void {
    const { now } = this.context;
    const { count, since } = this.failures.get(service.key) ?? { count: 0, since: now };
    this.failures.set(service.key, { count: count + 1, since, isUnanswered: isUnanswered(error) });
    const isLasting = now - since >= lastingMs || (count + 1 >= lastingFailures && this.writtenAt > since);
    const refuses = isUnanswered(error) ? "does not answer to the write of" : "refuses";
    const refused = `the API server ${refuses} the status with the assigned addresses: ${textOf(error)}`;
    const before = this.refusals.get(service.key);
    const isSame = before?.verdict.message === refused;
    const isForbiddenForLong = error.status === 403 && isOfController(error) && now - since >= forbiddenMs;
    const isToTell = isOfService(error) || (isLasting && !isOfController(error)) || isForbiddenForLong;
    const found = verdict("service", "statusRefused", {
      message: refused,
      ...(isUnavailable(error) && { next: whereUnavailable }),
    });
    this.refusals.set(service.key, {
      verdict: found,
      since: isSame ? before.since : now,
      isTold: isToTell || (isSame && before.isTold),
    });
    if (isToTell && !(isSame && before.isTold))
      this.context.record(service, "Warning", "StatusUpdateFailed", `T${sentence(found).slice(1)}`);
  }
}

function overwritten(count: number): Verdict {
  const message = `another controller or an admission webhook overwrote the status ${count} times, and it is set again and again`;
  return verdict("service", "statusOverwritten", { message });
}

function hasStatus({ ingress, hasHostnames }: Service, status: readonly string[]): boolean {
  return areSameTexts(ingress, status) && !hasHostnames;
}
