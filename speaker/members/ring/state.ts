import type { Millis, Random } from "#pkg/clock";
import type { InterfaceState } from "#pkg/layer2";
import type { Fields } from "#pkg/log";
import type { JoinResult, MemberView } from "#pkg/memberlist";
import { type Alone, notAlone } from "./alone.ts";
import { type Home, newHome } from "./home.ts";

/** The Pod of another speaker. */
export interface SpeakerPod {
  /** Empty until the Pod has a node. */
  readonly node: string;
  readonly isReady: boolean;
}

/** The Pods of the other speakers, by the addresses at which they are joined. */
export type SpeakerPods = ReadonlyMap<string, SpeakerPod>;

/** The rules of a large ring, in which the work on each change, and the Pods that each speaker follows, grow with the ring. */
export interface LargeRing {
  /** After a change, further ones are gathered for so long. */
  readonly gatherMs: (members: number) => Millis;
  /** From that many members on Pods are followed only now and then. */
  readonly fromMembers: number;
  /** For at least so long, at most twice... */
  readonly followMs: Millis;
  /** ...and for each member so long not, half as long or three halves: all members together look as often as one does in a small ring. */
  readonly restMs: Millis;
  /** A speaker that starts in a large cluster asks for the Pods once, and follows them where it has met no member so long after the answer... */
  readonly aloneMs: Millis;
  /** ...or is in no large ring so long after it met the last of the members: these are known one after another... */
  readonly meetMs: Millis;
  /** ...or so long after the answer, however many it has met. */
  readonly mostMeetMs: Millis;
}

export const largeRing: LargeRing = {
  gatherMs: (members) => Math.floor(members / 100), // 50 ms at 5,000 members.
  fromMembers: 100,
  followMs: 60_000,
  restMs: 60_000,
  aloneMs: 5_000,
  meetMs: 15_000,
  mostMeetMs: 60_000,
};

/** What this node knows of its ring, and when it looks again. */
export interface RingState {
  /** This node. */
  readonly node: string;
  readonly large: LargeRing;
  /** The ring's port is open. */
  isBound: boolean;
  isStopped: boolean;
  bindAttempts: number;
  /** Why the port could not be opened the last time. */
  bindProblem: string | undefined;
  pods: SpeakerPods;
  /** The API has named all Pods. */
  arePodsComplete: boolean;
  /** When it named them to a speaker that asked once; Infinity before the answer, and before the start; undefined once the speaker has met the ring, or follows them. */
  podsAskedAt: Millis | undefined;
  /** When it last met more members than ever before, or could begin to. */
  readonly met: { most: number; at: Millis };
  arePodsFollowed: boolean;
  members: readonly MemberView[];
  /** Names of all members, this one included. */
  active: readonly string[];
  /** Names of members of another kind. */
  withoutGossip: readonly string[];
  /** Names of other members that announce nothing yet. */
  starting: readonly string[];
  /** This node is in the ring of those that announce, or has found none. Before, it would take itself for the only one. */
  isSynced: boolean;
  isJoining: boolean;
  /** To join, since the ring last changed for the worse. */
  joinAttempts: number;
  readonly unreachable: Map<string, string>; // address that could not be joined the last time -> why
  /** Why this node is not synced. */
  problem: string | undefined;
  alone: Alone;
  home: Home;
  // When there is something to do; Infinity for never.
  bindAt: Millis;
  joinAt: Millis;
  /** Pods are followed, or no longer. */
  podsAt: Millis;
  /** A member that was met by then counts. */
  metAt: Millis;
}

export type RingEvent =
  | { readonly type: "start"; readonly isLarge: boolean }
  | { readonly type: "bound" | "timer" | "stop" }
  | { readonly type: "bindFailed"; readonly problem: string | undefined; readonly error: unknown }
  | { readonly type: "pods"; readonly pods: SpeakerPods; readonly areComplete: boolean }
  /** The answer to `askPods`; undefined without an answer. */
  | { readonly type: "podsAsked"; readonly pods: SpeakerPods | undefined }
  | ({ readonly type: "members"; readonly members: readonly MemberView[] } & Pick<RingState, "withoutGossip" | "starting">)
  /** A member may participate now. */
  | { readonly type: "gossip" }
  | { readonly type: "joined"; readonly wanted: SpeakerPods; readonly failures: JoinResult["failures"] }
  /** @param address the ring's, of this node */
  | { readonly type: "interfaces"; readonly interfaces: readonly InterfaceState[]; readonly address: string };

export type RingEffect =
  | { readonly type: "bind" }
  | { readonly type: "join"; readonly wanted: SpeakerPods }
  | { readonly type: "move"; readonly address: string }
  /** Ask for the Pods once, in as few octets as that takes. */
  | { readonly type: "askPods" }
  /** Follow the Pods from now on, or no longer. */
  | { readonly type: "followPods"; readonly areFollowed: boolean }
  /** The members, or whether they count, have changed. */
  | { readonly type: "members" }
  | { readonly type: "log"; readonly level: "info" | "warn" | "error"; readonly message: string; readonly fields: Fields };

/** The state that an event meets. */
export interface Moment {
  readonly now: Millis;
  readonly random: Random;
  /** Whether a node reports gossip, and may own addresses. */
  readonly isParticipating: (node: string) => boolean;
}

export function newRingState(node: string, large = largeRing): RingState {
  return {
    node,
    large,
    isBound: false,
    isStopped: false,
    bindAttempts: 0,
    bindProblem: undefined,
    pods: new Map(),
    arePodsComplete: false,
    podsAskedAt: Infinity,
    met: { most: 1, at: -Infinity },
    arePodsFollowed: false,
    members: [],
    active: [],
    withoutGossip: [],
    starting: [],
    isSynced: false,
    isJoining: false,
    joinAttempts: 0,
    unreachable: new Map(),
    problem: undefined,
    alone: notAlone,
    home: newHome,
    bindAt: Infinity,
    joinAt: Infinity,
    podsAt: Infinity,
    metAt: Infinity,
  };
}
