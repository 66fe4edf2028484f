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
  readonly #refusals = new Map<string, Dated<Millis>>(); // service -> why its status was refused last
  readonly #awaited = new Map<string, Dated<Millis>>(); // service -> whose status has its address

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** The Service as it is now and was before. @param held the status that it is to have */
  seen(key: string, now: Service | undefined, before: Service | undefined, held: readonly string[]): void {
    if (now === undefined) {
      for (const known of [this.#replaced, this.#written, this.#overwritten, this.#contests, this.#refusals, this.#awaited])
        known.delete(key);
      this.#options.givenUp.wait(key, []);
      return;
    }
    const written = this.#written.get(key);
    if (written !== undefined && isSameList(written, now.ingress)) this.#written.delete(key);
    else if (before !== undefined && isOurs(now) && hasStatus(before, held) && !hasStatus(now, held)) this.#overwritten.add(key);
  }

  /** Without a status that is being replaced: the addresses in it are given up, and whoever gets them must not lose them again. */
  withoutReplaced(service: Service): Service {
    const replaced = this.#replaced.get(service.key);
    return replaced !== undefined && isSameList(replaced, service.ingress) ? { ...service, ingress: [] } : service;
  }

  /** Makes this the Service's status, where it is not that already; `undefined` leaves it alone. */
  put(key: string, service: Service | undefined, status: readonly string[] | undefined): Outcome | Promise<Outcome> {
    const isOverwritten = this.#overwritten.delete(key);
    if (service === undefined || status === undefined || hasStatus(service, status)) {
      for (const known of [this.#replaced, this.#awaited, this.#refusals]) known.delete(key);
      this.#options.givenUp.wait(key, []);
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
      const result = await cluster.writeIngress(service, addresses);
      metrics.statusWrite.observe((clock.now() - begunAt) / 1000);
      log.debug("service status write ended", { result });
      this.#refusals.delete(key);
      if (result === "written") this.#options.givenUp.written(key);
      else if (this.#written.get(key) === addresses) this.#written.delete(key);
      if (result === "written" && addresses.length > 0)
        events.record(serviceReference(service), "Normal", "IPAllocated", `Assigned IP ${quotedList(addresses)}`);
      // After a conflict the newer object is on its way, and decided on as soon as it is here.
      return result === "conflict" ? "retry" : "done";
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#written.get(key) === addresses) this.#written.delete(key);
      metrics.updateErrors.inc();
      log.error("failed to update service status", { error });
      if (isUnavailable(error)) return "unavailable";
      this.#recordRefusal(service, error);
      return "retry";
    }
  }

  #recordRefusal(service: Service, error: ApiError): void {
    const { clock, events } = this.#options;
    const refused = `the API server refuses the status with the assigned addresses: ${error.message.slice(0, 800)}`;
    if (this.#refusals.get(service.key)?.verdict.message === refused) return;
    this.#refusals.set(service.key, { verdict: verdict("service", "statusRefused", { message: refused }), since: clock.now() });
    if (isOfService(error)) events.record(serviceReference(service), "Warning", "StatusUpdateFailed", `T${refused.slice(1)}`);
  }
}

function overwritten(count: number): Verdict {
  const message = `another controller overwrote the status ${count} times, and it is set again and again`;
  return verdict("service", "statusOverwritten", { message });
}

/** Nothing can be written, whatever it is. */
function isUnavailable({ status, reason }: ApiError): boolean {
  return reason === "Unreachable" || status === 429 || status === 503 || status === 504;
}

/** Invalid, or forbidden by an admission policy. What RBAC forbids concerns all Services and none, as faults of the server do. */
function isOfService({ status, message }: ApiError): boolean {
  return status === 422 || status === 400 || (status === 403 && !/cannot (patch|update) resource/.test(message));
}

function hasStatus({ ingress, hasHostnames }: Service, status: readonly string[]): boolean {
  return isSameList(ingress, status) && !hasHostnames;
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}
