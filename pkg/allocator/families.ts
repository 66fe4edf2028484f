import type { Address } from "#pkg/net";
import type { AddressRequest } from "#pkg/service";
import { finding } from "./describe.ts";
import type { Refusal } from "./types.ts";

/** Whether these are not one of each of its families. To prefer both is to be content with one. */
export function familyMismatch(
  { families, prefersDualStack, mayHoldSeveral }: AddressRequest,
  addresses: readonly Address[],
): Refusal | undefined {
  const all = addresses.map(({ family }) => family);
  const found = mayHoldSeveral ? [...new Set(all)] : all;
  const enough = prefersDualStack ? [families, ...families.map((family) => [family])] : [families];
  return enough.some((those) => those.toSorted().join() === found.toSorted().join())
    ? undefined
    : { reason: "familyMismatch", wanted: families, found };
}

/** The refusals of both families as one. A family that a pool never had is not in the way, because its other family would do. */
export function noFamily(refusals: readonly Refusal[], namespace: string): Refusal | undefined {
  const inner = refusals.flatMap((refusal) => (refusal.reason === "noPoolFits" ? refusal.pools : [refusal]));
  const counted = inner.filter(({ reason }) => reason !== "poolLacksFamily");
  const pools = [...new Map(counted.map((refusal) => [finding(refusal), refusal])).values()];
  const others = Math.max(...refusals.map((refusal) => (refusal.reason === "noPoolFits" ? refusal.others : 0)));
  const isOfOnePool = pools.length === 1 && refusals.every(({ reason }) => reason !== "noPoolFits");
  return isOfOnePool ? pools[0] : pools.length > 0 ? { reason: "noPoolFits", pools, namespace, others } : undefined;
}
