import type { Family } from "#pkg/net";
import type { NodeEndpoints, ServiceFields } from "#pkg/service";

/**
 * The kept part of each watched object: the fields in use, under the names that Kubernetes gives them, absent lists as empty
 * ones. `key` is `namespace/name`, or the name alone for objects without a namespace.
 */
export interface ObjectMeta {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/**
 * Labels are kept only where they are asked for, of type LoadBalancer, and of no more than some thousand characters; of ports at most
 * `maxPorts` and one more. A large selector is a digest, which tells it from others.
 */
export interface Service extends ObjectMeta, ServiceFields {
  /** `metadata.creationTimestamp` in seconds since 1970; 0 without one. */
  readonly created: number;
  readonly ports: readonly ServicePort[];
  /** `spec.loadBalancerSourceRanges` says who may connect. */
  readonly isForSome: boolean;
  /** `internalTrafficPolicy: Local`: a node without a ready Pod drops what goes to the cluster IPs. */
  readonly isInternalLocal?: true;
  /** The port of each node that says whether it has a ready Pod, under `externalTrafficPolicy: Local`; 0 for none. */
  readonly healthCheckNodePort: number;
  /** Fields of entries besides the address: `ports`, and an `ipMode` that is not the API server's default. Address -> fields. */
  readonly ingressDetails: Readonly<Record<string, IngressDetails>>;
  /** The first entries of `spec.externalIPs`; undefined for a Service without any. Kept only where labels are. */
  readonly externalIPs?: readonly string[] | undefined;
  /** There are entries with only a host name, which nobody here writes. */
  readonly hasHostnames: boolean;
  /** Those of `status.conditions` whose type begins with `ingot.dev/`; kept where labels are, or of a Service without an address. */
  readonly conditions: readonly Condition[];
}

/** One of `status.conditions`. */
export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  /** `lastTransitionTime`. */
  readonly since: string;
}

/** Fields of `status.loadBalancer.ingress[]` that nobody here sets, as the API has them. */
export interface IngressDetails {
  readonly ipMode?: string;
  readonly ports?: readonly unknown[];
}

export interface ServicePort {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
}

/** The endpoints of one EndpointSlice, or of one Endpoints object where the API has no slices or the flag asks for it. */
export interface EndpointSlice extends ObjectMeta {
  /** Key of the Service they belong to. */
  readonly service: string;
  /** The family of its endpoints' addresses; undefined where the API does not say. */
  readonly family: Family | undefined;
  /** Each node once; those that serve nothing are left out. */
  readonly endpoints: readonly NodeEndpoints[];
  /** How many there are that serve nothing. */
  readonly idle: number;
}

export interface Node extends ObjectMeta {
  readonly labels: Readonly<Record<string, string>>;
  /** Annotations of at most 253 characters, kept for the node whose annotations are asked for; absent for others. */
  readonly annotations?: Readonly<Record<string, string>>;
  /** No new Pods are to be placed on it: `kubectl cordon`. */
  readonly unschedulable: boolean;
  readonly deleting: boolean;
  /** Keys of its taints. */
  readonly taints: readonly string[];
  /** Addresses that flannel takes for the node's own, according to its annotations; empty without flannel. */
  readonly flannelAddresses: readonly string[];
  /** Its addresses of type InternalIP, where they are asked for. */
  readonly internalIPs?: readonly string[];
  /** The networks of its Pods, where Kubernetes gives them out; absent where it does not. */
  readonly podCIDRs?: readonly string[];
}

export interface Namespace extends ObjectMeta {
  /** Undefined where they have more than some thousand characters. */
  readonly labels: Readonly<Record<string, string>> | undefined;
}

export interface Pod extends ObjectMeta {
  readonly nodeName: string | undefined;
  readonly podIPs: readonly string[];
  /** Its node's address, where it has the network of that: what `podIPs` has stays what it was when the Pod was new. */
  readonly hostIP: string | undefined;
  /** Its condition `Ready` is True and it is not being deleted. */
  readonly ready: boolean;
}

export interface ConfigMap extends ObjectMeta {
  readonly data: Readonly<Record<string, string>>;
  /** Annotations whose name begins with `ingot.dev/`. */
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Secret extends ObjectMeta {
  /** What it is meant for, by the label `ingot-use`; empty without one. */
  readonly use: string;
  /** Decoded, as UTF-8. */
  readonly data: Readonly<Record<string, string>>;
}

/** A Lease (coordination.k8s.io/v1), as leader election uses it. */
export interface Lease extends ObjectMeta {
  /** Empty while nobody holds it. */
  readonly holder: string;
  readonly durationSeconds: number;
  readonly transitions: number;
}

/** The object that an event is about. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion?: string;
}

export function serviceReference(service: Service): ObjectReference {
  return reference("Service", service);
}

/** The reference that kubelets use for their Node, so that its description lists the events. */
export function nodeReference(name: string): ObjectReference {
  return { apiVersion: "v1", kind: "Node", namespace: "", name, uid: name, resourceVersion: "" };
}

export function configMapReference(configMap: ConfigMap): ObjectReference {
  return reference("ConfigMap", configMap);
}

function reference(kind: string, { namespace, name, uid, resourceVersion }: ObjectMeta): ObjectReference {
  return { apiVersion: "v1", kind, namespace, name, uid, resourceVersion };
}
