import { isDeepStrictEqual } from "node:util";
import { Alarm, backOff, type Clock, inTurns, type Millis, type Random, sleep } from "#pkg/clock";
import type { Log } from "#pkg/log";
import { fields, text } from "#pkg/untrusted";
import type { Api } from "./api.ts";
import { ApiError, isExpired } from "./errors.ts";
import { Deadline, type Request } from "./http.ts";
import { type Handlers, type Informer, type ObjectChange, type Scope, tellOf } from "./informers.ts";
import type { ObjectMeta } from "./objects.ts";
import { listPages } from "./pages.ts";
import { projectMeta, type Resource } from "./resources.ts";
import { WatchError, type WatchEvent, watchEvents } from "./watch-events.ts";

const minWatchSeconds = 300;
const maxWatchSeconds = 600;
// The server ends each watch after the time it was asked for; one that is not over by then is dead.
const watchGraceMs: Millis = 30_000;
// And one that ends no earlier than that before its time has ended as it should.
const earlyMs: Millis = 2_000;
// Servers send a bookmark each minute, but for a version of the future, as one is after etcd was restored, they send nothing at all.
const maxSilenceMs: Millis = 150_000;
// The server answers at once, and sends what changes later. One that does not is out of reach, though its answer is awaited for longer.
const slowAnswerMs: Millis = 2_000;
// While out of reach for longer than that, the API may have been restored from a backup and have written as many versions as it lost.
const maxLostMs: Millis = 60_000;
// A watch that lives this long, or sends something, counts as a success.
const healthyAfterMs: Millis = 5_000;
const minRetryMs: Millis = 200;
const maxRetryMs: Millis = 15_000;

export interface InformerOptions {
  readonly api: Api;
  readonly log: Log;
  readonly clock: Clock;
  readonly random: Random;
  /** Called when it is disposed. */
  readonly disposed?: () => void;
}

/**
 * An informer that lists once and then watches, and lists again only when the server no longer has the versions in between.
 * Lists are consistent reads (no `resourceVersion`): a member of the API that lags behind could show a Service without the
 * address it was given, which then might be given away twice.
 */
export class ListWatch<V extends ObjectMeta> implements Informer<V> {
  readonly #resource: Resource<V>;
  readonly #path: string;
  #selectors: Readonly<Record<string, string>>;
  #isSelectorOptional: boolean;
  readonly #handlers: Handlers<V>;
  readonly #api: Api;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #stop = new AbortController();
  #objects = new Map<string, V>(); // key -> object
  #started = false;
  #synced = false;
  #version: string | undefined; // of the last event; undefined: list first
  #hasBookmarks = false; // This server sends them.
  #wasCutShort = false; // The last watch ended before its time.
  #failures = 0; // since the last success
  readonly #warned = new Set<number | undefined>(); // statuses of this streak of failures; undefined where there was no answer
  #lostSince: Millis | undefined;
  #relisting = new AbortController(); // Ends the present watch.
  readonly #disposed: (() => void) | undefined;

  constructor(resource: Resource<V>, scope: Scope, handlers: Handlers<V>, options: InformerOptions) {
    this.#resource = resource;
    const namespace = scope.namespace === undefined ? "" : `/namespaces/${encodeURIComponent(scope.namespace)}`;
    this.#path = `${resource.api}${namespace}/${resource.plural}`;
    this.#selectors = {
      ...(scope.fieldSelector !== undefined && { fieldSelector: scope.fieldSelector }),
      ...(scope.labelSelector !== undefined && { labelSelector: scope.labelSelector }),
    };
    this.#isSelectorOptional = scope.isSelectorOptional === true;
    this.#handlers = handlers;
    this.#api = options.api;
    this.#disposed = options.disposed;
    this.#log = options.log.with({ resource: resource.plural });
    this.#clock = options.clock;
    this.#random = options.random;
  }

  get synced(): boolean {
    return this.#synced;
  }

  get lostSince(): Millis | undefined {
    return this.#lostSince;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): V | undefined {
    return this.#objects.get(key);
  }

  values(): IterableIterator<V> {
    return this.#objects.values();
  }

  /** An error thrown by a handler is nobody's to handle, and ends the process. */
  start(): void {
    if (this.#started) throw new Error(`Cannot start informer of ${this.#resource.plural}: it was started before`);
    this.#started = true;
    void this.#run();
  }

  relist(): void {
    this.#relisting.abort(new Error("all objects are listed again"));
  }

  [Symbol.dispose](): void {
    this.#stop.abort(new Error("the informer was disposed"));
    this.#disposed?.();
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let retryAfter: Millis = 0;
      try {
        if (this.#relisting.signal.aborted) {
          this.#relisting = new AbortController();
          this.#version = undefined;
        }
        if (this.#lostSince !== undefined && this.#clock.now() - this.#lostSince >= maxLostMs) this.#version = undefined;
        this.#version ??= await this.#list();
        if (this.#relisting.signal.aborted) continue;
        await this.#watch(this.#version);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (this.#relisting.signal.aborted && !this.#stopped) continue;
        if (this.#isSelectorOptional && isUnknownField(error)) {
          const { fieldSelector, ...others } = this.#selectors;
          this.#selectors = others;
          this.#isSelectorOptional = false;
          this.#log.debug("the API server does not know the field, listing all objects", { fieldSelector });
          continue;
        }
        retryAfter = error.retryAfterMs ?? 0;
        this.#failed(error);
      }
      const wait = backOff(Math.max(0, this.#failures - 1), minRetryMs, maxRetryMs, this.#random);
      await sleep(this.#clock, `${this.#resource.plural} retry`, Math.max(wait, retryAfter), this.#stop.signal);
    }
  }

  /**
   * Whether the API was restored from a backup since it had the version: what is written from then on may have versions of before, and a
   * watch would never send it. Restored before the watch began, that is; later it would end the watch.
   */
  async #hasGoneBack(version: string): Promise<boolean> {
    const request = this.#request("list", { limit: "1" });
    const page = await this.#soon(() => this.#api.get(request, this.#stop.signal));
    const now = text(fields(page.metadata).resourceVersion);
    // Versions are numbers of etcd; where they are not, nothing can be said.
    return /^\d+$/.test(now) && /^\d+$/.test(version) && BigInt(now) < BigInt(version);
  }

  #failed(error: ApiError): void {
    if (this.#stopped) return;
    // Coming back too late for the versions in between is usual after a pause.
    const usual = isExpired(error) && this.#failures === 0;
    if (isExpired(error) || isUnknownVersion(error) || error instanceof WatchError) this.#version = undefined;
    this.#failures++;
    if (error.status === 403) this.#handlers.forbidden?.();
    if (!usual) this.#lost(this.#clock.now());
    if (usual || this.#warned.has(error.status)) this.#log.debug("cannot watch the API", { error, failures: this.#failures });
    else {
      this.#warned.add(error.status); // Nobody who looks for a 401 is to find just that the API did not answer at first.
      this.#log.warn("cannot watch the API, retrying", { error });
    }
  }

  #lost(since: Millis): void {
    if (this.#stopped || this.#lostSince !== undefined) return;
    this.#lostSince = since;
    this.#handlers.reached?.();
  }

  #succeeded(): void {
    if (this.#warned.size > 0) this.#log.info("watching the API again", { failures: this.#failures });
    this.#warned.clear();
    this.#failures = 0;
    if (this.#lostSince === undefined) return;
    this.#lostSince = undefined;
    this.#handlers.reached?.();
  }

  /** @returns the version of the whole list */
  async #list(): Promise<string> {
    const listed = new Map<string, V>();
    const pages = listPages(this.#resource.plural, (query, maxBytes) =>
      this.#api.get(this.#request("list", query), this.#stop.signal, maxBytes),
    );
    for (;;) {
      const { done, value } = await pages.next();
      if (done) {
        this.#replace(listed);
        return value;
      }
      if (value !== "again") await inTurns(this.#clock, this.#takePage(value, listed));
      else {
        this.#log.debug("list expired between pages, listing in one piece", { listed: listed.size });
        listed.clear();
      }
    }
  }

  /** One object after another: what is kept of a large one may take milliseconds to find. */
  *#takePage(items: readonly unknown[], listed: Map<string, V>): Generator<undefined, void> {
    let malformed = 0;
    for (const item of items) {
      const meta = projectMeta(item);
      if (meta === undefined) malformed++;
      else {
        const object = this.#unlessHeld(this.#resource.project(fields(item), meta));
        listed.set(object.key, object);
        if (!this.#synced) this.#takeEarly(object);
      }
      yield;
    }
    if (malformed > 0) this.#log.warn("malformed objects skipped", { objects: malformed });
  }

  // All of 10,000 Services at once were a turn of 0.25 s, and nobody decides before all are there. Removed objects go then.
  #takeEarly(object: V): void {
    const before = this.#objects.get(object.key);
    this.#objects.set(object.key, object);
    if (before !== object) this.#changed(object.key, object, before);
  }

  /** Takes over a whole list; removals come before additions, so that resources of removed objects are free by then. */
  #replace(listed: Map<string, V>): void {
    const before = this.#objects;
    this.#objects = listed;
    const changes: ObjectChange<V>[] = [];
    for (const [key, object] of before) if (!listed.has(key)) changes.push({ key, now: undefined, before: object });
    for (const [key, now] of listed) if (before.get(key) !== now) changes.push({ key, now, before: before.get(key) });
    if (!this.#stopped) tellOf(this.#handlers, changes);
    const isFirst = !this.#synced;
    this.#synced = true;
    const isOfBefore = !isFirst && this.#relisting.signal.aborted; // Another list follows, of which more is kept.
    if (!this.#stopped && !isOfBefore) this.#handlers[isFirst ? "synced" : "relisted"]?.();
  }

  async #watch(version: string): Promise<void> {
    const seconds = Math.round(minWatchSeconds + (maxWatchSeconds - minWatchSeconds) * this.#random());
    const request = this.#request("watch", {
      watch: "true",
      allowWatchBookmarks: "true",
      resourceVersion: version,
      timeoutSeconds: `${seconds}`,
    });
    const followsCut = this.#wasCutShort;
    this.#wasCutShort = true;
    const relisting = this.#relisting.signal;
    const ending = AbortSignal.any([this.#stop.signal, relisting]);
    using deadline = new Deadline(this.#clock, seconds * 1000 + watchGraceMs, "the watch did not end", ending);
    const response = await this.#soon(() => this.#api.open(request, deadline.signal));
    if (followsCut && (await this.#hasGoneBack(version))) {
      this.#version = undefined;
      response.destroy();
      return;
    }
    const start = this.#clock.now();
    let lastEventAt = start;
    let isEmpty = true;
    using silence = new Alarm(this.#clock, `${this.#resource.plural} silence`, () => {
      const silentAt = lastEventAt + maxSilenceMs;
      if (this.#clock.now() < silentAt) silence.set(silentAt);
      else if (this.#hasBookmarks) response.destroy(new Error("nothing came, not even a bookmark"));
    });
    silence.set(start + maxSilenceMs);
    let healthy = false;
    const succeed = (): void => {
      if (!healthy) this.#succeeded();
      healthy = true;
    };
    using _ = this.#clock.schedule(`${this.#resource.plural} healthy`, this.#clock.now() + healthyAfterMs, succeed);
    try {
      for await (const event of watchEvents(response, this.#resource.plural)) {
        if (this.#stopped || relisting.aborted) return;
        lastEventAt = this.#clock.now();
        isEmpty = false;
        this.#apply(event);
        succeed();
      }
    } catch (error) {
      // Connections break; that is worth a warning only when the next one cannot be had.
      if (!healthy || !(error instanceof ApiError) || error instanceof WatchError || error.reason !== "Unreachable") throw error;
      if (!this.#stopped) this.#log.debug("watch ended", { error });
    }
    if (this.#clock.now() - start >= seconds * 1000 - earlyMs) this.#wasCutShort = false;
    this.#listAfterSilence(this.#clock.now() - (this.#hasBookmarks ? lastEventAt : start), isEmpty);
    if (!healthy) throw new ApiError(`Cannot ${request.purpose}: the watch ended at once`, 200, "Unreachable");
  }

  /** A call without a quick answer shows that the API is out of reach. */
  async #soon<T>(answer: () => Promise<T>): Promise<T> {
    const start = this.#clock.now();
    using _ = this.#clock.schedule(`${this.#resource.plural} answer`, start + slowAnswerMs, () => this.#lost(start));
    return await answer();
  }

  /** A watch is silent without changes, and also while the server has not reached its version. Only a new list can tell. */
  #listAfterSilence(silentMs: Millis, isEmpty: boolean): void {
    const isSilent = this.#hasBookmarks ? silentMs >= maxSilenceMs : isEmpty && silentMs >= minWatchSeconds * 1000;
    if (!isSilent || this.#stopped) return;
    this.#log.debug("watch was silent, listing again", { silentMs });
    this.#version = undefined;
  }

  #apply({ type, object }: WatchEvent): void {
    if (type === "BOOKMARK") {
      this.#version = text(fields(object.metadata).resourceVersion) || this.#version;
      this.#hasBookmarks = true;
      return;
    }
    const meta = projectMeta(object);
    if (meta === undefined) {
      this.#log.warn("malformed objects skipped", { objects: 1 });
      return;
    }
    this.#version = meta.resourceVersion;
    const before = this.#objects.get(meta.key);
    if (type === "DELETED") {
      if (this.#objects.delete(meta.key)) this.#changed(meta.key, undefined, before);
    } else if (before?.uid !== meta.uid || before.resourceVersion !== meta.resourceVersion) {
      const now = this.#resource.project(object, meta);
      this.#objects.set(meta.key, now);
      this.#changed(meta.key, now, before);
    }
  }

  /** The same version can be another object after the API was restored from a backup. */
  #unlessHeld(object: V): V {
    const held = this.#objects.get(object.key);
    return held !== undefined && isDeepStrictEqual(held, object) ? held : object;
  }

  #changed(key: string, now: V | undefined, before: V | undefined): void {
    if (!this.#stopped) this.#handlers.changed(key, now, before);
  }

  #request(verb: "list" | "watch", more: Readonly<Record<string, string>>): Request {
    const query = new URLSearchParams({ ...this.#selectors, ...more });
    return {
      method: "GET",
      path: `${this.#path}?${query}`,
      purpose: `${verb} ${this.#resource.plural}`,
      mayBeCompressed: verb === "list",
    };
  }
}

/** The server cannot select by the field: Kubernetes selects Services by type from 1.31 on. */
function isUnknownField(error: ApiError): boolean {
  return error.status === 400 && /field label not supported|not a known field selector/i.test(error.message);
}

/** The server cannot make anything of the version, for example because it lies in its future. */
function isUnknownVersion(error: ApiError): boolean {
  return error.status === 400 || /too large resource version/i.test(error.message);
}
