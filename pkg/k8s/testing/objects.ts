import type { Family } from "#pkg/net";
import type { ConfigMap, EndpointSlice, Namespace, Node, ObjectMeta, Pod, Secret, Service } from "../objects.ts";

/** `namespace/name`, or the name alone in the namespace `default`. */
function meta(key: string, uid?: string): ObjectMeta {
  const [namespace = "", name = ""] = key.includes("/") ? key.split("/") : ["default", key];
  return { key: `${namespace}/${name}`, namespace, name, uid: uid ?? `uid-${name}`, resourceVersion: "1" };
}

/** A Service of type LoadBalancer with one IPv4 family and one port, which asks for nothing in particular. */
export function service(key: string, fields: Partial<Service> = {}): Service {
  return {
    ...meta(key),
    created: 0,
    labels: {},
    annotations: {},
    type: "LoadBalancer",
    isClaimed: true,
    clusterIPs: ["10.96.0.1"],
    prefersDualStack: false,
    ports: [{ name: "", protocol: "TCP", port: 80 }],
    isForSome: false,
    healthCheckNodePort: 0,
    selector: {},
    externalTrafficPolicy: "Cluster",
    loadBalancerIP: "",
    ingressDetails: {},
    hasHostnames: false,
    ingress: [],
    conditions: [],
    ...fields,
  };
}

/** The one slice of a Service, or that of a family, with an endpoint on each node for which it says true. */
export function endpointSlice(of: string, ready: Readonly<Record<string, boolean>>, family?: Family): EndpointSlice {
  const { namespace, name, key } = meta(of);
  const endpoints = Object.entries(ready).flatMap(([nodeName, isReady]) =>
    isReady ? [{ nodeName, ready: 1, draining: 0 }] : [],
  );
  const idle = Object.keys(ready).length - endpoints.length;
  return { ...meta(`${namespace}/${name}-${family ?? 1}`), service: key, family, endpoints, idle };
}

export function node(name: string, fields: Partial<Node> = {}): Node {
  const common = { labels: {}, unschedulable: false, deleting: false, taints: [], flannelAddresses: [] };
  return { ...meta(name), key: name, namespace: "", ...common, ...fields };
}

export function namespace(name: string, labels: Readonly<Record<string, string>> = {}): Namespace {
  return { ...meta(name), key: name, namespace: "", labels };
}

/** A Pod that is Ready, on no node. */
export function pod(key: string, fields: Partial<Pod> = {}): Pod {
  return { ...meta(key), nodeName: undefined, podIPs: [], hostIP: undefined, ready: true, ...fields };
}

export function configMap(
  key: string,
  data: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>> = {},
): ConfigMap {
  return { ...meta(key), data, annotations };
}

export function secret(key: string, data: Readonly<Record<string, string>>, use = ""): Secret {
  return { ...meta(key), use, data };
}
