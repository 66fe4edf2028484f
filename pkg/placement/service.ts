import { type Address, parseAddress } from "#pkg/net";

/** What announcing depends on of a Service object; `pkg/k8s` keeps just these fields and more. */
export interface AnnouncementSource {
  readonly type: string;
  readonly loadBalancerClass: string | undefined;
  /** `status.loadBalancer.ingress[].ip`. */
  readonly ingress: readonly string[];
  readonly externalTrafficPolicy: "Cluster" | "Local";
}

/** One endpoint behind a Service. */
export interface Endpoint {
  readonly nodeName: string | undefined;
  readonly ready: boolean;
}

/** Why a Service has nothing to announce. */
export type NoAddresses = "notLoadBalancer" | "otherLoadBalancerClass" | "noIPAllocated" | "invalidIP";

/** The addresses in a Service's status, each once, in order; texts that are no addresses are passed over while another is one. */
export function announcedAddresses(service: AnnouncementSource): readonly Address[] | NoAddresses {
  if (service.type !== "LoadBalancer") return "notLoadBalancer";
  // Kubernetes' contract for the field: an implementation that was not asked for by name leaves the Service alone.
  if (service.loadBalancerClass !== undefined) return "otherLoadBalancerClass";
  if (service.ingress.length === 0) return "noIPAllocated";
  const addresses = new Map<string, Address>(); // text -> address
  for (const text of service.ingress) {
    const address = parseAddress(text);
    if (address !== undefined) addresses.set(address.toString(), address);
  }
  return addresses.size === 0 ? "invalidIP" : [...addresses.values()];
}

export function hasNoAddresses(result: readonly Address[] | NoAddresses): result is NoAddresses {
  return typeof result === "string";
}
