import { list, quote } from "#pkg/text";
import type { AskedCommunities, AskedNumber, BgpAdvertisement, Community, Config, Fence, ObjectText, Pool } from "../config.ts";
import type { Place } from "../problems.ts";
import type { RawAdvertisement } from "../shape/raw.ts";
import { formatCommunity, parseCommunity, readCommunities } from "./communities.ts";
import { isLabelKey, readSelectors } from "./selectors.ts";
import { anyMatches, isIn, type NamespaceLabels, readNamespaces } from "./tenancy.ts";

type ServicePolicy = Pick<BgpAdvertisement, "services" | "communitiesFrom" | "medFrom" | "localPrefFrom">;

/** Reads which Services an advertisement is for, and what a Service may ask for. @param fixed the entry's own communities */
export function readServicePolicy(fields: RawAdvertisement, at: Place, aliases: ReadonlyMap<string, Community>): ServicePolicy {
  return {
    services: readServices(fields, at),
    communitiesFrom: readAskedCommunities(fields, at.in("communities-from"), aliases),
    medFrom: readAskedNumber(fields["med-from"], at.in("med-from")),
    localPrefFrom: readAskedNumber(fields["localpref-from"], at.in("localpref-from")),
  };
}

/** Reads the Services that an advertisement is for. */
export function readServices(
  fields: Parameters<typeof readNamespaces>[0] & Pick<RawAdvertisement, "service-selectors">,
  at: Place,
): Fence {
  const serviceSelectors = readSelectors(fields["service-selectors"] ?? [], at.in("service-selectors"));
  return { ...readNamespaces(fields, at), serviceSelectors };
}

function readAskedCommunities(
  { communities = [], "communities-from": fields }: RawAdvertisement,
  at: Place,
  aliases: ReadonlyMap<string, Community>,
): AskedCommunities | undefined {
  if (fields === undefined) return undefined;
  const from = readText(fields, at);
  const names = (fields.allowed ?? []).filter((name) => name !== undefined);
  const here = at.in("allowed");
  readCommunities(fields.allowed ?? [], here, aliases);
  // A Service may ask for all of them: there has to be room beside the entry's own.
  if (communities.length > 0) readCommunities([...new Set([...names, ...communities])], here, aliases, "room");
  const allowed = names.flatMap((name): [string, Community][] => {
    const community = aliases.get(name) ?? parseCommunity(name);
    return community === undefined ? [] : [[name, community]];
  });
  return from && { from, allowed: new Map(allowed) };
}

function readAskedNumber(fields: RawAdvertisement["med-from"], at: Place): AskedNumber | undefined {
  if (fields === undefined) return undefined;
  const { min = 0, max = 0 } = fields;
  if (fields.min !== undefined && fields.max !== undefined && min > max)
    at.in("max").error(`must not be below "min", which is ${min}`);
  const from = readText(fields, at);
  return from && { from, min, max };
}

/** Reads the label or annotation of an object that is meant. @returns undefined, with the reason reported, where none is */
export function readText(
  { label, annotation }: { readonly label?: string; readonly annotation?: string },
  at: Place,
): ObjectText | undefined {
  const name = label ?? annotation;
  if (name === undefined || (label !== undefined && annotation !== undefined)) {
    at.error("must name either a label or an annotation");
    return undefined;
  }
  const kind = label === undefined ? "annotation" : "label";
  if (!isLabelKey(name)) at.in(kind).error(`no ${kind} is named ${quote(name)}`);
  return { kind, name };
}

/** Whether the advertisement is for some Services alone. */
export function isForSome({ services }: Pick<BgpAdvertisement, "services">): boolean {
  const { namespaces, namespaceSelectors, serviceSelectors } = services;
  return namespaces.length + namespaceSelectors.length + serviceSelectors.length > 0;
}

/** Whether Services of the pool have advertisements of their own: by selectors, or because they may ask for attributes. */
export function differByService({ advertisements }: Pick<Pool, "advertisements">): boolean {
  return advertisements.some((one) => isForSome(one) || mayAsk(one));
}

/** Whether Services may ask for attributes. */
export function mayAsk(advertisement: Parameters<typeof textsOf>[0]): boolean {
  return textsOf(advertisement).length > 0;
}

/** Whether an advertisement asks for labels of namespaces. */
export function advertisesByNamespace({ pools }: Pick<Config, "pools">): boolean {
  return pools.some((pool) => allAdvertisements(pool).some(({ services }) => services.namespaceSelectors.length > 0));
}

/** The names of the Services' labels and annotations that advertisements are about. */
export function textsOfServices({ pools }: Pick<Config, "pools">): Readonly<Record<ObjectText["kind"], ReadonlySet<string>>> {
  const found = { label: new Set<string>(), annotation: new Set<string>() };
  for (const { services } of pools.flatMap(allAdvertisements))
    for (const { matchLabels, matchExpressions } of services.serviceSelectors)
      for (const key of [...matchLabels.keys(), ...matchExpressions.map((one) => one.key)]) found.label.add(key);
  for (const { kind, name } of pools.flatMap(({ advertisements }) => advertisements.flatMap(textsOf))) found[kind].add(name);
  return found;
}

function allAdvertisements({ advertisements, layer2Advertisements }: Pool): readonly { readonly services: Fence }[] {
  return [...advertisements, ...layer2Advertisements];
}

function textsOf({
  communitiesFrom,
  medFrom,
  localPrefFrom,
}: Pick<BgpAdvertisement, "communitiesFrom" | "medFrom" | "localPrefFrom">): ObjectText[] {
  return [communitiesFrom, medFrom, localPrefFrom].flatMap((asked) => asked?.from ?? []);
}

/** A Service, as far as its advertisements depend on it. */
export interface ServiceTexts {
  readonly namespace: string;
  /** Undefined where they are not known: no selector matches these. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}

/** A pool's advertisements for one Service. */
export interface ServiceAdvertisements {
  /** Equal for Services with equal ones. */
  readonly key: string;
  /** In the pool's order: with what the Service asked for and may have, or undefined where one is for others. */
  readonly advertisements: readonly (BgpAdvertisement | undefined)[];
  /** Requests of the Service that were not granted, each in words. */
  readonly notGranted: readonly string[];
}

/** The interfaces of the pool for one Service or another; empty for all. */
export function interfacesOfPool(pool: Pool): readonly string[] {
  const lists = layer2PoolsOf(pool).map(({ interfaces }) => interfaces);
  return lists.some((names) => names.length === 0) ? [] : [...new Set(lists.flat())];
}

function isFor({ serviceSelectors, ...set }: Fence, { namespace, labels }: ServiceTexts, namespaces: NamespaceLabels): boolean {
  return isIn(set, namespace, namespaces) && (serviceSelectors.length === 0 || anyMatches(serviceSelectors, labels));
}

/** The pool as a Service has it on layer 2. `entry`: of `layer2-advertisements`, where there are any. */
export interface Layer2Pool {
  readonly pool: Pool;
  readonly entry?: number;
}

/** @param service undefined: none @returns undefined where no entry is for it, so that nobody announces it on layer 2 */
export function layer2PoolFor(
  pool: Pool,
  service: ServiceTexts | undefined,
  namespaces: NamespaceLabels,
): Layer2Pool | undefined {
  const { layer2Advertisements: entries } = pool;
  if (entries.length === 0) return { pool };
  const entry = service === undefined ? -1 : entries.findLastIndex(({ services }) => isFor(services, service, namespaces));
  const found = entries[entry];
  return found && { pool: found.pool, entry };
}

/** The pool as it is on layer 2 for one Service or another. */
export function layer2PoolsOf(pool: Pool): readonly Pool[] {
  return pool.layer2Advertisements.length === 0 ? [pool] : pool.layer2Advertisements.map((each) => each.pool);
}

export function advertisementsFor(pool: Pool, service: ServiceTexts, namespaces: NamespaceLabels): ServiceAdvertisements {
  const keys: unknown[] = [];
  const notGranted = new Set<string>();
  const advertisements = pool.advertisements.map((entry) => {
    const { services, communitiesFrom, medFrom, localPrefFrom } = entry;
    if (!isFor(services, service, namespaces)) {
      keys.push(0);
      return undefined;
    }
    const asked = communitiesFrom && askedCommunities(communitiesFrom, service, notGranted);
    const med = medFrom && askedNumber("a MED", medFrom, service, notGranted);
    const localPref = localPrefFrom && askedNumber("a LOCAL_PREF", localPrefFrom, service, notGranted);
    const more = asked === undefined ? [] : [...asked.keys()].sort();
    keys.push([more, med, localPref]);
    if (more.length === 0 && med === undefined && localPref === undefined) return entry;
    const communities = new Map([...entry.communities.map((one) => [formatCommunity(one), one] as const), ...(asked ?? [])]);
    return {
      ...entry,
      aggregationLength: 32, // The others in an aggregate did not ask for it.
      aggregationLengthV6: 128,
      communities: [...communities.values()],
      med: med ?? entry.med,
      localPref: localPref ?? entry.localPref,
    };
  });
  return { key: JSON.stringify(keys), advertisements, notGranted: [...notGranted] };
}

/** @returns undefined where it has no such text */
function textOf({ kind, name }: ObjectText, { labels, annotations }: ServiceTexts): string | undefined {
  const texts = kind === "label" ? labels : annotations;
  return texts !== undefined && Object.hasOwn(texts, name) ? texts[name] : undefined;
}

function askedCommunities(
  { from, allowed }: AskedCommunities,
  service: ServiceTexts,
  notGranted: Set<string>,
): ReadonlyMap<string, Community> {
  const found = new Map<string, Community>(); // canonical text -> community
  const others: string[] = [];
  const known = new Set([...allowed.values()].map(formatCommunity));
  const texts = (textOf(from, service) ?? "").split(",").map((part) => part.trim());
  for (const text of texts.filter((one) => one !== "")) {
    const community = allowed.get(text) ?? parseCommunity(text);
    const canonical = community === undefined ? "" : formatCommunity(community);
    if (community !== undefined && known.has(canonical)) found.set(canonical, community);
    else others.push(quote(text));
  }
  if (others.length > 0)
    notGranted.add(
      `its ${from.kind} ${from.name} asks for ${list(others)}, and the pool allows the communities ${list([...allowed.keys()])}`,
    );
  return found;
}

function askedNumber(
  what: string,
  { from, min, max }: AskedNumber,
  service: ServiceTexts,
  notGranted: Set<string>,
): number | undefined {
  const text = textOf(from, service)?.trim();
  if (text === undefined) return undefined;
  const value = /^\d{1,10}$/.test(text) ? Number(text) : -1;
  if (value >= min && value <= max) return value;
  notGranted.add(`its ${from.kind} ${from.name} asks for ${quote(text)}, and the pool allows ${what} from ${min} to ${max}`);
  return undefined;
}
