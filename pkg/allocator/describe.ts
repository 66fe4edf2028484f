import type { Family } from "#pkg/net";
import { annotations } from "#pkg/service";
import { list, quote } from "#pkg/text";
import { portText } from "./occupancy.ts";
import type { Refusal } from "./types.ts";

const advice: Record<Refusal["reason"], string> = {
  noPools: "add one under address-pools",
  unknownPool: `correct the annotation ${annotations.pool} or add the pool`,
  poolFull: "add addresses to it or delete a Service that holds one",
  poolLacksFamily: "add addresses of that family to it or request another pool",
  noPoolFits: `add addresses to a pool or request a pool with the annotation ${annotations.pool}`,
  autoAssignOff: `request it with the annotation ${annotations.pool}`,
  outsidePools: "request another address or add this one to a pool",
  buggyAddress: "request another address",
  wrongPool: `request an address in that pool or remove the annotation ${annotations.pool}`,
  severalPools: "request addresses of one pool",
  familyMismatch: "give one address of each of its families",
  occupied:
    "request another address, or remove this one from that host; it can be assigned about a minute after nobody answers for it",
  inUse: `request another address or set the annotation ${annotations.sharing} to one key on both Services`,
  sharingKeyMismatch: `request another address or set the annotation ${annotations.sharing} to one key on both Services`,
  backendKeyMismatch: "request another address, or give both Services one selector or the externalTrafficPolicy Cluster",
  portClash: "request another address or use another port",
};

/** One plain sentence, without its first capital and full stop: what was found, and what to do about it. */
export function describe(refusal: Refusal): string {
  return `${finding(refusal)}; ${advice[refusal.reason]}`;
}

function finding(refusal: Refusal): string {
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

function familyNames(families: readonly Family[]): string {
  return families.join(" and ");
}

function allOf(total: number): string {
  return total === 1 ? "its only one is" : `all ${total} are`;
}

function backend(key: string): string {
  return key === "" ? "the whole cluster" : `the local Pods of ${quote(key)}`;
}
