/**
 * The Kubernetes API: credentials, informers (list, then watch), the few writes that Ingot makes, and Events. JSON over HTTP/1.1
 * with kept connections; only the fields in use are kept of each object. Leaves out every other kind of object.
 *
 * Daemons do not load `@kubernetes/client-node`: it costs 85 MB of memory, up to a second, and 17 MB in a bundle, and its
 * deserialisers copy every field of every object. They take service accounts, and kubeconfigs with a token, a certificate, a
 * password or an exec plugin; `auth-provider` users and SOCKS proxies are refused.
 *
 * Times are `Clock` milliseconds; dates appear only in Events and in `Retry-After`.
 */

export { readUser } from "./access.ts";
export { type ApiProblem, problemOf } from "./api-problem.ts";
export type { Backend } from "./backends.ts";
export { type Cluster, type ConditionsWrite, type CustomResource, connect, type WebhookClient } from "./cluster.ts";
export { ApiError } from "./errors.ts";
export { type EventReason, EventRecorder, type EventText, eventReasons, type ReportEffect, report } from "./event-recorder.ts";
export { ExecPlugin } from "./exec-plugin.ts";
export { type Handlers, type Informer, Informers, named, type Scope } from "./informers.ts";
export { controllerLease } from "./leases.ts";
export { NamespaceLabels } from "./namespace-labels.ts";
export type {
  Condition,
  ConfigMap,
  EndpointSlice,
  Lease,
  Node,
  ObjectMeta,
  ObjectReference,
  Pod,
  Secret,
  Service,
} from "./objects.ts";
export { configMapReference, nodeReference, serviceReference } from "./objects.ts";
export { slicesOf } from "./part.ts";
export type { PodRow } from "./pod-rows.ts";
export { proxyFromEnvironment } from "./proxy.ts";
export { type KeptTexts, nodesOf, type Resource, resources, servicesOf } from "./resources.ts";
export type { TokenUser } from "./reviews.ts";
export { type NoValue, SecretValues, type SecretValuesOptions } from "./secret-values.ts";
