import type { Cause } from "../cause.ts";

const isPending = ["Pending"] as const;
const isDegraded = ["Degraded"] as const;
/** Pending without a session, Degraded with one. */
const isEither = ["Pending", "Degraded"] as const;

/** Causes on BGP peers, by each node that has a session with them. */
export const peerCauses = {
  established: {
    states: ["Ready"],
    means: "The session is established, and carries all routes.",
    next: "",
  },
  connecting: {
    states: isPending,
    means: "The first attempt is under way, or this node waits for the router to connect, where the peer is passive.",
    next: "wait some seconds",
  },
  waitsForPassword: {
    states: isEither,
    means: "The speaker cannot get the password of the session from its Secret.",
    next: `where there is none: kubectl -n metallb-system create secret generic NAME --from-literal=KEY=…, with the key of password-secret, which is password where it has none; where that key is missing or its password refused: kubectl -n metallb-system patch secret NAME -p '{"stringData":{"KEY":"…"}}'; where it is not marked: kubectl -n metallb-system label secret NAME ingot-use=bgp-password; where it may not be read: kustomize component bgp-passwords, or Helm's rbac.bgpPasswords, with its name`,
  },
  waitsForSource: {
    states: isPending,
    means: "The interface that source-interface names is not there, is down, or has no address of the router's family.",
    next: "give the node the interface, bring it up, and give it an address of that family; or correct source-interface",
  },
  waitsForRouter: {
    states: isPending,
    means:
      "The node is to find the router itself, and has found none: nobody advertises itself on the interface, or there is no default route; or another entry of the configuration names the router.",
    next: "give the node the interface, bring it up, and have the router send router advertisements there, as FRR does for neighbor eth0 interface; for a gateway, give the node a default route; where the router has an entry of its own, remove one of both",
  },
  nodeValueRefused: {
    states: isPending,
    means:
      "Values of the peer come from the node (from-node), and the node lacks a label or annotation, or has one that the field may not have.",
    next: "set the label or annotation that the message names: kubectl annotate node NODE NAME=VALUE --overwrite; or exclude the node by node-selectors of the peer",
  },
  routerOfNode: {
    states: isPending,
    means:
      "Central speakers have the sessions, and this peer is a router of each node's own: an unnumbered one, a gateway, or one whose values come from the node. Nobody has a session with it.",
    next: "give the peer a peer-address, and take from-node off it; or remove it from peers; or let nodes have the sessions, without central speakers",
  },
  waitsForBfd: {
    states: isPending,
    means: "The peer has bfd-strict, and BFD is not up.",
    next: "enable BFD for this node on the router, and look for what drops UDP 3784 (multihop: 4784) on the path to it; or take bfd-strict off the peer",
  },
  notificationReceived: {
    states: isPending,
    means: "The router ended the session with a NOTIFICATION, which the message names.",
    next: "see the router's configuration and log for this neighbor",
  },
  prefixLimit: {
    states: isPending,
    means: "The router takes fewer prefixes than this node announces, and ended the session for that.",
    next: "raise the router's limit of prefixes for this neighbor, or announce fewer: aggregation-length, node-selectors",
  },
  prefixLimitNear: {
    states: isDegraded,
    means:
      "The session is established, and carries 80 % or more of the prefixes that the router takes, as the router said once, or as maximum-prefix has it: with some more it ends.",
    next: "raise the router's limit of prefixes for this neighbor, and maximum-prefix where it is set; or announce fewer: aggregation-length, node-selectors",
  },
  routeRefused: {
    states: isPending,
    means: "The router ended the session because of a route whose attributes it does not take, such as its AS path or next hop.",
    next: "see the message and the router's log: correct the bgp-advertisements, or what the router expects of this neighbor, such as a confederation",
  },
  sessionRefused: {
    states: isPending,
    means: "The router does not want the session: the neighbor is shut down there, not configured any more, or not accepted.",
    next: "enable this node as a neighbor on the router (ingotctl router-config --for=ROUTER prints its side), or take the peer out of the configuration",
  },
  notificationSent: {
    states: isPending,
    means: "This node ended the session with a NOTIFICATION, for the reason in the message.",
    next: "make the router and the configuration agree on it",
  },
  holdTimerExpired: {
    states: isPending,
    means: "Nothing was received from the router for the hold time, not even KEEPALIVEs.",
    next: "see whether the router runs, whether it is overloaded, and what drops packets on the path from it",
  },
  sendHoldTimerExpired: {
    states: isPending,
    means: "The router has not read from the connection for a long time, though it sends (RFC 9687).",
    next: "see why BGP on the router stands still, and restart it there; and whether large packets reach it (MTU)",
  },
  connectTimeout: {
    states: isPending,
    means: "The router does not answer attempts to connect. A wrong password looks the same.",
    next: "see that the router runs, that firewalls pass TCP 179, and that password and ttl-security are the same on both sides: ingotctl router-config --for=ROUTER prints its side",
  },
  connectionRefused: {
    states: isPending,
    means: "The router's host answers, and accepts no TCP connection of this node on the port.",
    next: "start BGP on the router, let it listen on peer-port (179 by default), and make this node a neighbor there: ingotctl router-config --for=ROUTER prints its side",
  },
  routerUnreachable: {
    states: isPending,
    means: "The router does not answer on its link, or this node has no route to it.",
    next: "see that the router is up, that cables and VLANs lead there, and that peer-address is right; if it is not on this node's link, add a route to it",
  },
  connectionLost: {
    states: isPending,
    means: "The TCP connection to the router broke, or the router closed it before its OPEN.",
    next: "make this node a neighbor on the router: ingotctl router-config --for=ROUTER prints its side; and see that BGP runs there",
  },
  peerRestarted: {
    states: isPending,
    means:
      "The router opened a new session while the former one was established, as after a crash, and the new one is not established.",
    next: "see on the router why it restarted, and why it does not go on with this session",
  },
  familyNotNegotiated: {
    states: isDegraded,
    means: "The session is established, and the router does not offer an address family (AFI/SAFI) that there are routes of.",
    next: "enable the address family for this node on the router, or give the advertisement peers that have it",
  },
  noNextHop: {
    states: isDegraded,
    means:
      "The session is established, and the interface has no address of a family that there are routes of, to be their next hop.",
    next: "give the interface an address of the family, or the advertisement a next-hop or next-hop-v6",
  },
  roleMismatch: {
    states: isPending,
    means: "The roles of both sides do not go together, or a side that is strict misses the other's role (RFC 9234).",
    next: "set role on the peer to what goes with the router's: customer with provider, rs-client with rs-server, peer with peer; or correct the router's local role",
  },
  addPathNotNegotiated: {
    states: isDegraded,
    means:
      "The session is established, and addresses have several next hops, of which the router takes one each, because it does not offer to receive more (ADD-PATH, RFC 7911).",
    next: "enable receiving of additional paths (add-path) for this neighbor on the router, and set add-path: true on the peer",
  },
  severalRouters: {
    states: isDegraded,
    means:
      "The peer has no peer-address, and several hosts on its interface send router advertisements. The session stays with the first one that was heard.",
    next: "look what the other host is: a router that needs an entry of its own in peers, or a host that is no router; on a link with other hosts, set a password",
  },
  leaving: {
    states: isDegraded,
    means:
      "The node is cordoned, drained, excluded or out of service, or its speaker stops: the router is told to prefer every other path (RFC 8326).",
    next: "when the node is to be used again, do what the verdict on it says: ingotctl explain node/NODE",
  },
  bfdUnknown: {
    states: isDegraded,
    means:
      "The session is established, and nothing was ever received by BFD, which the peer's bfd-profile asks for. A path that fails is found by the hold timer only.",
    next: "enable BFD for this node on the router, and let UDP 3784 (multihop: 4784) pass in both directions",
  },
  bfdFailed: {
    states: isEither,
    means:
      "BFD found that the path to the router failed. It ends the session, which may come back before BFD does: then BGP gets through, and BFD does not.",
    next: "look for what fails or drops packets between this node and the router: links, switches, firewalls (UDP 3784, multihop: 4784), BFD on the router",
  },
  bfdAdminDown: {
    states: isDegraded,
    means:
      "The router has shut BFD down for this node. The session stays, and a path that fails is found by the hold timer only.",
    next: "enable BFD for this node on the router again, or take bfd-profile off the peer",
  },
} as const satisfies Readonly<Record<string, Cause>>;
