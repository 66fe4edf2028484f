import { type AddressRequest, namespaceOf } from "#pkg/service";
import { fenceRefusal } from "./fences.ts";
import type { Rules } from "./filling.ts";
import { holdersOf } from "./holders.ts";

/**
 * Everything besides others' holdings that the answer to a Service without addresses depends on, as text: if one Service is refused, all
 * Services with an equal text are refused for the same reason. Names, namespaces and labels are part of it only where a
 * rule is about them. So the number of texts is bounded by the rules and requests, and not by the Services.
 */
export function chancesOf(request: AddressRequest, { open, quotas, ipam, occupancy, namespaces }: Rules): string {
  const { service, families, prefersDualStack, requestedAddresses, requestedPool, sharingKey, backendKey, ports } = request;
  const { layout } = occupancy;
  const namespace = namespaceOf(service);
  const reserved = holdersOf(service).filter((holder) => layout.reserved(holder).length > 0);
  const named = requestedPool === undefined ? [] : [requestedPool, ...requestedPool.split(",")];
  // Pools that may give the Service something, besides the pools that every Service tries.
  const pools = new Set([
    ...requestedAddresses.map((address) => layout.locate(address)?.pool),
    ...named.map((name) => layout.pool(name.trim())),
    ...reserved.flatMap((holder) => layout.reserved(holder).map(({ pool }) => pool)),
    ...layout.fencedElsewhere,
  ]);
  return JSON.stringify([
    families,
    prefersDualStack,
    requestedAddresses.map(String),
    requestedPool,
    sharingKey === ""
      ? []
      : [sharingKey, backendKey, namespace, ...ports.map(({ protocol, port }) => `${protocol}/${port}`).sort()],
    open.textOf(request),
    Array.from(pools, (pool) => pool && fenceRefusal(request, pool, namespaces)?.reason),
    quotas.countersOf(namespace),
    reserved.flatMap((holder) => Object.values(holder)),
    ipam.poolsOf(service).size > 0 ? service : "",
  ]);
}
