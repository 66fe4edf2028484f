import { Alarm, type Clock, type Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Dated, Verdict } from "#pkg/verdict";
import type { NodeFacts, SpeakerView } from "./core/index.ts";

export interface ObjectVerdictsOptions {
  readonly view: SpeakerView;
  readonly nodeFacts: () => NodeFacts;
  readonly clock: Clock;
}

export interface PoolStatus extends Dated<Millis> {
  readonly pool: Pool;
}

/** The last verdict on a pool. */
interface Seen {
  readonly key: string;
  readonly since: Millis;
  readonly round: number;
}

// A verdict may have been another one for so long before that is noticed: it is for people.
const lookEveryMs: Millis = 10_000;
const poolsAtOnce = 100;

/** Verdicts on this node and on the pools, and since when they hold: given from time to time, and when somebody asks. */
export class ObjectVerdicts implements Disposable {
  readonly #options: ObjectVerdictsOptions;
  readonly #alarm: Alarm;
  #ofNode: readonly Dated<Millis>[] = [];
  readonly #ofPools = new Map<string, Seen>(); // pool -> its verdict
  #round = 0;
  #looking: Iterator<PoolStatus, void> | undefined; // The pools of this round that are still to be looked at.

  constructor(options: ObjectVerdictsOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "verdicts", () => this.#look());
  }

  start(): void {
    this.#look();
  }

  /** On this node, the worst first. Several with one cause have a date each; numbers in their words may have changed. */
  node(): readonly Dated<Millis>[] {
    const { view, nodeFacts, clock } = this.#options;
    const before = [...this.#ofNode];
    const sinceOf = (isSame: (one: Verdict) => boolean) => {
      const index = before.findIndex(({ verdict }) => isSame(verdict));
      return index < 0 ? undefined : before.splice(index, 1)[0]?.since;
    };
    const found = view.nodeVerdicts(nodeFacts()).map((verdict) => {
      return { verdict, since: sinceOf((one) => keyOf(one) === keyOf(verdict) && one.message === verdict.message) };
    });
    this.#ofNode = found.map(({ verdict, since }) => {
      return { verdict, since: since ?? sinceOf((one) => keyOf(one) === keyOf(verdict)) ?? clock.now() };
    });
    return this.#ofNode;
  }

  /** On the pools of the configuration in force, in its order, each looked at when it is asked for. */
  *pools(): Generator<PoolStatus, void> {
    const { view, clock } = this.#options;
    for (const pool of view.pools) {
      const verdict = view.poolVerdict(pool);
      const key = keyOf(verdict);
      const before = this.#ofPools.get(pool.name);
      const since = before?.key === key ? before.since : clock.now();
      this.#ofPools.set(pool.name, { key, since, round: this.#round });
      yield { pool, verdict, since };
    }
  }

  [Symbol.dispose](): void {
    this.#alarm[Symbol.dispose]();
  }

  /** Looks at some of the pools; at the end of a round at the node. */
  #look(): void {
    const { clock } = this.#options;
    if (this.#looking === undefined) {
      this.#round++;
      this.#looking = this.pools();
    }
    for (let looked = 0; looked < poolsAtOnce; looked++)
      if (this.#looking.next().done) {
        this.#looking = undefined;
        for (const [name, { round }] of this.#ofPools) if (round !== this.#round) this.#ofPools.delete(name);
        this.node();
        this.#alarm.set(clock.now() + lookEveryMs);
        return;
      }
    this.#alarm.set(clock.now());
  }
}

function keyOf({ state, cause }: Verdict): string {
  return `${state} ${cause}`;
}
