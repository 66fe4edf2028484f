/**
 * The meaning of a Service object here: whether it is ours to serve, its recorded addresses in the status, and its requests in spec and
 * annotations. Controller, live configuration and placement all take the answer from here. Pure. `pkg/allocator` decides on a request,
 * `pkg/placement` on the announcer.
 */
export { annotationNames, annotations, isAnnotation, maxAnnotation, poolAnnotations, readAnnotation } from "./annotations.ts";
export {
  type AddressRequest,
  asksFor,
  backendKeyOf,
  maxAddresses,
  maxPorts,
  mayHoldSeveral,
  namespaceOf,
  type Port,
  readRequest,
  recordedHoldings,
} from "./request.ts";
export {
  claimsClass,
  classlessOnly,
  isOurs,
  type LoadBalancerClasses,
  type NoAddresses,
  type NodeEndpoints,
  type NotOurs,
  olderFirst,
  readClasses,
  recordedAddresses,
  type ServiceFields,
  whyNoAddresses,
  whyNotOurs,
} from "./service.ts";
