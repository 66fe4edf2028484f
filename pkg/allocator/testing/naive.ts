/**
 * The allocator's rules written as plainly as they can be, for the tests to compare with: every address of every pool is listed,
 * and every question walks all Services.
 */
import { matchesSelector, type NamespaceSet, type Pool, type Quota } from "#pkg/config";
import { Address, type Family } from "#pkg/net";
import { type AddressRequest, namespaceOf } from "#pkg/service";

interface Held {
  readonly request: AddressRequest;
  readonly addresses: readonly Address[];
  /** The request at the time when all pools were looked at. */
  readonly settledFor: string;
}

type Labels = Readonly<Record<string, string>>;

interface Choosing {
  /** Numbers of `#class`, in the order in which they are tried. */
  readonly classes: readonly number[];
  /** The former addresses of the Service. */
  readonly before: readonly Address[];
  /** It has to be cheap beside these. */
  readonly beside: readonly Address[] | undefined;
}

export class Naive {
  #pools: readonly Pool[] = [];
  #quotas: readonly Quota[] = [];
  readonly #namespaces = new Map<string, Labels>(); // namespace -> labels
  readonly #held = new Map<string, Held>(); // service -> what it holds

  /** `service address reason` of all that is stranded, by service. */
  setPools(pools: readonly Pool[], quotas: readonly Quota[] = []): string[] {
    const stranded: string[] = [];
    for (const service of [...this.#held.keys()].sort()) {
      const { request, addresses } = this.#held.get(service) as Held;
      let home: Pool | undefined;
      for (const address of addresses) {
        const reason = misplaced(pools, address, request.mayHoldSeveral ? undefined : home);
        if (reason === undefined) home ??= poolOf(pools, address);
        else stranded.push(`${service} ${address} ${reason}`);
      }
    }
    if (stranded.length > 0) return stranded;
    this.#pools = pools;
    this.#quotas = quotas;
    return [];
  }

  setNamespace(name: string, labels: Labels | undefined): void {
    if (labels === undefined) this.#namespaces.delete(name);
    else this.#namespaces.set(name, labels);
  }

  addresses(service: string): readonly Address[] {
    return this.#held.get(service)?.addresses ?? [];
  }

  requests(address: Address): AddressRequest[] {
    return [...this.#held.values()].filter((held) => includes(held.addresses, address)).map((held) => held.request);
  }

  pools(service: string): string[] {
    return this.addresses(service).map((address) => poolOf(this.#pools, address)?.name ?? "");
  }

  release(service: string): void {
    this.#held.delete(service);
  }

  /** @returns the reason against the first address that is not taken */
  restore(request: AddressRequest, recorded: readonly Address[]): string | undefined {
    return this.#take(request, recorded, undefined);
  }

  /** The same, also by the rules on giving. */
  adopt(request: AddressRequest, recorded: readonly Address[]): string | undefined {
    return this.#take(request, recorded, this.addresses(request.service));
  }

  /** @param before the former addresses, if the rules on giving are about the rest */
  #take(request: AddressRequest, recorded: readonly Address[], before: readonly Address[] | undefined): string | undefined {
    const reasons: string[] = [];
    const ofFamily = request.families.map((family) => recorded.filter((address) => address.family === family));
    const { requestedAddresses, requestedPool, mayHoldSeveral } = request;
    const isAsked = (address: Address) =>
      requestedAddresses.length > 0
        ? includes(requestedAddresses, address)
        : requestedPool !== undefined && poolOf(this.#pools, address)?.name === requestedPool;
    const asked = (those: readonly Address[]) => [...those.filter(isAsked), ...those];
    const byFamily = ofFamily.flatMap((those) => (mayHoldSeveral ? those : asked(those).slice(0, 1)));
    const without = ofFamily.filter((those) => those.length === 0).length;
    const isWhole = byFamily.length === recorded.length && without < (request.prefersDualStack ? 2 : 1);
    if (recorded.length > 0 && !isWhole) reasons.push("familyMismatch");
    const wished = recorded.filter((address) => byFamily.includes(address) && isAsked(address));
    const wish = mayHoldSeveral ? undefined : wished.find((address) => misplaced(this.#pools, address, undefined) === undefined);
    let home = byFamily.length < 2 ? undefined : wish && poolOf(this.#pools, wish);
    const placed = recorded.filter((address) => {
      if (!byFamily.includes(address)) return false;
      const reason = misplaced(this.#pools, address, request.mayHoldSeveral ? undefined : home);
      if (reason === undefined) home ??= poolOf(this.#pools, address);
      else reasons.push(reason);
      return reason === undefined;
    });
    const against = (address: Address) =>
      (before === undefined || includes(before, address)
        ? undefined
        : this.#barred(request, poolOf(this.#pools, address) as Pool, address)) ?? this.#clash(request, address);
    const taken = placed.filter((address) => against(address) === undefined);
    reasons.push(...placed.flatMap((address) => against(address) ?? []));
    const beyond = before && this.#quota(request, taken, before);
    if (beyond !== undefined) reasons.push("quotaExceeded");
    this.#hold(request, beyond === undefined ? taken : taken.filter((address) => includes(before ?? [], address)));
    return reasons[0];
  }

  /** @returns the reasons why the request is not met, one per pool where each has its own; and why it lacks a family that it prefers to have */
  settle(request: AddressRequest): { readonly unmet: string | undefined; readonly lacking: string | undefined } {
    const before = this.addresses(request.service);
    const mayMove = this.#held.get(request.service)?.settledFor !== wishesOf(request);
    this.restore(request, before);
    const own = this.addresses(request.service);
    const prefers = request.prefersDualStack;
    const unmet = this.#settle(request, before, own, mayMove && !(prefers && own.length > 0));
    const hasBoth = request.families.every((family) => own.some((address) => address.family === family));
    const mayBeOne = prefers && request.requestedAddresses.length === 0 && !(request.mayHoldSeveral && hasBoth);
    const isOne = unmet !== undefined && mayBeOne && this.#settleOne(request, before, own);
    const lacking = isOne ? this.#settle(request, before, this.addresses(request.service), false) : undefined;
    const held = this.#held.get(request.service);
    if (held !== undefined) this.#held.set(request.service, { ...held, settledFor: wishesOf(request) });
    return { unmet: isOne ? undefined : unmet, lacking };
  }

  /** @returns whether it has addresses of one family, as it asks for them but for the other family */
  #settleOne(request: AddressRequest, before: readonly Address[], own: readonly Address[]): boolean {
    const [first, second] = request.families.map((family) => own.filter((address) => address.family === family));
    const families = (second?.length ?? 0) > (first?.length ?? 0) ? request.families.toReversed() : request.families;
    return families.some((family) => {
      const ofFamily = own.filter((address) => address.family === family);
      return this.#settle({ ...request, families: [family] }, before, ofFamily, false) === undefined;
    });
  }

  #settle(request: AddressRequest, before: readonly Address[], own: readonly Address[], mayMove: boolean): string | undefined {
    const names = request.requestedPool?.includes(",")
      ? request.requestedPool.split(",").map((name) => name.trim())
      : request.requestedPool === undefined
        ? undefined
        : [request.requestedPool];
    const named = names?.map((name) => this.#pools.find((pool) => pool.name === name));
    const known = named?.every((pool) => pool !== undefined) === true;
    if (this.#pools.length === 0) return "noPools";
    if (request.requestedAddresses.length > 0) {
      const { requestedAddresses } = request;
      const isLong = requestedAddresses.length > new Set(requestedAddresses.map(({ family }) => family)).size;
      const wanted = isLong ? requestedAddresses : requestedAddresses.toSorted((a, b) => (String(a) < String(b) ? -1 : 1));
      const reason = this.#take(request, wanted, before);
      if (reason !== undefined) {
        this.#hold(request, own);
        return reason;
      }
      if (request.requestedPool === undefined) return undefined;
      if (!known) return "unknownPool";
      const inNamed = this.pools(request.service).every((name) => named.some((pool) => pool?.name === name));
      return inNamed ? undefined : "wrongPool";
    }
    if (named !== undefined && named.length > 1) {
      if (!known) return "unknownPool";
      const found = this.#inEach(
        named.flatMap((pool) => pool ?? []),
        request,
        own,
        before,
      );
      if (typeof found === "string") return found.startsWith("quotas") ? "quotaExceeded" : found;
      this.#hold(request, found);
      return undefined;
    }
    const home = own[0] && poolOf(this.#pools, own[0]);
    const homeFits = home !== undefined && (request.requestedPool === undefined || request.requestedPool === home.name);
    if (homeFits && own.length === request.families.length) return undefined;
    if (request.requestedPool !== undefined && !known) return "unknownPool";
    const here =
      request.requestedPool === undefined && home !== undefined ? this.#unasked(home, request, own, before) : undefined;
    const isStaying = here !== undefined && (typeof here !== "string" || !mayMove);
    const found = isStaying ? here : request.requestedPool === undefined ? this.#fromAny(request, own, before) : undefined;
    if (typeof found === "object") {
      this.#hold(request, found);
      return undefined;
    }
    if (typeof here === "string") return here.startsWith("quotas") ? "quotaExceeded" : here;
    const asked = this.#pools.filter((pool) => pool.name === (request.requestedPool ?? pool.name));
    const reasons = new Map<string, string>(); // pool or quota -> reason
    let others = 0;
    for (const pool of asked) {
      const isNamed = pool.name === request.requestedPool;
      const answer = isNamed ? this.#in(pool, request, own, before) : this.#unasked(pool, request, own, before);
      if (typeof answer !== "string") {
        this.#hold(request, answer);
        return undefined;
      }
      if (answer === "notForNamespace") others++;
      else reasons.set(answer.startsWith("quotas") ? answer : pool.name, answer.startsWith("quotas") ? "quotaExceeded" : answer);
    }
    if (request.requestedPool !== undefined) return others > 0 ? "notForNamespace" : [...reasons.values()].join();
    return `noPoolFits: ${[...reasons.values()].join(" ")} and ${others}`;
  }

  /** Why the Service would not be given now what it holds. */
  notAllowed(request: AddressRequest): string | undefined {
    const held = this.addresses(request.service);
    return held.flatMap((address) => this.#barred(request, poolOf(this.#pools, address) as Pool, address) ?? [])[0];
  }

  /** Usage that counts for a quota, of all namespaces that are counted with this one, by the names of its fields. */
  used(quota: Quota, namespace: string): { readonly ipv4: number; readonly ipv6: number; readonly services: number } {
    const members = [...this.#held.keys()].filter((service) => this.#isCounted(quota, namespace, service));
    const all = members.map((service) => this.#countedIn(quota, this.addresses(service)));
    const distinct = new Set(all.flat().map(String));
    const ipv6 = [...distinct].filter((text) => text.includes(":")).length;
    return { ipv4: distinct.size - ipv6, ipv6, services: all.filter((addresses) => addresses.length > 0).length };
  }

  isInside(set: NamespaceSet, namespace: string): boolean {
    if (set.namespaces.length + set.namespaceSelectors.length === 0) return true;
    const labels = this.#namespaces.get(namespace);
    const isSelected = labels !== undefined && set.namespaceSelectors.some((selector) => matchesSelector(selector, labels));
    return set.namespaces.includes(namespace) || isSelected;
  }

  /** Whether a quota counts the namespace: also one of which nothing is known. */
  isUnder(quota: Quota, namespace: string): boolean {
    return this.isInside(quota, namespace) || (quota.namespaceSelectors.length > 0 && !this.#namespaces.has(namespace));
  }

  #fromAny(request: AddressRequest, own: readonly Address[], before: readonly Address[]): readonly Address[] | undefined {
    const ranked = inOrder(this.#pools.filter(({ autoAssign, closed }) => autoAssign && !closed));
    const others = this.#pools.filter((pool) => !ranked.includes(pool));
    for (const which of [0, 1])
      for (const pool of [...ranked, ...others]) {
        if (!listed(pool).some((address) => this.#class(request, address) === which)) continue;
        const found = this.#unasked(pool, request, own, before);
        if (typeof found !== "string" && found.some((address) => this.#class(request, address) === which)) return found;
      }
    for (const pool of ranked) {
      if (this.#fence(request, pool) !== undefined) continue;
      // Addresses for all come first, unless quotas forbid them.
      for (const found of [
        this.#in(pool, request, [], before, { classes: [2], cheap: [false] }),
        this.#in(pool, request, [], before),
      ])
        if (typeof found !== "string") return found;
    }
    return undefined;
  }

  /** Without auto-assign a pool gives what is reserved for the Service, if there is something of each family that it lacks. */
  #unasked(
    pool: Pool,
    request: AddressRequest,
    own: readonly Address[],
    before: readonly Address[],
  ): readonly Address[] | string {
    if (pool.autoAssign) return this.#in(pool, request, own, before);
    const fence = this.#fence(request, pool);
    const missing = request.families.filter(
      (family) => !own.some((address) => address.family === family && poolOf(this.#pools, address) === pool),
    );
    const reserved = pool.closed ? [] : listed(pool).filter((address) => this.#class(request, address) < 2);
    if (missing.some((family) => reserved.every((address) => address.family !== family))) return fence ?? "autoAssignOff";
    const found = this.#in(pool, request, own, before, { classes: [0, 1] });
    return found === "poolFull" ? "reservedInUse" : found;
  }

  /** One address of each family in the order of the pool's list, those already held first; or the reason why not. */
  #in(
    pool: Pool,
    request: AddressRequest,
    own: readonly Address[],
    before: readonly Address[],
    { classes, cheap }: Pick<Choosing, "classes"> & { readonly cheap?: readonly boolean[] } = { classes: [0, 1, 2] },
  ): Address[] | string {
    const all = listed(pool);
    const kept = own.filter((address) => includes(all, address));
    const isWhole = request.families.every((family) => kept.some((address) => address.family === family));
    const shut = isWhole ? undefined : this.#shut(request, pool);
    if (shut !== undefined) return shut;
    if (request.families.some((family) => !pool.ranges.some((range) => range.family === family))) return "poolLacksFamily";
    let refused: string | undefined;
    for (const isCheap of cheap ?? this.#ways(request)) {
      const chosen = [...kept];
      for (const family of request.families) {
        if (chosen.some((address) => address.family === family)) continue;
        const found = this.#choose(request, all, family, { classes, before, beside: isCheap ? chosen : undefined });
        if (found === undefined) return refused ?? "poolFull";
        chosen.push(found);
      }
      const beyond = this.#quota(request, chosen, before);
      if (beyond === undefined) return all.filter((address) => includes(chosen, address));
      refused ??= beyond;
    }
    return refused ?? "poolFull";
  }

  /** A Service that may share looks a second time for a cheap address. */
  #ways({ sharingKey }: AddressRequest): readonly boolean[] {
    return sharingKey === "" ? [false] : [false, true];
  }

  /** The first by class and list. If it has to be cheap: the first by cost that no quota forbids. */
  #choose(
    request: AddressRequest,
    all: readonly Address[],
    family: Family,
    { classes, before, beside }: Choosing,
  ): Address | undefined {
    const candidates = all.filter(
      (address) => address.family === family && (this.#newcomer(request, address) ?? this.#clash(request, address)) === undefined,
    );
    const byClass = classes.flatMap((which) => candidates.filter((address) => this.#class(request, address) === which));
    if (beside === undefined) return byClass[0];
    const isShared = (address: Address) => this.requests(address).length > 0;
    const isCounted = (address: Address) => this.#isCountedAlready(request, address);
    const byCost = [
      ...byClass.filter((address) => isShared(address) && isCounted(address)),
      ...byClass.filter((address) => isShared(address) && !isCounted(address)),
      ...byClass.filter((address) => !isShared(address)),
    ];
    return byCost.find((address) => this.#quota(request, [...beside, address], before) === undefined);
  }

  #isCountedAlready(request: AddressRequest, address: Address): boolean {
    const namespace = namespaceOf(request.service);
    const counting = this.#quotas.filter(
      (quota) => this.isUnder(quota, namespace) && this.#countedIn(quota, [address]).length > 0,
    );
    return counting.every((quota) => this.#isHeldBeside(quota, namespace, request, address));
  }

  /** 0: reserved for the Service, 1: for its namespace, 2: for nobody in particular, 3: for others or for nobody at all. */
  #class({ service }: AddressRequest, address: Address): 0 | 1 | 2 | 3 {
    const reservations = poolOf(this.#pools, address)?.reservations ?? [];
    const holder = reservations.find(({ ranges }) => ranges.some((range) => range.contains(address)))?.holder;
    if (holder === undefined) return 2;
    if (holder.type === "service") return holder.service === service ? 0 : 3;
    return holder.type === "namespace" && holder.namespace === namespaceOf(service) ? 1 : 3;
  }

  #fence({ service, labels }: AddressRequest, { fence }: Pool): string | undefined {
    if (!this.isInside(fence, namespaceOf(service))) return "notForNamespace";
    const { serviceSelectors } = fence;
    const isIn = labels !== undefined && serviceSelectors.some((selector) => matchesSelector(selector, labels));
    return serviceSelectors.length === 0 || isIn ? undefined : "notForService";
  }

  #shut(request: AddressRequest, pool: Pool): string | undefined {
    return this.#fence(request, pool) ?? (pool.closed ? "poolClosed" : undefined);
  }

  #barred(request: AddressRequest, pool: Pool, address: Address): string | undefined {
    const shut = this.#shut(request, pool);
    if (shut !== undefined) return shut;
    return this.#class(request, address) === 3 ? "reserved" : this.#newcomer(request, address);
  }

  /** Why it may not come to those who share the address, by the pool's rule. */
  #newcomer(request: AddressRequest, address: Address): string | undefined {
    const sharing = poolOf(this.#pools, address)?.sharing;
    const others = this.requests(address).filter(({ service }) => service !== request.service);
    if (
      sharing === "cluster" ||
      request.sharingKey === "" ||
      others.length === 0 ||
      others.some(({ sharingKey }) => sharingKey === "")
    )
      return undefined;
    if (others.some(({ service }) => namespaceOf(service) !== namespaceOf(request.service))) return "inUse";
    return sharing === "none" ? "sharingOff" : undefined;
  }

  /** @returns such as `quotas[0]` */
  #quota(request: AddressRequest, wanted: readonly Address[], before: readonly Address[]): string | undefined {
    const namespace = namespaceOf(request.service);
    for (const [index, quota] of this.#quotas.entries()) {
      if (!this.isUnder(quota, namespace)) continue;
      const now = this.#held.get(request.service);
      this.#hold(request, before);
      const had = this.used(quota, namespace);
      this.#hold(request, wanted);
      const has = this.used(quota, namespace);
      if (now === undefined) this.#held.delete(request.service);
      else this.#held.set(request.service, now);
      const fresh = this.#countedIn(quota, wanted).filter(
        (address) => !includes(before, address) && !this.#isHeldBeside(quota, namespace, request, address),
      );
      for (const resource of ["ipv4", "ipv6", "services"] as const) {
        const family = resource === "ipv4" ? "IPv4" : "IPv6";
        const grows = resource === "services" ? has.services > had.services : fresh.some((address) => address.family === family);
        if (grows && has[resource] > (quota[resource] ?? Infinity)) return `quotas[${index}]`;
      }
    }
    return undefined;
  }

  #isHeldBeside(quota: Quota, namespace: string, { service }: AddressRequest, address: Address): boolean {
    return this.requests(address).some((other) => other.service !== service && this.#isCounted(quota, namespace, other.service));
  }

  #isCounted(quota: Quota, namespace: string, service: string): boolean {
    const other = namespaceOf(service);
    return quota.together ? this.isUnder(quota, other) : other === namespace;
  }

  #countedIn({ pools }: Quota, addresses: readonly Address[]): readonly Address[] {
    return addresses.filter((address) => pools.length === 0 || pools.includes(poolOf(this.#pools, address)?.name ?? ""));
  }

  /** One address of each family that a pool has, for each time that it is named; those already held first; or the reason why not. */
  #inEach(
    pools: readonly Pool[],
    request: AddressRequest,
    own: readonly Address[],
    before: readonly Address[],
  ): readonly Address[] | string {
    const { families } = request;
    const wants = pools.flatMap((pool) =>
      families.flatMap((family) => (pool.ranges.some((range) => range.family === family) ? [{ pool, family }] : [])),
    );
    if (families.some((family) => wants.every((want) => want.family !== family))) return "poolLacksFamily";
    const left = [...own];
    const kept = wants.map(({ pool, family }) => {
      const index = left.findIndex((held) => held.family === family && poolOf(this.#pools, held) === pool);
      return index < 0 ? undefined : left.splice(index, 1)[0];
    });
    if (kept.every((address) => address !== undefined)) return own.filter((address) => kept.includes(address));
    for (const [index, { pool }] of wants.entries()) {
      const shut = kept[index] === undefined ? this.#shut(request, pool) : undefined;
      if (shut !== undefined) return shut;
    }
    let refused: string | undefined;
    for (const isCheap of this.#ways(request)) {
      const taken = kept.filter((address) => address !== undefined);
      const found: Address[] = [];
      for (const [index, { pool, family }] of wants.entries()) {
        const open = listed(pool).filter((address) => !includes(taken, address));
        const choosing = { classes: [0, 1, 2], before, beside: isCheap ? taken : undefined };
        const address = kept[index] ?? this.#choose(request, open, family, choosing);
        if (address === undefined) return refused ?? "poolFull";
        if (kept[index] === undefined) taken.push(address);
        found.push(address);
      }
      const beyond = this.#quota(request, found, before);
      if (beyond === undefined) return found;
      refused ??= beyond;
    }
    return refused ?? "poolFull";
  }

  #hold(request: AddressRequest, addresses: readonly Address[]): void {
    const settledFor = this.#held.get(request.service)?.settledFor ?? wishesOf(request);
    this.#held.delete(request.service);
    if (addresses.length > 0) this.#held.set(request.service, { request, addresses, settledFor });
  }

  /** If several of its ports are taken, the message is about the first of them. */
  #clash(request: AddressRequest, address: Address): string | undefined {
    const portByPort = [...request.ports.map((port) => ({ ...request, ports: [port] })), request];
    return portByPort.flatMap((one) => this.requests(address).flatMap((holder) => clash(one, holder) ?? []))[0];
  }
}

function wishesOf({ families, prefersDualStack, requestedPool, requestedAddresses }: AddressRequest): string {
  return JSON.stringify([families, prefersDualStack, requestedPool, requestedAddresses.map(String)]);
}

/** Why two requests may not have one address; of another namespace no more than that it is in use. */
export function clash(a: AddressRequest, b: AddressRequest): string | undefined {
  if (a.service === b.service) return undefined;
  const reason = between(a, b);
  return reason !== undefined && namespaceOf(a.service) !== namespaceOf(b.service) ? "inUse" : reason;
}

function between(a: AddressRequest, b: AddressRequest): string | undefined {
  if (!a.sharingKey || !b.sharingKey) return "inUse";
  if (a.sharingKey !== b.sharingKey) return "sharingKeyMismatch";
  if (a.backendKey !== b.backendKey) return "backendKeyMismatch";
  const ports = [...a.ports, ...b.ports].map(({ port, protocol }) => `${port} ${protocol}`);
  return new Set(ports).size < ports.length ? "portClash" : undefined;
}

/** Pools that give by themselves, as they are tried. */
function inOrder(pools: readonly Pool[]): Pool[] {
  const isFenced = ({ fence }: Pool) => Object.values(fence).some((list) => list.length > 0);
  const withPriority = pools.filter(({ priority }) => priority !== undefined);
  const rest = pools.filter(({ priority }) => priority === undefined);
  return [
    ...withPriority.sort((a, b) => (a.priority ?? 0) - (b.priority ?? 0)),
    ...rest.filter(isFenced),
    ...rest.filter((pool) => !isFenced(pool)),
  ];
}

function includes(addresses: readonly Address[], address: Address): boolean {
  return addresses.some((other) => other.equals(address));
}

function misplaced(pools: readonly Pool[], address: Address, home: Pool | undefined): string | undefined {
  const pool = poolOf(pools, address);
  if (pool === undefined) return "outsidePools";
  if (!listed(pool).some((listed) => listed.equals(address))) return "buggyAddress";
  return home === undefined || home === pool ? undefined : "severalPools";
}

function poolOf(pools: readonly Pool[], address: Address): Pool | undefined {
  return pools.find((pool) => pool.ranges.some((range) => range.contains(address)));
}

/** Every address the pool hands out, in the order of its list. */
function listed(pool: Pool): Address[] {
  return pool.ranges.flatMap(({ first, size }) => {
    const all = Array.from({ length: Number(size) }, (_, i) => new Address(first.family, first.value + BigInt(i)));
    return pool.avoidBuggyIPs ? all.filter((address) => !/^\d.*\.(0|255)$/.test(String(address))) : all;
  });
}
