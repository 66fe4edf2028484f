import type { Clock, Millis } from "#pkg/clock";
import { parseAddress } from "#pkg/net";
import type { KnownSources } from "./connection-gate.ts";

export const regularLimits = {
  /** More than have business with one process: a kubelet, Prometheus twice, some people. */
  count: 16,
  /** For so long without a request one keeps its place, where another wants it: more than between two scrapes. */
  keptMs: 300_000 as Millis,
} as const;

/**
 * Clients that were admitted before. The first of them keep their place while others flood the port, as long as they go on asking, and so
 * do clients on this host.
 */
export class Regulars implements KnownSources {
  readonly #clock: Clock;
  readonly #own: readonly string[];
  readonly #asked = new Map<string, Millis>(); // address -> when it asked last

  /** @param host where it is listened, from where a kubelet asks on the network of the node */
  constructor(clock: Clock, host: string) {
    this.#clock = clock;
    this.#own = [host, "127.0.0.1", "::1"].flatMap((text) => parseAddress(text)?.toString() ?? []);
  }

  get addresses(): readonly string[] {
    return [...this.#own, ...this.#asked.keys()];
  }

  has(address: string): boolean {
    return this.#asked.has(address) || this.#own.includes(address);
  }

  /**
   * A whole request has arrived. A client takes another's place only if that one has not asked for long: otherwise a client with many
   * addresses could take all places.
   */
  note(address: string): void {
    const now = this.#clock.now();
    if (!this.#asked.has(address) && this.#asked.size >= regularLimits.count) {
      const gone = [...this.#asked].find(([, at]) => at + regularLimits.keptMs <= now);
      if (gone === undefined) return;
      this.#asked.delete(gone[0]);
    }
    this.#asked.set(address, now);
  }
}
