import type { Millis } from "#pkg/clock";
import type { FilterChange, FilterElement, FilterMessage, FilterQuery, FilterTable } from "#pkg/linux";
import { Address, type Family, families, macBytes, parseMac } from "#pkg/net";
import type { PacketFilter } from "../keeper.ts";
import { hex } from "../state/state.ts";

interface Table {
  readonly mark: string;
  readonly rules: string[];
  readonly sets: Map<string, Map<string, { readonly element: FilterElement; readonly until: Millis }>>; // set -> key -> element
}

const errnoNotFound = 2; // ENOENT
const errnoExists = 17; // EEXIST
const none = new Uint8Array();

/** A machine's nf_tables, as far as keepers use it, and what its rules do with a packet of a connection that the machine does not know. */
export class SimulatedFilter implements PacketFilter {
  readonly #now: () => Millis;
  readonly #tables = new Map<Family, Table>();

  constructor(now: () => Millis) {
    this.#now = now;
  }

  /** An administrator flushes all, or the machine starts. */
  flush(): void {
    this.#tables.clear();
  }

  /** Unlike the kernel's, a refused change may be made in part: keepers look again. */
  change({ family, table }: FilterTable, changes: readonly FilterChange[]): number {
    if (table !== "ingot") return 0; // One that is made and taken away.
    for (const change of changes) {
      const errno = this.#change(family, change);
      if (errno !== 0) return errno;
    }
    return 0;
  }

  query({ family }: FilterTable, query: FilterQuery): FilterMessage[] | undefined {
    const table = this.#tables.get(family);
    const message = { sequence: 0, interrupted: false };
    if (table === undefined) return undefined;
    if (query.type === "table") return [{ ...message, type: "table", mark: table.mark }];
    if (query.type === "rules") return table.rules.map((mark) => ({ ...message, type: "rule", mark, packets: 0n }));
    const elements = [...this.#set(family, query.set).values()].map(({ element }) => element);
    return [{ ...message, type: "elements", elements }];
  }

  /** To whom a packet of an unknown connection goes that came from this MAC address; undefined where it stays here. */
  next(address: Address, mac: string): Address | undefined {
    const { family } = address;
    const key = hex(address.toBytes());
    const from = parseMac(mac);
    const bytes = from === undefined ? new Uint8Array(6) : macBytes(from);
    const owned = this.#set(family, "speakers").has(hex(bytes)) ? undefined : this.#set(family, "owned").get(key);
    const to = (owned ?? this.#set(family, "passed").get(`${hex(bytes)}0000${key}`))?.element.value;
    return to === undefined || !this.#set(family, "links").has(key) ? undefined : Address.fromBytes(to);
  }

  /** Whether packets of some connections go elsewhere. */
  get isActive(): boolean {
    return families.some((family) => this.#set(family, "owned").size + this.#set(family, "passed").size > 0);
  }

  #change(family: Family, change: FilterChange): number {
    const table = this.#tables.get(family);
    if (change.type === "addTable") {
      if (table === undefined) this.#tables.set(family, { mark: change.mark, rules: [], sets: new Map() });
      return 0;
    }
    if (table === undefined) return errnoNotFound;
    if (change.type === "deleteTable") this.#tables.delete(family);
    else if (change.type === "addRule") table.rules.push(change.mark);
    else if (change.type === "addSet") table.sets.set(change.set, new Map());
    else if (change.type === "addElements")
      for (const element of change.elements) {
        const present = this.#set(family, change.set).get(hex(element.key));
        if (present !== undefined && hex(present.element.value ?? none) !== hex(element.value ?? none)) return errnoExists;
        // As the kernel does: one that is there keeps its time.
        const until = this.#now() + (element.timeoutMs ?? Infinity);
        if (present === undefined) this.#set(family, change.set).set(hex(element.key), { element, until });
      }
    else if (change.type === "deleteElements")
      for (const { key } of change.elements) if (!this.#set(family, change.set).delete(hex(key))) return errnoNotFound;
    return 0;
  }

  #set(family: Family, name: string) {
    const set = this.#tables.get(family)?.sets.get(name) ?? new Map<string, { element: FilterElement; until: Millis }>();
    for (const [key, { until }] of set) if (until <= this.#now()) set.delete(key);
    return set;
  }
}
