import type { Millis } from "#pkg/clock";
import type { BgpRole, SessionSettings } from "#pkg/config";
import type { Address, Family } from "#pkg/net";
import type { Notification, Open } from "../codec/messages.ts";

/** RFC 4271, section 8.2.2, from Idle to Established. */
export const states = ["idle", "active", "connect", "openSent", "openConfirm", "established"] as const;
export type State = (typeof states)[number];

interface OnConnection {
  /** Names the connection in events and effects; never used twice. */
  readonly id: number;
  /** The peer opened it, not this side. */
  readonly incoming: boolean;
  readonly since: Millis;
  /** Deadline of the peer: for the connection, the OPEN, or any message (HoldTimer); Infinity for never. */
  readonly holdAt: Millis;
}

export interface Connecting extends OnConnection {
  readonly state: "connect";
}

export interface Opening extends OnConnection {
  readonly state: "openSent";
  /** The OPEN that this side sent. */
  readonly open: Open;
}

export interface Agreed extends OnConnection {
  readonly state: "openConfirm" | "established";
  readonly open: Open;
  readonly negotiated: Negotiated;
  /** When it entered `state`. */
  readonly enteredAt: Millis;
  readonly keepaliveAt: Millis;
  /** RFC 9687: when nothing has been written for too long. */
  readonly sendHoldAt: Millis;
  /** When End-of-RIB is sent once more: see `repeatEndOfRib`. */
  readonly endOfRibAt: Millis;
  /** Families whose routes the peer has asked for again, and when it may have those of each. */
  readonly refreshWanted: readonly Family[];
  readonly refreshAt: Readonly<Record<Family, Millis>>;
  /** When the work that the peer's messages make is done, at one unit a millisecond. */
  readonly workUntil: Millis;
}

/** RFC 4271, section 8.2.1: each connection has its own state until the collision is resolved. */
export type Connection = Connecting | Opening | Agreed;

/** The whole session with one peer; data that can be printed. */
export interface Session {
  readonly settings: SessionSettings;
  /** Started, and not stopped since. */
  readonly running: boolean;
  /** At most one in OpenConfirm or Established, and one of each direction beside it. */
  readonly connections: readonly Connection[];
  /** The largest id of a connection so far. */
  readonly lastConnection: number;
  /** After an error the session stays in Idle and refuses connections until then; Infinity where it does not. */
  readonly activeAt: Millis;
  /** IdleHoldTimer and ConnectRetryTimer: when this side connects again. */
  readonly retryAt: Millis;
  /** Attempts that failed since the last session, and `flaps`: how far the back-off has grown. */
  readonly failures: number;
  /** Sessions in a row that ended before they were stable. */
  readonly flaps: number;
  /** A session was established under these settings. */
  readonly hasBeenUp: boolean;
  /** A session with the router carried several paths to a prefix (RFC 7911), and it may keep stale ones of these. */
  readonly hadPaths: boolean;
  /** The peer refused capabilities: the next OPEN has none (RFC 5492, section 3). */
  readonly plainOpen: boolean;
  /** This process has had no session with the peer yet; one before it may have had (RFC 4724, the R bit). */
  readonly restarting: boolean;
  /**
   * Until then a peer that restarts gracefully may keep the advertisements of the process before this one; in the past where there was no
   * such process.
   */
  readonly staleUntil: Millis;
  /** Forwarding went on since the session before (RFC 4724, the F bit). The kernel forwards, so that only a boot before this process interrupts it. */
  readonly forwardingPreserved: boolean;
  /** How many prefixes of a family the router takes, as it said when it ended a session for that (RFC 4486). */
  readonly prefixLimits: Readonly<Partial<Record<Family, number>>>;
  /** Why the last established session ended. */
  readonly lastDown: Ending | undefined;
  /** Why the last attempt failed, since the last established session. */
  readonly lastFailure: Ending | undefined;
}

/** Why a session, or an attempt at one, came to its end. */
export type Reason =
  | { readonly type: "received"; readonly notification: Notification }
  | { readonly type: "sent"; readonly notification: Notification; readonly because: string }
  /** The peer's OPEN has another AS number than the configuration. */
  | { readonly type: "sent"; readonly notification: Notification; readonly because: string; readonly peerAsn: number }
  /** The peer's role does not go with the configured one (RFC 9234). */
  | { readonly type: "sent"; readonly notification: Notification; readonly because: string; readonly peerRole: BgpRole }
  | { readonly type: "holdTimerExpired"; readonly seconds: number; readonly state: State }
  /** RFC 9687. */
  | { readonly type: "sendHoldTimerExpired"; readonly seconds: number }
  | { readonly type: "connectTimeout"; readonly seconds: number; readonly hint: string | undefined }
  /** The connection could not be had, or broke; `because` is in words. */
  | { readonly type: "lost"; readonly because: string; readonly state: State; readonly code?: string | undefined }
  /** RFC 4724, section 4.2: the peer opened a new session while this side took the former for established. */
  | { readonly type: "peerRestarted" };

export interface Ending {
  readonly reason: Reason;
  readonly at: Millis;
}

export type SessionOptions = Pick<Session, "settings" | "restarting" | "forwardingPreserved">;

/** Idle, until it is started. */
export function newSession(options: SessionOptions): Session {
  return {
    ...options,
    running: false,
    connections: [],
    lastConnection: 0,
    activeAt: Infinity,
    retryAt: Infinity,
    failures: 0,
    flaps: 0,
    hasBeenUp: false,
    hadPaths: false,
    staleUntil: -Infinity,
    plainOpen: false,
    prefixLimits: {},
    lastDown: undefined,
    lastFailure: undefined,
  };
}

/** The state of the connection closest to Established. */
export function stateOf({ running, activeAt, connections }: Session): State {
  const alone: State = running && activeAt === Infinity ? "active" : "idle";
  return connections.reduce<State>(
    (furthest, { state }) => (states.indexOf(state) > states.indexOf(furthest) ? state : furthest),
    alone,
  );
}

/** When `step` wants a `timer`; Infinity for never. */
export function nextDeadline({ connections, activeAt, retryAt }: Session): Millis {
  return connections.reduce(
    (soonest, one) => Math.min(soonest, one.holdAt, isAgreed(one) ? agreedDeadline(one) : Infinity),
    Math.min(activeAt, retryAt),
  );
}

function agreedDeadline({ keepaliveAt, sendHoldAt, endOfRibAt, refreshWanted, refreshAt }: Agreed): Millis {
  return Math.min(keepaliveAt, sendHoldAt, endOfRibAt, ...refreshWanted.map((family) => refreshAt[family]));
}

export function isAgreed(connection: Connection): connection is Agreed {
  return connection.state === "openConfirm" || connection.state === "established";
}

/** Settings on which both OPENs agree. */
export interface Negotiated {
  readonly peerAsn: number;
  readonly peerRouterId: Address;
  /** The smaller of both; 0 is never. */
  readonly holdTimeSeconds: number;
  readonly keepaliveSeconds: number;
  /** Unicast families that both offered; IPv4 where neither offered any. */
  readonly families: ReadonlySet<Family>;
  /** RFC 6793: AS numbers in AS_PATH are of four octets. */
  readonly fourOctetAsn: boolean;
  /** RFC 8654: messages of up to 65,535 octets instead of 4,096, except OPEN and KEEPALIVE. */
  readonly extendedMessage: boolean;
  readonly routeRefresh: boolean;
  readonly enhancedRouteRefresh: boolean;
  /** RFC 8950: IPv4 prefixes may have IPv6 next hops. */
  readonly extendedNextHop: boolean;
  /** The peer keeps this side's routes while it restarts (RFC 4724), for as long as this side has asked. */
  readonly gracefulRestart: boolean;
  /** The peer keeps them after a NOTIFICATION and after its hold timer, too; a hard reset ends that (RFC 8538). */
  readonly gracefulNotification: boolean;
  /** The peer keeps them longer, as the last resort (RFC 9494). */
  readonly longLivedGracefulRestart: boolean;
  /** The peer's role (RFC 9234); undefined where it has not said one, or this side has none. */
  readonly peerRole: BgpRole | undefined;
  /** Families in which this side sends all paths to a prefix, each with an identifier (RFC 7911). */
  readonly addPath: ReadonlySet<Family>;
}
