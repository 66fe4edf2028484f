/**
 * MetalLB's status objects, as its tools know them: their kinds, who keeps them in the API, and the ConfigurationState of a component. The
 * content of the other kinds is the speakers'. Times are `Clock` milliseconds.
 */
export { type Component, configurationState } from "./configuration-state.ts";
export { digest, labelValue, type StatusObject, statusKinds } from "./kinds.ts";
export { poolKind, poolStatuses } from "./pool-statuses.ts";
export { StatusKeeper, type StatusKeeperOptions } from "./status-keeper.ts";
