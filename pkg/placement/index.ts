/**
 * Who announces which address, and why: pure functions of the whole current state (Services, endpoints, pools, labels of nodes,
 * active speakers), so that every speaker reaches the same answer by itself. Covers layer 2: which nodes may announce a pool,
 * candidates, the election and the verdict for each Service. What is not announced yet is recognised and given its reason: pools of
 * protocol `bgp`.
 */
export { type Advertised, type BgpPlacement, type BgpReach, type BgpRoute, bgpReach, placeBgp } from "./bgp.ts";
export { isSelected, type NodePeer, nodePeers } from "./bgp-peers.ts";
export { type Election, elect } from "./election.ts";
export { excludeLabel, type Labels, type PoolNodes, poolNodes, type Standing, standing } from "./nodes.ts";
export { type AddressPlacement, type Holder, type NotAnnounced, place, type Refusal, type Verdict } from "./place.ts";
export { type AnnouncementSource, announcedAddresses, type Endpoint, hasNoAddresses, type NoAddresses } from "./service.ts";
