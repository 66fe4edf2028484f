/**
 * Why a frame is not answered. `own`: this machine sent it. `notForUs`: sent to another machine, to a group that is not asked, or in a
 * VLAN that the interface is not in. `gratuitous`: its sender speaks of its own address, and asks nothing.
 */
export const ignoredReasons = ["malformed", "own", "notForUs", "notRequest", "gratuitous", "notAnnounced"] as const;
export type IgnoredReason = (typeof ignoredReasons)[number];

/** What a responder makes of a frame: a frame that is to be sent as it is, about an announced address, or why there is none. */
export type Answer<Announcement> = { readonly announcement: Announcement; readonly frame: Uint8Array } | IgnoredReason;
