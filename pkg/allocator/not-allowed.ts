/** Addresses that Services keep, although they would not be given them today. */
export class NotAllowed {
  readonly #pools = new Map<string, readonly string[]>(); // service -> the pool of each such address
  readonly #counts = new Map<string, number>(); // pool -> such addresses of it

  get byService(): ReadonlyMap<string, readonly string[]> {
    return this.#pools;
  }

  countIn(pool: string): number {
    return this.#counts.get(pool) ?? 0;
  }

  set(service: string, pools: readonly string[]): void {
    this.delete(service);
    this.#pools.set(service, pools);
    this.#count(pools, 1);
  }

  delete(service: string): void {
    this.#count(this.#pools.get(service) ?? [], -1);
    this.#pools.delete(service);
  }

  clear(): void {
    this.#pools.clear();
    this.#counts.clear();
  }

  #count(pools: readonly string[], change: 1 | -1): void {
    for (const pool of pools) this.#counts.set(pool, this.countIn(pool) + change);
  }
}
