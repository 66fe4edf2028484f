/**
 * Tells the differences in a cluster if another configuration were in force, or if nodes were lost. It decides by the same code as the live
 * decisions (`pkg/assignment`, `pkg/live-config`, `pkg/placement`), from one picture of the whole cluster in which all processes agree.
 * Pure. Left out: how long anything takes, conflicts with other hosts that are not known yet, and what routers do with their routes.
 */
export {
  type AddressState,
  doubtsOfNetbox,
  newTrial,
  type ServiceChange,
  serviceChanges,
  tryAddresses,
} from "./address-change.ts";
export { type ConfigChange, configChange } from "./config-change.ts";
export { type NodeChange, nodeChange } from "./node-change.ts";
export { doubtsOfCentral } from "./place-by-bgp.ts";
export { type ClusterState, withoutNodes } from "./state.ts";
