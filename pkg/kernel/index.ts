/**
 * Addresses and routes in the node's own network stack, by which any routing daemon that runs there announces them, and the kernel answers
 * ARP and NDP. Puts them there by rtnetlink. A mark (IFA_PROTO, the protocol number of a route) and a record under /run/ingot tell the next
 * process that they are ours. Puts back at once, with back-off, what somebody else removes; compares everything once a minute; never
 * removes or replaces an entry without our mark; and changes only as much at once as listeners to the kernel have room for. Makes a missing
 * interface, a dummy or, where the kernel has no dummies, a bridge, and leaves it. `state/` compares wanted and found entries, and is pure;
 * the driver reads, requests and waits. Left out: the decision which addresses a node is to have. Needs the capability NET_ADMIN. Times are
 * `Clock` milliseconds.
 */
export { KernelKeeper } from "./keeper.ts";
export type { AddressItem, Item } from "./state/items.ts";
