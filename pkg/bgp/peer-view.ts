import type { Address, Family } from "#pkg/net";
import type { Message } from "./codec/messages.ts";
import type { Unsendable } from "./routes/routes-out.ts";
import type { State } from "./session/state.ts";

export type MessageCounters = Readonly<Record<Message["type"], number>>;

/** What happened, and how long ago. */
export interface Past {
  readonly what: string;
  readonly secondsAgo: number;
}

/** A session as people see it; printed as JSON. */
export interface PeerView {
  /** Address and port: the label `peer` of metrics. */
  readonly peer: string;
  readonly interface: string | undefined;
  readonly myAsn: number;
  readonly peerAsn: number;
  readonly passive: boolean;
  readonly state: State;
  readonly stateSeconds: number;
  /** Until this side tries again; undefined while it does not wait for that. */
  readonly retryInSeconds: number | undefined;
  /** Why the last established session ended. */
  readonly lastDown: Past | undefined;
  /** Why the last attempt failed; undefined since a session was established. */
  readonly lastFailure: Past | undefined;
  readonly notificationReceived: Past | undefined;
  readonly notificationSent: Past | undefined;
  /** What is agreed on; undefined without a session. */
  readonly session: SessionView | undefined;
  /** Of all sessions since the process began. */
  readonly messagesReceived: MessageCounters;
  readonly messagesSent: MessageCounters;
  /** Prefixes that the peer has been sent, and those that it has yet to be. */
  readonly prefixesAnnounced: number;
  readonly prefixesPending: number;
  /** Announced by the peer in this session, and dropped. */
  readonly prefixesReceived: number;
  readonly unsendable: readonly Unsendable[];
  /** How often an established session ended. */
  readonly flaps: number;
  readonly holdTimerExpirations: number;
}

export interface SessionView {
  readonly localAddress: Address;
  readonly localInterface: string | undefined;
  readonly routerId: Address;
  readonly peerRouterId: Address;
  readonly holdTimeSeconds: number;
  readonly keepaliveSeconds: number;
  readonly families: readonly Family[];
  readonly fourOctetAsn: boolean;
  readonly extendedMessage: boolean;
  readonly routeRefresh: boolean;
  readonly enhancedRouteRefresh: boolean;
  readonly extendedNextHop: boolean;
  readonly gracefulRestart: boolean;
  /** The peer has told everything that it had when the session began (RFC 4724). */
  readonly endOfRibReceived: readonly Family[];
}
