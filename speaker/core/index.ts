/**
 * Decides what a speaker announces, and why: one state machine, run by `CoreRunner`. Drivers deliver `SpeakerEvent`s and carry out
 * `SpeakerEffect`s; readers of the state use `SpeakerView`. Times are `Clock` milliseconds.
 */
export {
  type ConnectionResult,
  type ConnectionTest,
  type HealthAnswer,
  type PathFault,
  type PathFaults,
  pathFaultNames,
} from "./data-path/data-path-state.ts";
export type { BgpPeers, SpeakerEffect, WatchedNode } from "./effects.ts";
export type { CarriedRoutes, ClusterEvent, MemberEvents, SpeakerEvent, TestedAddress } from "./events.ts";
export { commonInputs, type SpeakerRunner, speakerCore } from "./replay.ts";
export type { NextHop } from "./services/probes.ts";
export type { WireTest } from "./services/self-tests.ts";
export { type AnnounceFor, createState } from "./state.ts";
export type { AddressView, ServiceView, SessionState } from "./verdicts/address-verdict.ts";
export { lossyWarnings, minOldSeconds, type NodeFacts } from "./verdicts/node-verdict.ts";
export { SpeakerView } from "./view.ts";
