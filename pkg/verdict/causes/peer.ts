import type { Cause } from "../cause.ts";

const isPending = ["Pending"] as const;
const isDegraded = ["Degraded"] as const;

/** Of BGP peers, by each node that has a session with them. */
export const peerCauses = {
  established: {
    states: ["Ready"],
    means: "The session is established, and carries all routes.",
    next: "",
  },
  connecting: {
    states: isPending,
    means: "The first attempt is under way.",
    next: "wait some seconds",
  },
  waitsForPassword: {
    states: isPending,
    means: "The password is not known, or is none.",
    next: "create the Secret that password-secret names, with a password under that key",
  },
  waitsForBfd: {
    states: isPending,
    means: "The peer has bfd-strict, and BFD is not up.",
    next: "enable BFD for this node on the router, or take bfd-strict off the peer",
  },
  notificationReceived: {
    states: isPending,
    means: "The router ended the session with a NOTIFICATION, which the message names.",
    next: "see the router's configuration and log for this neighbour",
  },
  prefixLimit: {
    states: isPending,
    means: "The router takes fewer prefixes than this node announces, and ended the session for that.",
    next: "raise the router's limit of prefixes for this neighbour, or announce fewer: aggregation-length, node-selectors",
  },
  routeRefused: {
    states: isPending,
    means: "The router ended the session because of a route: it does not take its attributes, such as the next hop.",
    next: "see the message, the attributes of the advertisement, and the router's log",
  },
  sessionRefused: {
    states: isPending,
    means: "The router does not want the session: it is shut down there, or no neighbour any more.",
    next: "see the router's configuration for this neighbour, such as shutdown",
  },
  notificationSent: {
    states: isPending,
    means: "This side ended the session with a NOTIFICATION, because of what the message says.",
    next: "make the router and the configuration agree on it",
  },
  holdTimerExpired: {
    states: isPending,
    means: "Nothing was received from the router for the hold time.",
    next: "see whether the router runs and the path to it works",
  },
  sendHoldTimerExpired: {
    states: isPending,
    means: "The router read nothing from the connection for a long time (RFC 9687).",
    next: "see whether the router is overloaded, and whether large packets reach it",
  },
  connectTimeout: {
    states: isPending,
    means: "The router does not answer to the connection. A wrong password looks the same.",
    next: "check firewalls, password and ttl-security on both sides",
  },
  connectionLost: {
    states: isPending,
    means: "The connection could not be had, or broke.",
    next: "check that the router has this node as a neighbour, and the path to it",
  },
  peerRestarted: {
    states: isPending,
    means: "The router opened a new session while the former was established.",
    next: "see why the router restarted",
  },
  familyNotNegotiated: {
    states: isDegraded,
    means: "The session is established, and the router does not take routes of a family.",
    next: "enable the address family for this neighbour on the router",
  },
  noNextHop: {
    states: isDegraded,
    means: "The session is established, and the interface has no address of a family, to be the next hop.",
    next: "give the interface an address of the family, or the advertisement a next-hop or next-hop-v6",
  },
  leaving: {
    states: isDegraded,
    means: "The node is cordoned or its speaker stops: the router is told to prefer every other path (RFC 8326).",
    next: "kubectl uncordon, when the node is to be used again",
  },
  bfdUnknown: {
    states: isDegraded,
    means: "The session is established, and nothing was received by BFD, which has a bfd-profile.",
    next: "enable BFD for this node on the router, and let UDP 3784 or 4784 pass",
  },
  bfdFailed: {
    states: isDegraded,
    means: "BFD was up and found the path failed.",
    next: "see to the path; the session comes back with it",
  },
  bfdAdminDown: {
    states: isDegraded,
    means: "One side gave BFD up. Nothing follows for the session.",
    next: "enable BFD for this node on the router, or take bfd-profile off the peer",
  },
} as const satisfies Readonly<Record<string, Cause>>;
