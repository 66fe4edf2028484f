import type { Pool } from "#pkg/config";
import { type Address, type Family, families, parseAddress } from "#pkg/net";

/** The view of an IPAM on one pool. */
export interface IpamPool {
  readonly pool: string;
  /** Address, as this project writes it -> the Service that it has chosen it for. */
  readonly granted: ReadonlyMap<string, string>;
  /** Address -> in whose use it is there, in words. */
  readonly foreign: ReadonlyMap<string, string>;
  /** Families of which it has no free address. */
  readonly exhausted: ReadonlySet<Family>;
  /** The IPAM's problem, in words. */
  readonly problem: string | undefined;
  /** It has told all that it has, or cannot be asked. */
  readonly isRead: boolean;
}

/** Changes of such a view. */
export interface IpamChange extends Pick<IpamPool, "pool" | "exhausted" | "problem" | "isRead"> {
  /** Address -> the Service that it is chosen for from now on; undefined for none. */
  readonly granted: ReadonlyMap<string, string | undefined>;
  /** Address -> in whose use it is from now on; undefined for nobody's. */
  readonly foreign: ReadonlyMap<string, string | undefined>;
}

const comparedAtOnce = 500;

/** Compares two views of a pool, some hundred addresses in each step, and ends with what is not about an address. @returns the changes, in order */
export function* ipamChanges(before: IpamPool, after: IpamPool): Generator<IpamChange | undefined, void> {
  const { pool, exhausted, problem, isRead } = after;
  let [granted, foreign] = [new Map<string, string | undefined>(), new Map<string, string | undefined>()];
  let compared = 0;
  for (const part of ["granted", "foreign"] as const)
    for (const found of differences(before[part], after[part])) {
      if (found !== undefined) (part === "granted" ? granted : foreign).set(found[0], found[1]);
      if (++compared % comparedAtOnce !== 0) continue;
      const isEmpty = granted.size + foreign.size === 0;
      yield isEmpty ? undefined : { ...before, pool, granted, foreign };
      [granted, foreign] = [new Map(), new Map()];
    }
  const isOther =
    problem !== before.problem || isRead !== before.isRead || exhausted.symmetricDifference(before.exhausted).size > 0;
  if (isOther || granted.size + foreign.size > 0) yield { pool, granted, foreign, exhausted, problem, isRead };
}

type Told = ReadonlyMap<string, string>;

function* differences(before: Told, after: Told): Generator<readonly [string, string | undefined] | undefined, void> {
  for (const address of before.keys()) yield after.has(address) ? undefined : [address, undefined];
  for (const [address, now] of after) yield before.get(address) === now ? undefined : [address, now];
}

/** Whether an IPAM, and not the allocator, chooses who gets which address of the pool. */
export function isChosenElsewhere({ netbox }: Pool): boolean {
  return netbox?.mode === "allocate";
}

interface Known extends IpamPool {
  readonly granted: Map<string, string>;
  readonly foreign: Map<string, string>;
}

type Grants = readonly { readonly pool: string; readonly text: string }[];

/** What IPAMs say of their pools. */
export class Ipam {
  readonly #grants = new Map<string, Grants>(); // Service -> what was chosen for it
  readonly #pools = new Map<string, Known>(); // by name

  /** Nothing new is given of an IPAM's pool before it has been read. */
  readonly isAwaited: boolean;

  constructor(pools: Iterable<IpamPool> = [], isAwaited = false) {
    this.isAwaited = isAwaited;
    for (const each of pools) this.change(each);
  }

  /** @returns families in which nothing is left since then, or all if it is read since then: whoever asked for one of them is answered */
  change({ pool, granted, foreign, exhausted, problem, isRead }: IpamChange): readonly Family[] {
    const before = this.#pools.get(pool);
    const known = before ?? { granted: new Map(), foreign: new Map() };
    for (const [text, service] of granted) {
      const before = known.granted.get(text);
      if (before !== undefined) this.#setGrants(before, (those) => those.filter((one) => one.pool !== pool || one.text !== text));
      if (service !== undefined) this.#setGrants(service, (those) => [...those, { pool, text }]);
      put(known.granted, text, service);
    }
    for (const [text, by] of foreign) put(known.foreign, text, by);
    const isEmpty = known.granted.size + known.foreign.size + exhausted.size === 0 && problem === undefined && !isRead;
    if (isEmpty) this.#pools.delete(pool);
    else this.#pools.set(pool, { ...known, pool, exhausted, problem, isRead });
    return isRead && before?.isRead !== true
      ? families
      : [...exhausted].filter((family) => before?.exhausted.has(family) !== true);
  }

  #setGrants(service: string, change: (grants: Grants) => Grants): void {
    const grants = change(this.#grants.get(service) ?? []);
    if (grants.length > 0) this.#grants.set(service, grants);
    else this.#grants.delete(service);
  }

  /** All views. */
  get pools(): Iterable<IpamPool> {
    return this.#pools.values();
  }

  of(pool: string): IpamPool | undefined {
    return this.#pools.get(pool);
  }

  /** Addresses that the IPAM chose for the Service, of one pool and family. */
  grants(service: string, pool: string, family: Family): readonly Address[] {
    const chosen = (this.#grants.get(service) ?? []).filter((grant) => grant.pool === pool);
    return chosen.flatMap(({ text }) => parseAddress(text) ?? []).filter((address) => address.family === family);
  }

  /** Names of the pools of which something was chosen for the Service. */
  poolsOf(service: string): ReadonlySet<string> {
    return new Set((this.#grants.get(service) ?? []).map(({ pool }) => pool));
  }

  isGranted(pool: string, address: Address, service: string): boolean {
    return this.of(pool)?.granted.get(`${address}`) === service;
  }

  isExhausted(pool: string, family: Family): boolean {
    return this.of(pool)?.exhausted.has(family) ?? false;
  }

  /** Whether others may use any of the pool's addresses, because the IPAM was not read yet. */
  isUnread({ name, netbox }: Pool): boolean {
    return this.isAwaited && netbox !== undefined && this.of(name)?.isRead !== true;
  }

  problem(pool: string): string | undefined {
    return this.of(pool)?.problem;
  }

  /** In whose use the address is, in words; undefined where it is in nobody's. */
  foreign(pool: string, address: Address): string | undefined {
    return this.of(pool)?.foreign.get(`${address}`);
  }

  /** Whether it is in somebody's use, whatever pool it is of. */
  isForeign(address: string): boolean {
    return this.#pools.values().some(({ foreign }) => foreign.has(address));
  }

  /** All addresses that are in somebody's use. */
  *foreignAddresses(): Iterable<string> {
    for (const { foreign } of this.#pools.values()) yield* foreign.keys();
  }
}

function put(known: Map<string, string>, key: string, value: string | undefined): void {
  if (value === undefined) known.delete(key);
  else known.set(key, value);
}
