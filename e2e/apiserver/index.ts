/**
 * A Kubernetes API in memory, as test equipment: real `kubectl` and client libraries work against it over TLS (`ApiServer`), and simulations
 * within the process (`LocalApi`).
 *
 * It does what the real API server does alone: discovery; create, read, update, delete, lists in pages, watches with resource versions,
 * bookmarks and 410; JSON, merge and strategic merge patches and server-side apply; `status` and `scale`; defaults, validation and
 * immutable fields where tests run into them; cluster addresses and node ports of Services; Tables; client certificates, ServiceAccount
 * tokens and RBAC; the wording of refusals. Faults can be injected, and history and connections cut, at the moment a test wants it.
 *
 * It does not: run controllers (no Pods of Deployments, no EndpointSlices of Services, no garbage collection by owner; only the content
 * of a deleted namespace goes with it), run Pods (`logs`, `exec` and the like are refused; `portforward` works by WebSocket
 * where it is told how to reach Pods), know schemas (unknown fields are kept, types
 * are checked only where it relies on them, `kubectl explain` has nothing to say), answer in protobuf (it reads what kubectl creates with), serve custom resources, webhooks or old
 * API versions, check RBAC for escalation, wait for a Pod's grace period, or track field owners other than those who apply. Kinds and
 * their peculiarities are in `resources.ts` and `kinds/`, lists that merge by key in `lists.ts`.
 *
 * Its scope is frozen: nothing is added that no scenario needs.
 */
export { ApiError } from "./api-error.ts";
export type { Credential } from "./certificates.ts";
export type { Fault, RequestInfo } from "./faults.ts";
export type { Json, JsonObject } from "./json.ts";
export { LocalApi, type ObjectChange } from "./local-api.ts";
export type { KubeObject, ObjectInput, ObjectMeta, ObjectReference } from "./objects.ts";
export { ApiServer, type ApiServerOptions, type Identity, type RequestRecord } from "./server.ts";
export type { Backup } from "./store.ts";
export type { WatchResponse } from "./watch.ts";
