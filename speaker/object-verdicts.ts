import { Alarm, type Clock, type Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { Dated, Verdict } from "#pkg/verdict";
import type { SpeakerState } from "./core/state.ts";
import { type NodeFacts, nodeVerdicts } from "./core/verdicts/node-verdict.ts";
import { poolVerdict } from "./core/verdicts/pool-verdict.ts";

export interface ObjectVerdictsOptions {
  readonly state: SpeakerState;
  readonly nodeFacts: () => NodeFacts;
  readonly clock: Clock;
}

export interface PoolStatus extends Dated<Millis> {
  readonly pool: Pool;
}

// A verdict may have been another one for so long before that is noticed: it is for people.
const lookEveryMs: Millis = 10_000;

/** What is the case with this node and with the pools, and since when: it is looked at from time to time, and when somebody asks. */
export class ObjectVerdicts implements Disposable {
  readonly #options: ObjectVerdictsOptions;
  readonly #alarm: Alarm;
  #seen = new Map<string, Millis>(); // verdict of a node or pool -> since when

  constructor(options: ObjectVerdictsOptions) {
    this.#options = options;
    this.#alarm = new Alarm(options.clock, "verdicts", () => this.start());
  }

  start(): void {
    this.look();
    this.#alarm.set(this.#options.clock.now() + lookEveryMs);
  }

  /** On this node, the worst first; and on the pools of the configuration in force, in its order. */
  look(): { readonly node: readonly Dated<Millis>[]; readonly pools: readonly PoolStatus[] } {
    const { state, nodeFacts, clock } = this.#options;
    const now = clock.now();
    const before = this.#seen;
    this.#seen = new Map();
    const dated = (name: string, verdict: Verdict): Dated<Millis> => {
      const key = `${name} ${verdict.state} ${verdict.cause}`;
      const since = before.get(key) ?? now;
      this.#seen.set(key, since);
      return { verdict, since };
    };
    const pools = (state.config?.config.pools ?? []).map((pool) => ({
      pool,
      ...dated(`pool ${pool.name}`, poolVerdict(state, pool)),
    }));
    return { node: nodeVerdicts(state, nodeFacts()).map((verdict) => dated("node", verdict)), pools };
  }

  [Symbol.dispose](): void {
    this.#alarm[Symbol.dispose]();
  }
}
