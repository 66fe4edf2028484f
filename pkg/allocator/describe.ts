import type { Address, Family } from "#pkg/net";
import type { Port } from "#pkg/service";
import { list, quote } from "#pkg/text";
import { causes, type Fact } from "#pkg/verdict";
import { portText } from "./occupancy.ts";
import type { Refusal } from "./types.ts";

const maxFacts = 20;

/** One plain sentence, without its first capital and full stop: what was found, and what to do about it. */
export function describe(refusal: Refusal): string {
  return `${finding(refusal)}; ${causes.service[refusal.reason].next}`;
}

/** The first half of `describe`: what was found. */
export function finding(refusal: Refusal): string {
  switch (refusal.reason) {
    case "noPools":
      return "the configuration has no address pools";
    case "unknownPool":
      return `there is no pool ${quote(refusal.pool)}, only ${list(refusal.known.map(quote))}`;
    case "poolFull":
      if (refusal.total === 0)
        return `pool ${quote(refusal.pool)} has no ${refusal.family} address besides those that avoid-buggy-ips excludes`;
      return `pool ${quote(refusal.pool)} has no free ${refusal.family} address (${allOf(refusal.total)} in use)`;
    case "poolLacksFamily":
      return `pool ${quote(refusal.pool)} has no ${refusal.family} addresses`;
    case "noPoolFits":
      return `no pool can serve this Service: ${list(refusal.pools.map(finding))}`;
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
    case "occupied":
      return `another host uses address ${refusal.address} (${refusal.by})`;
    case "inUse":
      return `address ${refusal.address} is in use by ${refusal.holder}`;
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

/** What was found as facts, by the names of the refusal's fields; of many pools the first ones. */
export function facts(refusal: Refusal): Fact[] {
  const source = "allocator";
  if (refusal.reason === "noPoolFits")
    return refusal.pools.slice(0, maxFacts).map((inner) => ({ name: "pool", value: finding(inner), source }));
  const { reason: _, ...found } = refusal;
  return Object.entries(found as Record<string, FactValue>).map(([name, value]) => ({ name, value: factText(value), source }));
}

type FactValue = string | number | Address | Port | readonly (string | Address)[];

function factText(value: FactValue): string {
  if (typeof value === "object" && "port" in value) return portText(value);
  return Array.isArray(value) ? value.join(", ") : value.toString();
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
