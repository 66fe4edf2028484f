import {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type RequestOptions,
  request as requestHttp,
} from "node:http";
import { request as requestHttps } from "node:https";
import { pipeline, type Readable } from "node:stream";
import { urlToHttpOptions } from "node:url";
import { type Clock, inTurns, type Millis, wallClock } from "#pkg/clock";
import { type Fields, fields, text } from "#pkg/untrusted";
import type { Credentials, Identity } from "./credentials.ts";
import { ApiError } from "./errors.ts";
import { type MoreAnnotations, parseInSteps, parseJson } from "./untrusted.ts";

export interface Request {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** From the root of the API, with its query. */
  readonly path: string;
  /** The attempted action, for messages: `list services`. */
  readonly purpose: string;
  readonly body?: unknown;
  /** Type of the body; JSON unless said otherwise. */
  readonly contentType?: string;
  /** Forms of the answer; JSON unless said otherwise. */
  readonly accept?: string;
  /** The answer of a success is not read; for a write it is the whole object. */
  readonly ignoreAnswer?: boolean;
  /** The answer may come compressed: an API server does that with more than 128 KiB. */
  readonly mayBeCompressed?: boolean;
  /** How long an answer may take to begin; 30 s unless said otherwise. */
  readonly answerWithin?: Millis | undefined;
  /** Asked before each attempt: false ends the call, because another process may be at work now. */
  readonly permitted?: () => boolean;
  /** See `Resource`. */
  readonly annotations?: MoreAnnotations | undefined;
}

/** A content type: fields that are not there stay as they are, null takes one away (RFC 7396). */
export const mergePatch = "application/merge-patch+json";

// The kernel asks for a sign of life when a connection has been silent for 2 s, three times: a watch does not wait longer on a dead path.
const keepAlive = { enable: true, initialDelay: 2_000, interval: 1_000, count: 3 };
// The API server gives up on a request after 60 s by itself.
const wholeAnswerMs: Millis = 60_000;
const firstByteMs: Millis = 30_000;
// Half of the longest text that Node can hold; a page of the largest objects in use is far below it.
const maxAnswerBytes = 1 << 28;
const maxRefusalBytes = 1 << 16;
const maxRetryAfterMs: Millis = 30_000;

/** One attempt of a request; see `Http`. */
export type HttpClient = Pick<Http, "json" | "open">;

/** HTTP to one API server: no redirects, no retries but one for a kept connection that was closed under the request. */
export class Http {
  readonly #server: URL;
  readonly #target: RequestOptions; // Options of every request, parsed once: taking a URL apart costs as much as deciding on a Service.
  readonly #root: string;
  readonly #credentials: Credentials;
  readonly #clock: Clock;
  readonly #userAgent: string;

  constructor(server: URL, credentials: Credentials, options: { clock: Clock; userAgent: string }) {
    this.#server = server;
    this.#target = urlToHttpOptions(server);
    this.#root = server.pathname.replace(/\/$/, "");
    this.#credentials = credentials;
    this.#clock = options.clock;
    this.#userAgent = options.userAgent;
  }

  /**
   * Sends a request and reads the whole answer; `{}` for one that is ignored.
   * @throws {ApiError} for anything but a success with a JSON object; `TooLarge` where it has more than `maxBytes`
   */
  async json(request: Request, signal: AbortSignal, maxBytes = maxAnswerBytes): Promise<Fields> {
    using deadline = new Deadline(this.#clock, request.answerWithin ?? firstByteMs, "no answer", signal);
    const response = await this.#successful(request, deadline.signal);
    deadline.extend(wholeAnswerMs, "no whole answer");
    using _ = destroyOnAbort(response, deadline.signal);
    if (request.ignoreAnswer && isJson(response)) return await discard(response, request.purpose);
    const { text, whole } = await read(response, request.purpose, maxBytes);
    if (!whole) throw new ApiError(`Cannot ${request.purpose}: the answer has more than ${maxBytes >> 20} MiB`, 200, "TooLarge");
    const body = await inTurns(this.#clock, parseInSteps(text, request.annotations));
    if (typeof body === "object" && body !== null) return fields(body);
    throw new ApiError(`Cannot ${request.purpose}: the answer is not a JSON object`, response.statusCode ?? 0, "Malformed");
  }

  /** Sends a request. @returns the answer once its headers are here @throws {ApiError} for anything but a success */
  async open(request: Request, signal: AbortSignal): Promise<IncomingMessage> {
    using deadline = new Deadline(this.#clock, request.answerWithin ?? firstByteMs, "no answer", signal);
    const response = await this.#successful(request, deadline.signal);
    const stop = destroyOnAbort(response, signal);
    response.on("close", () => stop[Symbol.dispose]());
    return response;
  }

  async #successful(request: Request, signal: AbortSignal): Promise<IncomingMessage> {
    const response = await this.#authenticated(request, signal);
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return response;
    using _ = destroyOnAbort(response, signal);
    throw await refusal(request, response, status);
  }

  async #authenticated(request: Request, signal: AbortSignal): Promise<IncomingMessage> {
    const { fresh } = this.#credentials;
    const response = await this.#send(request, signal);
    if (response.statusCode !== 401 || !this.#credentials.expire(fresh)) return response;
    response.resume();
    return this.#send(request, signal);
  }

  async #send(request: Request, signal: AbortSignal): Promise<IncomingMessage> {
    for (let attempt = 0; ; attempt++) {
      let outgoing: ClientRequest | undefined;
      try {
        const identity = this.#credentials.fresh ?? (await untilAborted(this.#credentials.current(), signal));
        outgoing = this.#start(request, identity);
        return await answer(outgoing, signal);
      } catch (cause) {
        if (cause instanceof ApiError) throw cause;
        // The server may close a kept connection while a request is on its way. Every request of ours may be sent twice.
        if (attempt === 0 && outgoing?.reusedSocket && !signal.aborted) continue;
        throw new ApiError(`Cannot ${request.purpose} at ${this.#server.host}`, 0, "Unreachable", { cause: firstOf(cause) });
      }
    }
  }

  #start(request: Request, identity: Identity): ClientRequest {
    // A text, which Node writes in one piece with the headers; octets are a record of TLS of their own.
    const body = request.body === undefined ? "" : JSON.stringify(request.body);
    const headers: OutgoingHttpHeaders = {
      ...identity.headers,
      accept: request.accept ?? "application/json",
      ...(request.mayBeCompressed && { "accept-encoding": "gzip" }),
      "user-agent": this.#userAgent,
      ...(body !== "" && {
        "content-type": request.contentType ?? "application/json",
        "content-length": Buffer.byteLength(body),
      }),
    };
    const send = this.#server.protocol === "https:" ? requestHttps : requestHttp;
    const path = this.#root + request.path;
    const outgoing = send({ ...this.#target, path, method: request.method, headers, agent: identity.agent });
    outgoing.on("socket", (socket) => {
      if (!outgoing.reusedSocket) socket.setKeepAlive(keepAlive);
    });
    outgoing.end(body);
    return outgoing;
  }
}

/** Where a server has several addresses, such as `localhost`, Node gives an error for each, and no message for all. */
function firstOf(error: unknown): unknown {
  return error instanceof AggregateError ? error.errors[0] : error;
}

async function answer(outgoing: ClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
  using _ = destroyOnAbort(outgoing, signal);
  return await new Promise((resolve, reject) => {
    // An error after the answer began is emitted here too; the reader of the answer sees it there.
    outgoing.on("response", resolve).on("error", reject);
  });
}

/** Loaded with the first such answer: small clusters have none. */
function decoded(response: IncomingMessage): Readable {
  if (response.headers["content-encoding"] !== "gzip") return response;
  const gunzip = process.getBuiltinModule("node:zlib").createGunzip();
  // The reader sees an error of either as one of what it reads. Where it stops, both are destroyed.
  return pipeline(response, gunzip, () => {});
}

/** The chunks of an answer as they arrive. @throws {ApiError} when it breaks off */
export async function* chunks(response: Readable, purpose: string): AsyncGenerator<Buffer> {
  try {
    yield* response;
  } catch (cause) {
    throw brokenOff(purpose, cause);
  }
}

function brokenOff(purpose: string, cause: unknown): ApiError {
  return new ApiError(`Cannot ${purpose}: the answer broke off`, 0, "Unreachable", { cause });
}

/** An API server says so; what comes from anything on the way to it is looked at. */
function isJson({ rawHeaders }: IncomingMessage): boolean {
  // Names and values in turn. Node takes them apart when they are asked for by name, which costs as much as the rest of a short answer.
  const name = rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === "content-type");
  return name >= 0 && rawHeaders[name + 1]?.startsWith("application/json") === true;
}

/** Lets an answer pass, so that its connection can be used again. */
function discard(response: IncomingMessage, purpose: string): Promise<Fields> {
  const { promise, resolve, reject } = Promise.withResolvers<Fields>();
  const brokeOff = (cause?: Error): void => reject(brokenOff(purpose, cause));
  response
    .on("end", () => resolve({}))
    .on("error", brokeOff)
    .on("close", () => {
      if (!response.readableEnded) brokeOff();
    });
  response.resume();
  return promise;
}

/** Reads until `maxBytes`, counted as they are when decoded. */
async function read(response: IncomingMessage, purpose: string, maxBytes: number): Promise<{ text: string; whole: boolean }> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks(decoded(response), purpose)) {
    pieces.push(chunk);
    size += chunk.length;
    if (size > maxBytes) break;
  }
  return { text: Buffer.concat(pieces, size).toString("utf8"), whole: size <= maxBytes };
}

/** The error that an answer other than success stands for. Its body should be a Kubernetes Status, but a proxy may send a page. */
async function refusal(request: Request, response: IncomingMessage, code: number): Promise<ApiError> {
  // It is one, and has its wait, also where its words break off.
  const words = await read(response, request.purpose, maxRefusalBytes).then(
    (body) => body.text,
    () => "the answer broke off",
  );
  const status = fields(parseJson(words));
  const message = text(status.message) || words.slice(0, 200);
  return new ApiError(
    `Cannot ${request.purpose}: ${code} ${response.statusMessage ?? ""}: ${message}`,
    code,
    text(status.reason),
    { retryAfterMs: retryAfter(response.headers["retry-after"]) },
  );
}

/** RFC 9110, section 10.2.3: seconds or a date. */
function retryAfter(header: string | undefined): Millis | undefined {
  if (header === undefined) return undefined;
  const wait = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - wallClock().getTime();
  return Number.isNaN(wait) ? undefined : Math.min(Math.max(wait, 0), maxRetryAfterMs);
}

function destroyOnAbort(one: Pick<IncomingMessage | ClientRequest, "destroy">, signal: AbortSignal): Disposable {
  return onAbort(signal, (reason) => one.destroy(reason));
}

/** Calls `act` once if and when `signal` aborts, until disposed. */
function onAbort(signal: AbortSignal, act: (reason: Error) => void): Disposable {
  const listener = (): void => act(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
  if (signal.aborted) listener();
  else signal.addEventListener("abort", listener);
  return { [Symbol.dispose]: () => signal.removeEventListener("abort", listener) };
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  using _ = onAbort(signal, reject);
  return await Promise.race([work, promise]);
}

/** Its `signal` aborts when time is up, with an error that says so, or when `outer` does. Disposing disarms it. */
export class Deadline implements Disposable {
  readonly #abort = new AbortController();
  readonly #clock: Clock;
  readonly #startedAt: Millis;
  readonly #outer: AbortSignal;
  #after: Millis;
  #expired: string;
  #timer: Disposable;

  constructor(clock: Clock, after: Millis, expired: string, outer: AbortSignal) {
    this.#clock = clock;
    this.#startedAt = clock.now();
    this.#outer = outer;
    this.#after = after;
    this.#expired = expired;
    this.#timer = this.#schedule();
    if (outer.aborted) this.#onOuter();
    else outer.addEventListener("abort", this.#onOuter);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Sets the time limit of the next part, counted from the beginning; it may be longer than before. */
  extend(after: Millis, expired: string): void {
    this.#after = after;
    this.#expired = expired;
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    this.#outer.removeEventListener("abort", this.#onOuter);
  }

  #schedule(): Disposable {
    return this.#clock.schedule(this.#expired, this.#startedAt + this.#after, () => this.#due());
  }

  #due(): void {
    // It was extended meanwhile, like most deadlines: an answer in time needs no timer.
    if (this.#clock.now() < this.#startedAt + this.#after) this.#timer = this.#schedule();
    else this.#abort.abort(new Error(`${this.#expired} within ${Math.round(this.#after / 1000)} s`));
  }

  readonly #onOuter = (): void => this.#abort.abort(this.#outer.reason);
}
