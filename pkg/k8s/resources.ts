import { createHash } from "node:crypto";
import { families, parseAddress } from "#pkg/net";
import {
  claimsClass,
  classlessOnly,
  isAnnotation,
  type LoadBalancerClasses,
  maxAnnotation,
  maxPorts,
  type NodeEndpoints,
  poolAnnotations,
} from "#pkg/service";
import { type Fields, fields, list, optionalText, text } from "#pkg/untrusted";
import { compact, cut, maxShort, shared, short, textMap, texts } from "./kept.ts";
import type {
  Condition,
  ConfigMap,
  EndpointSlice,
  IngressDetails,
  Lease,
  Namespace,
  Node,
  ObjectMeta,
  Pod,
  Secret,
  Service,
  ServicePort,
} from "./objects.ts";
import { configMapAnnotations, flannelAnnotations, type MoreAnnotations } from "./untrusted.ts";

/** A kind of object that can be watched: its path in the API, and the kept part of each object. */
export interface Resource<V extends ObjectMeta> {
  /** The first part of its path, such as `/api/v1` or `/apis/GROUP/VERSION`. */
  readonly api: string;
  readonly plural: string;
  /** With its definition, objects may become others whose version stays. */
  readonly isCustom?: true;
  /** Annotations that `project` keeps, of long objects too. */
  readonly annotations?: MoreAnnotations;
  /** Any fields may be absent or of another type; `meta` is already checked. */
  project(raw: Fields, meta: ObjectMeta): V;
}

type Kept = "labels" | "texts" | KeptTexts;

/** Names of labels and annotations that are kept besides those that are read anyway. May grow; objects that are there stay as they are. */
export interface KeptTexts {
  readonly labels: ReadonlySet<string>;
  readonly annotations: ReadonlySet<string>;
}

/**
 * Services, each with whether it is of one of these load balancer classes.
 * @param keep `labels` for the controller: each keeps its labels, if it is of type LoadBalancer, its conditions, and the annotations with its
 * pool; `texts` the same with all annotations
 */
export function servicesOf(classes: LoadBalancerClasses, keep: Kept = noTextsKept): Resource<Service> {
  const project = (raw: Fields, meta: ObjectMeta) => projectService(raw, meta, classes, keep);
  return { api: "/api/v1", plural: "services", project, ...(typeof keep === "object" && { annotations: keep.annotations }) };
}

const noTextsKept: KeptTexts = { labels: new Set(), annotations: new Set() };

export const resources = {
  services: servicesOf(classlessOnly),
  endpointSlices: { api: "/apis/discovery.k8s.io/v1", plural: "endpointslices", project: projectEndpointSlice },
  endpoints: { api: "/api/v1", plural: "endpoints", project: projectEndpoints },
  nodes: { api: "/api/v1", plural: "nodes", project: projectNode },
  namespaces: { api: "/api/v1", plural: "namespaces", project: projectNamespace },
  pods: { api: "/api/v1", plural: "pods", project: projectPod },
  configMaps: { api: "/api/v1", plural: "configmaps", project: projectConfigMap },
  secrets: { api: "/api/v1", plural: "secrets", project: projectSecret },
  leases: { api: "/apis/coordination.k8s.io/v1", plural: "leases", project: projectLease },
} as const satisfies Record<string, Resource<ObjectMeta>>;

/** One character more than a value of use has, so that it is found too long, and not missing. */
function annotation(value: string): string {
  return cut(value, maxAnnotation + 1);
}

/** Nodes, of which the one of this name has its annotations; with their addresses where asked for. */
export function nodesOf(own: string, hasAddresses = false): Resource<Node> {
  const project = (raw: Fields, meta: ObjectMeta): Node => {
    const bare = projectNode(raw, meta);
    const node = hasAddresses ? { ...bare, internalIPs: internalIPsOf(raw) } : bare;
    if (meta.name !== own) return node;
    return { ...node, annotations: textMap(fields(raw.metadata).annotations, undefined, annotation) };
  };
  return { ...resources.nodes, project, annotations: "all" };
}

// There are many Services and slices, so each is made with all its fields named: `...meta` would put the following fields into a
// separate store with room for more.

/** @returns undefined where the object has no name, uid or version, so that it cannot be told from others */
export function projectMeta(raw: unknown): ObjectMeta | undefined {
  const metadata = fields(fields(raw).metadata);
  const name = text(metadata.name);
  const uid = text(metadata.uid);
  const resourceVersion = text(metadata.resourceVersion);
  if (name === "" || uid === "" || resourceVersion === "") return undefined;
  const namespace = text(metadata.namespace);
  return { key: namespace === "" ? name : `${namespace}/${name}`, namespace, name, uid, resourceVersion };
}

/**
 * Limit of a status: far more than a Service of ours may hold, so that a status with more is seen to be wrong. The API takes 40,000.
 */
const maxIngress = 100;

function projectService(
  raw: Fields,
  { key, namespace, name, uid, resourceVersion }: ObjectMeta,
  classes: LoadBalancerClasses,
  keep: Kept,
): Service {
  const isLabeled = typeof keep === "string";
  const spec = fields(raw.spec);
  const lbClass = optionalText(spec.loadBalancerClass);
  const isClaimed = claimsClass(classes, lbClass);
  const ingress = list(fields(fields(raw.status).loadBalancer).ingress)
    .slice(0, maxIngress)
    .map(fields);
  return {
    key,
    namespace,
    name,
    uid,
    resourceVersion,
    created: Math.trunc(Date.parse(text(fields(raw.metadata).creationTimestamp)) / 1000) || 0,
    labels: spec.type === "LoadBalancer" ? keptLabels(raw, keep) : undefined,
    annotations: textMap(fields(raw.metadata).annotations, isKept(keep), annotation),
    type: text(spec.type),
    isClaimed,
    otherClass: isClaimed || lbClass === undefined ? undefined : short(lbClass),
    clusterIPs: clusterIPs(spec),
    prefersDualStack: spec.ipFamilyPolicy === "PreferDualStack",
    ports: compact(
      list(spec.ports)
        .slice(0, maxPorts + 1)
        .flatMap(projectPort),
    ),
    isForSome: list(spec.loadBalancerSourceRanges).length > 0,
    ...(spec.internalTrafficPolicy === "Local" && { isInternalLocal: true as const }),
    healthCheckNodePort: spec.externalTrafficPolicy === "Local" ? portNumber(spec.healthCheckNodePort) : 0,
    selector: shortMap(textMap(spec.selector)),
    externalTrafficPolicy: spec.externalTrafficPolicy === "Local" ? "Local" : "Cluster",
    loadBalancerIP: short(text(spec.loadBalancerIP)),
    ingress: texts(ingress.map(({ ip }) => ip)),
    ingressDetails: ingressDetails(ingress),
    hasHostnames: ingress.some(({ ip }) => text(ip) === ""),
    conditions: isLabeled || ingress.length === 0 ? projectConditions(raw) : none,
    externalIPs:
      isLabeled && list(spec.externalIPs).length > 0 ? texts(list(spec.externalIPs).slice(0, maxIngress)).map(short) : undefined,
  };
}

function keptLabels(raw: Fields, keep: Kept): Service["labels"] {
  if (typeof keep === "object" && keep.labels.size === 0) return undefined;
  const all = projectLabels(raw);
  if (typeof keep === "string" || all === undefined) return all;
  return textMap(all, (name) => keep.labels.has(name));
}

function isKept(keep: Kept): (name: string) => boolean {
  if (keep === "texts") return () => true;
  if (keep === "labels") return isOfController;
  return keep.annotations.size === 0 ? isAnnotation : (name) => isAnnotation(name) || keep.annotations.has(name);
}

function isOfController(name: string): boolean {
  return isAnnotation(name) || poolAnnotations.includes(name);
}

const none: readonly never[] = [];
const maxConditions = 100; // The list is merged by type, so that nobody writes ours twice.
/** Beginning of the types of our conditions. */
const ofIngot = "ingot.dev/";

function projectConditions(raw: Fields): readonly Condition[] {
  const all = list(fields(raw.status).conditions).map(fields);
  const ours = all.filter(({ type }) => text(type).startsWith(ofIngot));
  return compact(
    ours.slice(0, maxConditions).map(({ type, status, reason, message, lastTransitionTime }) => {
      return {
        type: short(text(type)),
        status: short(text(status)),
        reason: short(text(reason)),
        message: short(text(message)),
        since: short(text(lastTransitionTime)),
      };
    }),
  );
}

function ingressDetails(entries: readonly Fields[]): Readonly<Record<string, IngressDetails>> {
  let found: Record<string, IngressDetails> | undefined;
  for (const { ip, ipMode, ports } of entries) {
    const mode = text(ipMode);
    const isPlain = (mode === "" || mode === "VIP") && list(ports).length === 0;
    if (isPlain || text(ip) === "") continue;
    const details = { ...(mode !== "" && { ipMode: mode }), ...(list(ports).length > 0 && { ports: list(ports) }) };
    found = { ...found, [parseAddress(text(ip))?.toString() ?? text(ip)]: details };
  }
  return found ?? noDetails;
}

function clusterIPs(spec: Fields): readonly string[] {
  const several = texts(spec.clusterIPs);
  const ips = several.length > 0 ? several : texts([spec.clusterIP]);
  return compact(ips.filter((ip) => ip !== "None"));
}

function portNumber(value: unknown): number {
  return Number.isInteger(value) && Number(value) > 0 && Number(value) < 65_536 ? Number(value) : 0;
}

function projectPort(raw: unknown): ServicePort[] {
  const { name, protocol, port } = fields(raw);
  if (typeof port !== "number") return [];
  return [{ name: text(name), protocol: text(protocol) || "TCP", port }];
}

function projectEndpointSlice(raw: Fields, { key, namespace, name, uid, resourceVersion }: ObjectMeta): EndpointSlice {
  const service = text(fields(fields(raw.metadata).labels)["kubernetes.io/service-name"]);
  // kube-proxy sends nothing to endpoints that have names in place of addresses.
  const entries = raw.addressType === "FQDN" ? [] : list(raw.endpoints);
  const endpoints = entries.map((entry): FoundEndpoint => {
    const { nodeName, conditions } = fields(entry);
    const { ready, serving, terminating } = fields(conditions);
    const draining = serving === true && terminating === true;
    return [optionalText(nodeName), ready !== false ? "ready" : draining ? "draining" : undefined];
  });
  return {
    key,
    namespace,
    name,
    uid,
    resourceVersion,
    service: service === "" ? "" : `${namespace}/${service}`,
    family: families.find((family) => family === raw.addressType),
    endpoints: endpointsByNode(endpoints),
    idle: endpoints.filter(([, state]) => state === undefined).length,
  };
}

function projectEndpoints(raw: Fields, meta: ObjectMeta): EndpointSlice {
  const those = (key: "addresses" | "notReadyAddresses") =>
    list(raw.subsets)
      .flatMap((entry) => list(fields(entry)[key]))
      .map(fields)
      .filter(({ ip }) => text(ip) !== "");
  return {
    ...meta,
    service: meta.key,
    family: undefined,
    endpoints: endpointsByNode(those("addresses").map(({ nodeName }) => [optionalText(nodeName), "ready"])),
    idle: those("notReadyAddresses").length,
  };
}

/** One that serves nothing has no state. */
type FoundEndpoint = readonly [nodeName: string | undefined, state: "ready" | "draining" | undefined];

/** Only their numbers are kept, because a Service may have 100,000 endpoints. */
function endpointsByNode(endpoints: readonly FoundEndpoint[]): readonly NodeEndpoints[] {
  const nodes = new Map<string | undefined, { ready: number; draining: number }>();
  for (const [nodeName, state] of endpoints) {
    if (state === undefined) continue;
    const counts = nodes.get(nodeName) ?? { ready: 0, draining: 0 };
    counts[state]++;
    nodes.set(nodeName, counts);
  }
  return compact(
    [...nodes].map(([nodeName, { ready, draining }]) => ({ nodeName: nodeName && shared(nodeName), ready, draining })),
  );
}

const maxPodCIDRs = 2; // One of each family.

function projectNode(raw: Fields, meta: ObjectMeta): Node {
  const metadata = fields(raw.metadata);
  const spec = fields(raw.spec);
  const podCIDRs = texts(list(spec.podCIDRs)).slice(0, maxPodCIDRs).map(short);
  return {
    ...meta,
    ...(podCIDRs.length > 0 && { podCIDRs }),
    labels: textMap(metadata.labels),
    unschedulable: spec.unschedulable === true,
    deleting: isDeleting(metadata),
    taints: texts(list(spec.taints).map((taint) => fields(taint).key)),
    flannelAddresses: texts(flannelAnnotations.map((name) => short(text(fields(metadata.annotations)[name])))),
  };
}

const maxInternalIPs = 16; // Most have one of each family.

function internalIPsOf(raw: Fields): readonly string[] {
  const addresses = list(fields(raw.status).addresses).map(fields);
  const internal = addresses.filter(({ type }) => type === "InternalIP").slice(0, maxInternalIPs);
  return texts(internal.map(({ address }) => short(text(address))));
}

function projectNamespace(raw: Fields, meta: ObjectMeta): Namespace {
  return { ...meta, labels: projectLabels(raw) };
}

function projectPod(raw: Fields, meta: ObjectMeta): Pod {
  const status = fields(raw.status);
  const conditions = list(status.conditions).map(fields);
  const spec = fields(raw.spec);
  const several = texts(list(status.podIPs).map((entry) => fields(entry).ip));
  return {
    ...meta,
    nodeName: optionalText(spec.nodeName),
    podIPs: several.length > 0 ? several : texts([status.podIP]),
    hostIP: spec.hostNetwork === true ? optionalText(status.hostIP) : undefined,
    ready: !isDeleting(fields(raw.metadata)) && conditions.some(({ type, status }) => type === "Ready" && status === "True"),
  };
}

function projectConfigMap(raw: Fields, meta: ObjectMeta): ConfigMap {
  const annotations = textMap(fields(raw.metadata).annotations, (name) => configMapAnnotations.includes(name), short);
  return { ...meta, data: textMap(raw.data), annotations };
}

function projectSecret(raw: Fields, meta: ObjectMeta): Secret {
  const decoded = Object.entries(textMap(raw.data)).map(([key, value]) => [key, Buffer.from(value, "base64").toString()]);
  return { ...meta, use: text(fields(fields(raw.metadata).labels)["ingot-use"]), data: Object.fromEntries(decoded) };
}

function projectLease(raw: Fields, meta: ObjectMeta): Lease {
  const { holderIdentity, leaseDurationSeconds, leaseTransitions } = fields(raw.spec);
  return {
    ...meta,
    holder: text(holderIdentity),
    durationSeconds: typeof leaseDurationSeconds === "number" ? leaseDurationSeconds : 0,
    transitions: typeof leaseTransitions === "number" ? leaseTransitions : 0,
  };
}

function isDeleting(metadata: Fields): boolean {
  return text(metadata.deletionTimestamp) !== "";
}

// Most Services have no details of their ingress: they share one empty value.
const noDetails: Readonly<Record<string, IngressDetails>> = Object.freeze({});
const maxLabels = 8192;

/** All of them, or none: the API bounds the length of each, and not how many there are. Null is what `parseJson` makes of very many. */
function projectLabels(raw: Fields): Readonly<Record<string, string>> | undefined {
  const found = fields(raw.metadata).labels;
  if (found === null) return undefined;
  const labels = textMap(found);
  const size = Object.entries(labels).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  return size <= maxLabels ? labels : undefined;
}

/** The API bounds neither how many keys a selector has nor how many ports there are, but for the 1.5 MB of an object in etcd. */
function shortMap(map: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(map);
  if (entries.reduce((size, [key, value]) => size + key.length + value.length, 0) <= maxShort) return map;
  // Pairs as they are would be made texts of for each comparison: of 6,000 that took 8 ms.
  const sorted = entries.map((entry) => JSON.stringify(entry)).sort();
  return { sha256: createHash("sha256").update(sorted.join()).digest("hex") };
}
