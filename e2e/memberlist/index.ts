/**
 * Rings of real processes on loopback: our members beside HashiCorp's library at v0.1.7, which MetalLB v0.12.1 has inside, and v0.6.0.
 * All programs take the same flags and commands and print the same lines. HashiCorp's are built with Go, once, into `.cache/`.
 */
export { type GoVersion, goPeer, goPeerMissing, goVersions } from "./go-peer.ts";
export { LargeRing } from "./large-ring.ts";
export type { RingLine, RingMember } from "./ring-line.ts";
export { type ProgramKind, RingProcess, type RingProcessOptions, ringAddresses } from "./ring-process.ts";
