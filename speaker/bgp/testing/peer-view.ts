import type { PeerView } from "#pkg/bgp";
import { address } from "#pkg/net/testing";

const messages = { open: 0, update: 0, notification: 0, keepalive: 0, routeRefresh: 0 };

/** A session whose first attempt is under way. */
export function peerView(differences: Partial<PeerView>): PeerView {
  return {
    peer: "192.0.2.1:179",
    interface: undefined,
    router: address("192.0.2.1"),
    myAsn: 1,
    peerAsn: 2,
    passive: false,
    accepts: true,
    state: "active",
    stateSeconds: 0,
    sinceSeconds: 0,
    retryInSeconds: 1,
    source: undefined,
    steadierSource: undefined,
    lastDown: undefined,
    lastFailure: undefined,
    notificationReceived: undefined,
    notificationSent: undefined,
    session: undefined,
    messagesReceived: messages,
    messagesSent: messages,
    prefixesAnnounced: 0,
    prefixesPending: 0,
    prefixesNarrowed: 0,
    prefixLimitsNear: [],
    prefixesReceived: 0,
    unsendable: [],
    flaps: 0,
    holdTimerExpirations: 0,
    ...differences,
  };
}
