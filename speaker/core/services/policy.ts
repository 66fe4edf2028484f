import {
  advertisementsFor,
  advertisesByNamespace,
  differByService,
  type Layer2Pool,
  layer2PoolFor,
  type Pool,
  type ServiceAdvertisements,
} from "#pkg/config";
import type { Deliveries, Delivery } from "#pkg/gossip";
import type { Address, Family } from "#pkg/net";
import type { AddressPlacement, Advertised, Labels, PoolAdvertisements } from "#pkg/placement";
import { namespaceOf } from "#pkg/service";
import type { CarriedRoutes } from "../events.ts";
import type { SpeakerState } from "../state.ts";

/** The pool's advertisements for a Service; undefined where all Services have the same. */
export function serviceAdvertisements(
  { services }: Pick<SpeakerState, "services">,
  key: string,
  pool: Pool,
): ServiceAdvertisements | undefined {
  const service = services.rows.get(key)?.service;
  if (service === undefined || !differByService(pool)) return undefined;
  return advertisementsFor(pool, { ...service, namespace: namespaceOf(key) }, services.namespaces);
}

/** The pool as a Service has it on layer 2; undefined where nobody announces it there. @param key undefined: of none */
export function layer2PoolOf(
  { services }: Pick<SpeakerState, "services">,
  key: string | undefined,
  pool: Pool,
): Layer2Pool | undefined {
  const service = key === undefined ? undefined : services.rows.get(key)?.service;
  return layer2PoolFor(
    pool,
    key === undefined ? undefined : service && { ...service, namespace: namespaceOf(key) },
    services.namespaces,
  );
}

/** The Service whose labels and annotations choose the routes of an address: the oldest that may have it. */
export function choosing({ verdicts }: AddressPlacement): string | undefined {
  return verdicts.entries().find(([, one]) => one.announced || one.reason !== "ipNotAllowed")?.[0];
}

/** Requests of a Service to routers, by its texts, that it did not get; undefined for none. */
export function notGranted(state: SpeakerState, key: string, placement: AddressPlacement): string | undefined {
  const pool = state.config?.pools.find(placement.address);
  const first = choosing(placement);
  if (pool === undefined || first === undefined) return undefined;
  const own = serviceAdvertisements(state, key, pool);
  if (own === undefined) return undefined;
  const refused = own.notGranted.length === 0 ? undefined : own.notGranted.join("; ");
  if (first === key || serviceAdvertisements(state, first, pool)?.key === own.key) return refused;
  const isAsking = own.advertisements.some((one, index) => one !== undefined && one !== pool.advertisements[index]);
  if (refused === undefined && !isAsking) return undefined;
  return `the routes have what ${first} asks for, the oldest Service on the address, and not what this one asks for`;
}

/** The name under which a node reports how it delivers the routes of one entry of a pool whose Services have different ones. */
export function entryName({ name }: Pool, index: number): string {
  return `${name}\n${index}`;
}

/**
 * How a node delivers the routes of a Service to routers; undefined where the node does not report that.
 * @param key undefined for the pool's routes
 */
export function deliveryOf(state: SpeakerState, node: string, pool: Pool, family: Family, key: string | undefined) {
  const { bgp, members } = state;
  const entries = key === undefined ? undefined : serviceAdvertisements(state, key, pool)?.advertisements;
  const own = entries?.flatMap((entry, index) => (entry === undefined ? [] : [entryName(pool, index)]));
  const reported = (own ?? [pool.name]).map(
    (name) => (node === state.node ? bgp.deliveries.get(name) : members.gossip?.deliveries(node, name))?.[family],
  );
  if (reported.includes(undefined)) return undefined;
  return (["carried", "notCarried", "noSession"] as const).find((each) => reported.includes(each)) ?? "noPeer";
}

/** How this node delivers routes of a pool, or of some of its advertisements. */
export function deliveriesOf({ bgp: { carried } }: SpeakerState, { eligibility, advertised }: PoolAdvertisements): Deliveries {
  const of = (family: Family): Delivery => {
    const made = eligibility === "eligible" ? advertised.filter(({ peers }) => peers[family].length > 0) : [];
    const sessions = made.flatMap((one) => carriedTo(one.peers[family], carried).map((each) => isCarried(one, family, each)));
    if (sessions.length > 0) return sessions.includes(true) ? "carried" : "notCarried";
    return made.length > 0 ? "noSession" : "noPeer";
  };
  return { IPv4: of("IPv4"), IPv6: of("IPv6") };
}

type Carried = SpeakerState["bgp"]["carried"];
const carriedToPeers = new WeakMap<Carried, WeakMap<readonly string[], readonly (readonly CarriedRoutes[])[]>>();

/** What the sessions with these peers carry, without repetitions. Advertisements of many pools to all peers share one list of them. */
function carriedTo(peers: readonly string[], carried: Carried): readonly (readonly CarriedRoutes[])[] {
  const known = carriedToPeers.get(carried) ?? new WeakMap();
  carriedToPeers.set(carried, known);
  const found = known.get(peers);
  if (found !== undefined) return found;
  const sessions = new Map<string, readonly CarriedRoutes[]>(); // as text -> what a session carries
  for (const peer of peers) {
    const its = carried.get(peer);
    if (its !== undefined) sessions.set(its.join(), its);
  }
  const all = [...sessions.values()];
  known.set(peers, all);
  return all;
}

/** Whether a session carries the advertisement's routes. */
function isCarried(
  { advertisement, slots }: Pick<Advertised, "advertisement" | "slots">,
  family: Family,
  carried: readonly CarriedRoutes[],
): boolean {
  const nextHop = family === "IPv4" ? advertisement.nextHop : advertisement.nextHopV6;
  const isByNextHop = nextHop !== undefined || slots.has(family);
  return carried.includes(family) || (isByNextHop && carried.includes(`${family} by next hop`));
}

/** The labels of a namespace are others. @returns the addresses for which they may matter */
export function namespaceChanged(
  { config, services }: SpeakerState,
  name: string,
  labels: Labels | undefined,
): readonly Address[] {
  if (labels === undefined) services.namespaces.delete(name);
  else services.namespaces.set(name, labels);
  if (config === undefined || !advertisesByNamespace(config.config)) return [];
  return [...services.rows].flatMap(([key, { addresses }]) => (namespaceOf(key) === name ? addresses : []));
}
