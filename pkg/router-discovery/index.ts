/**
 * Finds the router on a link by its router advertisements, and lets the router find this node by its own (RFC 4861), as BGP unnumbered does.
 * Advertisements of this node have a router lifetime of 0: no host takes the node for a router. Left out: all that a host does with
 * advertisements, such as addresses and default routes, which stays the kernel's work under the settings that it has.
 * `codec/` and `engine/` are pure; the driver owns a packet socket for each link. Instants are `Millis`.
 */
export { type FoundRouter, RouterDiscovery, type RouterDiscoveryOptions } from "./driver.ts";
