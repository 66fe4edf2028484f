import type { Millis } from "#pkg/clock";
import type { Family } from "#pkg/net";
import type { Message, Notification } from "./codec/messages.ts";

type Counters = Record<Message["type"], number>;

/** What is counted of a peer since the process began. */
export interface PeerCounters {
  readonly received: Counters;
  readonly sent: Counters;
  flaps: number;
  holdTimerExpirations: number;
  notificationReceived: { readonly notification: Notification; readonly at: Millis } | undefined;
  notificationSent: { readonly notification: Notification; readonly at: Millis } | undefined;
}

export function newPeerCounters(): PeerCounters {
  const none = (): Counters => ({ open: 0, update: 0, notification: 0, keepalive: 0, routeRefresh: 0 });
  return {
    received: none(),
    sent: none(),
    flaps: 0,
    holdTimerExpirations: 0,
    notificationReceived: undefined,
    notificationSent: undefined,
  };
}

/** What an established session has and loses. */
export interface Up {
  readonly connection: number;
  /** Something is written and not yet taken. */
  sending: boolean;
  prefixesReceived: number;
  readonly complete: Set<Family>; // families of which the peer has told everything
}
