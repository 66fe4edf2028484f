/**
 * Addresses and routes in the node's own network stack, by which any routing daemon that runs there announces them, and the kernel answers
 * ARP and NDP. Puts them there by rtnetlink, with a mark (IFA_PROTO, the protocol number of a route) and a record under /run/ingot by which
 * the next process knows them for ours; puts back at once, with back-off, what somebody else removes; compares everything once a minute;
 * never removes or replaces what has no mark of ours; and changes no more at once than those whom the kernel tells of it have room for. Makes
 * the interface that stands for none, a dummy or, where the kernel has none, a bridge, and leaves it. What is wanted and what is found meet in
 * `state/`, which is pure; the driver reads, requests and waits.
 * Not here: which addresses a node is to have. Needs the capability NET_ADMIN. Times are `Clock` milliseconds.
 */
export { KernelKeeper } from "./keeper.ts";
export type { AddressItem, Item } from "./state/items.ts";
