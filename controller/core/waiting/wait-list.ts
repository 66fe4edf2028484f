/** A resource that has to become available for a Service. */
export interface Wait {
  /** Such as `free IPv4 in "a"`; see `waits.ts`. */
  readonly resource: string;
  /**
   * If a Service is refused although the resource has changed, the resource is gone for all others who wait for it, too, whatever their
   * chances are.
   */
  readonly suitsAnybody: boolean;
}

/** Services with the same chances: if one is refused, all are, for the same. So they wait for the same. */
interface Group {
  readonly chances: string;
  readonly arrivals: Map<string, number>; // service -> when it came; in order
  waits: ReadonlyMap<string, boolean>; // resource -> whether it suits anybody
}

/**
 * Services that wait for resources, first come, first served. The number of tries after a change depends on the Services that it may help,
 * not on the number that wait. Among Services with the same chances only the first is tried, and its answer holds for all of them. If the
 * resource suits anybody, the first of all that wait is tried, and the next one only if that one was served, or waits for something else
 * now. So one freed address costs one successful and one failed try, and if the waiting Services lack something else besides, one try for
 * each group of them.
 */
export class WaitList {
  private readonly groups = new Map<string, Group>(); // by chances
  private readonly groupOf = new Map<string, Group>(); // service -> its group, where it waits
  private readonly lines = new Map<string, Set<Group>>(); // resource -> who waits for it
  private arrivals = 0;

  /**
   * A Service was tried. It waits for these now, if for anything, and all others with the same chances do.
   * @returns who is worth a try now
   */
  set(service: string, chances: string, waits: readonly Wait[]): Set<string> {
    const before = this.groupOf.get(service);
    const next = new Set<string>();
    if (before !== undefined && (waits.length === 0 || before.chances !== chances)) this.#leave(service, before, next);
    if (waits.length > 0) this.#join(service, chances, waits, next);
    next.delete(service);
    return next;
  }

  /** @returns who is worth a try when `resource` has changed */
  changed(resource: string): Set<string> {
    const next = new Set<string>();
    for (const group of this.lines.get(resource) ?? []) if (!group.waits.get(resource)) next.add(firstOf(group));
    this.#addFirst(resource, next);
    return next;
  }

  /** All Services in the resource's lines. */
  *of(resource: string): Generator<string, void> {
    for (const { arrivals } of this.lines.get(resource) ?? []) yield* arrivals.keys();
  }

  /** It may have been served: what it waited for may be enough for one more. */
  #leave(service: string, group: Group, next: Set<string>): void {
    this.groupOf.delete(service);
    group.arrivals.delete(service);
    const { waits } = group;
    if (group.arrivals.size > 0) next.add(firstOf(group));
    else {
      this.groups.delete(group.chances);
      this.#replace(group, new Map());
    }
    for (const [resource, suitsAnybody] of waits) if (suitsAnybody) this.#addFirst(resource, next);
  }

  #join(service: string, chances: string, waits: readonly Wait[], next: Set<string>): void {
    const group = this.groups.get(chances) ?? { chances, arrivals: new Map(), waits: new Map() };
    this.groups.set(chances, group);
    this.groupOf.set(service, group);
    if (!group.arrivals.has(service)) group.arrivals.set(service, this.arrivals++);
    const before = group.waits;
    this.#replace(group, new Map(waits.map(({ resource, suitsAnybody }) => [resource, suitsAnybody])));
    for (const [resource, suitsAnybody] of before) if (suitsAnybody && !group.waits.has(resource)) this.#addFirst(resource, next);
  }

  #replace(group: Group, waits: Group["waits"]): void {
    for (const resource of group.waits.keys()) {
      if (waits.has(resource)) continue;
      const line = this.lines.get(resource);
      line?.delete(group);
      if (line?.size === 0) this.lines.delete(resource);
    }
    for (const resource of waits.keys()) {
      const line = this.lines.get(resource);
      if (line === undefined) this.lines.set(resource, new Set([group]));
      else line.add(group);
    }
    group.waits = waits;
  }

  /** Adds the first Service that waits for a resource which suits anybody. */
  #addFirst(resource: string, next: Set<string>): void {
    let first: Group | undefined;
    for (const group of this.lines.get(resource) ?? [])
      if (group.waits.get(resource) && (first === undefined || arrivalOf(group) < arrivalOf(first))) first = group;
    if (first !== undefined) next.add(firstOf(first));
  }
}

function firstOf({ arrivals }: Group): string {
  const [service] = arrivals.keys();
  if (service === undefined) throw new Error("Cannot find who is first: nobody waits");
  return service;
}

function arrivalOf({ arrivals }: Group): number {
  const [arrival = Infinity] = arrivals.values();
  return arrival;
}
