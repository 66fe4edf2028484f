/**
 * A whole cluster in a lab, in about a second and without Kubernetes: the API in memory, our controller and speakers as processes
 * with the manifests' arguments and permissions, a kube-proxy and Pods of our own. For the scenario tests and the demo.
 * Not covered: Pods of Deployments, scheduling, cluster addresses, node ports, the client's address kept under policy Local.
 */
export { ApiClient, type ApiObject, ApiRefusal, type Reference } from "./api-client.ts";
export { asPod } from "./as-pod.ts";
export type { Backend } from "./backend.ts";
export { DemoCluster, type DemoClusterOptions, type DemoNode, demoConfiguration } from "./demo-cluster.ts";
export type { DemoService, ServiceOptions } from "./demo-service.ts";
export { baseManifests, podTemplate } from "./manifests.ts";
export { eventsOf, learned, type SeenEvent } from "./observe.ts";
export { both, configure, type Fault, filter, hostsOf, type Scene, scenes } from "./scenes.ts";
export type { Workload } from "./workload.ts";
