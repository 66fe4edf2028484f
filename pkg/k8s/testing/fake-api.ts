import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type ServerOptions } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import type { Fields, Log } from "#pkg/log";
import { silentLog } from "#pkg/log/testing";
import type { Access } from "../access.ts";
import { Cluster } from "../cluster.ts";
import { Credentials } from "../credentials.ts";
import { Http } from "../http.ts";

/** For tests: an API server on loopback that does nothing by itself. The test takes each request and says what happens to it. */
export class FakeApi implements AsyncDisposable {
  readonly #server: Server;
  readonly #arrived: Exchange[] = [];
  readonly #taking: ((exchange: Exchange) => void)[] = [];
  readonly #scheme: string;

  private constructor(tls: ServerOptions | undefined) {
    const take = (request: IncomingMessage, response: ServerResponse): void => void this.#arrive(request, response);
    this.#server = tls === undefined ? createServer(take) : createSecureServer(tls, take);
    this.#scheme = tls === undefined ? "http" : "https";
  }

  static async start(tls?: ServerOptions): Promise<FakeApi> {
    const api = new FakeApi(tls);
    api.#server.listen(0, "127.0.0.1");
    await once(api.#server, "listening");
    return api;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next request that no other call took, in the order of arrival. */
  next(): Promise<Exchange> {
    const arrived = this.#arrived.shift();
    return arrived !== undefined ? Promise.resolve(arrived) : new Promise((resolve) => this.#taking.push(resolve));
  }

  /** How many requests wait to be taken. */
  get waiting(): number {
    return this.#arrived.length;
  }

  dropConnections(): void {
    this.#server.closeAllConnections();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.dropConnections();
    await once(this.#server, "close");
  }

  async #arrive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = await request.toArray();
    const exchange = new Exchange(request, response, Buffer.concat(chunks).toString());
    const take = this.#taking.shift();
    if (take === undefined) this.#arrived.push(exchange);
    else take(exchange);
  }
}

/** One request, and its answer. */
export class Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
  readonly response: ServerResponse;
  readonly socket: Socket;

  constructor(request: IncomingMessage, response: ServerResponse, body: string) {
    const url = new URL(request.url ?? "", "http://fake");
    this.method = request.method ?? "";
    this.path = url.pathname;
    this.query = Object.fromEntries(url.searchParams);
    this.headers = request.headers;
    this.body = body === "" ? undefined : JSON.parse(body);
    this.response = response;
    this.socket = request.socket;
  }

  reply(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): void {
    this.response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));
  }

  /** Answers with octets that are said to be compressed. */
  compressed(octets: Uint8Array): void {
    this.response.writeHead(200, { "content-type": "application/json", "content-encoding": "gzip" }).end(octets);
  }

  refuse(status: number, reason: string, headers: Readonly<Record<string, string>> = {}): void {
    this.reply(status, { kind: "Status", code: status, reason, message: `${reason} for the test` }, headers);
  }

  /** Answers a watch; more may be sent later. */
  stream(...events: unknown[]): void {
    this.response.writeHead(200).flushHeaders();
    this.send(...events);
  }

  /** Sends all in one piece, so that a client that sees the first acts on them all. */
  send(...events: unknown[]): void {
    this.response.write(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
  }

  end(): void {
    this.response.end();
  }

  drop(): void {
    this.response.destroy();
  }
}

/** Collects what is logged as `level message`, and the fields beside it. */
export class LogLines implements Log {
  readonly lines: string[] = [];
  readonly fields: Fields[] = [];

  debug(): void {}

  info(message: string, fields: Fields = {}): void {
    this.#add("info", message, fields);
  }

  warn(message: string, fields: Fields = {}): void {
    this.#add("warn", message, fields);
  }

  error(message: string, fields: Fields = {}): void {
    this.#add("error", message, fields);
  }

  with(): Log {
    return this;
  }

  #add(level: string, message: string, fields: Fields): void {
    this.lines.push(`${level} ${message}`);
    this.fields.push(fields);
  }
}

export function accessTo(url: string, more: Partial<Access> = {}): Access {
  return {
    origin: "the test",
    server: new URL(url),
    authority: undefined,
    skipVerify: false,
    serverName: undefined,
    proxy: undefined,
    certificate: undefined,
    key: undefined,
    token: undefined,
    basic: undefined,
    impersonate: {},
    exec: undefined,
    ...more,
  };
}

const maxWaitMs = 130_000;

/** A cluster whose time only the test moves. */
export function clusterAt(access: Access, clock: SimulatedClock = new SimulatedClock(), log: Log = silentLog): Cluster {
  const options = { userAgent: "test/1", log, clock, random: seededRandom(1) };
  const credentials = new Credentials(access, options);
  return new Cluster(credentials, new Http(access.server, credentials, options), options);
}

/** Lets I/O happen until `holds`. @throws {Error} after more than the tests' time limit: else a wait in vain would keep the process alive */
export async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + maxWaitMs; !holds(); await setImmediate())
    if (performance.now() > end) throw new Error(`Waited in vain for ${holds}`);
}

/** Lets I/O happen until `work` is done, moving time whenever a timer of `name` is set. */
export async function advanceThrough<T>(clock: SimulatedClock, name: string, work: Promise<T>): Promise<T> {
  let done = false;
  const finish = (): void => {
    done = true;
  };
  work.then(finish, finish);
  while (!done) {
    if (clock.pending().includes(name)) advanceUntilRun(clock, name);
    await setImmediate();
  }
  return work;
}

/** Moves time to the timer of `name`, running the others on the way. */
export function advanceUntilRun(clock: SimulatedClock, name: string): void {
  const before = count(clock, name);
  while (count(clock, name) >= before && before > 0) clock.advanceToNext();
}

function count(clock: SimulatedClock, name: string): number {
  return clock.pending().filter((pending) => pending === name).length;
}

/** Disposes of a cluster, with everything that it still waits for, and then of the server. */
export async function close(cluster: Cluster, api: FakeApi, clock: SimulatedClock): Promise<void> {
  let closed = false;
  const closing = cluster[Symbol.asyncDispose]().finally(() => {
    closed = true;
  });
  while (!closed) {
    clock.advanceBy(1_000);
    await setImmediate();
  }
  await closing;
  await api[Symbol.asyncDispose]();
}
