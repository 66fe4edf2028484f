import type { Allocator, Stranded } from "#pkg/allocator";
import type { Config } from "#pkg/config";

/**
 * Puts pools in place of the allocator's in steps. Nothing changes before the last step: a change that was restored takes its steps from the first
 * on.
 */
export class PoolsChange {
  private readonly config: Pick<Config, "pools" | "quotas">;
  private steps = 0;
  #work: Iterator<undefined, readonly Stranded[]> | undefined;

  constructor(config: Pick<Config, "pools" | "quotas">) {
    this.config = config;
  }

  /** @returns addresses that would be in no pool, after the last step; undefined before */
  step(allocator: Allocator): readonly Stranded[] | undefined {
    if (this.#work === undefined) {
      this.#work = allocator.replacePools(this.config.pools, this.config.quotas);
      for (let step = 0; step < this.steps; step++) this.#work.next();
    }
    this.steps++;
    const { done, value } = this.#work.next();
    return done ? value : undefined;
  }
}
