import { type Address, parseAddress } from "#pkg/net";

/** What is read of a Service object; `pkg/k8s` keeps these fields and more. */
export interface ServiceFields {
  /** `namespace/name`. */
  readonly key: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly type: string;
  readonly loadBalancerClass: string | undefined;
  readonly clusterIPs: readonly string[];
  readonly ports: readonly { readonly protocol: string; readonly port: number }[];
  readonly selector: Readonly<Record<string, string>>;
  readonly externalTrafficPolicy: "Cluster" | "Local";
  /** `spec.loadBalancerIP`; empty when unset. */
  readonly loadBalancerIP: string;
  /** `status.loadBalancer.ingress[].ip`. */
  readonly ingress: readonly string[];
}

/** Why a Service has no right to an address. The status of one with another load balancer class is not ours to write either. */
export type NotOurs = "notLoadBalancer" | "otherLoadBalancerClass" | "noClusterIPs";

/** Why a Service has no address on record. */
export type NoAddresses = NotOurs | "noIPAllocated" | "invalidIP";

type Right = Pick<ServiceFields, "type" | "loadBalancerClass" | "clusterIPs">;

export function isOurs(service: Right): boolean {
  return whyNotOurs(service) === undefined;
}

export function whyNotOurs({ type, loadBalancerClass, clusterIPs }: Right): NotOurs | undefined {
  if (type !== "LoadBalancer") return "notLoadBalancer";
  // Kubernetes' contract for the field: an implementation that was not asked for by name leaves the Service alone.
  if (loadBalancerClass !== undefined) return "otherLoadBalancerClass";
  return clusterIPs.some((text) => parseAddress(text) !== undefined) ? undefined : "noClusterIPs";
}

/**
 * The addresses that a Service holds by its status, each once, in order; none where it is not ours. Texts that are no addresses are passed
 * over: they may have been written by hand.
 */
export function recordedAddresses(service: Right & Pick<ServiceFields, "ingress">): readonly Address[] {
  if (service.ingress.length === 0 || !isOurs(service)) return [];
  const addresses = new Map<string, Address>(); // text -> address
  for (const text of service.ingress) {
    const address = parseAddress(text);
    if (address !== undefined) addresses.set(address.toString(), address);
  }
  return [...addresses.values()];
}

/** Why `recordedAddresses` gives none. */
export function whyNoAddresses(service: Right & Pick<ServiceFields, "ingress">): NoAddresses {
  return whyNotOurs(service) ?? (service.ingress.length === 0 ? "noIPAllocated" : "invalidIP");
}
