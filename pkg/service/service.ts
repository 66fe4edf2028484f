import { type Address, parseAddress } from "#pkg/net";
import { quote } from "#pkg/text";

/** The fields of a Service object that decisions read; `pkg/k8s` keeps these fields and more. */
export interface ServiceFields {
  /** `namespace/name`. */
  readonly key: string;
  /** Undefined where they are not known. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Those of `annotations`, under their whole names. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly type: string;
  /** Its `spec.loadBalancerClass`, or that it has none, is `claimsClass` of the classes that are served here. */
  readonly isClaimed: boolean;
  /** The class of a Service that is not claimed; undefined where it has none. */
  readonly otherClass?: string | undefined;
  /** `spec.clusterIPs`, else `spec.clusterIP`; without `None` and empty ones. */
  readonly clusterIPs: readonly string[];
  /** `spec.ipFamilyPolicy` is `PreferDualStack`. */
  readonly prefersDualStack: boolean;
  readonly ports: readonly { readonly protocol: string; readonly port: number }[];
  readonly selector: Readonly<Record<string, string>>;
  readonly externalTrafficPolicy: "Cluster" | "Local";
  /** `spec.loadBalancerIP`; empty when unset. */
  readonly loadBalancerIP: string;
  /** `ip` of each `status.loadBalancer.ingress`; entries with only a host name are left out. */
  readonly ingress: readonly string[];
}

/** How many endpoints of a Service there are on one node, which may be unknown; at least one. */
export interface NodeEndpoints {
  readonly nodeName: string | undefined;
  /** Also those of which the API does not say it. */
  readonly ready: number;
  /** They terminate, and serve until they are gone. */
  readonly draining: number;
}

/** Why a Service has no right to an address. The status of one with another load balancer class is not ours to write either. */
export type NotOurs = "notLoadBalancer" | "otherLoadBalancerClass" | "noClusterIPs";

/** Why a Service has no address on record. */
export type NoAddresses = NotOurs | "noIPAllocated" | "invalidIP";

type Right = Pick<ServiceFields, "type" | "isClaimed" | "clusterIPs">;

/** The load balancer classes that are served here, by the flags `--lb-class` and `--lb-class-default`. */
export interface LoadBalancerClasses {
  /** The one class, if any. */
  readonly name: string | undefined;
  /** Services without a class too. */
  readonly isDefault: boolean;
}

/** The classes without either flag. */
export const classlessOnly: LoadBalancerClasses = { name: undefined, isDefault: true };

/**
 * Reads the flags as MetalLB 0.13 and later do: with a class, Services without one are left to others unless `isDefault` says otherwise.
 * @throws {Error} for a name that no Service can have
 */
export function readClasses(name: string, isDefault: boolean): LoadBalancerClasses {
  if (name === "") return classlessOnly;
  if (!isLabelKey(name))
    throw new Error(`Cannot serve the load balancer class ${quote(name)}: it must be such as example.com/lb or lb`);
  return { name, isDefault };
}

/** Kubernetes' contract for the field: an implementation that was not asked for by name leaves the Service alone. */
export function claimsClass(classes: LoadBalancerClasses, loadBalancerClass: string | undefined): boolean {
  return loadBalancerClass === undefined ? classes.isDefault : loadBalancerClass === classes.name;
}

/** Whether the API server accepts the text in `spec.loadBalancerClass`: a qualified name, in the form of a label's key. */
function isLabelKey(text: string): boolean {
  const [name = "", prefix, ...more] = text.split("/").reverse();
  const isPrefix =
    prefix === undefined ||
    (/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(prefix) && prefix.length <= 253);
  return more.length === 0 && isPrefix && name.length <= 63 && /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(name);
}

export function isOurs(service: Right): boolean {
  return whyNotOurs(service) === undefined;
}

export function whyNotOurs({ type, isClaimed, clusterIPs }: Right): NotOurs | undefined {
  if (type !== "LoadBalancer") return "notLoadBalancer";
  if (!isClaimed) return "otherLoadBalancerClass";
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

interface Age {
  readonly key: string;
  /** In seconds since 1970. */
  readonly created: number;
}

/** The order of Services on one address: the oldest first, by key where they are equally old. A later Service takes nobody's place. */
export function olderFirst(a: Age, b: Age): number {
  return a.created - b.created || (a.key < b.key ? -1 : Number(a.key > b.key));
}
