import type { Server, Socket } from "node:net";
import { type Allowance, Tokens } from "#pkg/clock";
import { SystemCallError, TcpSocket } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { Address, parseAddress } from "#pkg/net";
import { ConnectionGate, type ConnectionGateOptions, type RefusedSources, type Refuser } from "./connection-gate.ts";
import { RefusingListener } from "./refusing-listener.ts";

export interface ServerGateOptions extends Omit<ConnectionGateOptions, "onRefused" | keyof typeof limits> {
  readonly log: Log;
  /** The purpose of the port, as logged. */
  readonly op: string;
  /** The clients that have to reach the port, as logged. */
  readonly advice: string;
}

/** Length of the queue of connections that wait to be accepted: while it is full, nobody gets in, not even a known client. */
export const backlog = 256;
// Fewer than `backlog`: a turn of the event loop that finds the backlog full reaches the limit, and no other does for a second. Half of
// the backlog is left when one host has used up its share.
const limits = { maxOfSource: 100, maxOfStrangers: 200 } as const;
// Addresses are many: what matters is that it happens, and one example.
const logged: Allowance = { burst: 1, everyMs: 10 * 60_000 };

/**
 * The gate of a port at which Node listens, by one server or several. Where the kernel cannot refuse as many as it should, the others are
 * closed as they come.
 */
export class ServerGate implements Refuser, Disposable {
  readonly #options: ServerGateOptions;
  readonly #gate: ConnectionGate;
  readonly #listeners = new Set<RefusingListener>();
  readonly #refusals: Tokens; // Limits log lines about refused sources.
  readonly #problems: Tokens;

  constructor(options: ServerGateOptions) {
    this.#options = options;
    const now = options.clock.now();
    this.#refusals = new Tokens(logged, now);
    this.#problems = new Tokens(logged, now);
    this.#gate = new ConnectionGate({ ...options, ...limits, onRefused: (from) => this.#logRefused(from) });
    this.#gate.start(this);
  }

  /** From now on connections are refused at this server, which listens, too. */
  add(server: Server): void {
    const fd = descriptorOf(server);
    if (fd !== undefined) this.#attempt(() => this.#listeners.add(new RefusingListener(fd)));
  }

  /** Counts a connection that a server has just accepted. @returns whose it is; undefined where it may not stay, and is closed */
  admit(socket: Socket): Address | undefined {
    const source = sourceOf(socket);
    if (source !== undefined && this.#gate.admits(`${source}`)) return source;
    socket.on("error", () => {}); // It is closed anyway.
    socket.destroy();
    return undefined;
  }

  refuse(refusal: RefusedSources | undefined): void {
    for (const listener of this.#listeners) this.#attempt(() => listener.refuse(refusal));
  }

  /** To be called before the servers are closed. */
  [Symbol.dispose](): void {
    this.#gate[Symbol.dispose]();
    for (const listener of this.#listeners) listener[Symbol.dispose]();
    this.#listeners.clear();
  }

  #attempt(call: () => void): void {
    try {
      call();
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      this.#logProblem(error);
    }
  }

  #logRefused(from: string): void {
    const { log, op, advice, clock } = this.#options;
    if (this.#refusals.take(clock.now())) log.warn("connections of a host are refused for a second", { op, from, advice });
  }

  #logProblem(error: Error): void {
    const { log, op, clock } = this.#options;
    if (this.#problems.take(clock.now())) log.warn("not all connections that should be are refused", { op, error });
  }
}

/** Node does not tell it of a connection that was reset meanwhile, of which a flood has many. @returns undefined where the kernel does not either */
function sourceOf(socket: Socket): Address | undefined {
  const [text = ""] = (socket.remoteAddress ?? "").split("%");
  const fd = descriptorOf(socket);
  if (text !== "" || fd === undefined) return parseAddress(text);
  try {
    return Address.fromBytes(TcpSocket.of(fd).peer.source);
  } catch (error) {
    if (!(error instanceof SystemCallError)) throw error;
    return undefined;
  }
}

/** The descriptor of a server or socket that Node opened, for which Node has no public way. @returns undefined when it is closed already */
export function descriptorOf(opened: Server | Socket): number | undefined {
  const { _handle: handle } = opened as unknown as { _handle: { fd?: unknown } | null };
  return typeof handle?.fd === "number" && handle.fd >= 0 ? handle.fd : undefined;
}
