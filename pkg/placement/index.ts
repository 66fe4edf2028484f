/**
 * Who announces which address, and why: pure functions of the whole current state (Services, endpoints, pools, active speakers),
 * so that every speaker reaches the same answer by itself. Covers layer 2: candidates, the election and the verdict for each
 * Service. What is not announced yet is recognised and given its reason: pools of protocol `bgp`.
 */
export { type Election, elect } from "./election.ts";
export { type AddressPlacement, type Holder, type NotAnnounced, place, type Verdict } from "./place.ts";
export { type AnnouncementSource, announcedAddresses, type Endpoint, hasNoAddresses, type NoAddresses } from "./service.ts";
