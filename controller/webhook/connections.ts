import type { Socket } from "node:net";
import { type Allowance, type Clock, type Millis, Tokens } from "#pkg/clock";

/** Limits of connections, which everybody in the cluster's network can open. */
export const connectionLimits: {
  readonly atOnce: number;
  readonly lifeMs: Millis;
  readonly new: Allowance;
  readonly newOfSource: Allowance;
} = {
  atOnce: 32,
  /** From its beginning to the end of the answer, after which it is closed. */
  lifeMs: 8_000,
  // A handshake takes the process about a millisecond.
  new: { burst: 32, everyMs: 20 },
  newOfSource: { burst: 8, everyMs: 250 },
};

const maxSources = 1_000;

/** Decides which connections are let in, before any octet of them is looked at, and ends each after a time. */
export class Connections implements Disposable {
  readonly #clock: Clock;
  readonly #open = new Map<Socket, Disposable>(); // the oldest first -> its end
  readonly #new: Tokens;
  readonly #newOf = new Map<string, Tokens>(); // source -> what is left to it

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#new = new Tokens(connectionLimits.new, clock.now());
  }

  /** @returns false where it is refused, and closed */
  admit(socket: Socket): boolean {
    const now = this.#clock.now();
    if (!this.#tokensOf(socket.remoteAddress ?? "", now).take(now) || !this.#new.take(now)) {
      socket.destroy();
      return false;
    }
    const end = this.#clock.schedule("webhook connection", now + connectionLimits.lifeMs, () => this.#close(socket));
    this.#open.set(socket, end);
    socket.on("error", () => {}); // It closes then.
    socket.on("close", () => this.#close(socket));
    if (this.#open.size > connectionLimits.atOnce) this.#close(this.#oldestOfLargest());
    return this.#open.has(socket);
  }

  [Symbol.dispose](): void {
    for (const socket of [...this.#open.keys()]) this.#close(socket);
  }

  #tokensOf(source: string, now: Millis): Tokens {
    const known = this.#newOf.get(source);
    if (known !== undefined) return known;
    if (this.#newOf.size >= maxSources) this.#newOf.clear(); // They begin anew.
    const tokens = new Tokens(connectionLimits.newOfSource, now);
    this.#newOf.set(source, tokens);
    return tokens;
  }

  /** Of the source with most connections, so that none keeps others out. */
  #oldestOfLargest(): Socket | undefined {
    const bySource = Map.groupBy(this.#open.keys(), ({ remoteAddress }) => remoteAddress);
    const largest = [...bySource.values()].reduce((most, other) => (other.length > most.length ? other : most));
    return largest[0];
  }

  #close(socket: Socket | undefined): void {
    if (socket === undefined) return;
    this.#open.get(socket)?.[Symbol.dispose]();
    this.#open.delete(socket);
    socket.destroy();
  }
}
