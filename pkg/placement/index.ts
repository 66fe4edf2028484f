/**
 * Decides who announces which address, and why: pure functions of the whole current state (Services, endpoints, pools, labels of nodes,
 * active speakers and their reports), so that every speaker reaches the same answer by itself. Covers layer 2: which nodes may announce a
 * pool, by labels, interfaces and subnets; candidates, the election, owners that stay, and the verdict for each Service. Covers BGP, where
 * each node decides for itself: its peers, its routes to each, and the verdict; and protocol `interface`, where an address has an owner as
 * on layer 2, or each node decides what its kernel has. Leaves out how anything is announced.
 */
export {
  type Advertised,
  type BgpPlacement,
  type BgpRoute,
  type DefaultGateway,
  isByBgp,
  type NextHopPath,
  type NodePeer,
  nodePeers,
  type PoolAdvertisements,
  peerKey,
  peersFor,
  placeBgp,
  poolAdvertisements,
  type SlotPaths,
  type Surroundings,
} from "./bgp.ts";
export {
  advertisedCentrally,
  type CentralAdvertisements,
  centralPeers,
  centralSessions,
  placeCentral,
  type ServedNode,
  type ServedNodes,
  servedNodes,
} from "./central.ts";
export { compareRank, elect, isElected, isOwner, ownerOf, withOwner } from "./election.ts";
export {
  canHaveInKernel,
  cordonTaint,
  drainLabel,
  type Eligibility,
  eligibility,
  eligibleFor,
  excludeLabel,
  hasInterface,
  isDrained,
  isSelected,
  type KnownReachability,
  type Labels,
  networkTaint,
  nodeTerms,
  outOfServiceTaint,
  type PoolNodes,
  poolNodes,
  preferenceWeight,
  subnetsFor,
} from "./eligibility.ts";
export { type InterfacePlacement, isByInterface, isOnLan, placeOnInterface } from "./interface.ts";
export {
  type AddressPlacement,
  type Choose,
  endpointsInUse,
  type Holder,
  heeded,
  type NotAnnounced,
  oldestOf,
  ownerWithout,
  type PlacementRefusal,
  type PlacementResult,
  place,
  placeNowhere,
  placeSlot,
} from "./place.ts";
export { StickyOwners, stickyClasses } from "./sticky/sticky-owners.ts";
export type { ReportedAnnouncers } from "./views.ts";
