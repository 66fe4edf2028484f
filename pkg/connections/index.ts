/**
 * How often who may connect to a TCP port: so many times a second each source, and so many all together that are not known, after which the
 * kernel refuses them for a second. For listeners of Node (`ServerGate`) and others. Pure but for `ServerGate` and
 * `RefusingListener`. Not here: what becomes of
 * connections that are open.
 */
export { ConnectionGate, type KnownSources, type RefusedSources, type Refuser } from "./connection-gate.ts";
export { RefusingListener } from "./refusing-listener.ts";
export { Regulars } from "./regulars.ts";
export { backlog, descriptorOf, ServerGate } from "./server-gate.ts";
