import type { Millis } from "#pkg/clock";
import { malformations, type State } from "./control-codec.ts";
import type { Diagnostic } from "./diagnostic.ts";
import type { Parameters } from "./session.ts";

/** Why a control packet counts for no session: what is wrong with it, or how it came. */
export const ignoredReasons = ["ttl", ...malformations, "noSession", "otherSource"] as const;
export type IgnoredReason = (typeof ignoredReasons)[number];

/** What the thread counts for all, and how it is told to stop. */
export const totalNames = ["stop", ...ignoredReasons] as const;
/** What the thread counts for each session. */
export const packetNames = ["controlIn", "controlOut", "echoIn", "echoOut"] as const;

/** A session to keep, as it goes to the thread. Addresses are octets in network order. */
export interface Order {
  readonly id: number;
  readonly peer: Uint8Array;
  /** This side's address; the kernel's choice when undefined. */
  readonly local: Uint8Array | undefined;
  readonly interfaceName: string | undefined;
  readonly multihop: boolean;
  /** What packets of a multihop session must come with at least. */
  readonly minimumTtl: number;
  readonly parameters: Parameters;
  /** Of `packetNames`. */
  readonly counters: SharedArrayBuffer;
}

/** What a thread starts with. */
export interface WorkerStart {
  /** Of `totalNames`. */
  readonly totals: SharedArrayBuffer;
  /** The descriptor of the `EventFd` that says that there are commands, or that it is time to stop. */
  readonly wake: number;
  readonly orders: readonly Order[];
}

/** From the main thread to the worker. */
export type Command =
  /** Begins the session of this id, or changes its parameters and smallest TTL. */
  { readonly type: "set"; readonly order: Order } | { readonly type: "remove"; readonly id: number };

/** A session as it is now. Intervals are what both sides agreed on; 0 before they have. */
export interface SessionView {
  readonly state: State;
  readonly diagnostic: Diagnostic;
  readonly remoteState: State;
  readonly remoteDiagnostic: Diagnostic;
  readonly discriminator: number;
  readonly remoteDiscriminator: number;
  readonly remoteMultiplier: number;
  readonly remoteControlPlaneIndependent: boolean;
  readonly remoteDemand: boolean;
  readonly transmitMs: Millis;
  readonly detectionMs: Millis;
  /** `off`: not wanted, not offered by the peer, or not up; `unanswered`: none came back yet; `active`: they detect. */
  readonly echo: "off" | "unanswered" | "active";
  /** What keeps packets from being sent or received here; undefined where nothing does. */
  readonly problem: string | undefined;
}

/** From the worker to the main thread, whenever any of it is another. */
export interface Report {
  readonly id: number;
  readonly view: SessionView;
}
