import type { Address, Family } from "#pkg/net";
import type { Port } from "#pkg/service";
import { listOf, plural, quote } from "#pkg/text";
import { causes, type Fact } from "#pkg/verdict";
import { portText } from "./occupancy.ts";
import type { Ask, Refusal } from "./types.ts";

const maxFacts = 20;

/** One plain sentence, without its first capital and full stop: what was found, and what to do about it. */
export function describe(refusal: Refusal): string {
  return `${finding(refusal)}; ${remedy(refusal)}`;
}

/** The second half of `describe`: what to do. Where quotas alone are in the way, more addresses are of no use. */
export function remedy(refusal: Refusal): string {
  const { service } = causes;
  const isQuota = refusal.reason === "noPoolFits" && refusal.pools.some(({ reason }) => reason === "quotaExceeded");
  const mayHelp = isQuota && refusal.pools.some(({ reason }) => helpedByAddresses.has(reason));
  return service[isQuota && !mayHelp ? "quotaExceeded" : refusal.reason].next;
}

const helpedByAddresses: ReadonlySet<Refusal["reason"]> = new Set(["poolFull", "poolLacksFamily", "awaitsIpam", "reservedInUse"]);

/** The first half of `describe`: what was found. */
export function finding(refusal: Refusal): string {
  switch (refusal.reason) {
    case "noPools":
      return "the configuration has no address pools";
    case "unknownPool":
      return `there is no pool ${quote(refusal.pool)}, only ${listOf(refusal.known, quote, refusal.known.length + refusal.more)}`;
    case "poolFull":
      if (refusal.total === 0)
        return `pool ${quote(refusal.pool)} has no ${refusal.family} address besides those that are reserved or that avoid-buggy-ips excludes`;
      return `pool ${quote(refusal.pool)} has no free ${refusal.family} address (${allOf(refusal.total)} in use)`;
    case "reservedInUse":
      return `no ${refusal.family} address of pool ${quote(refusal.pool)} that is reserved for this Service is free`;
    case "poolLacksFamily":
      return `pool ${quote(refusal.pool)} has no ${refusal.family} addresses`;
    case "noPoolFits":
      return `no pool can serve this Service: ${noneOf(refusal)}`;
    case "notForNamespace":
      return `pool ${quote(refusal.pool)} is not for namespace ${quote(refusal.namespace)}`;
    case "notForService":
      return `pool ${quote(refusal.pool)} is for Services with other labels`;
    case "poolClosed":
      return `pool ${quote(refusal.pool)} is closed: no new address of it is given`;
    case "reserved":
      return `address ${refusal.address} of pool ${quote(refusal.pool)} is reserved`;
    case "sharingOff":
      return `address ${refusal.address} is in use, and no two Services share an address of pool ${quote(refusal.pool)}`;
    case "sharedByTooMany":
      return `address ${refusal.address} is shared by ${refusal.limit} Services already, and no more may`;
    case "quotaExceeded":
      return quotaFinding(refusal);
    case "awaitsIpam":
      if (refusal.exhausted) return `NetBox has no free ${refusal.family} address left for pool ${quote(refusal.pool)}`;
      return `NetBox has not chosen an ${refusal.family} address of pool ${quote(refusal.pool)} for this Service yet${refusal.problem === undefined ? "" : `: ${refusal.problem}`}`;
    case "notGranted":
      return `NetBox chooses the addresses of pool ${quote(refusal.pool)}, and has not chosen ${refusal.address} for this Service`;
    case "recordedElsewhere":
      return `address ${refusal.address} of pool ${quote(refusal.pool)} is somebody else's in NetBox (${quote(refusal.by)})`;
    case "autoAssignOff":
      return `pool ${quote(refusal.pool)} is only for Services that request it (auto-assign is false)`;
    case "outsidePools":
      return `address ${refusal.address} is in no pool`;
    case "buggyAddress":
      return `address ${refusal.address} ends in .0 or .255, which avoid-buggy-ips keeps out of use in pool ${quote(refusal.pool)}`;
    case "wrongPool":
      return `address ${refusal.address} is in pool ${quote(refusal.pool)}, not in the requested pool ${quote(refusal.wanted)}`;
    case "severalPools":
      return `addresses ${refusal.addresses.join(" and ")} are in different pools (${refusal.pools.map(quote).join(" and ")})`;
    case "familyMismatch":
      return `the Service is ${familyNames(refusal.wanted)}, but the requested addresses are ${familyNames(refusal.found)}`;
    case "tooManyAddresses":
      return `the Service asks for ${refusal.addresses} addresses, and may have ${refusal.limit} at most`;
    case "occupied":
      return `another host uses address ${refusal.address} (${refusal.by})`;
    case "inUse":
      return `address ${refusal.address} is in use${refusal.holder === undefined ? "" : ` by ${refusal.holder}`}`;
    case "sharingKeyMismatch":
      return `address ${refusal.address} is in use by ${refusal.holder} under sharing key ${quote(refusal.holderKey)}, not ${quote(refusal.key)}`;
    case "backendKeyMismatch":
      return `address ${refusal.address} is in use by ${refusal.holder} for ${backend(refusal.holderKey)}, not for ${backend(refusal.key)}`;
    case "portClash":
      return `address ${refusal.address} is in use by ${refusal.holder}, which has port ${portText(refusal.port)} there too`;
    default:
      return refusal satisfies never;
  }
}

/** A refusal as facts, by the names of its fields; of many pools only the first. */
export function facts(refusal: Refusal): Fact[] {
  const source = "allocator";
  if (refusal.reason === "noPoolFits")
    return refusal.pools.slice(0, maxFacts).map((inner) => ({ name: "pool", value: finding(inner), source }));
  if (refusal.reason === "unknownPool") {
    const { pool, known, more } = refusal;
    return [
      { name: "pool", value: pool, source },
      { name: "known", value: [...known, ...(more > 0 ? [`and ${more} more`] : [])].join(", "), source },
    ];
  }
  const { reason: _, ...found } = refusal;
  return Object.entries<FactValue>(found).map(([name, value]) => ({ name, value: factText(value), source }));
}

function noneOf(refusal: Extract<Refusal, { reason: "noPoolFits" }>): string {
  const { pools } = refusal;
  return listOf([...pools, ...otherPools(refusal)], (one) => (typeof one === "string" ? one : finding(one)));
}

/** The text says that other namespaces have addresses there, but not which. */
function otherPools({ namespace, others }: Extract<Refusal, { reason: "noPoolFits" }>): string[] {
  if (others === 0) return [];
  return [`${others === 1 ? "one pool is" : `${others} pools are`} not for namespace ${quote(namespace)}`];
}

const counted = { ipv4: "IPv4 addresses", ipv6: "IPv6 addresses", services: "Services with addresses" };

function quotaFinding(refusal: Extract<Refusal, { reason: "quotaExceeded" }>): string {
  const { namespace, together, pools, resource, limit, used, asked, needs } = refusal;
  const who = `namespace ${quote(namespace)}${together ? " and those that are counted with it" : ""}`;
  const of = pools.length === 0 ? "" : ` of ${plural(pools.length, "pool")} ${listOf(pools, quote)}`;
  if (limit === 0) return `${who} may have no ${counted[resource]}${of}`;
  const waiting = asked > 0 ? `, others of its Services wait for ${asked}` : "";
  const more = needs > 1 ? `, and this Service needs ${needs} more` : "";
  return `${who} ${together ? "have" : "has"} ${used} of ${limit} ${counted[resource]}${of}${waiting}${more}`;
}

type FactValue = boolean | string | number | Address | Port | Ask | readonly FactValue[];

function factText(value: FactValue): string {
  if (typeof value !== "object") return `${value}`;
  if ("port" in value) return portText(value);
  if ("pool" in value) return `${value.family} of ${value.pool}`;
  return "family" in value ? `${value}` : value.map(factText).join(", ");
}

function familyNames(families: readonly Family[]): string {
  return families.join(" and ");
}

function allOf(total: number): string {
  return total === 1 ? "its only one is" : `all ${total} are`;
}

function backend(key: string): string {
  return key === "" ? "the whole cluster" : `the local Pods of ${quote(key)}`;
}
