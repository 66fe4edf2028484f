/**
 * What the speakers of a ring report of themselves to one another, such as the subnets that they are in and the addresses that they own. Two
 * halves: `GossipStore` keeps entries, without knowing their meaning, and `GossipState` is their meaning.
 *
 * Each node sets entries under keys of its own, and every node gets all of them. An entry is one register with one writer (as in
 * Scuttlebutt: van Renesse et al., LADIS 2008): the highest version counts, so that entries may be lost, repeated and overtake one another,
 * and each is broadcast once. What a node set before it started again is void. Versions have 32 bits, keys 1 to 32 octets, values up to
 * 600. Between the two only messages pass, so that the store may live in another thread: own entries down, entries that came
 * up. Both are pure. Not here: who is a member, and who announces what.
 */
export { decodeOffer, encodeOffer, type GossipEntry } from "./codec/entry-codec.ts";
export type { View } from "./codec/value-codec.ts";
export { type GossipChanges, GossipState, gossipClasses, type OwnEntry, type Reachability } from "./gossip-state.ts";
export { GossipStore } from "./gossip-store.ts";
