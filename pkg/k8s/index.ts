/** The Kubernetes API. */
export type { ConfigMap, Endpoint, EndpointSlice, Node, ObjectMeta, Pod, Service, ServicePort } from "./objects.ts";
