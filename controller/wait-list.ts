/** What has to become available for a Service. Services that would take a resource on the same terms have the same chances. */
export interface Wait {
  /** Such as `free IPv4 in "a"`; see `waits.ts`. */
  readonly resource: string;
  readonly terms: string;
}

/**
 * Who waits for what, first come, first served. When a resource changes, only the first Service on each terms is worth a try: if it
 * fails, so would those behind it; if it is served, or waits for something else now, the next one gets its chance. So one freed
 * address costs one successful and one failed try, however many wait.
 */
export class WaitList {
  readonly #lines = new Map<string, Map<string, Set<string>>>(); // resource -> terms -> Services in line
  readonly #waits = new Map<string, readonly Wait[]>(); // service -> what it waits for, if anything

  /** Replaces what a Service waits for; its place in lines that it stays in is kept. @returns who is worth a try now */
  set(service: string, waits: readonly Wait[]): string[] {
    const before = this.#waits.get(service) ?? [];
    const left = before.filter((old) => !waits.some((wait) => isSame(old, wait)));
    for (const { resource, terms } of left) this.#lines.get(resource)?.get(terms)?.delete(service);
    for (const { resource, terms } of waits) this.#line(resource, terms).add(service);
    if (waits.length > 0) this.#waits.set(service, waits);
    else this.#waits.delete(service);
    return left.flatMap(({ resource, terms }) => this.#head(resource, terms));
  }

  /** @returns who is worth a try when `resource` has changed */
  changed(resource: string): string[] {
    return [...(this.#lines.get(resource)?.keys() ?? [])].flatMap((terms) => this.#head(resource, terms));
  }

  #line(resource: string, terms: string): Set<string> {
    const lines = this.#lines.get(resource) ?? new Map<string, Set<string>>();
    const line = lines.get(terms) ?? new Set<string>();
    this.#lines.set(resource, lines.set(terms, line));
    return line;
  }

  /** The first in line; a line that has become empty is forgotten. */
  #head(resource: string, terms: string): string[] {
    const lines = this.#lines.get(resource);
    const [first] = lines?.get(terms) ?? [];
    if (first !== undefined) return [first];
    lines?.delete(terms);
    if (lines?.size === 0) this.#lines.delete(resource);
    return [];
  }
}

function isSame(a: Wait, b: Wait): boolean {
  return a.resource === b.resource && a.terms === b.terms;
}
