import type { SessionSettings } from "#pkg/config";
import type { Address, Family } from "#pkg/net";
import type { Keepalive, Message, Notification, Open, Update } from "../codec/messages.ts";
import type { Negotiated, Reason, State } from "./state.ts";

/**
 * Inputs of a session; the numbers are those of RFC 4271, section 8.1. Left out: DelayOpen (12, 20), which a speaker that only advertises
 * does not need, and invalid connections (15), which the listener refuses before it knows the peer.
 */
export type Event =
  /** 1, 3–7: whether passive is a setting, and damping is always on. `isKnown`: the peer had a session with this process, by other settings. */
  | { readonly type: "start"; readonly isKnown?: boolean }
  /** 2, 8: closes with `notification`, `because` in words, until started again. */
  | { readonly type: "stop"; readonly notification: Notification; readonly because: string }
  /** 8, then 6: closes what is open, and tries again after the back-off. */
  | { readonly type: "reset"; readonly notification: Notification; readonly because: string }
  /** Ends the back-off, if there is one: the path to the peer is up again. */
  | { readonly type: "retry" }
  /** New settings; a session that cannot take them while it is open restarts at once. */
  | { readonly type: "settings"; readonly settings: SessionSettings }
  /** 9–11, 13: see `nextDeadline`. Harmless when early. */
  | { readonly type: "timer" }
  /** 16: the dialled connection is established. `routerId` is this side's. */
  | { readonly type: "connected"; readonly connection: number; readonly routerId: Address }
  /** 14, 17: the peer connected. Answered by one `adopt` or `refuse`. `isElsewhere`: to another address of this side than the session is with. */
  | { readonly type: "accepted"; readonly routerId: Address; readonly isElsewhere?: boolean }
  /** 18: a connection failed or closed; `because` is in words, `code` the system's, such as ECONNREFUSED. */
  | { readonly type: "lost"; readonly connection: number; readonly because: string; readonly code?: string | undefined }
  /** 19, 24–27 and ROUTE-REFRESH; `octets` is the length of its body. */
  | { readonly type: "message"; readonly connection: number; readonly message: Message; readonly octets: number }
  /** 21, 22, 28: a message cannot be decoded; `notification` answers it. */
  | { readonly type: "malformed"; readonly connection: number; readonly notification: Notification; readonly because: string }
  /** The kernel has accepted some of the sent octets (RFC 9687). */
  | { readonly type: "written"; readonly connection: number };

/** Actions for the driver, in this order. */
export type Effect =
  /** Connect, once what was closed before is gone; then report `connected` or `lost`. */
  | { readonly type: "dial"; readonly connection: number }
  /** The connection just accepted gets this id. */
  | { readonly type: "adopt"; readonly connection: number }
  | { readonly type: "refuse"; readonly notification: Notification; readonly because: string }
  | { readonly type: "send"; readonly connection: number; readonly message: Open | Keepalive | Notification }
  /** After what was sent has gone out. No event of this connection follows. */
  | { readonly type: "close"; readonly connection: number }
  /** Routes may be sent. */
  | { readonly type: "established"; readonly connection: number; readonly negotiated: Negotiated }
  /** The established session is over. */
  | { readonly type: "down"; readonly reason: Reason }
  | { readonly type: "update"; readonly update: Update }
  /** The peer is to hear once more that it has all paths. */
  | { readonly type: "endOfRib" }
  /** The peer asks for all routes of a family. */
  | { readonly type: "refresh"; readonly family: Family }
  /** An attempt or a session failed. */
  | { readonly type: "failed"; readonly reason: Reason }
  /** `reason`: the failure that led here, if any. */
  | { readonly type: "transition"; readonly from: State; readonly to: State; readonly reason: Reason | undefined };
