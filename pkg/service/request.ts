import { type Address, type Family, parseAddress } from "#pkg/net";
import { quote } from "#pkg/text";
import { annotations, readAnnotation } from "./annotations.ts";
import { type NotOurs, type ServiceFields, whyNotOurs } from "./service.ts";

/** Of one Service that shares its address. More than anybody needs who has a port for each call of a telephone system. */
export const maxPorts = 1_000;

/** What a Service asks for: everything an allocation depends on, and nothing else. */
export interface AddressRequest {
  /** `namespace/name`. */
  readonly service: string;
  /** Of `spec.clusterIPs`, in that order; one or two, each once. */
  readonly families: readonly Family[];
  readonly ports: readonly Port[];
  /** Of the annotation `allow-shared-ip`; empty when the Service shares with nobody, as one with more than `maxPorts` does. */
  readonly sharingKey: string;
  /** The selector as a sorted label string under `externalTrafficPolicy: Local`, else empty. Services on one address must agree on it. */
  readonly backendKey: string;
  /** Asked for by `spec.loadBalancerIP` or the annotation, in any order; empty for any. They win over `requestedPool`. */
  readonly requestedAddresses: readonly Address[];
  /** Asked for by the annotation `address-pool`. */
  readonly requestedPool: string | undefined;
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
  const request: AddressRequest = {
    service: service.key,
    families: [...new Set(service.clusterIPs.flatMap((text) => parseAddress(text)?.family ?? []))],
    ports: service.ports.slice(0, maxPorts).map(({ protocol, port }) => ({ protocol, port })),
    sharingKey: service.ports.length > maxPorts ? "" : (readAnnotation(service.annotations, annotations.sharing)?.value ?? ""),
    backendKey: service.externalTrafficPolicy === "Local" ? labelString(service.selector) : "",
    requestedAddresses: [],
    requestedPool: readAnnotation(service.annotations, annotations.pool)?.value || undefined,
  };
  const requested = requestedAddresses(service);
  if (typeof requested === "string")
    return { type: "malformed", request: { ...request, requestedPool: undefined }, problem: requested };
  return { type: "request", request: { ...request, requestedAddresses: requested } };
}

/** @returns what is wrong, where it cannot be read */
function requestedAddresses({ annotations: given, loadBalancerIP }: ServiceFields): readonly Address[] | string {
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
    if (addresses.some(({ family }) => family === address.family))
      return `invalid ${name} ${quote(list)}: more than one ${address.family} address`;
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
