import { Allocator, type PoolUsage } from "#pkg/allocator";
import { type Config, isStrict, PoolIndex } from "#pkg/config";
import type { Service } from "#pkg/k8s";
import { parseAddress } from "#pkg/net";
import { olderFirst, readRequest } from "#pkg/service";
import { type Decision, decide, keep } from "./decide.ts";

/** The result for all Services when these pools are in force. */
export interface Assignments {
  readonly decisions: ReadonlyMap<string, Decision>; // service key -> where it stands
  readonly usage: readonly PoolUsage[];
}

// Each settles what waited for something that the one before set free. Two are the rule.
const maxRounds = 10;

/**
 * Lets all Services keep their recorded addresses before anything new is given, in an order that is the same after every start. Services
 * that share an address come first, so that a Service which stopped to allow sharing while nobody looked leaves the address to the others.
 * Among these the oldest comes first, so that no later Service takes its address. A step for each.
 * @param get undefined for one that has gone meanwhile
 * @param status see `keep`
 */
export function* keepAll(
  keys: Iterable<string>,
  get: (key: string) => Service | undefined,
  allocator: Allocator,
  status: "recorded" | "written",
): Generator<undefined, void> {
  const sorted = Array.from(keys, (key) => ({ key, created: get(key)?.created ?? 0 })).sort(olderFirst);
  for (const shares of [true, false])
    for (const { key } of sorted) {
      yield;
      const service = get(key);
      if (service === undefined) continue;
      const read = readRequest(service);
      if (read.type === "notOurs" || (read.request.sharingKey !== "") !== shares) continue;
      keep(read.request, service, allocator, status);
    }
}

/**
 * Decides on Services, the oldest first, and again on those that are refused something, until nothing changes any more. Age is the only
 * order that each process sees alike, also after a restart. A step for each decision.
 * @param decideOn decides on the Service with this key
 */
export function* settling(
  services: Iterable<Pick<Service, "key" | "created">>,
  allocator: Pick<Allocator, "held">,
  decideOn: (key: string) => Decision,
): Generator<undefined, void> {
  let keys = Array.from(services, ({ key, created }) => ({ key, created })).sort(olderFirst);
  for (let round = 0, isChanged = true; isChanged && round < maxRounds; round++) {
    isChanged = false;
    const refused: typeof keys = [];
    for (const service of keys) {
      const before = allocator.held(service.key)?.addresses.join();
      const { allocation, unmet } = decideOn(service.key);
      isChanged ||= allocation?.addresses.join() !== before;
      if (unmet !== undefined) refused.push(service);
      yield;
    }
    keys = refused;
  }
}

/**
 * Decides on all Services, as the controller does when a configuration comes into force: they keep the addresses in their status as far as
 * they may, then each gets what it asks for. A step for each, with what has been decided so far.
 * @param occupied addresses that other hosts of the network have -> who; they count in strict pools
 * @param namespaces namespace -> its labels
 */
export function* assigning(
  services: Iterable<Service>,
  { pools, quotas }: Pick<Config, "pools" | "quotas">,
  occupied: ReadonlyMap<string, string> = new Map(),
  namespaces: ReadonlyMap<string, Readonly<Record<string, string>>> = new Map(),
): Generator<Assignments["decisions"], Assignments> {
  const allocator = new Allocator();
  for (const [name, labels] of namespaces) allocator.setNamespace(name, labels);
  allocator.setPools(pools, quotas);
  const current = new Map([...services].map((service) => [service.key, service])); // service key -> Service as its status will be
  const decisions = new Map<string, Decision>();
  for (const _ of keepAll(current.keys(), (key) => current.get(key), allocator, "recorded")) yield decisions;
  const index = new PoolIndex(pools);
  const isHeeded = (text: string) => {
    const address = parseAddress(text);
    const pool = address && index.find(address);
    return pool !== undefined && isStrict(pool);
  };
  allocator.setOccupied(new Map([...occupied].filter(([text]) => isHeeded(text))));
  const decideOn = (key: string) => {
    const service = current.get(key);
    const decision = decide(key, service, allocator);
    decisions.set(key, decision);
    if (service !== undefined && decision.status !== undefined) current.set(key, { ...service, ingress: decision.status });
    return decision;
  };
  for (const _ of settling([...current.values()], allocator, decideOn)) yield decisions;
  return { decisions, usage: [...allocator.usage()] };
}
