/**
 * Connections that go on when an address moves between nodes that both live. The new owner hands packets of TCP connections that it does not
 * know to the former owner, which does: one table `ingot` of nf_tables for each family, before kube-proxy's destination NAT, with the former
 * owner of each address in a map. The kernel removes each entry by itself when its time is over, also where no speaker is left to do so.
 * `state/` is the shape of the table and the difference between wanted and found entries, and is pure; the keeper reads, changes and looks
 * again, and never touches a table that is not ours. `FlowCounter` counts the open connections to addresses. Left out: the decision which node hands packets to which. Needs the capability NET_ADMIN. Times are `Clock` milliseconds.
 */
export { FlowCounter, inPortions } from "./flow-counter.ts";
export { type HandoverFailures, HandoverKeeper, type Inherited } from "./keeper.ts";
export type { Handover } from "./state/shape.ts";
