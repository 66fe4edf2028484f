import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { type JsonObject, type LocalApi, ApiError as Refusal, type WatchResponse } from "#e2e/apiserver";
import type { Millis } from "#pkg/clock";
import { configurationKinds } from "#pkg/convert";
import { ApiError } from "#pkg/k8s";
import type { HttpClient, Request } from "#pkg/k8s/testing";
import type { SimulatedProcess, Time } from "../simulated-process.ts";

/** Faults between processes and the API. Probabilities are between 0 and 1. */
export interface ApiWeather {
  /** One way, at most; each request its own. */
  latencyMs: Millis;
  /** How much later a watch gets what changed, at most; in order, each watch its own. */
  watchLagMs: Millis;
  /** Probability that a request is refused with 429, 500 or 503 before anything is done. */
  refusals: number;
  /** Probability that a write is carried out, and its answer lost. */
  lostAnswers: number;
  /** Requests refused with 403: all for Leases, all writes, or writes of the ConfigMaps that processes keep for all. */
  forbidden?: "leases" | "writes" | "reports" | undefined;
  /** Writes of a Service's status are refused with 503. */
  refusesStatus?: boolean;
}

/** As the API server says it. */
const refusals: Readonly<Record<number, string>> = {
  403: "the user cannot patch resource, nor create or update it",
  429: "too many requests",
  500: "etcdserver: request timed out",
  503: "the server is currently unable to handle the request",
};

type Answer = Awaited<ReturnType<HttpClient["json"]>>;

const connectTimeoutMs: Millis = 30_000;
// Until the kernel gives a silent connection up, as pkg/k8s has it ask for signs of life: after 2 s, three times, a second apart.
const keepAliveMs: Millis = 5_000;
const bookmarkMs: Millis = 60_000;
// The longest that an informer waits before it tries again.
const retriedMs: Millis = 15_000;

/**
 * The way of one process to the API, with what can happen on it. Watches end, lag and break as they do over a network; writes may be carried out
 * without an answer.
 */
export class ApiConnection implements HttpClient {
  readonly #api: LocalApi;
  readonly #process: SimulatedProcess;
  readonly #time: Time;
  readonly #weather: ApiWeather;
  readonly #firstMs: Millis;
  readonly #firstUntil: Millis;
  readonly #asked = new Set<string>(); // what it has asked for: the path of a list
  readonly #streams = new Set<WatchStream>();
  #isCut = false;
  #mendedAt: Millis = -Infinity;
  #cuts = 0;

  /** @param firstMs the longest that the first answer to each question takes besides, of those that a process asks when it starts */
  constructor(api: LocalApi, process: SimulatedProcess, time: Time, weather: ApiWeather, firstMs: Millis = 0) {
    this.#api = api;
    this.#process = process;
    this.#time = time;
    this.#weather = weather;
    this.#firstMs = firstMs;
    this.#firstUntil = time.now + firstMs;
  }

  /**
   * Nothing passes until it is mended. Watches notice nothing until the process's kernel gives them up; where it is mended before, what they missed
   * comes then, unless the server has ended them.
   */
  set isCut(cut: boolean) {
    if (cut === this.#isCut) return;
    this.#isCut = cut;
    if (!cut) {
      this.#mendedAt = this.#time.now;
      for (const stream of this.#streams) stream.flush();
    } else {
      const which = ++this.#cuts;
      this.#time.schedule(this.#time.now + keepAliveMs, () => {
        if (this.#isCut && this.#cuts === which) this.breakWatches();
      });
    }
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** Whether the process may not have seen what the API has: it begins its watches again some time after it is no longer cut off. */
  get isBehind(): boolean {
    return this.#isCut || this.#time.now < this.#mendedAt + retriedMs;
  }

  /** Watches break, as when a proxy between restarts. */
  breakWatches(): void {
    for (const stream of [...this.#streams]) stream.break();
  }

  /** Nothing arrives any more on the present watches. The process's kernel notices. */
  loseWatches(): void {
    for (const stream of [...this.#streams]) {
      stream.lose();
      this.#time.schedule(this.#time.now + keepAliveMs, () => stream.break());
    }
  }

  /** The most that a watch of these objects lags; undefined without a watch. */
  lagOf(plural: string): Millis | undefined {
    const lags = [...this.#streams].flatMap((stream) => (stream.plural === plural ? [stream.lag] : []));
    return lags.length === 0 ? undefined : Math.max(...lags);
  }

  json(request: Request, signal: AbortSignal): Promise<Answer> {
    const found = discovery(request.path);
    return this.#exchange(request, signal, () => found ?? this.#api.answer(this.#dated(request)));
  }

  open(request: Request, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#exchange(request, signal, () => this.#watch(request, signal));
  }

  #exchange<T>(request: Request, signal: AbortSignal, serve: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const unreachable = (cause: unknown) => reject(new ApiError(`Cannot ${request.purpose}`, 0, "Unreachable", { cause }));
    signal.addEventListener("abort", () => unreachable(signal.reason), { once: true });
    if (signal.aborted) unreachable(signal.reason);
    const giveUp = () => this.#process.at(this.#time.now + connectTimeoutMs, () => unreachable("no answer"));
    this.#time.schedule(this.#time.now + this.#latency() + this.#firstDelay(request), () => {
      if (!this.#process.isRunning || signal.aborted) return;
      if (this.#isCut) return giveUp();
      const refusal = this.#refusal(request);
      let answer: () => void;
      if (refusal !== undefined)
        answer = () => reject(new ApiError(`Cannot ${request.purpose}: ${refusals[refusal]}`, refusal, ""));
      else
        try {
          const value = serve();
          answer = () => resolve(value);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          answer = () => reject(new ApiError(`Cannot ${request.purpose}: ${error.message}`, error.code, error.reason));
        }
      if (request.method !== "GET" && this.#chance(this.#weather.lostAnswers)) return giveUp();
      this.#process.at(this.#time.now + this.#latency(), () => (this.#isCut ? giveUp() : answer()));
    });
    return promise;
  }

  /** The status with which nothing is done. */
  #refusal(request: Request): number | undefined {
    const { forbidden, refusals, refusesStatus } = this.#weather;
    const { method } = request;
    if (this.#chance(refusals)) return [429, 500, 503][Math.floor(this.#process.random() * 3)];
    if (discovery(request.path) !== undefined) return undefined;
    const { plural, subresource, name = "" } = this.#api.locate(request).target;
    if (refusesStatus && method === "PATCH" && plural === "services" && subresource === "status") return 503;
    if (forbidden === "reports") return method !== "GET" && plural === "configmaps" && name !== "ingot-status" ? 403 : undefined;
    const isForbidden = forbidden === "leases" ? plural === "leases" : forbidden && method !== "GET";
    return isForbidden ? 403 : undefined;
  }

  /** Processes read the date of this machine for the Lease alone. Here it is the simulated date, so that each renewal is a change. */
  #dated(request: Request): Request {
    const body = (request.body ?? {}) as Readonly<Record<string, object>>;
    if (this.#api.locate(request).target.plural !== "leases" || body.spec === undefined) return request;
    return { ...request, body: { ...body, spec: { ...body.spec, renewTime: `${this.#time.now}` } } };
  }

  #watch({ path }: Request, signal: AbortSignal): IncomingMessage {
    const { target, query } = this.#api.locate({ method: "GET", path });
    const lag = this.#process.random() * this.#weather.watchLagMs;
    const deliver = (fn: () => void) => this.#process.at(this.#time.now + this.#latency() + lag, fn);
    const stream = new WatchStream(
      target.plural,
      lag,
      deliver,
      () => this.#isCut,
      () => this.#streams.delete(stream),
    );
    this.#streams.add(stream);
    const watch = this.#api.watch(path, stream);
    stream.response.on("close", () => {
      this.#streams.delete(stream);
      watch.end();
    });
    signal.addEventListener("abort", () => stream.response.destroy(signal.reason as Error), { once: true });
    const endsAt = this.#time.now + Number(query.get("timeoutSeconds")) * 1000;
    this.#time.schedule(endsAt, () => watch.end());
    const bookmark = () => {
      if (!this.#streams.has(stream)) return;
      watch.bookmark();
      this.#time.schedule(this.#time.now + bookmarkMs, bookmark);
    };
    this.#time.schedule(this.#time.now + bookmarkMs, bookmark);
    return stream.response;
  }

  #latency(): Millis {
    return this.#process.random() * this.#weather.latencyMs;
  }

  #firstDelay({ method, path }: Request): Millis {
    const [list = ""] = path.split("?");
    if (this.#time.now >= this.#firstUntil || method !== "GET" || this.#asked.has(list)) return 0;
    this.#asked.add(list);
    return this.#process.random() * this.#firstMs;
  }

  #chance(of: number): boolean {
    return of > 0 && this.#process.random() < of;
  }
}

/** The API's answer to a question for the kinds of MetalLB's custom resources; undefined for other paths. */
function discovery(path: string): JsonObject | undefined {
  const version = /^\/apis\/metallb\.io(?:\/(\w+))?$/.exec(path);
  if (version === null) return undefined;
  const all = configurationKinds.map(({ plural, versions }) => ({ name: plural, version: versions[0] ?? "" }));
  if (version[1] === undefined)
    return { versions: [...new Set(all.map((each) => each.version))].map((each) => ({ version: each })) };
  return { resources: all.filter((each) => each.version === version[1]).map(({ name }) => ({ name, verbs: ["create"] })) };
}

/** The lines of a watch on their way: in order, and late. */
class WatchStream implements WatchResponse {
  readonly response: IncomingMessage;
  readonly plural: string;
  readonly lag: Millis;
  readonly #readable: Readable;
  readonly #deliver: (fn: () => void) => void;
  readonly #isCut: () => boolean;
  readonly #gone: () => void;
  readonly #waiting: (() => void)[] = [];
  #isOver = false;

  constructor(plural: string, lag: Millis, deliver: (fn: () => void) => void, isCut: () => boolean, gone: () => void) {
    this.plural = plural;
    this.lag = lag;
    this.#readable = new Readable({ read: () => {} });
    this.#readable.on("error", () => {}); // The reader sees the error.
    this.response = Object.assign(this.#readable, { statusCode: 200 }) as unknown as IncomingMessage;
    this.#deliver = deliver;
    this.#isCut = isCut;
    this.#gone = gone;
  }

  readonly writableLength = 0;

  get writableEnded(): boolean {
    return this.#isOver;
  }

  writeHead(): void {}

  flushHeaders(): void {}

  write(line: string | Uint8Array): void {
    this.#add(() => this.#readable.push(line));
  }

  end(line?: string): void {
    if (line !== undefined) this.write(line);
    this.#add(() => {
      this.#readable.push(null);
      this.#gone();
    });
    this.#isOver = true;
  }

  destroy(): void {
    this.#readable.destroy();
  }

  break(): void {
    this.#gone();
    this.#deliver(() => this.#readable.destroy(new Error("the connection broke")));
  }

  lose(): void {
    this.#gone();
    this.#isOver = true;
    this.#waiting.length = 0;
  }

  /** Messages that waited because of a cut are on their way again. */
  flush(): void {
    this.#deliver(() => this.#work());
  }

  #add(fn: () => void): void {
    if (this.#isOver || this.#readable.destroyed) return;
    this.#waiting.push(fn);
    this.#deliver(() => this.#work());
  }

  #work(): void {
    if (this.#isCut()) return;
    for (const fn of this.#waiting.splice(0)) if (!this.#readable.destroyed) fn();
  }
}
