import type { JsonObject } from "#e2e/apiserver";
import { nameOf } from "#pkg/memberlist/testing";
import { type Family, families } from "#pkg/net";

export const namespace = "metallb-system";

/** The API's own Service. */
export const apiAddress = "10.96.0.1";
export const routerAddress = "10.0.255.1";
/** Outside the LAN: pools may name the interface that leads there. */
export const reachedAddress = "203.0.113.254";

/**
 * How endpoints are divided into slices: those on nodes with odd numbers in one of their own, which may have a name that Services take from one
 * another; one for each node; each ready endpoint twice, as while the EndpointSlice controller moves it; beside a slice of names, of which kube-proxy
 * makes nothing.
 */
export type SliceLayout = (typeof layouts)[number];
export const layouts = ["odd", "moving", "byNode", "twice", "besideNames"] as const;

/** A Service's request, and the nodes of its ready endpoints. */
export interface ServiceSpec {
  /** Or several, with commas between them. */
  readonly pool: string;
  readonly isDual: boolean;
  /** It takes an address of one family where it cannot have both. */
  readonly prefersDual?: boolean;
  /** Its first family, or its only one, where it asks for no address; IPv4 where absent. */
  readonly firstFamily?: Family;
  /** The addresses to ask for, with commas between them. */
  readonly wanted: string | undefined;
  /** Key under which addresses may be shared. */
  readonly sharing: string | undefined;
  readonly port: number;
  /** The nodes with a ready endpoint; `elsewhere` stands for one on no node. */
  readonly endpoints: readonly number[];
  /** The nodes with a ready one of IPv6, in a slice of its own; absent: there is no such slice. */
  readonly endpointsV6?: readonly number[] | undefined;
  /** The nodes with one that serves and is about to end. */
  readonly draining?: readonly number[];
  /** The same of IPv6, where there are slices of it. */
  readonly drainingV6?: readonly number[];
  /** The nodes with one that is not ready, or no longer serves. */
  readonly idle?: readonly number[];
  /** Only they may announce it. */
  readonly isLocal: boolean;
  /** The value of its label `tier`, by which entries of a pool choose Services; absent: it has none. */
  readonly tier?: string | undefined;
  /** It is of type ClusterIP, or of the class of another load balancer; absent: it belongs to Ingot. */
  readonly kind?: "ClusterIP" | "otherClass" | undefined;
  /** How its endpoints are divided into slices; absent: there is one of each family. */
  readonly layout?: SliceLayout | undefined;
  /** The community that it asks routers for; absent for none. */
  readonly community?: string | undefined;
  /** Under which prefix MetalLB's annotations stand: the newer one, or both, where the older one asks for something else; absent: the older one. */
  readonly prefix?: "newer" | "both" | undefined;
}

/** In the place of a node: none. */
export const elsewhere = -1;

export const communityAnnotation = "example.com/community";
export const keyOf = (name: string) => `default/${name}`;
/** @param card which of the node's network cards, one after another */
export const macOf = (index: number, card: number) => `02:00:00:00:${octet(card)}:${octet(index)}`;
const octet = (value: number) => (value % 256).toString(16).padStart(2, "0");

export function serviceObject(name: string, spec: ServiceSpec): JsonObject {
  const { isDual, prefersDual, firstFamily = "IPv4", wanted, port, isLocal, tier = null, kind, community } = spec;
  const isInner = kind === "ClusterIP";
  const isList = wanted?.includes(",");
  const isAsked = (family: Family) =>
    isDual || (wanted === undefined ? family === firstFamily : wanted.includes(family === "IPv4" ? "." : ":"));
  const ipFamilies = families.filter(isAsked).sort((one, other) => Number(other === firstFamily) - Number(one === firstFamily));
  return {
    metadata: {
      name,
      labels: { tier },
      annotations: {
        ...metallbAnnotations(spec, isList ? wanted : undefined),
        [communityAnnotation]: community ?? null,
      },
    },
    spec: {
      type: isInner ? "ClusterIP" : "LoadBalancer",
      loadBalancerClass: kind === "otherClass" ? "example.com/other" : null,
      ipFamilies,
      ipFamilyPolicy: ipFamilies.length === 1 ? "SingleStack" : prefersDual ? "PreferDualStack" : "RequireDualStack",
      allocateLoadBalancerNodePorts: isInner ? null : false,
      externalTrafficPolicy: isInner ? null : isLocal ? "Local" : "Cluster",
      loadBalancerIP: isList ? null : (wanted ?? null),
      ports: [{ name: "p", protocol: "TCP", port }],
      selector: { app: "all" },
    },
  };
}

/** An empty `pool` asks for no pool. */
function metallbAnnotations({ pool, wanted, sharing, prefix }: ServiceSpec, addresses: string | undefined): JsonObject {
  const asked = {
    loadBalancerIPs: addresses,
    "address-pool": wanted === undefined && pool !== "" ? pool : undefined,
    "allow-shared-ip": sharing,
  };
  const ignored = { loadBalancerIPs: "192.0.2.99", "address-pool": "given", "allow-shared-ip": "other" };
  return Object.fromEntries(
    (Object.keys(asked) as (keyof typeof asked)[]).flatMap((name) => {
      const value = asked[name] ?? null;
      const older = prefix === undefined ? value : prefix === "both" && value !== null ? ignored[name] : null;
      return [
        [`metallb.universe.tf/${name}`, older],
        [`metallb.io/${name}`, prefix === undefined ? null : value],
      ];
    }),
  );
}

/**
 * The nodes whose endpoints serve an address: nodes with endpoints of its family or, without any, of the other family. Where none of a family is
 * ready, those that end serve.
 */
export function endpointsFor(
  { endpoints, endpointsV6 = [], draining = [], drainingV6 = [] }: ServiceSpec,
  address: string,
): readonly number[] {
  const [v4, v6] = [endpoints.length > 0 ? endpoints : draining, endpointsV6.length > 0 ? endpointsV6 : drainingV6];
  const [own, others] = address.includes(":") ? [v6, v4] : [v4, v6];
  return own.length > 0 ? own : others;
}

/** A Pod that is not Ready yet. @param address the node's; `podIPs` keep it for as long as the Pod is there */
export function podObject(node: number, address: string): JsonObject {
  return {
    metadata: { name: `speaker-${node}`, labels: { app: "metallb", component: "speaker" } },
    spec: { nodeName: nameOf(node), hostNetwork: true, containers: [{ name: "speaker", image: "ingot" }] },
    status: { ...podStatus(false, address), podIPs: [{ ip: address }] },
  };
}

/** The changing part of its status. @param address the node's now */
export function podStatus(ready: boolean, address: string): JsonObject {
  return { hostIP: address, conditions: [{ type: "Ready", status: ready ? "True" : "False" }] };
}
