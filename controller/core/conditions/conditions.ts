import { backOff, type Millis } from "#pkg/clock";
import { Deadlines, PartOf } from "#pkg/core";
import type { Condition, ConditionsWrite, Service } from "#pkg/k8s";
import { isOurs } from "#pkg/service";
import { fnv1a } from "#pkg/text";
import type { Context } from "../context.ts";
import type { WriteFailure } from "../events.ts";
import { isOfController, isOfService, isUnavailable, type Refusals, refusedAgain, textOf } from "../statuses/write-failure.ts";
import { assignedType, notAssigned, ownTypes } from "./desired.ts";

// Changes of a Service within this time are one write.
const gatherMs: Millis = 1_000;
const ofServiceMs: Millis = 10_000;
// 50 a second for all Services together.
const betweenWritesMs: Millis = 20;
const writesAtOnce = 4;
const minRetryMs: Millis = 10_000;
const maxRetryMs: Millis = 600_000;
// Conditions are true again soon after the API server is back.
const maxOutageMs: Millis = 60_000;

/** The last write of a Service's conditions. */
interface Written {
  /** Hash of what was written. */
  readonly what: number;
  /** The Service's version before it; empty where a Service of that version may lack it for another reason. */
  version: string;
  readonly at: Millis;
  /** It was seen in place. */
  isSeen: boolean;
  /** How often the same was written before because somebody undid it. */
  readonly repeats: number;
}

/**
 * When the conditions and annotations of Services are written: after they changed, each Service's at most once in 10 s, and never because time passed.
 * Conditions that were never seen in place are not written twice while the Service stays as it was: the API server drops them. Conditions that
 * somebody undoes, as a restore from a backup does, are written again, each time later.
 */
export class Conditions extends PartOf<Context> {
  private readonly isOn: boolean;
  private readonly hasAnnotations: boolean;
  private readonly deadlines = new Deadlines(); // by Service: when its conditions are looked at
  private readonly written = new Map<string, Written>(); // service -> its last write
  private readonly writing = new Set<string>();
  private notBefore: Millis = -Infinity;
  private failures = 0; // in a row
  private readonly unwritten = new Set<string>(); // Services whose conditions were refused since any were written
  /** Why the last write was refused; undefined when it was not, or when no Service waits for one any more. */
  refused: string | undefined;
  refusals: Refusals | undefined;

  constructor(context: Context, hasConditions: boolean, hasAnnotations: boolean) {
    super(context);
    this.isOn = hasConditions;
    this.hasAnnotations = hasAnnotations;
  }

  get nextDeadline(): Millis {
    return this.writing.size < writesAtOnce ? Math.max(this.deadlines.next, this.notBefore) : Infinity;
  }

  /** The conditions of the Service may be others. */
  touch(key: string): void {
    if (!this.deadlines.has(key)) this.deadlines.set(key, this.context.now + gatherMs);
  }

  /** All Services were listed again. After a restore of the API one may be in the version of before a write again, and without what was written. */
  relisted(): void {
    for (const [key, last] of this.written)
      if (!last.isSeen) {
        last.version = "";
        this.touch(key);
      }
  }

  forget(key: string): void {
    this.deadlines.set(key, Infinity);
    this.written.delete(key);
    this.unwritten.delete(key);
  }

  /** @returns a Service to look at now */
  take(): string | undefined {
    const isAnyLeft = this.unwritten.size + this.writing.size > 0 || this.deadlines.next < Infinity;
    if (this.refused !== undefined && !isAnyLeft) this.#endRefusal();
    return this.nextDeadline <= this.context.now ? this.deadlines.takeDue(this.context.now) : undefined;
  }

  /** Has the conditions and annotations written that are not as they should be. */
  put(service: Service, desired: readonly Omit<Condition, "since">[], changedAnnotations: ConditionsWrite["annotations"]): void {
    const { key, conditions } = service;
    if (this.writing.has(key)) return;
    const last = this.written.get(key);
    const changed = this.isOn ? desired.flatMap((one) => changedFrom(conditions, one)) : [];
    const isOff = !this.isOn || !isOurs(service);
    const isOver = ({ type, reason }: Condition) =>
      isOff || (reason === notAssigned && service.ingress.length > 0 && !desired.some((one) => one.type === type));
    const gone = conditions.flatMap((one) => (ownTypes.includes(one.type) && isOver(one) ? [one.type] : []));
    const annotations = this.hasAnnotations ? changedAnnotations : {};
    if (changed.length + gone.length + Object.keys(annotations).length === 0) {
      if (last !== undefined) last.isSeen = true;
      return;
    }
    const { now } = this.context;
    const what = fnv1a(JSON.stringify([changed.map((one) => ({ ...one, since: "" })), gone, annotations]));
    const isSame = last?.what === what;
    if (isSame && !last.isSeen && last.version === service.resourceVersion) return;
    const mayAt = last === undefined ? now : last.at + Math.min(ofServiceMs * 2 ** last.repeats, maxRetryMs);
    if (now < mayAt) {
      this.deadlines.set(key, mayAt);
      return;
    }
    this.written.set(key, {
      what,
      version: service.resourceVersion,
      at: now,
      isSeen: false,
      repeats: isSame ? last.repeats + 1 : 0,
    });
    this.writing.add(key);
    this.notBefore = now + betweenWritesMs;
    this.context.do({ type: "writeConditions", service, conditions: changed, gone, annotations });
  }

  ended(key: string, failure: WriteFailure | undefined): void {
    this.writing.delete(key);
    if (failure === undefined) {
      if (this.refused !== undefined) this.context.log("info", "conditions of Services are written again", { service: key });
      this.#endRefusal();
    } else if (failure.status !== 404 && failure.status !== 409) this.#failed(key, failure);
    else this.written.delete(key); // The Service was another one meanwhile.
    this.touch(key);
  }

  /** A refusal of this Service alone ends with its next change. Where the fault is of the server, it is tried again; where it concerns all, all wait. */
  #failed(key: string, failure: WriteFailure): void {
    const { now, random } = this.context;
    const last = this.written.get(key);
    if (last !== undefined && !isOfService(failure)) last.version = "";
    if (isUnavailable(failure) || isOfController(failure)) {
      this.written.delete(key);
      this.notBefore = now + backOff(this.failures++, minRetryMs, isUnavailable(failure) ? maxOutageMs : maxRetryMs, random);
    }
    if (this.refused === undefined) {
      const fields = { op: "writeConditions", service: key, error: textOf(failure) };
      this.context.log("warn", "conditions of a Service are not written", fields);
    }
    this.unwritten.add(key);
    this.refused = textOf(failure);
    this.refusals = refusedAgain(this.refusals, failure, now);
  }

  #endRefusal(): void {
    this.unwritten.clear();
    this.refused = undefined;
    this.refusals = undefined;
    this.failures = 0;
  }
}

/** The condition as it is to be written; nothing where it is there. */
function changedFrom(there: readonly Condition[], desired: Omit<Condition, "since">): Condition[] {
  const found = there.find(({ type }) => type === desired.type);
  if (found === undefined) return [{ ...desired, since: "" }];
  const isSameStatus = found.status === desired.status;
  // How many addresses others have is another number whenever a Service that waits is looked at again.
  const isWaiting = desired.type === assignedType && desired.status === "False";
  const isSameMessage = found.message === desired.message || (isWaiting && uncounted(found) === uncounted(desired));
  if (isSameStatus && found.reason === desired.reason && isSameMessage) return [];
  return [{ ...desired, since: isSameStatus ? found.since : "" }];
}

/** The message without its numbers. Numbers that are part of an address or a name stay. */
function uncounted({ message }: Pick<Condition, "message">): string {
  return message.replaceAll(/(?<![^\s(])\d[\d,]*(?![^\s),;])/g, "…");
}
