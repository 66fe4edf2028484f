/**
 * Both ends of BFD sessions in a lab: ours in a process of its own, FRR's bfdd, BIRD's, without any other protocol. bfdd runs only
 * where root runs the lab. Times are milliseconds, instants microseconds since 1970.
 */
export { BirdBfd } from "./bird-bfd.ts";
export { type ManyEnds, type ManyOptions, type ManySessions, manySessions } from "./many-sessions.ts";
export { type OurSession, OurSessions, type StatusLine } from "./our-sessions.ts";
export { bfdRefusal, losePackets } from "./packet-loss.ts";
export { every, profile } from "./profile.ts";
