/**
 * Limits how often clients may connect to a TCP port: a number of times a second for each source, and for all unknown sources together,
 * after which the kernel refuses them for a second. For listeners of Node (`ServerGate`) and others. Pure but for `ServerGate` and
 * `RefusingListener`. Left out: connections that are open already.
 */
export { ConnectionGate, type KnownSources, type RefusedSources, type Refuser } from "./connection-gate.ts";
export { RefusingListener } from "./refusing-listener.ts";
export { Regulars } from "./regulars.ts";
export { backlog, descriptorOf, ServerGate } from "./server-gate.ts";
