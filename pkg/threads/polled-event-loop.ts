import { createHook } from "node:async_hooks";
import { type Allowance, type Clock, type Millis, Tokens } from "#pkg/clock";
import { eventLoopFd, noDescriptor, PollSet } from "#pkg/linux";

interface Timer {
  readonly at: Millis;
  readonly fn: () => void;
}

/**
 * Turns that Node has for what shows on its descriptor. V8 collects garbage in tasks each of which asks for the next one, for up to half a
 * second, and most of which find nothing to do: a real-time thread would take all of a processor for that.
 */
const turnsOfNode: Allowance = { burst: 16, everyMs: 1 };

/** Where Node's event loop has no descriptor that can be waited for, it has a turn so often. */
const blindWait: Millis = 5;

/**
 * Turns of Node's event loop that wait in `ppoll`, for descriptors and deadlines of their own and for Node's, all at once. A datagram or a
 * deadline then costs a fraction of its cost in Node's sockets and timers, and is on time to the microsecond, while streams and messages
 * stay Node's. Only Node's own timers come late in such a thread: it uses this clock.
 */
export class PolledEventLoop implements Clock, Disposable {
  readonly #maxWait: Millis;
  readonly #poll = new PollSet();
  readonly #pollWithoutNode = new PollSet();
  readonly #nodeFd: number;
  readonly #readers = new Map<number, () => void>(); // descriptor -> what reads it
  readonly #timers = new Set<Timer>();
  #nextAt: Millis | undefined = Infinity; // Time of the first timer; undefined if it has to be looked for.
  #isSettled = false; // Nothing happened in the last turn, so that Node has nothing left to call at its end, such as what was closed.
  readonly #turnsOfNode = new Tokens(turnsOfNode, this.now());
  #nodeAt: Millis = -Infinity; // Before then Node has no turn for what shows on its descriptor.
  #turn: NodeJS.Immediate | undefined;
  #isOverToNode = true; // Node may have something to call before the next wait.
  /** Notices work for Node: new objects that it is to call one day, and promises that settle. */
  readonly #needs = createHook({ init: () => this.#overToNode(), promiseResolve: () => this.#overToNode() });

  /**
   * @param maxWait by how much Node's own timers may be late, where somebody has some
   * @param nodeFd the descriptor of Node's event loop, or `noDescriptor`
   */
  constructor(maxWait: Millis = Infinity, nodeFd = eventLoopFd()) {
    this.#nodeFd = nodeFd;
    this.#maxWait = nodeFd === noDescriptor ? Math.min(maxWait, blindWait) : maxWait;
    this.#watch();
  }

  /** Takes turns from now on, until it is disposed of. The thread lives for as long. */
  start(): void {
    this.#turn ??= setImmediate(this.#run);
    this.#needs.enable();
  }

  now(): Millis {
    return performance.now();
  }

  schedule(_name: string, at: Millis, fn: () => void): Disposable {
    const timer = { at, fn };
    this.#timers.add(timer);
    if (this.#nextAt !== undefined && at < this.#nextAt) this.#nextAt = at;
    return { [Symbol.dispose]: () => this.#cancel(timer) };
  }

  /** Calls `read` in each turn in which a descriptor is readable or in error, until what is returned is disposed of; then it may be closed. */
  watch(fd: number, read: () => void): Disposable {
    this.#readers.set(fd, read);
    this.#watch();
    return {
      [Symbol.dispose]: () => {
        this.#readers.delete(fd);
        this.#watch();
      },
    };
  }

  [Symbol.dispose](): void {
    clearImmediate(this.#turn);
    this.#turn = undefined;
    this.#needs.disable();
    this.#overToNode();
  }

  #watch(): void {
    const fds = [...this.#readers.keys()];
    this.#poll.watch([this.#nodeFd, ...fds]);
    this.#pollWithoutNode.watch(fds);
  }

  readonly #run = (): void => {
    this.#turn = setImmediate(this.#run); // This comes first, so that the next turn comes even if something below throws.
    const left = leftToNode();
    const mayWait = left === "nothing" || (left === "handles" && this.#isSettled);
    this.#isOverToNode = left !== "nothing";
    // A turn of Node's loop takes an eighth of a wake-up, and is had only where there is something for it to do.
    do this.#wait(mayWait);
    while (!this.#isOverToNode);
  };

  #wait(mayWait: boolean): void {
    const before = this.now();
    const longest = mayWait ? Math.min(this.#firstAt() - before, this.#maxWait) : 0;
    const isNodeToWait = before < this.#nodeAt;
    const ready = isNodeToWait ? this.#pollWithoutNode.wait(Math.min(longest, this.#nodeAt - before)) : this.#poll.wait(longest);
    const now = this.now();
    const due = this.#firstAt() <= now;
    this.#isSettled = ready.length === 0 && !due && !isNodeToWait;
    const isNodesTurn = this.#nodeFd === noDescriptor || ready.includes(this.#nodeFd);
    if (isNodesTurn && !this.#turnsOfNode.take(now)) this.#nodeAt = now + turnsOfNode.everyMs;
    if (this.#isSettled || isNodesTurn) this.#overToNode();
    for (const fd of ready) this.#readers.get(fd)?.();
    if (due) this.#runTimers();
  }

  #overToNode(): void {
    this.#isOverToNode = true;
  }

  #firstAt(): Millis {
    if (this.#nextAt === undefined) {
      this.#nextAt = Infinity;
      for (const { at } of this.#timers) this.#nextAt = Math.min(this.#nextAt, at);
    }
    return this.#nextAt;
  }

  #runTimers(): void {
    const now = this.now();
    const due = [...this.#timers].filter(({ at }) => at <= now).sort((a, b) => a.at - b.at);
    for (const timer of due) if (this.#cancel(timer)) timer.fn();
  }

  /** @returns whether it was still to come */
  #cancel(timer: Timer): boolean {
    if (timer.at === this.#nextAt) this.#nextAt = undefined;
    return this.#timers.delete(timer);
  }
}

/**
 * Work of Node at the end of a turn or in the next one that its descriptor does not show: immediates other than the loop's own, which may
 * come after it, or the end of its sockets and files. A message to the thread shows on the descriptor.
 */
function leftToNode(): "nothing" | "handles" | "immediates" {
  let immediates = 0;
  let handles = 0;
  for (const kind of process.getActiveResourcesInfo()) {
    if (kind === "Immediate") immediates++;
    else if (kind !== "MessagePort") handles++;
  }
  if (immediates > 1) return "immediates";
  return handles > 0 ? "handles" : "nothing";
}
