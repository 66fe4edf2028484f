/**
 * What the members of a ring tell one another of themselves, such as which subnets they are in: each member posts notices under keys
 * of its own, and every member gets to have all of them. A notice is one register with one writer (as in Scuttlebutt: van Renesse et
 * al., LADIS 2008): the highest version counts, so that notices may be lost, repeated and overtake one another, and each is news once.
 * A member that starts again outbids what its earlier life has posted. Pure: the owner broadcasts `takeNews` and hands in what comes.
 * Not here: who is a member, and what notices mean. Versions have 32 bits, keys 1 to 32 octets, values up to 600.
 */
export { Board } from "./board.ts";
export { type Notice, noticesVersion } from "./notice-codec.ts";
