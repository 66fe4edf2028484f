import { chunkBits, chunkSize, offsetMask } from "./chunks.ts";
import type { NumberedNlri } from "./nlri-table.ts";
import type { RouteAttributes } from "./route.ts";

const none = -1;

/** Routes that wait to be sent, in their order: a list, whose links are in the chunks. */
export class RouteQueue {
  first = none;
  last = none;

  get isEmpty(): boolean {
    return this.first === none;
  }
}

/** The standing of routes under successive numbers. */
class Chunk {
  readonly advertised = new Array<RouteAttributes | undefined>(chunkSize).fill(undefined);
  readonly queues = new Array<RouteQueue | undefined>(chunkSize).fill(undefined);
  readonly next = new Int32Array(chunkSize);
  readonly previous = new Int32Array(chunkSize);
  readonly isUnsendable = new Uint8Array(chunkSize);
}

/** How each route stands in one session: what is advertised, and where it waits. A route is in one queue at most. */
export class SentRoutes {
  readonly #chunks: (Chunk | undefined)[] = [];
  #queued = 0;

  /** How many routes are in queues. */
  get queued(): number {
    return this.#queued;
  }

  advertised({ number }: NumberedNlri): RouteAttributes | undefined {
    return this.#chunks[number >>> chunkBits]?.advertised[number & offsetMask];
  }

  setAdvertised({ number }: NumberedNlri, attributes: RouteAttributes | undefined): void {
    this.#chunkOf(number).advertised[number & offsetMask] = attributes;
  }

  /** It is wanted, but the session cannot carry it. */
  isUnsendable({ number }: NumberedNlri): boolean {
    return this.#chunks[number >>> chunkBits]?.isUnsendable[number & offsetMask] === 1;
  }

  setUnsendable({ number }: NumberedNlri, isUnsendable: boolean): void {
    this.#chunkOf(number).isUnsendable[number & offsetMask] = isUnsendable ? 1 : 0;
  }

  /** Moves a route to the end of a queue; it stays where it is in this one already. */
  put({ number }: NumberedNlri, queue: RouteQueue | undefined): void {
    const chunk = this.#chunkOf(number);
    const offset = number & offsetMask;
    const before = chunk.queues[offset];
    if (before === queue) return;
    if (before !== undefined) {
      const previous = chunk.previous[offset] ?? none;
      const next = chunk.next[offset] ?? none;
      if (previous === none) before.first = next;
      else this.#chunkOf(previous).next[previous & offsetMask] = next;
      if (next === none) before.last = previous;
      else this.#chunkOf(next).previous[next & offsetMask] = previous;
      this.#queued--;
    }
    chunk.queues[offset] = queue;
    if (queue === undefined) return;
    chunk.previous[offset] = queue.last;
    chunk.next[offset] = none;
    if (queue.last === none) queue.first = number;
    else this.#chunkOf(queue.last).next[queue.last & offsetMask] = number;
    queue.last = number;
    this.#queued++;
  }

  #chunkOf(number: number): Chunk {
    const index = number >>> chunkBits;
    let chunk = this.#chunks[index];
    if (chunk === undefined) {
      chunk = new Chunk();
      this.#chunks[index] = chunk;
    }
    return chunk;
  }
}
