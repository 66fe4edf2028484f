import type { Claim } from "#pkg/allocator";
import type { Service } from "#pkg/k8s";
import { type Address, parseAddress } from "#pkg/net";

export const annotations = {
  pool: "metallb.universe.tf/address-pool",
  addresses: "metallb.universe.tf/loadBalancerIPs",
  sharing: "metallb.universe.tf/allow-shared-ip",
} as const;

export type ReadClaim =
  | { readonly type: "claim"; readonly claim: Claim }
  /** What it asks for cannot be read. `claim` is the rest: it asks for nothing in particular, but judges what the Service holds. */
  | { readonly type: "malformed"; readonly claim: Claim; readonly problem: string }
  /** Another implementation's, by its load balancer class: Kubernetes wants it left alone. */
  | { readonly type: "foreign" }
  /** Has no right to an address. */
  | { readonly type: "none"; readonly why: "notLoadBalancer" | "noClusterIPs" };

/** Reads what a Service asks for from its spec and annotations. */
export function readClaim(service: Service): ReadClaim {
  if (service.type !== "LoadBalancer") return { type: "none", why: "notLoadBalancer" };
  if (service.loadBalancerClass !== undefined) return { type: "foreign" };
  const clusterAddresses = service.clusterIPs.map(parseAddress).filter((address) => address !== undefined);
  if (clusterAddresses.length === 0) return { type: "none", why: "noClusterIPs" };
  const claim: Claim = {
    service: service.key,
    families: [...new Set(clusterAddresses.map(({ family }) => family))],
    ports: service.ports.map(({ protocol, port }) => ({ protocol, port })),
    sharingKey: service.annotations[annotations.sharing] ?? "",
    backendKey: service.externalTrafficPolicy === "Local" ? labelString(service.selector) : "",
    requestedAddresses: [],
    requestedPool: service.annotations[annotations.pool] || undefined,
  };
  const requested = requestedAddresses(service);
  if (typeof requested === "string")
    return { type: "malformed", claim: { ...claim, requestedPool: undefined }, problem: requested };
  return { type: "claim", claim: { ...claim, requestedAddresses: requested } };
}

/** @returns what is wrong, where it cannot be read */
function requestedAddresses({ annotations: given, loadBalancerIP }: Service): readonly Address[] | string {
  const list = given[annotations.addresses] ?? "";
  if (list !== "" && loadBalancerIP !== "")
    return `service can not have both ${annotations.addresses} ("${list}") and spec.loadBalancerIP ("${loadBalancerIP}")`;
  if (list !== "") return readList(list);
  if (loadBalancerIP === "") return [];
  const address = parseAddress(loadBalancerIP);
  return address === undefined ? `invalid spec.loadBalancerIP "${loadBalancerIP}": not an IP address` : [address];
}

function readList(list: string): readonly Address[] | string {
  const addresses: Address[] = [];
  for (const text of list.split(",").map((part) => part.trim())) {
    const address = parseAddress(text);
    if (address === undefined) return `invalid ${annotations.addresses} "${list}": "${text}" is not an IP address`;
    if (addresses.some(({ family }) => family === address.family))
      return `invalid ${annotations.addresses} "${list}": more than one ${address.family} address`;
    addresses.push(address);
  }
  return addresses;
}

/** `a=1,b=2`, sorted, as Kubernetes prints label sets. */
function labelString(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(",");
}
