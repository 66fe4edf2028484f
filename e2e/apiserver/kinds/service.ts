import { parseAddress } from "#pkg/net";
import { duplicateValue, type FieldError, forbiddenValue, invalidValue, requiredValue, unsupportedValue } from "../api-error.ts";
import { asList, asNumber, asObject, asText, at, equal, type Json, type JsonObject, without } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { Column } from "../resource.ts";
import { nameErrors } from "../validation.ts";
import { ageColumn, column, joined, labelText, nameColumn, wide } from "./columns.ts";

const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const affinities = ["ClientIP", "None"];
const trafficPolicies = ["Cluster", "Local"];
const familyPolicies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
const protocols = ["SCTP", "TCP", "UDP"];

/** Fields that only mean something for some types, and go when the type no longer has them. */
const onlyLoadBalancer = ["allocateLoadBalancerNodePorts", "loadBalancerClass"];
const onlyExternal = ["externalTrafficPolicy"];
const onlyClusterIp = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"];

export function hasClusterIp(service: KubeObject): boolean {
  return serviceType(service) !== "ExternalName";
}

export function hasNodePorts(service: KubeObject): boolean {
  const type = serviceType(service);
  return type === "NodePort" || (type === "LoadBalancer" && at(service, "spec", "allocateLoadBalancerNodePorts") !== false);
}

export function hasHealthCheckNodePort(service: KubeObject): boolean {
  return serviceType(service) === "LoadBalancer" && at(service, "spec", "externalTrafficPolicy") === "Local";
}

export function serviceType(service: KubeObject): string {
  return asText(at(service, "spec", "type"));
}

/**
 * The defaults of the real API, and what follows from a changed type. Addresses and node ports are not given out here, but those that
 * an update leaves out are taken over from the stored object.
 */
export function prepareService(object: KubeObject, previous: KubeObject | undefined): KubeObject {
  const type = asText(at(object, "spec", "type")) || "ClusterIP";
  const typeChanged = previous !== undefined && serviceType(previous) !== type;
  let spec: JsonObject = { ...asObject(object.spec), type };
  if (typeChanged) spec = dropFieldsOfOtherType(spec, asObject(previous.spec), type);
  if (previous !== undefined && !typeChanged) spec = { ...kept(asObject(previous.spec), spec), ...spec };

  const before = type === "ClusterIP" ? [] : asList(at(previous, "spec", "ports"));
  const ports = asList(spec.ports).map((port, _, all) => preparePort(port, all, before));
  spec = {
    ...(spec.ports === undefined ? {} : { ports }),
    sessionAffinity: "None",
    ...(type === "ExternalName" ? {} : { internalTrafficPolicy: "Cluster" }),
    ...(type === "LoadBalancer" ? { allocateLoadBalancerNodePorts: true } : {}),
    ...(type === "LoadBalancer" || type === "NodePort" ? { externalTrafficPolicy: "Cluster" } : {}),
    ...without(spec, "ports"),
  };
  if (spec.sessionAffinity === "ClientIP" && spec.sessionAffinityConfig === undefined)
    spec = { ...spec, sessionAffinityConfig: { clientIP: { timeoutSeconds: 10800 } } };
  return { ...object, spec, status: prepareStatus(asObject(object.status), type, typeChanged) };
}

/** A client that writes a Service without knowing of its cluster addresses keeps them. */
function kept(before: JsonObject, after: JsonObject): JsonObject {
  const names: string[] = [];
  const sameAddress = after.clusterIP === undefined || after.clusterIP === before.clusterIP;
  if (sameAddress && after.clusterIPs === undefined) names.push("clusterIP", "clusterIPs");
  if (sameAddress && after.ipFamilyPolicy === undefined && after.ipFamilies === undefined)
    names.push("ipFamilyPolicy", "ipFamilies");
  return Object.fromEntries(names.map((name) => [name, before[name]]).filter(([, value]) => value !== undefined));
}

function dropFieldsOfOtherType(after: JsonObject, before: JsonObject, type: string): JsonObject {
  const stale = (names: readonly string[]): string[] => names.filter((name) => equal(after[name], before[name]));
  const external = type === "LoadBalancer" || type === "NodePort";
  const spec = without(
    after,
    ...(type === "LoadBalancer" ? [] : stale(onlyLoadBalancer)),
    ...(external ? [] : stale(onlyExternal)),
    ...(type === "ExternalName" ? stale(onlyClusterIp) : []),
    ...stale(["healthCheckNodePort"]),
  );
  if (external || spec.ports === undefined) return spec;
  const nodePortsBefore = new Set(asList(before.ports).map((port) => at(port, "nodePort")));
  const ports = asList(spec.ports).map((port) =>
    nodePortsBefore.has(at(port, "nodePort")) ? without(asObject(port), "nodePort") : port,
  );
  return { ...spec, ports };
}

/** The node port of an update that leaves it out is the one that the same port and protocol had. */
function preparePort(value: Json, all: readonly Json[], before: readonly Json[]): JsonObject {
  const { nodePort: given, ...port } = { protocol: "TCP", ...asObject(value) } as JsonObject;
  const targetPort = port.targetPort ?? port.port;
  const taken = new Set(all.map((other) => at(other, "nodePort")));
  const same = before.find((other) => at(other, "port") === port.port && at(other, "protocol") === port.protocol);
  const held = at(same, "nodePort");
  const nodePort = given || (taken.has(held) ? undefined : held);
  return { ...port, ...(targetPort === undefined ? {} : { targetPort }), ...(nodePort ? { nodePort } : {}) };
}

function prepareStatus(status: JsonObject, type: string, typeChanged: boolean): JsonObject {
  const ingress = asList(at(status, "loadBalancer", "ingress"));
  if (ingress.length === 0 || (typeChanged && type !== "LoadBalancer")) return { ...status, loadBalancer: {} };
  const prepared = ingress.map((item) => (asText(at(item, "ip")) === "" ? item : { ipMode: "VIP", ...asObject(item) }));
  return { ...status, loadBalancer: { ...asObject(status.loadBalancer), ingress: prepared } };
}

export function validateService(object: KubeObject, previous: KubeObject | undefined): FieldError[] {
  const spec = asObject(object.spec);
  const type = serviceType(object);
  const errors: FieldError[] = [];
  if (previous !== undefined && serviceType(previous) === type) {
    const before = asText(at(previous, "spec", "clusterIP"));
    if (before !== "" && hasClusterIp(object) && spec.clusterIP !== before)
      errors.push(invalidValue("spec.clusterIPs[0]", [spec.clusterIP], "may not change once set"));
    if (type === "LoadBalancer" && !equal(spec.loadBalancerClass, at(previous, "spec", "loadBalancerClass")))
      errors.push(invalidValue("spec.loadBalancerClass", spec.loadBalancerClass, "may not change once set"));
  }
  if (!types.includes(type)) errors.push(unsupportedValue("spec.type", type, types));
  if (type === "ExternalName" && asText(spec.externalName) === "") errors.push(requiredValue("spec.externalName"));
  if (type === "LoadBalancer" && spec.clusterIP === "None")
    errors.push(invalidValue("spec.clusterIPs[0]", "None", "may not be set to 'None' for LoadBalancer services"));
  errors.push(...portErrors(spec, type));
  oneOf(errors, "spec.sessionAffinity", spec.sessionAffinity, affinities);
  oneOf(errors, "spec.externalTrafficPolicy", spec.externalTrafficPolicy, trafficPolicies);
  oneOf(errors, "spec.internalTrafficPolicy", spec.internalTrafficPolicy, trafficPolicies);
  oneOf(errors, "spec.ipFamilyPolicy", spec.ipFamilyPolicy, familyPolicies);
  if (spec.externalTrafficPolicy !== undefined && type !== "LoadBalancer" && type !== "NodePort")
    errors.push(
      invalidValue(
        "spec.externalTrafficPolicy",
        spec.externalTrafficPolicy,
        "may only be set for externally-accessible services",
      ),
    );
  return [...errors, ...statusErrors(object, type)];
}

function oneOf(errors: FieldError[], field: string, value: Json | undefined, supported: readonly string[]): void {
  if (value !== undefined && !supported.includes(asText(value))) errors.push(unsupportedValue(field, value, supported));
}

function portErrors(spec: JsonObject, type: string): FieldError[] {
  const ports = asList(spec.ports).map(asObject);
  const errors: FieldError[] = [];
  if (ports.length === 0 && type !== "ExternalName" && spec.clusterIP !== "None") errors.push(requiredValue("spec.ports"));
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const field = `spec.ports[${index}]`;
    const name = asText(port.name);
    if (name === "" && ports.length > 1) errors.push(requiredValue(`${field}.name`));
    if (name !== "") errors.push(...nameErrors(`${field}.name`, name, "label"));
    if (name !== "" && names.has(name)) errors.push(duplicateValue(`${field}.name`, name));
    names.add(name);
    if (!isPortNumber(port.port))
      errors.push(invalidValue(`${field}.port`, port.port ?? 0, "must be between 1 and 65535, inclusive"));
    oneOf(errors, `${field}.protocol`, port.protocol, protocols);
    if (typeof port.targetPort === "number" && !isPortNumber(port.targetPort))
      errors.push(invalidValue(`${field}.targetPort`, port.targetPort, "must be between 1 and 65535, inclusive"));
    const number = `${String(port.protocol)}/${String(port.port)}`;
    if (numbers.has(number)) errors.push(duplicateValue(field, { Protocol: port.protocol, Port: port.port }));
    numbers.add(number);
  }
  return errors;
}

function isPortNumber(value: Json | undefined): boolean {
  const port = asNumber(value);
  return port !== undefined && Number.isInteger(port) && port >= 1 && port <= 65535;
}

function statusErrors(object: KubeObject, type: string): FieldError[] {
  const ingress = asList(at(object, "status", "loadBalancer", "ingress"));
  const field = "status.loadBalancer.ingress";
  if (ingress.length > 0 && type !== "LoadBalancer")
    return [forbiddenValue(field, "may only be used when `spec.type` is 'LoadBalancer'")];
  return ingress.flatMap((item, index) => {
    const errors: FieldError[] = [];
    const ip = asText(at(item, "ip"));
    const hostname = asText(at(item, "hostname"));
    if (ip !== "" && parseAddress(ip) === undefined)
      errors.push(invalidValue(`${field}[${index}].ip`, ip, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
    if (ip !== "") oneOf(errors, `${field}[${index}].ipMode`, at(item, "ipMode"), ["Proxy", "VIP"]);
    if (ip === "" && at(item, "ipMode") !== undefined)
      errors.push(forbiddenValue(`${field}[${index}].ipMode`, "may not be specified when `ip` is not set"));
    if (hostname !== "") errors.push(...nameErrors(`${field}[${index}].hostname`, hostname, "subdomain"));
    return errors;
  });
}

export const serviceColumns: readonly Column[] = [
  nameColumn,
  column("Type", serviceType),
  column("Cluster-IP", (object) => asText(at(object, "spec", "clusterIP")) || "<none>"),
  column("External-IP", externalAddress),
  column("Port(s)", portText),
  ageColumn,
  wide("Selector", (object) => labelText(at(object, "spec", "selector"))),
];

function externalAddress(object: KubeObject): string {
  const configured = asList(at(object, "spec", "externalIPs")).map(asText);
  switch (serviceType(object)) {
    case "ExternalName":
      return asText(at(object, "spec", "externalName"));
    case "LoadBalancer": {
      const ingress = asList(at(object, "status", "loadBalancer", "ingress"));
      const given = ingress.map((item) => asText(at(item, "ip")) || asText(at(item, "hostname")));
      return [...given, ...configured].join(",") || "<pending>";
    }
    default:
      return configured.join(",") || "<none>";
  }
}

function portText(object: KubeObject): string {
  const ports = asList(at(object, "spec", "ports")).map((port) => {
    const nodePort = at(port, "nodePort");
    return `${String(at(port, "port"))}${nodePort === undefined ? "" : `:${String(nodePort)}`}/${joined([port], "protocol")}`;
  });
  return ports.join(",") || "<none>";
}
