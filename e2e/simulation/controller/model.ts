/**
 * The rights and duties of a controller, written as plainly as possible, for a test to compare with: every address of every pool is listed,
 * and every question is asked of all Services. It does not say how; each of several right answers is right.
 */

/** Addresses are texts, each pool's few. */
export interface ModelPool {
  readonly name: string;
  /** In their order, of both families. */
  readonly addresses: readonly string[];
  readonly autoAssign?: boolean;
  readonly closed?: boolean;
  readonly sharing?: "cluster" | "namespace" | "none";
  /** A fence; undefined for all. */
  readonly namespaces?: readonly string[];
  /** The fence of MetalLB's custom resources; undefined for all. */
  readonly allocation?: ModelAllocation;
  readonly reserved?: readonly ModelReservation[];
  /** The party that chooses addresses: NetBox (`allocate`), or the controller, and NetBox is told. */
  readonly netbox?: "allocate" | "record";
  /** Nobody gets an address of it that another host of the network has. */
  readonly isStrict?: boolean;
}

/** Namespaces by name or by labels, and Services by labels: lists that are empty ask for nothing. Such pools come first, the lowest priority of all. */
export interface ModelAllocation {
  readonly priority?: number;
  readonly namespaces?: readonly string[];
  readonly namespaceSelectors?: readonly ModelSelector[];
  readonly serviceSelectors?: readonly ModelSelector[];
}

export interface ModelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
    readonly values?: readonly string[];
  }[];
}

type ModelLabels = Readonly<Record<string, string>>;

/** An address for nobody, or for a Service or all Services of a namespace. */
export interface ModelReservation {
  readonly address: string;
  readonly service?: string;
  readonly namespace?: string;
}

/** The most that the Services of each of these namespaces, by name or by labels, or of all of them together, may have of these pools. */
export interface ModelQuota {
  readonly namespaces: readonly string[];
  readonly namespaceSelectors?: readonly ModelSelector[];
  readonly together: boolean;
  readonly pools: readonly string[];
  readonly ipv4?: number;
  readonly ipv6?: number;
  readonly services?: number;
}

/** A Service, its request, and its addresses. */
export interface ModelService {
  /** `namespace/name`. */
  readonly key: string;
  /** None: it is of a type that has no addresses. */
  readonly families: readonly (4 | 6)[];
  /** One of two families is enough; rather the first. */
  readonly prefersBoth?: boolean;
  /** Several: one address of each. None: any pool. */
  readonly pools: readonly string[];
  /** All of them, or none; they win over pools. */
  readonly addresses: readonly string[];
  /** Empty: it shares with nobody. */
  readonly sharingKey: string;
  /** The backends of a `Local` Service; Services that share must agree on them. */
  readonly backend: string;
  /** Such as `TCP 80`. */
  readonly ports: readonly string[];
  /** Nobody can tell which addresses it asks for: it keeps what it has, and gets nothing new. */
  readonly isMalformed?: boolean;
  readonly has: readonly string[];
  readonly labels?: ModelLabels;
  /** Undefined: Kubernetes has no such namespace. */
  readonly namespaceLabels?: ModelLabels | undefined;
  /** It asked for something else until now, so that it may give its addresses up for those of another pool. */
  readonly isNew?: boolean;
}

interface Question {
  readonly service: ModelService;
  readonly address: string;
  readonly pool: ModelPool;
  /** All other Services that have the address. */
  readonly holders: readonly ModelService[];
  /** In NetBox: the Service that has it, or somebody else. */
  readonly recordedFor: string | undefined;
  /** Another host of the network has it, as speakers report. */
  readonly isReported: boolean;
}

/** Why a Service cannot have an address; undefined: nothing is in the way. */
type Rule = (question: Question) => string | undefined;

/** Rules for two Services on one address. An address that breaks them is taken away. */
const always: readonly Rule[] = [
  ({ service, holders }) => (holders.every((other) => mayShare(service, other)) ? undefined : "somebody else has it"),
];
/** Rules on giving alone: a Service that has an address already keeps it. A new rule about newcomers is one more of these. */
const forNewcomers: readonly Rule[] = [
  ({ pool }) => (pool.closed ? "the pool is closed" : undefined),
  ({ service, pool }) =>
    pool.namespaces === undefined || pool.namespaces.includes(namespaceOf(service)) ? undefined : "it is outside the fence",
  ({ service, pool }) => (isAllocatedTo(pool, service) ? undefined : "the pool is for other Services"),
  ({ service, address, pool }) => {
    const reservation = pool.reserved?.find((each) => each.address === address);
    return reservation === undefined || isFor(reservation, service) ? undefined : "it is reserved";
  },
  ({ service, holders, recordedFor }) =>
    recordedFor === undefined || recordedFor === service.key || (holders.length > 0 && recordedFor.includes("/"))
      ? undefined
      : "it is somebody else's in NetBox",
  ({ pool, holders, isReported }) => (pool.isStrict && isReported && holders.length === 0 ? "another host has it" : undefined),
  ({ service, pool, holders }) => {
    const isAlone = pool.sharing === "none" || holders.some((other) => namespaceOf(other) !== namespaceOf(service));
    return holders.length > 0 && (pool.sharing ?? "cluster") !== "cluster" && isAlone
      ? "the pool does not share it so"
      : undefined;
  },
];

function isAllocatedTo({ allocation = {} }: ModelPool, service: ModelService): boolean {
  const { namespaces = [], namespaceSelectors = [], serviceSelectors = [] } = allocation;
  const isNamed = namespaces.includes(namespaceOf(service));
  const isLabelled = namespaceSelectors.some((selector) => matches(selector, service.namespaceLabels));
  const isInNamespace = (namespaces.length === 0 && namespaceSelectors.length === 0) || isNamed || isLabelled;
  return (
    isInNamespace && (serviceSelectors.length === 0 || serviceSelectors.some((selector) => matches(selector, service.labels)))
  );
}

function matches({ matchLabels = {}, matchExpressions = [] }: ModelSelector, labels: ModelLabels | undefined): boolean {
  if (Object.keys(matchLabels).length + matchExpressions.length === 0) return true;
  if (labels === undefined) return false;
  if (!Object.entries(matchLabels).every(([key, value]) => labels[key] === value)) return false;
  return matchExpressions.every(({ key, operator, values = [] }) => {
    const value = labels[key];
    if (operator === "Exists") return value !== undefined;
    if (operator === "DoesNotExist") return value === undefined;
    const isIn = value !== undefined && values.includes(value);
    return operator === "In" ? isIn : !isIn;
  });
}

export function mayShare(a: ModelService, b: ModelService): boolean {
  if (a.key === b.key) return true;
  return (
    a.sharingKey !== "" &&
    a.sharingKey === b.sharingKey &&
    backendOf(a) === backendOf(b) &&
    !a.ports.some((port) => b.ports.includes(port))
  );
}

/** The Pods that decide where it is announced: of another namespace they are others. */
function backendOf(service: ModelService): string {
  return service.backend === "" ? "" : `${namespaceOf(service)}/${service.backend}`;
}

function isFor({ service, namespace }: ModelReservation, { key }: ModelService): boolean {
  return service === key || (namespace !== undefined && key.startsWith(`${namespace}/`));
}

/** Whether it asks for more than one address by a list. */
function isForSeveral({ pools, addresses }: ModelService): boolean {
  return pools.length > 1 || addresses.length > 1;
}

/** The cluster at one moment at which nothing is left to be done. */
export class Model {
  readonly pools: readonly ModelPool[];
  readonly services: readonly ModelService[];
  readonly quotas: readonly ModelQuota[];
  readonly #records: ReadonlyMap<string, string>; // address -> the Service, or somebody else, that has it in NetBox
  readonly #reported: readonly string[]; // addresses that other hosts have

  constructor(
    pools: readonly ModelPool[],
    services: readonly ModelService[],
    quotas: readonly ModelQuota[] = [],
    records: ReadonlyMap<string, string> = new Map(),
    reported: readonly string[] = [],
  ) {
    this.pools = pools;
    this.services = services;
    this.quotas = quotas;
    this.#records = records;
    this.#reported = reported;
  }

  /** Faults, independent of earlier events. */
  faults(): string[] {
    return this.services.flatMap((service) => {
      const { key, has, families } = service;
      const pools = new Set(has.map((address) => this.poolOf(address)));
      const found: string[] = [];
      const isOne = !isForSeveral(service);
      if (pools.has(undefined) || (isOne && pools.size > 1)) found.push(`${key} has ${has}, which are not in one pool`);
      const isDouble = new Set<unknown>(isOne ? has.map(familyOf) : has).size < has.length;
      if (isDouble || has.some((address) => !families.includes(familyOf(address))))
        found.push(`${key} has ${has}, and is of families ${families}`);
      for (const address of has)
        for (const other of this.#holders(service, address))
          if (!mayShare(service, other)) found.push(`${key} and ${other.key} both have ${address}`);
      if (!this.isMet(service) && this.couldBeMet(service))
        found.push(`${key} has ${has.join() || "nothing"}, and could have all`);
      return found;
    });
  }

  /** Whether a Service has what it asks for. */
  isMet(service: ModelService): boolean {
    const { has, families, addresses, pools } = service;
    if (service.isMalformed) return this.#mayKeepAll(service);
    if (addresses.length > 0) return has.toSorted().join() === addresses.toSorted().join();
    if (pools.length < 2) {
      const [first] = has;
      if (first === undefined || has.map(familyOf).sort().join() !== families.toSorted().join()) return false;
      return pools.length === 0 || this.poolOf(first)?.name === pools[0];
    }
    const placesOf = has.map((address) => `${this.poolOf(address)?.name} ${familyOf(address)}`);
    const wanted = this.#placesFor(service)?.map(({ pool, family }) => `${pool.name} ${family}`);
    return wanted !== undefined && placesOf.sort().join() === wanted.sort().join();
  }

  #mayKeepAll({ has, families }: ModelService): boolean {
    const isOfEach = new Set(has.map(familyOf)).size === has.length && has.every((one) => families.includes(familyOf(one)));
    return isOfEach && new Set(has.map((one) => this.poolOf(one))).size <= 1;
  }

  /** Whether there are addresses that meet it, and that quotas allow. @param within of these pools alone */
  couldBeMet(service: ModelService, within: readonly ModelPool[] = this.pools): boolean {
    const ofOne = service.families.map((family) => ({ ...service, families: [family] }));
    const others = service.prefersBoth === true && !this.#isMetInPart(service) ? ofOne : [];
    return [service, ...others].some((each) =>
      this.#choices(each, within).some((chosen) => this.overQuota(service, chosen).length === 0),
    );
  }

  /** Whether it has one of the two families that it prefers to have. With a list, it gives up nothing for more of one family. */
  #isMetInPart(service: ModelService): boolean {
    const { families, has } = service;
    const hasBoth = families.every((family) => has.some((address) => familyOf(address) === family));
    return (isForSeveral(service) && hasBoth) || families.some((family) => this.isMet({ ...service, families: [family] }));
  }

  /** The quotas that keep a Service from having these addresses in place of those that it has. */
  overQuota(service: ModelService, chosen: readonly string[]): ModelQuota[] {
    const namespace = namespaceOf(service);
    return this.quotas.filter((quota) => {
      if (!isUnder(quota, service)) return false;
      const counted = (address: string) => quota.pools.includes(this.poolOf(address)?.name ?? "");
      const others = this.services.filter(
        (other) => other.key !== service.key && (quota.together ? isUnder(quota, other) : namespaceOf(other) === namespace),
      );
      const theirs = new Set(others.flatMap(({ has }) => has).filter(counted));
      const own = chosen.filter(counted);
      const isOver = (family: 4 | 6, limit = Infinity) => {
        const of = (addresses: Iterable<string>) => [...addresses].filter((address) => familyOf(address) === family);
        // Addresses that a Service has and keeps are never in the way.
        const isNew = of(own).some((address) => !service.has.includes(address) && !theirs.has(address));
        return isNew && of(new Set([...theirs, ...own])).length > limit;
      };
      const isFirst = own.length > 0 && !service.has.some(counted);
      const holders = others.filter(({ has }) => has.some(counted)).length + 1;
      return isOver(4, quota.ipv4) || isOver(6, quota.ipv6) || (isFirst && holders > (quota.services ?? Infinity));
    });
  }

  /** All sets of addresses that would meet it, but for quotas. */
  #choices(service: ModelService, within: readonly ModelPool[]): string[][] {
    const { families, addresses, pools } = service;
    if (service.isMalformed) return [];
    if (addresses.length > 0) {
      const mayHave = (address: string) => {
        const home = this.poolOf(address);
        if (home === undefined || !families.includes(familyOf(address))) return false;
        const isTaken = service.has.includes(address) || this.#holders(service, address).length > 0;
        // NetBox is asked for any address, never for a certain one.
        return (home.netbox !== "allocate" || isTaken) && this.#mayHave(service, address, home);
      };
      return addresses.every(mayHave) ? [[...addresses]] : [];
    }
    const placesIn = (pool: ModelPool) => families.map((family) => ({ pool, family }));
    const sets =
      pools.length > 1
        ? [this.#placesFor(service) ?? []]
        : pools.length === 1
          ? this.pools.filter(({ name }) => name === pools[0]).map(placesIn)
          : this.#unasked(service)
              .filter((pool) => within.includes(pool))
              .map(placesIn);
    const found = sets.filter((places) => places.length > 0).flatMap((places) => this.#fill(service, places));
    return found.filter((chosen) => this.#keeps(service, chosen));
  }

  /** Whether no address is given up for another one of its place: nobody else's quota or sharing costs a Service what it has. */
  #keeps({ has }: ModelService, chosen: readonly string[]): boolean {
    const placeOf = (address: string) => `${this.poolOf(address)?.name} ${familyOf(address)}`;
    const isForOther = (address: string) => chosen.some((other) => placeOf(other) === placeOf(address) && !has.includes(other));
    return has.every((address) => chosen.includes(address) || !isForOther(address));
  }

  /** The pools that give a Service addresses which asks for nothing in particular: where it has one, its own, unless it asks for something new. */
  #unasked({ has: [first], isNew, prefersBoth }: ModelService): readonly ModelPool[] {
    const home = first === undefined ? undefined : this.poolOf(first);
    return home === undefined || (isNew && !prefersBoth) ? this.pools : [home];
  }

  /** For a Service of several pools: one place of each family that a pool has; undefined where one is missing. */
  #placesFor({ pools, families }: ModelService): AddressSource[] | undefined {
    const places = pools.flatMap((name) => {
      const pool = this.pools.find((each) => each.name === name);
      return pool === undefined
        ? [undefined]
        : families.filter((family) => hasFamily(pool, family)).map((family) => ({ pool, family }));
    });
    const known = places.filter((place) => place !== undefined);
    const hasAll = families.every((family) => known.some((place) => place.family === family));
    return hasAll && known.length === places.length ? known : undefined;
  }

  #fill(service: ModelService, [first, ...others]: readonly AddressSource[], taken: readonly string[] = []): string[][] {
    if (first === undefined) return [[...taken]];
    const { autoAssign = true, reserved = [], addresses, name } = first.pool;
    const isOpen = autoAssign || service.pools.includes(name);
    const isGiven = (address: string) =>
      isOpen || service.has.includes(address) || reserved.some((each) => each.address === address && isFor(each, service));
    return addresses
      .filter((address) => familyOf(address) === first.family && !taken.includes(address) && isGiven(address))
      .filter((address) => this.#mayHave(service, address, first.pool))
      .flatMap((address) => this.#fill(service, others, [...taken, address]));
  }

  /** Whether everything that Services have would have a place in these pools, without being parted. */
  fits(pools: readonly ModelPool[]): boolean {
    const after = new Model(pools, this.services);
    return this.services.every((service) => {
      const homes = new Set(service.has.map((address) => after.poolOf(address)));
      return service.has.length === 0 || ((isForSeveral(service) || homes.size === 1) && !homes.has(undefined));
    });
  }

  poolOf(address: string): ModelPool | undefined {
    return this.pools.find(({ addresses }) => addresses.includes(address));
  }

  /** Whether the Service, with the addresses that it has, may get this one. */
  mayGet(service: ModelService, address: string): boolean {
    const pool = this.poolOf(address);
    return pool !== undefined && this.#mayHave(service, address, pool);
  }

  #mayHave(service: ModelService, address: string, pool: ModelPool): boolean {
    const question = {
      service,
      address,
      pool,
      holders: this.#holders(service, address),
      recordedFor: this.#records.get(address),
      isReported: this.#reported.includes(address),
    };
    const rules = service.has.includes(address) ? always : [...always, ...forNewcomers];
    return rules.every((rule) => rule(question) === undefined);
  }

  #holders(service: ModelService, address: string): readonly ModelService[] {
    return this.services.filter(({ key, has }) => key !== service.key && has.includes(address));
  }
}

/** Where one of a Service's addresses is to come from. */
interface AddressSource {
  readonly pool: ModelPool;
  readonly family: 4 | 6;
}

function isUnder({ namespaces, namespaceSelectors = [] }: ModelQuota, service: ModelService): boolean {
  const { namespaceLabels: is } = service;
  return namespaces.includes(namespaceOf(service)) || namespaceSelectors.some((one) => is === undefined || matches(one, is));
}

function hasFamily({ addresses }: ModelPool, family: 4 | 6): boolean {
  return addresses.some((address) => familyOf(address) === family);
}

function namespaceOf({ key }: ModelService): string {
  return key.slice(0, key.indexOf("/"));
}

export function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}
