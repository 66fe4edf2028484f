import type { Millis } from "#pkg/clock";
import { Deadlines, PartOf } from "#pkg/core";
import type { LiveConfig } from "#pkg/live-config";
import type { Context } from "../context.ts";

// As long as custom resources may take until they count.
const longestMs: Millis = 2_000;

/**
 * Services that wait for the configuration that is on its way: an address of the one before may be in the new one's way. None waits longer than 2 s
 * for a decision, however often the configuration changes.
 */
export class ConfigWait extends PartOf<Pick<Context, "now">> {
  /** Custom resources have changed, and do not count yet. */
  areObjectsChanging = false;
  private readonly live: Pick<LiveConfig, "isDeciding">;
  private readonly until = new Map<string, Millis>(); // service -> when it is decided on at the latest; until it is
  private readonly due = new Deadlines();

  constructor(context: Pick<Context, "now">, live: Pick<LiveConfig, "isDeciding">) {
    super(context);
    this.live = live;
  }

  get deadline(): Millis {
    return this.due.next;
  }

  /** A Service is to be decided on. @returns whether it is to wait instead */
  waits(key: string): boolean {
    const { now } = this.context;
    const until = this.until.get(key) ?? now + longestMs;
    if (!this.#isOn || until <= now) {
      this.#forget(key);
      return false;
    }
    this.until.set(key, until);
    this.due.set(key, until);
    return true;
  }

  /** @returns Services whose wait is over */
  ended(): readonly string[] {
    const keys: string[] = [];
    for (let key = this.due.takeDue(this.context.now); key !== undefined; key = this.due.takeDue(this.context.now))
      keys.push(key);
    if (this.#isOn) return keys;
    keys.push(...this.until.keys());
    for (const key of keys) this.#forget(key);
    return keys;
  }

  get #isOn(): boolean {
    return this.areObjectsChanging || this.live.isDeciding;
  }

  #forget(key: string): void {
    this.until.delete(key);
    this.due.set(key, Infinity);
  }
}
