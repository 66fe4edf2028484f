/**
 * Reports of a ring's speakers about themselves to one another, such as their subnets and the addresses that they own. Two halves:
 * `GossipStore` keeps entries, without knowing their meaning, and `GossipState` is their meaning.
 *
 * Each node sets entries under keys of its own, and every node gets all of them. An entry is one register with one writer (as in
 * Scuttlebutt: van Renesse et al., LADIS 2008): the highest version counts, so that entries may be lost, repeated and overtake one another,
 * and each is broadcast once. Values that a node set before it started again are void. Versions have 32 bits, keys 1 to 32 octets, values
 * up to 600. Only messages pass between the two, so that the store may live in another thread: own entries down, arrived entries up. Both are
 * pure. Left out: membership, and the decision who announces an address.
 */
export { centralName, isCentral, nodeOfCentral } from "./central.ts";
export { decodeEntries, decodeOffer, encodeEntries, encodeOffer, type GossipEntry } from "./codec/entry-codec.ts";
export type { Link } from "./codec/link-codec.ts";
export { labelHash, type ToldTraits, toldLabel } from "./codec/traits-codec.ts";
export {
  answeredBits,
  type Deliveries,
  type Delivery,
  type Fault,
  healthPortBit,
  mostAddresses,
  type PathSign,
  pathSigns,
  seenWithoutBit,
  seenWithoutBits,
  type View,
} from "./codec/value-codec.ts";
export type { Reachability } from "./gossip-data.ts";
export { GossipState, gossipClasses, type OwnEntry } from "./gossip-state.ts";
export { GossipStore } from "./gossip-store.ts";
export { type GossipChanges, noChanges } from "./merge.ts";
