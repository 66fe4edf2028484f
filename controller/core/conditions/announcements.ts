import { type AnnouncedLine, subjectOf } from "#pkg/announced";
import type { Millis } from "#pkg/clock";
import { Deadlines, PartOf } from "#pkg/core";
import type { Condition, Service } from "#pkg/k8s";
import { isAnnotation, isOurs } from "#pkg/service";
import { causes, sentence, type Verdict } from "#pkg/verdict";
import type { Context } from "../context.ts";
import type { SourceEvent } from "../events.ts";
import { classWords } from "../verdicts/service-verdicts.ts";
import { announcedType, isAnnounced, notAssigned, reasonOf, silence } from "./desired.ts";

// A common fault is not told of in thousands of Events; the metrics have them all.
const maxAtOnce = 500;
const oneEachMs: Millis = 2_000;
const otherClassMs: Millis = 30_000;
// Facts about several nodes change one after the other.
const steadyMs: Millis = 10_000;
// Two signs of life of a speaker may get lost.
const silentMs: Millis = 5 * 60_000;
// Lines may come before their Services do. A writer of the ConfigMaps could make many more up.
const maxUnknown = 10_000;

/**
 * The speakers' lines about Services, and the Events about them: one when nobody announces a Service, one when it is well again. A line that is
 * gone says nothing. The condition of a Service tells the next controller that there was an Event; without conditions it takes all for told.
 */
export class Announcements extends PartOf<Context> {
  private readonly hasConditions: boolean;
  private readonly lines = new Map<string, AnnouncedLine>(); // service -> its last line
  private readonly told = new Map<string, Told>(); // service -> what the last Event said
  private readonly otherWords = new Deadlines(); // by Service with other words for what was told: when these are told
  private readonly strays = new Deadlines(); // by Service of another class with annotations of ours: when that is told
  private readonly toldStrays = new Set<string>();
  private isWorking = false;
  /** No speaker says any more who announces what; its last lines do not hold. */
  isSilent = false;
  private alive: string | undefined; // the last sign of life
  private heardAt: Millis = Infinity;
  private left = maxAtOnce;
  private leftAt: Millis = -Infinity;

  constructor(context: Context, hasConditions: boolean) {
    super(context);
    this.hasConditions = hasConditions;
  }

  get nextDeadline(): Millis {
    return Math.min(
      this.strays.next,
      this.otherWords.next,
      this.isWorking && !this.isSilent ? this.heardAt + silentMs : Infinity,
    );
  }

  of(service: Service): AnnouncedLine | undefined {
    const line = this.lines.get(service.key);
    return line !== undefined && line.subject === subjectOf(service) && !this.isSilent ? line : undefined;
  }

  /** State and cause by the speakers; undefined where they say nothing of the Service that this version understands. */
  stateOf(service: Service): ReturnType<typeof stateOf> {
    const line = this.of(service);
    if (line !== undefined) return stateOf(line);
    return this.isSilent && isOurs(service) && service.ingress.length > 0 ? silence : undefined;
  }

  /** @returns the Services with another line than before */
  seen(
    { lines, alive = this.alive }: Pick<SourceEvent & { type: "announced" }, "lines" | "alive">,
    services: ReadonlyMap<string, Service>,
  ): readonly string[] {
    const isBack = this.isSilent && this.alive !== undefined && alive !== this.alive;
    if (alive !== this.alive) this.heardAt = this.context.now;
    this.alive = alive;
    if (isBack) this.isSilent = false;
    const changed: string[] = isBack ? [...services.keys()] : [];
    for (const [key, line] of lines) {
      const before = this.lines.get(key);
      if (before?.cause === line.cause && before.message === line.message && before.subject === line.subject) continue;
      this.lines.set(key, line);
      changed.push(key);
      this.#tell(services.get(key));
    }
    if (isBack) for (const service of services.values()) this.#tell(service);
    if (changed.length > 0 && this.heardAt < Infinity) this.heardAt = this.context.now;
    if (this.lines.size > services.size + maxUnknown)
      for (const key of this.lines.keys()) if (!services.has(key)) this.lines.delete(key);
    return changed;
  }

  /** This controller works from now on. */
  begin(services: ReadonlyMap<string, Service>): void {
    this.isWorking = true;
    this.isSilent = services.values().some(({ conditions }) => conditions.some(isOfSilence));
    for (const service of services.values()) {
      const line = this.of(service);
      if (!this.hasConditions && line !== undefined) this.told.set(service.key, toTell(line));
      this.serviceChanged(service.key, service, false); // The controller before may have ended before it told.
    }
  }

  /** @param isCurrent what changes in the API is seen @returns whether no speaker is heard from now on */
  fallsSilent(isCurrent: boolean, services: ReadonlyMap<string, Service>): boolean {
    if (!this.isWorking || this.isSilent || this.context.now < this.heardAt + silentMs) return false;
    if (!isCurrent) {
      this.heardAt = this.context.now;
      return false;
    }
    this.isSilent = true;
    for (const service of services.values()) {
      if (!isOurs(service) || service.ingress.length === 0) continue;
      const isTold = (this.told.get(service.key)?.what ?? toldByCondition(service)).startsWith(nobody);
      this.told.set(service.key, { what: nobody + reasonOf(silence.cause), message: sentence(silence) });
      if (!isTold && this.#takeOne()) this.context.record(service, "Warning", "notAnnounced", sentence(silence));
    }
    return true;
  }

  /** The Service is another one than before, or gone. @param isOther it has only the name of the Service before it */
  serviceChanged(key: string, service: Service | undefined, isOther: boolean): void {
    if (isOther) this.told.delete(key);
    const isToTell = this.isWorking && service !== undefined && isStray(service);
    if (isOther || !isToTell) {
      this.strays.set(key, Infinity);
      this.toldStrays.delete(key);
    }
    if (isToTell && !this.strays.has(key) && !this.toldStrays.has(key)) this.strays.set(key, this.context.now + otherClassMs);
    this.#tell(service);
  }

  /** Tells what has lasted: other words for what was told, and classes of Services that look like a mistake. */
  tellDue(services: ReadonlyMap<string, Service>): void {
    const { otherWords, strays, context } = this;
    for (let key = otherWords.takeDue(context.now); key !== undefined; key = otherWords.takeDue(context.now))
      this.#tell(services.get(key), true);
    for (let key = strays.takeDue(context.now); key !== undefined; key = strays.takeDue(context.now)) {
      this.toldStrays.add(key);
      this.#tellStray(services.get(key));
    }
  }

  #tellStray(service: Service | undefined): void {
    if (service === undefined || !this.#takeOne()) return;
    const { next } = causes.service.otherLoadBalancerClass;
    const message = `nobody gives the Service an address: ${classWords(service).message}; ${next}`;
    this.context.record(service, "Warning", "otherLoadBalancerClass", message);
  }

  /** @param haveLasted other words for what was told are told, too */
  #tell(service: Service | undefined, haveLasted = false): void {
    if (!this.isWorking || service === undefined || !isOurs(service) || service.ingress.length === 0) return;
    const line = this.of(service);
    if (line === undefined || (stateOf(line)?.state ?? "NotOurs") === "NotOurs") return;
    const { key } = service;
    const now = toTell(line);
    const { what, message } = this.told.get(key) ?? { what: toldByCondition(service), message: now.message };
    const hasOtherWords = now.what === what && now.message !== message;
    if (hasOtherWords && !haveLasted) {
      if (!this.otherWords.has(key)) this.otherWords.set(key, this.context.now + steadyMs);
      return;
    }
    this.otherWords.set(key, Infinity);
    if (now.what !== "" || what !== "") this.told.set(key, now);
    if ((now.what === what && !hasOtherWords) || !this.#takeOne()) return;
    if (now.what === "") this.context.record(service, "Normal", "announcedAgain", line.message);
    else
      this.context.record(service, "Warning", now.what.startsWith(nobody) ? "notAnnounced" : "announcedWithFault", line.message);
  }

  #takeOne(): boolean {
    const { now } = this.context;
    this.left = Math.min(maxAtOnce, this.left + (now - this.leftAt) / oneEachMs);
    this.leftAt = now;
    if (this.left < 1) return false;
    this.left--;
    return true;
  }
}

/** State and cause of what speakers say: nobody announces the Service, where it is `Pending`. */
function stateOf({ cause }: AnnouncedLine): { readonly state: Verdict["state"]; readonly cause: string } | undefined {
  if (cause === "unknown") return undefined;
  const [state] = causes.service[cause].states;
  return { state: isAnnounced(cause) || state === "NotOurs" ? state : "Pending", cause };
}

// Before the cause for which nobody announces a Service. No message of a fault begins with it.
const nobody = "notAnnounced ";

/** The text of an Event. A changed fault is told again at once, and so is a changed cause for which nobody announces the Service. */
interface Told {
  /** Empty where all is well. */
  readonly what: string;
  /** Why nobody announces the Service: other words name other nodes, or another remedy. Empty elsewhere. */
  readonly message: string;
}

function toTell({ cause, message }: AnnouncedLine): Told {
  if (cause === "announcedWithFault") return { what: message, message: "" };
  return isAnnounced(cause) || cause === "unknown" ? { what: "", message: "" } : { what: nobody + reasonOf(cause), message };
}

function isOfSilence({ type, status, reason }: Condition): boolean {
  return type === announcedType && status === "Unknown" && reason === "NoActiveSpeaker";
}

function toldByCondition({ conditions }: Service): string {
  const found = conditions.find(({ type }) => type === announcedType);
  if (found?.reason === "AnnouncedWithFault") return found.message;
  if (found === undefined || found.reason === notAssigned || !(found.status === "False" || isOfSilence(found))) return "";
  return nobody + found.reason;
}

/** Another implementation's, by its class, and nobody serves it, although its annotations or its class are ours by their name. */
function isStray({ type, isClaimed, annotations, otherClass = "", ingress, hasHostnames }: Service): boolean {
  const isUnserved = type === "LoadBalancer" && !isClaimed && ingress.length === 0 && !hasHostnames;
  const isNamedOurs = /^([\w-]+\.)*(ingot\.dev|metallb\.[\w.]+)\//.test(otherClass);
  return isUnserved && (isNamedOurs || Object.keys(annotations).some(isAnnotation));
}
