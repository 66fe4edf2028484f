import { malformations } from "./codec/control-codec.ts";
import type { Parameters } from "./session/session.ts";
import type { SessionView } from "./session/status.ts";

/** Why a control packet counts for no session: what is wrong with it, or how it came. */
export const ignoredReasons = ["ttl", ...malformations, "noSession", "otherSource", "otherDiscriminator"] as const;
export type IgnoredReason = (typeof ignoredReasons)[number];

/** The thread's counters of each session; `echoMicros` is the total time that all of its `echoTimed` echoes were on their way. */
export const packetNames = ["controlIn", "controlOut", "echoIn", "echoOut", "echoTimed", "echoMicros"] as const;

/** A session as the thread gets it. Addresses are octets in network config. */
export interface SessionConfig {
  readonly id: number;
  readonly peer: Uint8Array;
  /** This side's address; the kernel's choice when undefined. */
  readonly local: Uint8Array | undefined;
  readonly interfaceName: string | undefined;
  readonly multihop: boolean;
  /** The minimum TTL of packets of a multihop session. */
  readonly minimumTtl: number;
  readonly parameters: Parameters;
  /** Counters of `packetNames`. */
  readonly counters: SharedArrayBuffer;
}

/** Arguments of the thread. */
export interface WorkerStart {
  /** Counters of `ignoredReasons`. */
  readonly ignored: SharedArrayBuffer;
  readonly configs: readonly SessionConfig[];
}

/** From the main thread to the worker. */
export type Command =
  /** Begins the session of this id, or changes its parameters and smallest TTL. */
  { readonly type: "set"; readonly config: SessionConfig } | { readonly type: "remove"; readonly id: number };

/** From the worker to the main thread, whenever any of it is another. */
export interface StatusMessage {
  readonly id: number;
  readonly view: SessionView;
}
