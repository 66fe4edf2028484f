import type { Service } from "#pkg/k8s";
import { type Address, parseAddress } from "#pkg/net";

/**
 * The addresses that a Service holds by its status. None for one that has no right to them: another type, no cluster address, or a
 * load balancer class, which makes it another implementation's. Texts that are no address are skipped.
 */
export function recordedAddresses(
  service: Pick<Service, "type" | "loadBalancerClass" | "clusterIPs" | "ingress">,
): readonly Address[] {
  if (service.type !== "LoadBalancer" || service.loadBalancerClass !== undefined || service.clusterIPs.length === 0) return [];
  return service.ingress.map(parseAddress).filter((address) => address !== undefined);
}
