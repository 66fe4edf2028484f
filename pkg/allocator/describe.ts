import { type ByKind, dispatchByKind } from "#pkg/collections";
import type { Address, Family } from "#pkg/net";
import { annotations, type Port } from "#pkg/service";
import { listOf, plural, quote } from "#pkg/text";
import { causes, type Fact } from "#pkg/verdict";
import { portText } from "./occupancy.ts";
import type { Ask, Refusal } from "./types.ts";

const maxFacts = 20;

/** One plain sentence, without its first capital and full stop: what was found, and what to do about it. */
export function describe(refusal: Refusal): string {
  return `${finding(refusal)}; ${remedy(refusal)}`;
}

/** The second half of `describe`: what to do. Of no pool it names what helps with the refusals of the pools alone. */
export function remedy(refusal: Refusal): string {
  const { service } = causes;
  if (refusal.reason !== "noPoolFits") return service[refusal.reason].next;
  const { pools, others, namespace } = refusal;
  const isTried = (...reasons: Refusal["reason"][]) => pools.some(({ reason }) => reasons.includes(reason));
  const isExhausted = pools.some((one) => one.reason === "awaitsIpam" && one.exhausted);
  const isWaiting = pools.some((one) => one.reason === "awaitsIpam" && !one.exhausted);
  const isFull = isExhausted || isTried("poolFull", "poolLacksFamily", "reservedInUse");
  if (isTried("quotaExceeded") && !isFull && !isWaiting) return service.quotaExceeded.next; // It is of all pools that are open.
  const steps = [
    isWaiting ? "wait for NetBox" : "",
    isFull ? "add addresses to a pool" : "",
    isTried("autoAssignOff") ? `request a pool with the annotation ${annotations.pool}` : "",
    isTried("notForService") ? "give the Service the labels of a pool" : "",
    others > 0 ? `ask the administrators of the cluster for a pool for namespace ${quote(namespace)}` : "",
  ].filter(Boolean);
  return steps.length > 0 ? steps.join(" or ") : service[isTried("poolClosed") ? "poolClosed" : "noPoolFits"].next;
}

/** The first half of `describe`: what was found. */
export function finding(refusal: Refusal): string {
  return dispatchByKind(findings, "reason", refusal);
}

const findings: ByKind<Refusal, "reason", [], string> = {
  noPools: () => "the configuration has no address pools",
  unknownPool: ({ pool, known, more }) => `there is no pool ${quote(pool)}, only ${listOf(known, quote, known.length + more)}`,
  poolFull({ total, pool, family }) {
    if (total === 0)
      return `pool ${quote(pool)} has no ${family} address besides those that are reserved or that avoid-buggy-ips excludes`;
    return `pool ${quote(pool)} has no free ${family} address (${allOf(total)} in use)`;
  },
  reservedInUse: ({ family, pool }) => `no ${family} address of pool ${quote(pool)} that is reserved for this Service is free`,
  poolLacksFamily: ({ pool, family }) => `pool ${quote(pool)} has no ${family} addresses`,
  noPoolFits: (refusal) => `no pool can serve this Service: ${noneOf(refusal)}`,
  notForNamespace: ({ pool, namespace }) => `pool ${quote(pool)} is not for namespace ${quote(namespace)}`,
  notForService: ({ pool }) => `pool ${quote(pool)} is for Services with other labels`,
  poolClosed: ({ pool }) => `pool ${quote(pool)} is closed: no new address of it is given`,
  reserved: ({ address, pool }) => `address ${address} of pool ${quote(pool)} is reserved`,
  sharingOff: ({ address, pool }) => `address ${address} is in use, and no two Services share an address of pool ${quote(pool)}`,
  sharedByTooMany: ({ address, limit }) => `address ${address} is shared by ${limit} Services already, and no more may`,
  quotaExceeded: quotaFinding,
  awaitsIpam({ exhausted, family, pool, problem }) {
    if (exhausted) return `NetBox has no free ${family} address left for pool ${quote(pool)}`;
    return `NetBox has not chosen an ${family} address of pool ${quote(pool)} for this Service yet${problem === undefined ? "" : `: ${problem}`}`;
  },
  notGranted: ({ pool, address }) =>
    `NetBox chooses the addresses of pool ${quote(pool)}, and has not chosen ${address} for this Service`,
  recordedElsewhere: ({ address, pool, by }) =>
    `address ${address} of pool ${quote(pool)} is somebody else's in NetBox (${quote(by)})`,
  autoAssignOff: ({ pool }) => `pool ${quote(pool)} is only for Services that request it (auto-assign is false)`,
  outsidePools: ({ address }) => `address ${address} is in no pool`,
  buggyAddress: ({ address, pool }) =>
    `address ${address} ends in .0 or .255, which avoid-buggy-ips keeps out of use in pool ${quote(pool)}`,
  wrongPool: ({ address, pool, wanted }) =>
    `address ${address} is in pool ${quote(pool)}, not in the requested pool ${quote(wanted)}`,
  severalPools: ({ addresses, pools }) =>
    `addresses ${addresses.join(" and ")} are in different pools (${pools.map(quote).join(" and ")})`,
  familyMismatch: ({ wanted, found }) =>
    `the Service is ${familyNames(wanted)}, but the requested addresses are ${familyNames(found)}`,
  tooManyAddresses: ({ addresses, limit }) => `the Service asks for ${addresses} addresses, and may have ${limit} at most`,
  occupied: ({ address, by }) => `another host uses address ${address} (${by})`,
  inUse: ({ address, holder }) => `address ${address} is in use${holder === undefined ? "" : ` by ${holder}`}`,
  sharingKeyMismatch: ({ address, holder, holderKey, key }) =>
    `address ${address} is in use by ${holder} under sharing key ${quote(holderKey)}, not ${quote(key)}`,
  backendKeyMismatch: ({ address, holder, holderKey, key }) =>
    `address ${address} is in use by ${holder} for ${backend(holderKey)}, not for ${backend(key)}`,
  portClash: ({ address, holder, port }) =>
    `address ${address} is in use by ${holder}, which has port ${portText(port)} there too`,
};

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
