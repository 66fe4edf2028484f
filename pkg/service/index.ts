/**
 * What a Service object means here: whether it is ours to serve, which addresses it has on record in its status, and what it asks for in its
 * spec and annotations. Controller, live configuration and placement all take the answer from here. Pure. What a request gets is
 * `pkg/allocator`'s to decide, who announces it `pkg/placement`'s.
 */
export { annotationNames, annotations, isAnnotation, readAnnotation } from "./annotations.ts";
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
} from "./request.ts";
export {
  claimsClass,
  classlessOnly,
  isOurs,
  type LoadBalancerClasses,
  type NoAddresses,
  type NotOurs,
  readClasses,
  recordedAddresses,
  whyNoAddresses,
  whyNotOurs,
} from "./service.ts";
