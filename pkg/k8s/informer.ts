import { Alarm, backOff, type Clock, inTurns, type Millis, type Random, sleep } from "#pkg/clock";
import type { Log } from "#pkg/log";
import { fields, text } from "#pkg/untrusted";
import type { Api } from "./api.ts";
import { ApiError, isExpired, isNoStream, isUnknownField, isUnknownVersion, noEndOfList } from "./errors.ts";
import { FollowedObjects, isLater } from "./followed-objects.ts";
import { Deadline, type Request } from "./http.ts";
import type { Handlers, Informer, Scope } from "./informers.ts";
import type { ObjectMeta } from "./objects.ts";
import { listPages, streamedList } from "./pages.ts";
import { objectsOf, type Part, type PeekedEvent } from "./part.ts";
import type { Resource } from "./resources.ts";
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
// Servers before 1.19 send all objects, and no bookmark then.
const maxListSilenceMs: Millis = 5_000;
// After an outage 20,000 objects are listed again within 200 s, where all of 5,000 nodes may do it.
const relistSpreadMs: Millis = 10;
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
 * address it was given, which then might be given away twice. Where each node follows many objects, the watch itself begins with all of
 * them (KEP-3157): the server sends them from its memory, so that etcd does not read them for each node. The first time they may be old.
 */
export class ListWatch<V extends ObjectMeta> implements Informer<V> {
  readonly #resource: Resource<V>;
  readonly #path: string;
  #selectors: Readonly<Record<string, string>>;
  #isSelectorOptional: boolean;
  readonly #handlers: Handlers<V>;
  readonly #mayStream: boolean;
  #isForMany: boolean; // Not while this client may not watch: only lists say what changed.
  readonly #part: Part | undefined;
  readonly #api: Api;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #stop = new AbortController();
  readonly #objects: FollowedObjects<V>;
  #started = false;
  #version: string | undefined; // of the last event; undefined: list first
  #reached: string | undefined; // The last such version, whatever follows.
  #isToRelist = false; // As soon as the API is within reach.
  #hasBookmarks = false; // This server sends them.
  #wasCutShort = false; // The last watch ended before its time.
  #failures = 0; // since the last success
  readonly #warned = new Set<number | undefined>(); // statuses of this streak of failures; undefined where there was no answer
  #lostSince: Millis | undefined;
  /** See `Informer`. */
  failure: ApiError | undefined;
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
    this.#mayStream = scope.isForMany === true;
    this.#isForMany = this.#mayStream;
    this.#part = scope.part;
    this.#handlers = handlers;
    this.#api = options.api;
    this.#disposed = options.disposed;
    this.#log = options.log.with({ resource: resource.plural });
    this.#objects = new FollowedObjects(resource, scope.part, handlers, this.#log);
    this.#clock = options.clock;
    this.#random = options.random;
  }

  get synced(): boolean {
    return this.#objects.isSynced;
  }

  get lostSince(): Millis | undefined {
    return this.#lostSince;
  }

  get size(): number {
    return this.#objects.all.size;
  }

  get(key: string): V | undefined {
    return this.#objects.all.get(key);
  }
  values(): IterableIterator<V> {
    return this.#objects.all.values();
  }

  /** An error thrown by a handler is nobody's to handle, and ends the process. */
  start(): void {
    if (this.#started) throw new Error(`Cannot start informer of ${this.#resource.plural}: it was started before`);
    this.#started = true;
    void this.#run();
  }

  relist(): void {
    this.#objects.isAsked = true;
    this.#relisting.abort(new Error("all objects are listed again"));
  }

  want(owner: string): void {
    if (this.#part !== undefined && this.#objects.takeLeftOut(owner)) void this.#addLeftOut(owner, this.#part);
  }

  [Symbol.dispose](): void {
    this.#objects.dispose();
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
        if (this.#lostSince !== undefined && this.#clock.now() - this.#lostSince >= maxLostMs) this.#isToRelist = true;
        if (this.#isToRelist && !this.#isForMany) this.#version = undefined;
        if (!this.#isForMany || !this.#api.streamsLists) this.#version ??= await this.#list();
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
        const isStreamed = this.#version === undefined && this.#isForMany && this.#api.streamsLists;
        if (isStreamed && error.status === 403) {
          // MetalLB's speakers may list Pods, and not watch them.
          this.#isForMany = false;
          continue;
        }
        if (isStreamed && isNoStream(error, this.#api.hasStreamed)) {
          this.#api.streamsLists = false;
          this.#wasCutShort = false;
          this.#log.debug("the API server sends no list by a watch, listing in pages", { error });
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
    this.failure = usual ? undefined : error;
    if (error.status === 403) this.#handlers.forbidden?.();
    if (!usual) this.#lost(this.#clock.now());
    if (usual || this.#warned.has(error.status)) this.#log.debug("cannot watch the API", { error, failures: this.#failures });
    else {
      this.#warned.add(error.status); // Nobody who looks for a 401 is to find just that the API did not answer at first.
      this.#log.warn("cannot watch the API, retrying", { error });
    }
  }

  /** @param since undefined: changes are seen again */
  #lost(since: Millis | undefined): void {
    if (this.#stopped || (since === undefined) === (this.#lostSince === undefined)) return;
    this.#lostSince = since;
    this.#handlers.reached?.();
  }

  #succeeded(): void {
    if (this.#warned.size > 0) this.#log.info("watching the API again", { failures: this.#failures });
    this.#warned.clear();
    this.#failures = 0;
    this.failure = undefined;
    if (this.#isToRelist) this.#relistLater();
    this.#isForMany = this.#mayStream; // A process whose watch succeeds has the right to.
    this.#lost(undefined);
  }

  /** The changes since then are known. That the API was restored meanwhile is rare, and thousands of nodes would ask for all objects at once. */
  #relistLater(): void {
    this.#isToRelist = false;
    if (!this.#isForMany) return; // It has.
    const at = this.#clock.now() + this.#random() * this.size * relistSpreadMs;
    this.#clock.schedule(`${this.#resource.plural} relist`, at, () => this.relist());
  }

  /** @returns the version of the whole list */
  async #list(): Promise<string> {
    this.#objects.beginList();
    const pages = listPages(this.#resource.plural, (query, maxBytes) =>
      this.#soon(() => this.#api.get(this.#request("list", query), this.#stop.signal, maxBytes)),
    );
    for (;;) {
      const { done, value } = await pages.next();
      if (done) {
        this.#endList(value);
        return value;
      }
      if (value !== "again") await inTurns(this.#clock, this.#objects.listPage(value));
      else {
        this.#log.debug("list expired between pages, listing in one piece");
        this.#objects.beginList();
      }
    }
  }

  #endList(version: string): void {
    this.#objects.endList(!this.#relisting.signal.aborted, version, this.#reached); // Else another list follows, of which more is kept.
    this.#reached = version;
  }

  async #addLeftOut(owner: string, part: Part): Promise<void> {
    const { labelSelector } = this.#selectors;
    const asked = { api: this.#api, clock: this.#clock, random: this.#random, log: this.#log, stop: this.#stop.signal };
    const question = this.#objects.beginQuestion();
    const found = await objectsOf(owner, part, this.#resource, labelSelector, asked);
    if (this.#stopped) return;
    this.#objects.endQuestion(owner, found, question);
  }

  /** @param version undefined: the watch begins with all objects */
  async #watch(version: string | undefined): Promise<void> {
    const seconds = Math.round(minWatchSeconds + (maxWatchSeconds - minWatchSeconds) * this.#random());
    const request = this.#request("watch", {
      watch: "true",
      allowWatchBookmarks: "true",
      ...(version === undefined ? streamedList(this.synced) : { resourceVersion: version }),
      timeoutSeconds: `${seconds}`,
    });
    const followsCut = this.#wasCutShort;
    this.#wasCutShort = true;
    const relisting = this.#relisting.signal;
    const ending = AbortSignal.any([this.#stop.signal, relisting]);
    using deadline = new Deadline(this.#clock, seconds * 1000 + watchGraceMs, "the watch did not end", ending);
    const response = await this.#soon(() => this.#api.open(request, deadline.signal));
    using _response = { [Symbol.dispose]: () => response.destroy() }; // Also where the question below fails.
    if (version === undefined) {
      this.#isToRelist = false;
      this.#objects.beginList();
    } else if (followsCut && (await this.#hasGoneBack(version))) {
      this.#version = undefined;
      return;
    } else if (this.#failures === 0) this.#lost(undefined); // It was answered late.
    const start = this.#clock.now();
    let lastEventAt = start;
    let isEmpty = true;
    let isListing = version === undefined;
    using silence = new Alarm(this.#clock, `${this.#resource.plural} silence`, () => {
      const silentAt = lastEventAt + (isListing ? maxListSilenceMs : maxSilenceMs);
      if (this.#clock.now() < silentAt) silence.set(silentAt);
      else if (isListing) response.destroy(new Error(noEndOfList));
      else if (this.#hasBookmarks) response.destroy(new Error("nothing came, not even a bookmark"));
    });
    silence.set(start + (isListing ? maxListSilenceMs : maxSilenceMs));
    let healthy = false;
    const succeed = (): void => {
      if (!healthy) this.#succeeded();
      healthy = true;
    };
    using _ = this.#clock.schedule(`${this.#resource.plural} healthy`, this.#clock.now() + healthyAfterMs, succeed);
    try {
      for await (const event of watchEvents(response, this.#resource, this.#peek)) {
        if (this.#stopped || relisting.aborted) return;
        lastEventAt = this.#clock.now();
        isEmpty = false;
        if (isListing)
          isListing = this.#takeListed(event); // The alarm finds out by itself, later, that silence may be longer then.
        else this.#apply(event);
        succeed();
      }
    } catch (error) {
      // Connections break; that is worth a warning only when the next one cannot be had.
      if (!healthy || isListing || !(error instanceof ApiError) || error instanceof WatchError || error.reason !== "Unreachable")
        throw error;
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

  /** Objects of an owner that is not wanted are not read further. */
  readonly #peek = (line: string): PeekedEvent | undefined => {
    const event = this.#part?.peek(line);
    return event === undefined || this.#part?.isWanted(event.owner) !== false ? undefined : event;
  };

  /** @returns whether more of the list follows */
  #takeListed(event: WatchEvent | PeekedEvent): boolean {
    const { type, object } = event;
    if (type === "BOOKMARK") {
      const { resourceVersion, annotations } = fields(object.metadata);
      if (fields(annotations)["k8s.io/initial-events-end"] !== "true") throw new WatchError(noEndOfList, 200, "Malformed");
      this.#version = text(resourceVersion) || undefined;
      this.#endList(this.#version ?? "");
      this.#hasBookmarks = true;
      this.#api.hasStreamed = true;
      return false;
    }
    if ("owner" in event) this.#objects.leaveOut(event);
    else if (type === "DELETED")
      this.#objects.unlist(object); // The server's memory was behind etcd when the list began.
    else this.#objects.list(object);
    return true;
  }

  #apply(event: WatchEvent | PeekedEvent): void {
    const { type, object } = event;
    if (type === "BOOKMARK") this.#hasBookmarks = true;
    const version = text(fields(object.metadata).resourceVersion);
    const isBack = isLater(this.#reached, version); // Some servers show deleted objects as they were before.
    if (isBack && type !== "DELETED") throw new WatchError("the API was maybe restored: versions go back", 200, "Restored");
    if (!isBack) this.#reached = this.#version = version || this.#version;
    if ("owner" in event) this.#objects.leaveOut(event);
    else if (type !== "BOOKMARK") this.#objects.change(event);
  }

  #request(verb: "list" | "watch", more: Readonly<Record<string, string>>): Request {
    const query = new URLSearchParams({ ...this.#selectors, ...more });
    return {
      method: "GET",
      path: `${this.#path}?${query}`,
      purpose: `${verb} ${this.#resource.plural}`,
      mayBeCompressed: verb === "list",
      annotations: this.#resource.annotations,
    };
  }
}
