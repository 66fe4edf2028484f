import type { Socket } from "node:net";
import { type Allowance, type Clock, type Millis, SourceTokens } from "#pkg/clock";
import { sourceOfMost } from "#pkg/http";

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

/** Decides which connections are let in, before any octet of them is looked at, and ends each after a time. */
export class Connections implements Disposable {
  readonly #clock: Clock;
  readonly #open = new Map<Socket, Disposable>(); // the oldest first -> its end
  readonly #new: SourceTokens;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#new = new SourceTokens({ ofSource: connectionLimits.newOfSource, all: connectionLimits.new }, clock.now());
  }

  /** @param isRegular whether what others open does not count for who opened it @returns false where it is refused, and closed */
  admit(socket: Socket, from: string, isRegular: boolean): boolean {
    const now = this.#clock.now();
    if (!(isRegular ? this.#new.takeOwn(from, now) : this.#new.take(from, now))) {
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

  /** The oldest connection of the source with most of them, so that no source keeps others out. */
  #oldestOfLargest(): Socket | undefined {
    const open = [...this.#open.keys()];
    const largest = sourceOfMost(open.map(({ remoteAddress }) => remoteAddress));
    return open.find(({ remoteAddress }) => remoteAddress === largest);
  }

  #close(socket: Socket | undefined): void {
    if (socket === undefined) return;
    this.#open.get(socket)?.[Symbol.dispose]();
    this.#open.delete(socket);
    socket.destroy();
  }
}
