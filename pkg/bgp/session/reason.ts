import type { Notification } from "../codec/messages.ts";
import { describeNotification, reasonInside } from "../codec/notification-codec.ts";
import { notificationName } from "../codec/notification-error.ts";
import type { Reason, State } from "./state.ts";

/** In words, for people. */
export function describeReason(reason: Reason): string {
  switch (reason.type) {
    case "received":
      return `peer closed with ${describeNotification(reason.notification)}${hint(reason.notification)}`;
    case "sent":
      return `this node closed with ${notificationName(reason.notification.code, reason.notification.subcode)}: ${reason.because}`;
    case "holdTimerExpired":
      return `hold timer expired: nothing received for ${reason.seconds} s${missing[reason.state] ?? ""}`;
    case "sendHoldTimerExpired":
      return `send hold timer expired: the peer has read nothing from the connection for ${reason.seconds} s`;
    case "connectTimeout":
      return `no answer to the connection within ${reason.seconds} s${reason.hint === undefined ? "" : `: ${reason.hint}`}`;
    case "lost":
      return reason.state === "openSent"
        ? `${reason.because} before its OPEN: it may not have this node as a neighbor, or hold in Idle after an error`
        : reason.because;
    case "peerRestarted":
      return "the peer restarted: it opened a new session while the previous one was established";
    default:
      return reason satisfies never;
  }
}

const missing: Partial<Record<State, string>> = {
  openSent: ", not even its OPEN",
  openConfirm: ", not even its answer to the OPEN",
};

/** The meaning of a peer's NOTIFICATION for the configuration, by code and subcode. */
const hints: Readonly<Record<string, string>> = {
  "2/2": "it has another AS number for this node than my-asn",
  "2/11": "its role for this session does not go with this node's role, or it wants one",
  "2/3": "it has the same router identifier, or another neighbor has",
  "3/11":
    "it does not take the AS path, as a router does that counts this node in its confederation (RFC 5065), which speakers cannot be members of: take my-asn off its list of confederation peers",
  "4/0": "it received nothing from this node within its hold time",
  "6/3": "this node is not its neighbor any more",
  "6/5": "it accepts no session with this node now",
};

function hint(notification: Notification): string {
  const { code, subcode } = reasonInside(notification);
  const text = hints[`${code}/${subcode}`];
  return text === undefined ? "" : `; ${text}`;
}
