import type { Cause } from "../cause.ts";

/** Causes on pools of addresses: as the controller gives them out, and as speakers announce them. */
export const poolCauses = {
  available: {
    states: ["Ready"],
    means: "Addresses of the pool are free, and some node may announce them.",
    next: "",
  },
  full: {
    states: ["Degraded"],
    means: "No address of the pool is free. Services that have an address keep it.",
    next: "add addresses to the pool, or delete Services that hold one",
  },
  ipamFailing: {
    states: ["Degraded"],
    means:
      "NetBox, which also records the addresses of the pool, does not do what Ingot asks for. Services keep their addresses.",
    next: "do what the message says; the controller tries again",
  },
  noActiveSpeaker: {
    states: ["Pending", "NotOurs"],
    means:
      "No node, or none that the pool selects, has a working speaker, or all that have one have the taint node.kubernetes.io/out-of-service. By BGP, or in their kernels, each node says this of itself.",
    next: "kubectl -n metallb-system get pods -o wide; the log and /readyz of a speaker say why it is not Ready",
  },
  noNodeSelected: {
    states: ["Pending", "NotOurs"],
    means: "The pool's node-selectors match no node with a running speaker.",
    next: "kubectl get nodes --show-labels, and change the node-selectors of the pool or the labels",
  },
  nodeExcluded: {
    states: ["Pending", "NotOurs"],
    means: "The nodes that the pool selects are excluded from load balancers by a label, or their network is unavailable.",
    next: "kubectl label node NODE node.kubernetes.io/exclude-from-external-load-balancers-, or run the speakers with --ignore-exclude-lb (Helm: speaker.ignoreExcludeLB: true)",
  },
  noInterface: {
    states: ["Pending"],
    means: "No node that may announce the pool has an interface for it that is up and has a carrier.",
    next: "check their cables, or change the pool's interfaces",
  },
  noPeer: {
    states: ["NotOurs", "Pending"],
    means:
      "The node has no peer for an advertisement of this pool of protocol bgp; where that is so of all nodes, nobody announces it.",
    next: "if this node is to announce the pool: add a peer under peers, or see the node-selectors of peers and advertisements",
  },
  noKernelAccess: {
    states: ["Pending"],
    means: "The pool has `protocol: interface`, and the speaker may not change the node's addresses and routes.",
    next: "give speakers the capability NET_ADMIN: kustomize component net-admin, or Helm's speaker.netAdmin: true",
  },
  protocolNone: {
    states: ["NotOurs"],
    means: "The pool has `protocol: none`: its addresses are given to Services, and somebody else announces them.",
    next: "",
  },
  placementNeedsRing: {
    states: ["Degraded"],
    means: "The l2-placement of the pool is without effect, because the speakers have no ring.",
    next: "give the speakers its key (METALLB_ML_SECRET_KEY) and an address for it (METALLB_ML_BIND_ADDR), as the manifests do, or Helm's speaker.memberlist.enabled: true",
  },
  slotsOccupied: {
    states: ["Degraded"],
    means:
      "Another host has some of the pool's next-hop slots. No node answers for these, and no router is told of them; static routes lose what they send there.",
    next: "give that host another address, or choose another prefix in next-hop-slots: ingotctl doctor names the host",
  },
  slotsUnowned: {
    states: ["Degraded"],
    means: "No node may own some of the pool's next-hop slots, so that no router is told of them.",
    next: "choose a prefix in the nodes' subnet; see node-selectors and interfaces of the pool",
  },
  otherSpeakers: {
    states: ["Degraded"],
    means:
      "Addresses of the pool may move whenever nodes come and go, although its l2-placement is sticky: other speakers, such as MetalLB's, choose nodes by hash alone.",
    next: "replace these speakers by this release's, or take sticky out of l2-placement",
  },
} as const satisfies Readonly<Record<string, Cause>>;
