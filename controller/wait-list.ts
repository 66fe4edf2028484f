/** Something that may become possible for a Service when `topic` moves. Services of one `shape` have the same chances. */
export interface Wait {
  /** Such as `free IPv4 address in pool a`; see `topics.ts`. */
  readonly topic: string;
  readonly shape: string;
}

/**
 * Who waits for what, first come, first served. When something moves, only the first Service of each shape is worth a try: if it
 * fails, so would those behind it; if it is served, or waits for something else now, the next one gets its chance. So one freed
 * address costs one successful and one failed try, however many wait.
 */
export class WaitList {
  readonly #lines = new Map<string, Map<string, Set<string>>>(); // topic -> shape -> Services in line
  readonly #waits = new Map<string, readonly Wait[]>(); // service -> what it waits for, if anything

  /** Replaces what a Service waits for; its place in lines that it stays in is kept. @returns who is worth a try now */
  set(service: string, waits: readonly Wait[]): string[] {
    const before = this.#waits.get(service) ?? [];
    const left = before.filter((old) => !waits.some((wait) => isSame(old, wait)));
    for (const { topic, shape } of left) this.#lines.get(topic)?.get(shape)?.delete(service);
    for (const { topic, shape } of waits) this.#line(topic, shape).add(service);
    if (waits.length > 0) this.#waits.set(service, waits);
    else this.#waits.delete(service);
    return left.flatMap(({ topic, shape }) => this.#head(topic, shape));
  }

  /** @returns who is worth a try when `topic` moves */
  moved(topic: string): string[] {
    return [...(this.#lines.get(topic)?.keys() ?? [])].flatMap((shape) => this.#head(topic, shape));
  }

  #line(topic: string, shape: string): Set<string> {
    const shapes = this.#lines.get(topic) ?? new Map<string, Set<string>>();
    const line = shapes.get(shape) ?? new Set<string>();
    this.#lines.set(topic, shapes.set(shape, line));
    return line;
  }

  /** The first in line; a line that has become empty is forgotten. */
  #head(topic: string, shape: string): string[] {
    const shapes = this.#lines.get(topic);
    const [first] = shapes?.get(shape) ?? [];
    if (first !== undefined) return [first];
    shapes?.delete(shape);
    if (shapes?.size === 0) this.#lines.delete(topic);
    return [];
  }
}

function isSame(a: Wait, b: Wait): boolean {
  return a.topic === b.topic && a.shape === b.shape;
}
