import type { Allocator, PoolUsage } from "#pkg/allocator";
import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import { PartOf } from "#pkg/core";
import { count } from "#pkg/text";
import { type Dated, type Fact, verdict } from "#pkg/verdict";
import type { Context } from "../context.ts";

interface LastVerdict {
  readonly full: string; // Families that have no free address; another text where the pool's IPAM fails.
  readonly since: Millis;
}

/** How full the pools are, and since when. */
export class PoolVerdicts extends PartOf<Pick<Context, "now">> {
  private readonly allocator: Pick<Allocator, "usageOf">;
  private readonly entries = new Map<string, LastVerdict>(); // pool -> entry

  constructor(allocator: Pick<Allocator, "usageOf">, context: Pick<Context, "now">) {
    super(context);
    this.allocator = allocator;
  }

  /** There are these pools, and no others. @returns their names */
  replace(pools: readonly Pick<Pool, "name">[]): readonly string[] {
    const names = new Set(pools.map(({ name }) => name));
    for (const pool of this.entries.keys()) if (!names.has(pool)) this.entries.delete(pool);
    return [...names];
  }

  /** An address of the pool was taken or given up. */
  changed(pool: string): void {
    const usage = this.allocator.usageOf(pool);
    if (usage !== undefined) this.#note(usage, this.entries.get(pool));
  }

  of(usage: PoolUsage): Dated<Millis> {
    const since = this.entries.get(usage.pool)?.since ?? this.context.now;
    return { verdict: describe(usage), since };
  }

  #note({ pool, full, ipamProblem }: PoolUsage, before: LastVerdict | undefined): void {
    const now = ipamProblem === undefined ? full.join() : "IPAM";
    if (before?.full !== now) this.entries.set(pool, { full: now, since: this.context.now });
    else this.entries.set(pool, before);
  }
}

function describe({ pool, total, reserved, inUse, families, full, ipamProblem }: PoolUsage) {
  const evidence: Fact[] = [
    { name: "total", value: `${total}`, source: "configuration" },
    { name: "in use", value: `${inUse}`, source: "allocator" },
  ];
  if (ipamProblem !== undefined) return verdict("pool", "ipamFailing", { message: `pool ${pool}: ${ipamProblem}`, evidence });
  const used = families.map((one) => `${count(one.inUse)} of ${count(one.total)} ${one.family}`).join(" and ");
  if (full.length === 0)
    return verdict("pool", "available", { message: `${used} addresses of pool ${pool} are in use`, evidence });
  const besides = reserved > 0 && inUse < total ? " besides reserved ones" : "";
  const message = `pool ${pool} has no free ${full.join(" and no free ")} address${besides}: ${used} are in use`;
  return verdict("pool", "full", { message, evidence });
}
