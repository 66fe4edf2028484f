import type { IncomingMessage } from "node:http";
import { backOff, type Clock, type Millis, type Random, sleep } from "#pkg/clock";
import type { Fields } from "#pkg/untrusted";
import { ApiError } from "./errors.ts";
import { Deadline, type HttpClient, type Request } from "./http.ts";
import type { ObjectMeta } from "./objects.ts";
import type { Resource } from "./resources.ts";
import { type Priority, Slots } from "./slots.ts";

// A small part of the 200 writes that the API server takes at once by default, from everybody; at 10 ms each it is 3,200 a second,
// while a server with everything on one machine does about 1,100 with 8 as with 64. Each costs a connection with TLS state.
const writesAtOnce = 32;
const eventsAtOnce = 8;
// With waits of 6 to 12 s in all, enough for an API server to restart.
const maxAttempts = 8;
const minRetryMs: Millis = 100;
const maxRetryMs: Millis = 5_000;
const drainMs: Millis = 5_000;

/** Calls of the API with the manners it asks for: few at once, repeated when the server is busy or away, and drained at the end. */
export class Api implements AsyncDisposable {
  /** Whether the server sends all objects by a watch, as far as is known. */
  streamsLists = true;
  /** It has sent some: where it sends no end of one, it is slow. */
  hasStreamed = false;
  readonly #http: HttpClient;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #slots: Slots;
  readonly #closing = new AbortController(); // Ends reads.
  readonly #closed = new AbortController(); // Ends writes too.
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(http: HttpClient, options: { clock: Clock; random: Random }) {
    this.#http = http;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#slots = new Slots(writesAtOnce, eventsAtOnce, options.clock);
  }

  /** One attempt, for those who do their own waiting. @throws {ApiError} */
  get(request: Request, signal: AbortSignal, maxBytes?: number): Promise<Fields> {
    return this.#http.json(request, signal, maxBytes);
  }

  /** One attempt, whose answer is read as it comes. @throws {ApiError} */
  open(request: Request, signal: AbortSignal): Promise<IncomingMessage> {
    return this.#http.open(request, signal);
  }

  /** One attempt of a write that nothing may delay: it takes no place among the others. @throws {ApiError} */
  async once(request: Request, within: Millis): Promise<Fields> {
    using deadline = new Deadline(this.#clock, within, "no answer", this.#closed.signal);
    return await this.#http.json(request, deadline.signal);
  }

  /**
   * Repeats what may succeed the next time, so `request` has to bear being carried out twice.
   * @param attempts 1 for those who do their own waiting, and then keep no place while they do
   * @throws {ApiError}
   */
  call(request: Request, priority: Priority = "urgent", attempts = maxAttempts): Promise<Fields> {
    if (this.#closing.signal.aborted) return Promise.reject(closed(request));
    const call = this.#slots.run(priority, () => this.#persist(request, attempts));
    this.#underWay.add(call);
    const done = (): void => void this.#underWay.delete(call);
    call.then(done, done);
    return call;
  }

  /** Refuses further calls, ends reads, and gives writes under way 5 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error("the client was closed"));
    using _ = this.#clock.schedule("api drain", this.#clock.now() + drainMs, () =>
      this.#closed.abort(new Error("the client was closed")),
    );
    await Promise.allSettled(this.#underWay);
  }

  /** A call keeps its place while it waits, so that a busy server is asked for less. */
  async #persist(request: Request, attempts: number): Promise<Fields> {
    const { signal } = request.method === "GET" ? this.#closing : this.#closed;
    for (let attempt = 0; ; attempt++) {
      if (request.permitted?.() === false) throw notPermitted(request);
      try {
        return await this.#http.json(request, signal);
      } catch (error) {
        if (!(error instanceof ApiError) || !mayPass(error) || attempt + 1 === attempts) throw error;
        if (signal.aborted) throw closed(request, error);
        const wait = backOff(attempt, minRetryMs, maxRetryMs, this.#random);
        await sleep(this.#clock, "api retry", Math.max(wait, error.retryAfterMs ?? 0), signal);
      }
    }
  }
}

function closed({ purpose }: Request, cause?: ApiError): ApiError {
  return new ApiError(`Cannot ${purpose}: the client was closed`, 0, "Closed", { cause });
}

function notPermitted({ purpose }: Request): ApiError {
  return new ApiError(`Cannot ${purpose}: this process no longer leads`, 0, "NotLeader");
}

function mayPass(error: ApiError): boolean {
  return error.reason === "Unreachable" || error.status === 429 || error.status >= 500;
}

/** Path of an object in the API; without a name, of all of its kind in the namespace. */
export function objectPath(
  { api, plural }: Pick<Resource<ObjectMeta>, "api" | "plural">,
  namespace: string,
  name?: string,
): string {
  const collection = `${api}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
  return name === undefined ? collection : `${collection}/${encodeURIComponent(name)}`;
}
