import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { Alarm, type Clock, type Millis, SystemClock, wallClock } from "#pkg/clock";
import { backlog, Regulars, ServerGate } from "#pkg/connections";
import type { Log } from "#pkg/log";
import { decodeRequest, type Request } from "./codec/request-codec.ts";

/** The answer of a path. */
export interface Route {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Buffer | readonly Buffer[];
}
/** The request of a client. */
export interface RouteRequest extends Pick<Request, "host" | "authorization"> {
  readonly query: URLSearchParams;
  /** The client's address, without a zone. */
  readonly from: string;
  /** Whether the client is on this host: that of the process, or of its Pod. */
  readonly isLocal: boolean;
}

export type Handler = (asked: RouteRequest) => Route | Promise<Route>;
export type Routes = Readonly<Record<string, Handler>>; // path -> answer

export interface HttpServer extends AsyncDisposable {
  /** The port in use; that of the operating system's choice if 0 was asked for. */
  readonly port: number;
}

export interface ServeOptions {
  /** Empty: every address. */
  readonly host: string;
  readonly port: number;
  readonly routes: Routes;
  readonly log: Log;
  readonly clock?: Clock;
}

/** Limits of the port, which everybody in the cluster's network can reach. */
export const httpLimits = {
  connections: 64,
  /** From the connection, or the first byte of a later request, to the end of its head. */
  headMs: 5_000 as Millis,
  /** Until an answer has been taken: each holds a page, of some megabytes where there are many Services. */
  answerMs: 10_000 as Millis,
  /** Between requests of one connection. */
  idleMs: 120_000 as Millis,
} as const;

// An answer is passed on in pieces, between which others have their turn.
const pieceBytes = 128 << 10;
// What HTTP does at a stretch, and then how long it leaves the process to the rest: a third of the main thread at most.
const turnMs: Millis = 4;
const restFactor = 2;

const reasons: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  413: "Content Too Large",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  503: "Service Unavailable",
  505: "HTTP Version Not Supported",
};

/**
 * Listens, and where `host` is one address of the machine also on loopback, where `kubectl port-forward` arrives.
 * @throws {Error} that names the address, when `host` cannot be listened on
 */
export async function serve(options: ServeOptions): Promise<HttpServer> {
  const { host, port, routes, log, clock = new SystemClock() } = options;
  const regulars = new Regulars(clock, host);
  const gate = new ServerGate({
    clock,
    log,
    op: "http",
    advice: "look who connects to this port: only Prometheus and the kubelet have to reach it",
    known: regulars,
  });
  const connections = new Connections({ routes, log, clock, regulars });
  const door = { connections, gate, log };
  const first = await listen(host, port, door);
  const servers = [first];
  const { port: chosen } = first.address() as AddressInfo;
  if (!alsoLoopback.has(host)) {
    try {
      servers.push(await listen(loopback, chosen, door));
    } catch (error) {
      log.warn("HTTP is not answered on loopback, where kubectl port-forward arrives", { op: "http", error });
    }
  }
  return {
    port: chosen,
    async [Symbol.asyncDispose]() {
      gate[Symbol.dispose]();
      connections[Symbol.dispose]();
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

const loopback = "127.0.0.1";
/** A server that listens there is found on loopback. */
const alsoLoopback: ReadonlySet<string> = new Set(["", "0.0.0.0", "::", loopback, "localhost"]);

async function listen(host: string, port: number, { connections, gate, log }: Door): Promise<Server> {
  const server = createServer({ noDelay: true }, (socket) => {
    const source = gate.admit(socket);
    if (source !== undefined) connections.add(socket, `${source}`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(new Error(`Cannot listen for HTTP on ${host || "*"}:${port}`, { cause })));
    server.listen({ port, backlog, ...(host === "" ? {} : { host }) }, resolve);
  });
  server.on("error", (error) => log.error("cannot accept HTTP connections", { op: "http", error }));
  gate.add(server);
  return server;
}

interface Connection {
  readonly socket: Socket;
  /** The client: an IP address. */
  readonly from: string;
  readonly deadline: Alarm;
  /**
   * Received octets that are not yet read; at most one chunk beyond the longest head, because nothing is received while an answer is due.
   */
  received: Buffer;
  /** `ready`: there may be a request to read or a piece to send. `ending`: all is sent, and what still comes is dropped. */
  state: "receiving" | "ready" | "answering" | "sending" | "ending" | "closed";
  /** The rest of the answer. */
  answer: readonly Buffer[];
  keepAlive: boolean;
}

interface ConnectionsOptions extends Required<Pick<ServeOptions, "routes" | "log" | "clock">> {
  readonly regulars: Regulars;
}

/** Checks that a connection passes. */
interface Door {
  readonly connections: Connections;
  readonly gate: ServerGate;
  readonly log: Log;
}

/**
 * All connections, in turns that are short. One request of a connection is answered at a time: those that a client sends ahead wait in
 * its socket.
 */
class Connections implements Disposable {
  readonly #routes: Routes;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #regulars: Regulars;
  readonly #open = new Set<Connection>(); // the oldest first
  readonly #ready = new Set<Connection>();
  readonly #turn: Alarm;
  #restUntil: Millis = 0;

  constructor({ routes, log, clock, regulars }: ConnectionsOptions) {
    this.#routes = routes;
    this.#log = log;
    this.#clock = clock;
    this.#regulars = regulars;
    this.#turn = new Alarm(clock, "HTTP", () => this.#work());
  }

  add(socket: Socket, from: string): void {
    if (this.#open.size >= httpLimits.connections && !this.#makeRoom(from)) {
      socket.destroy();
      return;
    }
    const deadline = new Alarm(this.#clock, "HTTP connection", () => this.#close(connection));
    const connection: Connection = {
      socket,
      from,
      deadline,
      received: Buffer.alloc(0),
      state: "receiving",
      answer: [],
      keepAlive: true,
    };
    this.#open.add(connection);
    deadline.set(this.#clock.now() + httpLimits.headMs);
    socket.on("error", () => {}); // It closes then.
    socket.on("close", () => this.#close(connection));
    socket.on("data", (chunk) => this.#receive(connection, chunk));
    socket.on("drain", () => this.#makeReady(connection));
  }

  /**
   * Closes a connection of the source with most of them, so that no source keeps others out: the oldest idle one, else the oldest.
   * @returns false where the new one is of the same host, and all that it has are at work
   */
  #makeRoom(newcomer: string): boolean {
    // Among sources with equally many the first: strangers before regulars, and the newcomer last.
    const sources = Array.from(this.#open, ({ from }) => from);
    const isRegular = (source: string) => this.#regulars.has(source);
    const largest = sourceOfMost([...sources.filter((source) => !isRegular(source)), ...sources.filter(isRegular), newcomer]);
    const theirs = [...this.#open].filter(({ from }) => from === largest);
    const idle = theirs.find(({ state }) => state === "receiving");
    if (idle === undefined && largest === newcomer) return false;
    this.#close(idle ?? theirs[0]);
    return true;
  }

  [Symbol.dispose](): void {
    this.#turn[Symbol.dispose]();
    for (const connection of [...this.#open]) this.#close(connection);
  }

  #close(connection: Connection | undefined): void {
    if (connection === undefined || connection.state === "closed") return;
    connection.state = "closed";
    connection.deadline[Symbol.dispose]();
    this.#open.delete(connection);
    this.#ready.delete(connection);
    connection.socket.destroy();
  }

  #receive(connection: Connection, chunk: Buffer): void {
    if (connection.state === "ending") return;
    const { received } = connection;
    connection.received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    connection.socket.pause();
    this.#makeReady(connection);
  }

  #makeReady(connection: Connection): void {
    if (connection.state !== "receiving" && connection.state !== "sending") return;
    connection.state = "ready";
    this.#ready.add(connection);
    this.#turn.setNoLater(Math.max(this.#clock.now(), this.#restUntil));
  }

  /** Each in turn, until the time is up. */
  #work(): void {
    const start = this.#clock.now();
    for (const connection of this.#ready) {
      this.#ready.delete(connection); // It may be added again, behind the others.
      if (connection.answer.length > 0) this.#send(connection);
      else this.#read(connection);
      if (this.#clock.now() - start >= turnMs) break;
    }
    const now = this.#clock.now();
    this.#restUntil = now + restFactor * (now - start);
    if (this.#ready.size > 0) this.#turn.set(this.#restUntil);
  }

  #read(connection: Connection): void {
    const now = this.#clock.now();
    const reading = decodeRequest(connection.received);
    if (reading === undefined) {
      if (connection.received.length === 0) connection.deadline.set(now + httpLimits.idleMs);
      else connection.deadline.setNoLater(now + httpLimits.headMs); // However often a byte comes.
      connection.state = "receiving";
      connection.socket.resume();
      return;
    }
    connection.state = "answering";
    connection.deadline.set(now + httpLimits.answerMs);
    if (reading.type === "refused") {
      connection.keepAlive = false;
      this.#answer(connection, text(reading.status, reasons[reading.status] ?? ""), true);
      return;
    }
    connection.received = connection.received.subarray(reading.length);
    connection.keepAlive = reading.keepAlive;
    const answered = (route: Route) => this.#answer(connection, route, reading.method !== "HEAD");
    this.#regulars.note(connection.from);
    this.#route(reading, connection.from).then(answered, (error: unknown) => {
      this.#log.error("request failed", { op: "http", path: reading.path, error });
      answered(text(500, "internal error"));
    });
  }

  async #route({ method, path, query, host, authorization }: Request, from: string): Promise<Route> {
    if (method !== "GET" && method !== "HEAD") return text(405, "method not allowed");
    const route = Object.hasOwn(this.#routes, path) ? this.#routes[path] : undefined;
    if (route === undefined) return text(404, "not found");
    return await route({ query: new URLSearchParams(query), host, authorization, from, isLocal: isLoopback(from) });
  }

  #answer(connection: Connection, route: Route, withBody: boolean): void {
    if (connection.state !== "answering") return;
    const { status, contentType, body } = route;
    const pieces = typeof body === "string" ? [Buffer.from(body)] : Buffer.isBuffer(body) ? [body] : body;
    const head = [
      `HTTP/1.1 ${status} ${reasons[status] ?? ""}`,
      `Date: ${wallClock().toUTCString()}`,
      `Content-Type: ${contentType}`,
      `Content-Length: ${pieces.reduce((sum, { length }) => sum + length, 0)}`,
      ...(status === 405 ? ["Allow: GET, HEAD"] : []),
      ...(status === 401 ? ["WWW-Authenticate: Bearer"] : []),
      `Connection: ${connection.keepAlive ? "keep-alive" : "close"}`,
    ];
    connection.answer = [
      Buffer.from(`${head.join("\r\n")}\r\n\r\n`, "latin1"),
      ...(withBody ? pieces.filter(({ length }) => length > 0) : []),
    ];
    connection.state = "sending";
    this.#makeReady(connection);
  }

  /** A piece of the answer. After the last one comes the next request, or the end. */
  #send(connection: Connection): void {
    const { socket, keepAlive } = connection;
    const [first = Buffer.alloc(0), ...rest] = connection.answer;
    const piece = first.subarray(0, pieceBytes);
    connection.answer = piece.length < first.length ? [first.subarray(pieceBytes), ...rest] : rest;
    connection.state = "sending";
    const isLast = connection.answer.length === 0;
    const isTaken = socket.write(piece);
    if (isLast && !keepAlive) {
      connection.state = "ending";
      connection.deadline.setNoLater(this.#clock.now() + httpLimits.answerMs);
      socket.end();
      socket.resume();
    } else if (isTaken) this.#makeReady(connection); // Else when it has drained.
  }
}

function isLoopback(address: string): boolean {
  return address === "::1" || address.startsWith("127.");
}

function text(status: number, body: string): Route {
  return { status, contentType: "text/plain", body: `${body.toLowerCase()}\n` };
}

/** The source that most of some connections have, given one by one; of several the first. */
export function sourceOfMost(sources: Iterable<string | undefined>): string | undefined {
  const counts = new Map<string | undefined, number>(); // source -> connections
  for (const source of sources) counts.set(source, (counts.get(source) ?? 0) + 1);
  let most: readonly [string | undefined, number] = [undefined, 0];
  for (const entry of counts) if (entry[1] > most[1]) most = entry;
  return most[0];
}
