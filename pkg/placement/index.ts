/**
 * Who announces which address, and why: pure functions of the whole current state (Services, endpoints, pools, labels of nodes,
 * active speakers, and what these report of themselves), so that every speaker reaches the same answer by itself. Covers layer 2: which
 * nodes may announce a pool, by labels, interfaces and subnets; candidates, the election, owners that stay, and the verdict for each
 * Service. Covers BGP, where each node decides for itself: its peers, its routes to each, and the verdict. Leaves out how anything is
 * announced.
 */
export { type Advertised, type BgpPlacement, type BgpReach, type BgpRoute, bgpReach, placeBgp } from "./bgp.ts";
export { type NodePeer, nodePeers } from "./bgp-peers.ts";
export { type Election, elect } from "./election.ts";
export { eligibleFor, excludeLabel, type Labels, type PoolNodes, poolNodes, type Standing, standing } from "./nodes.ts";
export {
  type AddressPlacement,
  type Choose,
  type Holder,
  type NotAnnounced,
  place,
  type Refusal,
  type Verdict,
} from "./place.ts";
export { hasInterface, isFor, type KnownReach, type Reach } from "./reach.ts";
export { type Changes, Reports } from "./reports.ts";
export { type AnnouncementSource, announcedAddresses, type Endpoint, hasNoAddresses, type NoAddresses } from "./service.ts";
export { StickyOwners } from "./sticky-owners.ts";
