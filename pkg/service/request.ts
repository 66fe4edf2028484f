import { type Address, type Family, parseAddress } from "#pkg/net";
import { quote } from "#pkg/text";
import { annotations, maxAnnotation, readAnnotation } from "./annotations.ts";
import { type NotOurs, recordedAddresses, type ServiceFields, whyNotOurs } from "./service.ts";

/** Limit of one Service that shares its address. A telephone system with a port for each call needs fewer. */
export const maxPorts = 1_000;

/** Limit of one Service: its status lists them all, and each speaker keeps them. */
export const maxAddresses = 16;

/** The request of a Service: everything that an allocation depends on, and nothing else. */
export interface AddressRequest {
  /** `namespace/name`. */
  readonly service: string;
  /** Labels of the Service; if they are unknown, no fence by labels lets it in. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Families of `spec.clusterIPs`, in that order; one or two, each once. */
  readonly families: readonly Family[];
  /** It has two families, and takes an address of one where it cannot have both: `ipFamilyPolicy: PreferDualStack`. */
  readonly prefersDualStack: boolean;
  readonly ports: readonly Port[];
  /** From the annotation `allow-shared-ip`; empty when the Service shares with nobody, like a Service with more than `maxPorts`. */
  readonly sharingKey: string;
  /** See `backendKeyOf`. */
  readonly backendKey: string;
  /**
   * Asked for by `spec.loadBalancerIP` or the annotation, as they are listed, each once; at most `maxAddresses`, empty for any. They win
   * over `requestedPool`.
   */
  readonly requestedAddresses: readonly Address[];
  /** The annotation `address-pool` as it is: the name of a pool, or several names with commas between them. */
  readonly requestedPool: string | undefined;
  /** It may hold several addresses of a family, and addresses of several pools. */
  readonly mayHoldSeveral: boolean;
}

export interface Port {
  /** `TCP`, `UDP` or `SCTP`. */
  readonly protocol: string;
  readonly port: number;
}

export type RequestReading =
  | { readonly type: "request"; readonly request: AddressRequest }
  /** Its addresses cannot be read. `request` is the rest: it asks for nothing in particular, but judges what the Service holds. */
  | { readonly type: "malformed"; readonly request: AddressRequest; readonly problem: string }
  | { readonly type: "notOurs"; readonly why: NotOurs };

/** Reads what a Service asks for from its spec and annotations. */
export function readRequest(service: ServiceFields): RequestReading {
  const why = whyNotOurs(service);
  if (why !== undefined) return { type: "notOurs", why };
  const families = [...new Set(service.clusterIPs.flatMap((text) => parseAddress(text)?.family ?? []))];
  const request: AddressRequest = {
    service: service.key,
    labels: service.labels,
    families,
    prefersDualStack: service.prefersDualStack && families.length === 2,
    ports: service.ports.slice(0, maxPorts).map(({ protocol, port }) => ({ protocol, port })),
    sharingKey: service.ports.length > maxPorts ? "" : (readAnnotation(service.annotations, annotations.sharing)?.value ?? ""),
    backendKey: backendKeyOf(service),
    requestedAddresses: [],
    requestedPool: readAnnotation(service.annotations, annotations.pool)?.value || undefined,
    mayHoldSeveral: mayHoldSeveral(service),
  };
  const requested = requestedAddresses(service);
  if (typeof requested === "string")
    return { type: "malformed", request: { ...request, requestedPool: undefined }, problem: requested };
  return { type: "request", request: { ...request, requestedAddresses: requested } };
}

/**
 * The Pods that decide where the Service's addresses are announced, as text: under `externalTrafficPolicy: Local` the Pods in its namespace
 * that its selector matches; empty if no Pods decide. Services on one address must agree on it. A Service of another namespace has other
 * Pods, with any selector.
 */
export function backendKeyOf({ key, selector, externalTrafficPolicy }: ServiceFields): string {
  return externalTrafficPolicy === "Local" ? `${namespaceOf(key)}/${labelString(selector)}` : "";
}

/** Whether the Service asks for more than one address or pool by a list. Other Services hold one address of each family, of one pool. */
export function mayHoldSeveral({ annotations: given }: Pick<ServiceFields, "annotations">): boolean {
  return [annotations.addresses, annotations.pool].some((name) => readAnnotation(given, name)?.value.includes(","));
}

/** Whether the Service asks for this address, or else for this pool, alone. */
export function asksFor({ annotations: given, loadBalancerIP }: ServiceFields, address: Address, pool: string): boolean {
  const asked = readAnnotation(given, annotations.addresses)?.value || loadBalancerIP;
  if (asked !== "") return parseAddress(asked.trim())?.equals(address) === true;
  return readAnnotation(given, annotations.pool)?.value === pool;
}

/** The addresses that the Service has in its status, and the facts by which another configuration could give it these. */
export function recordedHoldings(service: ServiceFields) {
  return {
    addresses: recordedAddresses(service),
    mayHoldSeveral: mayHoldSeveral(service),
    asksFor: (address: Address, pool: { readonly name: string }) => asksFor(service, address, pool.name),
  };
}

/** @returns what is wrong, where it cannot be read */
function requestedAddresses({ annotations: given, loadBalancerIP }: ServiceFields): readonly Address[] | string {
  for (const annotation of Object.values(annotations)) {
    const { name, value = "" } = readAnnotation(given, annotation) ?? {};
    if (value.length > maxAnnotation) return `invalid ${name}: it has more than ${maxAnnotation} characters`;
  }
  const { name, value } = readAnnotation(given, annotations.addresses) ?? { name: annotations.addresses, value: "" };
  if (value !== "" && loadBalancerIP !== "")
    return `service can not have both ${name} (${quote(value)}) and spec.loadBalancerIP (${quote(loadBalancerIP)})`;
  if (value !== "") return readList(name, value);
  if (loadBalancerIP === "") return [];
  const address = parseAddress(loadBalancerIP);
  return address === undefined ? `invalid spec.loadBalancerIP ${quote(loadBalancerIP)}: not an IP address` : [address];
}

function readList(name: string, list: string): readonly Address[] | string {
  const addresses: Address[] = [];
  for (const text of list.split(",").map((part) => part.trim())) {
    const address = parseAddress(text);
    if (address === undefined) return `invalid ${name} ${quote(list)}: ${quote(text)} is not an IP address`;
    if (addresses.some((other) => other.equals(address))) return `invalid ${name} ${quote(list)}: ${address} is listed twice`;
    if (addresses.length === maxAddresses) return `invalid ${name} ${quote(list)}: more than ${maxAddresses} addresses`;
    addresses.push(address);
  }
  return addresses;
}

export function namespaceOf(service: string): string {
  return service.slice(0, Math.max(0, service.indexOf("/")));
}

/** `a=1,b=2`, sorted, as Kubernetes prints label sets. */
function labelString(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join(",");
}
