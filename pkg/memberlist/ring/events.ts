import type { Millis } from "#pkg/clock";
import type { Ack, Endpoint, MemberState, NodeName, PacketMessage, Ping, PushPull, StreamMessage } from "../codec/messages.ts";
import type { MetadataFields } from "../codec/metadata.ts";
import type { TimingName } from "./timing.ts";

/** What happens to a ring. */
export type Event =
  /** It is time: see `nextDeadline`. Harmless when it is not. */
  | { readonly type: "timer" }
  | { readonly type: "packet"; readonly from: Endpoint; readonly messages: readonly PacketMessage[] }
  /** Sending failed on this machine. */
  | { readonly type: "sendFailed"; readonly messages: readonly PacketMessage[] }
  /** Somebody's request on a stream; answered by exactly one `reply` or `close` for the same `stream`. */
  | { readonly type: "request"; readonly stream: number; readonly from: Endpoint; readonly message: StreamMessage }
  /** How an `exchange` ended. */
  | { readonly type: "exchanged"; readonly exchange: number; readonly message: StreamMessage }
  | { readonly type: "exchangeFailed"; readonly exchange: number; readonly reason: string }
  /** Answered by one `joinFinished` for the same `join`. */
  | { readonly type: "join"; readonly join: number; readonly endpoints: readonly Endpoint[] }
  /** Exchange all that is known with the member at once, beside the periodic exchanges with members by chance. */
  | { readonly type: "pull"; readonly node: NodeName }
  /** Followed by `leaveFinished`, once for all that came before it. The ring goes on answering until it is dropped. */
  | { readonly type: "leave" }
  /** Whether paths to members are kept: see `paths.ts`. Answered by `watchPaths` where that changes which. */
  | { readonly type: "keepPaths"; readonly areKept: boolean }
  /** A path to one of them has another verdict. */
  | { readonly type: "path"; readonly node: NodeName; readonly verdict: PathVerdict }
  /** Our own metadata changes. `step` throws a RangeError when `encodeMetadata` does. */
  | { readonly type: "metadata"; readonly fields: MetadataFields }
  /**
   * A user message for all members, one character for each octet; it replaces one on the same topic that is still being passed on. `step` throws a RangeError for more
   * than `maxUserBytes`. A receiver that learns something from it has to broadcast it again: the ring does not pass on messages that it
   * cannot judge.
   */
  | { readonly type: "broadcast"; readonly topic: string; readonly text: string };

/** `up`: packets arrive both ways; `down`: they did, and no longer do; `unknown`: all else. */
export type PathVerdict = "unknown" | "up" | "down";

/** Actions that a ring wants, in this order. */
export type Effect =
  | Send
  /** Dial, send, take one reply, close; then `exchanged` or `exchangeFailed` follows, no later than `deadline`. */
  | {
      readonly type: "exchange";
      readonly exchange: number;
      readonly to: Endpoint;
      readonly message: PushPull | Ping;
      readonly deadline: Millis;
    }
  /** A user message, or the user state of a push/pull where that is not empty; not news where all other members have it. */
  | { readonly type: "user"; readonly payload: Uint8Array; readonly isNews: boolean }
  /** Answer on a stream, then close it. */
  | { readonly type: "reply"; readonly stream: number; readonly message: PushPull | Ack }
  | { readonly type: "close"; readonly stream: number }
  | MemberEvent
  | {
      readonly type: "joinFinished";
      readonly join: number;
      /** How many of the endpoints are reached: by an exchange, or known as a member by the time it was their turn. */
      readonly joined: number;
      readonly failures: readonly { readonly endpoint: Endpoint; readonly reason: string }[];
    }
  | { readonly type: "leaveFinished" }
  /** Somebody who is said to be alive is asked whether that is true, and answers from there. */
  | { readonly type: "asks"; readonly endpoint: Endpoint }
  | {
      readonly type: "timingChanged";
      readonly timing: TimingName;
      /**
       * The member that holds the ring back: it does not offer the fast timing, or answers this node too slowly for it; this node
       * itself when it stalls too often.
       */
      readonly because: NodeName | undefined;
    }
  /** An answer to a ping, directly and in time. */
  | { readonly type: "roundTrip"; readonly node: NodeName; readonly time: Millis }
  /** Two processes use one name, or an address changed too soon. Emitted for each such message, so that it can be very often. */
  | { readonly type: "conflict"; readonly node: NodeName; readonly known: Endpoint; readonly claimed: Endpoint }
  /**
   * Packets between this node and another are lost: it answers on streams alone, or by way of others time and again. Emitted for each such
   * probe; `packetsArrive` once it answers directly again.
   */
  | { readonly type: "packetsLost"; readonly node: NodeName }
  | { readonly type: "packetsArrive"; readonly node: NodeName }
  /** To keep paths to these members, and to no others. */
  | { readonly type: "watchPaths"; readonly members: readonly { readonly node: NodeName; readonly endpoint: Endpoint }[] }
  /** The path to this node made it count as dead here, and it lives: the path is not used for this long. */
  | { readonly type: "pathDistrusted"; readonly node: NodeName; readonly backOff: Millis }
  /** An exchange that this node began failed. Failures of a join are in `joinFinished`, failures of a probe in no effect. */
  | { readonly type: "exchangeProblem"; readonly with: Endpoint; readonly reason: string };

/** One packet. */
export interface Send {
  readonly type: "send";
  readonly to: Endpoint;
  /** At least one; several travel as a compound. */
  readonly messages: readonly PacketMessage[];
  /** Whether to add a checksum: the receiver is known to understand it. */
  readonly checksum: boolean;
}

/** Member as the ring sees it. Members are those alive or suspect; the others are remembered for a while. */
export interface Member extends MemberState {
  /** Since when it has this status. */
  readonly since: Millis;
}

/**
 * - `joined`: a member now (self included, at the start);
 * - `left`: gone after a leave; `failed`: gone without one;
 * - `updated`: its metadata changed;
 * - `suspected`: still a member, but does not answer; `refuted`: it does after all. When it is this node that had to refute, that
 *   is the only event.
 */
export interface MemberEvent {
  readonly type: "member";
  readonly change: "joined" | "left" | "failed" | "updated" | "suspected" | "refuted";
  readonly member: Member;
  /** Of `suspected`, `refuted` and `failed`. */
  readonly evidence?: Evidence | undefined;
}

/** What this node knows of why a node was suspected or failed. Durations end when the event is emitted. */
export interface Evidence {
  /** Nodes that got no answer from it or declared it dead, the first one first. */
  readonly accusers: readonly NodeName[];
  /** For how long it was suspected here; undefined where it was not. */
  readonly suspectedFor: Millis | undefined;
  /** Since when nothing came from it directly; undefined where nothing ever did, and of this node itself. */
  readonly silentFor: Millis | undefined;
  /** Paths found that it failed: the ring alone would have given it more time to answer. */
  readonly isByPaths: boolean;
  /** By how much this node itself ran late the last time, and how long ago that was; undefined where it never did. */
  readonly stall: { readonly late: Millis; readonly ago: Millis } | undefined;
}
