import type { Address, Family } from "#pkg/net";
import type { Keepalive, Message, Notification, Open, Update } from "../codec/messages.ts";
import type { SessionSettings } from "./settings.ts";
import type { Negotiated, Reason, State } from "./state.ts";

/**
 * What a session is told; the numbers are those of RFC 4271, section 8.1. Not among them: DelayOpen (12, 20), which waits for nothing that
 * this side wants, and invalid connections (15), which a listener knows before it knows the peer.
 */
export type Event =
  /** 1, 3–7: whether passive is a setting, and damping is always on. */
  | { readonly type: "start" }
  /** 2, 8: closes with `notification`, `because` in words, until started again. */
  | { readonly type: "stop"; readonly notification: Notification; readonly because: string }
  /** 8, then 6: closes what is open, and tries again after the back-off. */
  | { readonly type: "reset"; readonly notification: Notification; readonly because: string }
  /** Other settings; a session that cannot go on with them is begun anew at once. */
  | { readonly type: "settings"; readonly settings: SessionSettings }
  /** 9–11, 13: see `nextDeadline`. Harmless when it is too soon. */
  | { readonly type: "timer" }
  /** 16: what was dialled is there. `routerId` is this side's. */
  | { readonly type: "connected"; readonly connection: number; readonly routerId: Address }
  /** 14, 17: the peer connected. Answered by one `take` or `refuse`. */
  | { readonly type: "accepted"; readonly routerId: Address }
  /** 18: of any connection, in words. */
  | { readonly type: "lost"; readonly connection: number; readonly because: string }
  /** 19, 24–27 and ROUTE-REFRESH. */
  | { readonly type: "message"; readonly connection: number; readonly message: Message }
  /** 21, 22, 28: what arrived is no message, and this is the answer. */
  | { readonly type: "malformed"; readonly connection: number; readonly notification: Notification; readonly because: string }
  /** The peer's side has taken some of what was sent (RFC 9687). */
  | { readonly type: "taken"; readonly connection: number };

/** What a session wants done, in this order. */
export type Effect =
  /** Connect; then tell `connected` or `lost`. */
  | { readonly type: "dial"; readonly connection: number }
  /** What was just accepted is this connection. */
  | { readonly type: "take"; readonly connection: number }
  | { readonly type: "refuse"; readonly notification: Notification; readonly because: string }
  | { readonly type: "send"; readonly connection: number; readonly message: Open | Keepalive | Notification }
  /** What was sent is still to go out. Nothing is told of this connection after it. */
  | { readonly type: "close"; readonly connection: number }
  /** Routes may be sent. */
  | { readonly type: "established"; readonly connection: number; readonly negotiated: Negotiated }
  /** What was established is over. */
  | { readonly type: "down"; readonly reason: Reason }
  | { readonly type: "update"; readonly update: Update }
  /** The peer asks for all routes of a family. */
  | { readonly type: "refresh"; readonly family: Family }
  /** An attempt or a session failed. */
  | { readonly type: "failed"; readonly reason: Reason }
  /** `reason`: of a failure that led here; undefined where it was none. */
  | { readonly type: "transition"; readonly from: State; readonly to: State; readonly reason: Reason | undefined };
