import type { Cause } from "../cause.ts";

const isPending = ["Pending"] as const;

const toCluster = `kubectl -n NAMESPACE patch service NAME -p '{"spec":{"externalTrafficPolicy":"Cluster"}}'`;

/** Causes by speakers. */
const announcement = {
  announced: {
    states: ["Announced"],
    means: "The node announces the address.",
    next: "",
  },
  announcedWithFault: {
    states: ["Degraded"],
    means:
      "The node announces the address, and has a fault from which the traffic for the address suffers. The controller says so by conditions and Events.",
    next: "ingotctl explain svc/NAME -n NAMESPACE",
  },
  failedOverFast: {
    states: ["Announced"],
    means: "The node announces the address since BFD found that the node which had it failed, and that one is not back.",
    next: "ingotctl nodes: see why that node failed",
  },
  notOwner: {
    states: ["Announced"],
    means: "Another node announces the address on layer 2, as this one sees it.",
    next: "",
  },
  notPlaced: {
    states: isPending,
    means: "The speaker has not decided on the address yet.",
    next: "wait; if it stays so, see the verdict on the node",
  },
  unsettled: {
    states: isPending,
    means: "The speakers are about to agree on the owner of the address.",
    next: "wait some seconds; if it stays so, see whether all speakers see each other",
  },
  ipNotAllowed: {
    states: isPending,
    means:
      "The address in the status is in no pool, or not in the pool of the Service's first one, or an older Service has it for other backends.",
    next: "kubectl -n NAMESPACE get service NAME -o yaml --show-managed-fields: see who writes the status",
  },
  noReadyEndpoint: {
    states: isPending,
    means: "No endpoint of the Service is ready.",
    next: "kubectl -n NAMESPACE get endpointslices -l kubernetes.io/service-name=NAME, and see why its Pods are not ready",
  },
  noReadyEndpointOnActiveNode: {
    states: isPending,
    means: "No node with a running speaker has a ready endpoint, and externalTrafficPolicy is Local.",
    next: `run a speaker on a node of its Pods, or ${toCluster}`,
  },
  cannotDeliver: {
    states: ["NotOurs"],
    means: "The node's kernel does not bring packets to Pods, and other nodes that do announce the address by BGP.",
    next: "ingotctl status, and do what the verdict on the node says",
  },
  noActiveSpeaker: {
    states: isPending,
    means:
      "No node, or none that the pool selects, has a working speaker, or all that have one have the taint node.kubernetes.io/out-of-service.",
    next: "kubectl -n metallb-system get pods -o wide; the log and /readyz of a speaker say why it is not Ready",
  },
  noNodeSelected: {
    states: isPending,
    means: "The pool's node-selectors match no node that could announce the address.",
    next: "kubectl get nodes --show-labels, and change the node-selectors of the pool or the labels",
  },
  nodeExcluded: {
    states: isPending,
    means:
      "The nodes that could announce the address are excluded from load balancers by a label, or their network is unavailable.",
    next: "kubectl label node NODE node.kubernetes.io/exclude-from-external-load-balancers-, or run the speakers with --ignore-exclude-lb (Helm: speaker.ignoreExcludeLB: true)",
  },
  noInterface: {
    states: isPending,
    means: "No node that may announce the address has an interface for its pool that is up and has a carrier.",
    next: "check their cables, or change the pool's interfaces",
  },
  noKernelAccess: {
    states: isPending,
    means: "The address is to be on a NIC of a node in its subnet, and the speaker of no such node may put it there.",
    next: "give speakers the capability NET_ADMIN: kustomize component net-admin, or Helm's speaker.netAdmin: true",
  },
  notInSubnet: {
    states: isPending,
    means: "The pool asks for a node in the subnet of the address, and no such node exists.",
    next: "use addresses of their subnets, or give a node an address in this one",
  },
  protocolNone: {
    states: ["NotOurs"],
    means: "The pool of the address has `protocol: none`: somebody else announces it.",
    next: "",
  },
  noReadyEndpointOnOwner: {
    states: ["Degraded"],
    means: "The Service shares the address, and the node that announces it has none of its endpoints (Local).",
    next: `let a Pod of the Service run there, or ${toCluster}`,
  },
  noReadyEndpointOnNode: {
    states: isPending,
    means:
      "By BGP, or in its kernel, each node announces by itself: this one has no ready endpoint, and externalTrafficPolicy is Local.",
    next: "see the other nodes; if none announces it, see why its Pods are not ready",
  },
  localBySlots: {
    states: isPending,
    means:
      "Routers send packets to next-hop slots of the pool, and any node may own a slot. Under externalTrafficPolicy Local most of these nodes have no endpoint.",
    next: `${toCluster}, or let the Service have an address of a pool without next-hop-slots`,
  },
  noNextHop: {
    states: isPending,
    means:
      "A central speaker has no node to send traffic to: none that lives has an InternalIP of the address's family and is not excluded.",
    next: "kubectl get nodes -o wide, and see whether nodes have an InternalIP of that family, are Ready, and lack the label of excluded nodes",
  },
  apiViewOld: {
    states: isPending,
    means: "By BGP and under Local, a node that does not reach the API leaves the address to nodes that do.",
    next: "ingotctl nodes",
  },
  noPeer: {
    states: isPending,
    means: "By BGP each node speaks for itself: this one has no peer for an advertisement of the pool.",
    next: "add a peer under peers, or see the node-selectors of peers and advertisements, and the peers that advertisements name",
  },
  notAdvertised: {
    states: isPending,
    means:
      "Each entry of bgp-advertisements or layer2-advertisements of the pool is for other Services: its namespaces, namespace-selectors or service-selectors leave this one out.",
    next: "give the Service a label that an advertisement's service-selectors ask for, or ask the operator for an advertisement",
  },
  attributesRefused: {
    states: ["Degraded"],
    means:
      "The address is announced by BGP, and the Service asks for communities, a MED or a LOCAL_PREF that the pool does not allow, or that an older Service on the address does not ask for: the routes are without them.",
    next: "ask for what the message lists, by the label or annotation of the Service that it names; or give the Service an address of its own",
  },
  noSession: {
    states: ["Pending", "Degraded"],
    means:
      "The node has routes for the address, and no session with any router that should have them. Degraded where other nodes announce it.",
    next: "ingotctl peers",
  },
  someSessionsDown: {
    states: ["Degraded"],
    means: "Some of the routers that should have the node's routes for the address have no session.",
    next: "ingotctl peers",
  },
  routeNotCarried: {
    states: ["Degraded", "Pending"],
    means:
      "Sessions are established with the routers that should have the node's routes for the address, and some sessions cannot carry them.",
    next: "see the message: enable the address family on the router, or give the interface an address or the advertisement a next-hop",
  },
  notInKernel: {
    states: ["Pending", "Degraded"],
    means:
      "The pool has `protocol: interface`, and this node's kernel does not have the address from its speaker. Degraded where other nodes have it.",
    next: "remove from that node what is in the way, such as the address on another interface; it is then put there by itself",
  },
  probing: {
    states: isPending,
    means: "Before it is announced first, the network is asked whether another host has the address.",
    next: "wait a second",
  },
  addressOccupied: {
    states: isPending,
    means: "Another host answered for the address before it was announced.",
    next: "give that host another address",
  },
  addressConflict: {
    states: ["Degraded"],
    means: "A host that is no speaker uses the address that the node announces.",
    next: "give that host another address, or the Service; if it answers for other addresses, too, turn proxy ARP off there",
  },
  unidentifiedHost: {
    states: ["Degraded"],
    means:
      "Another host uses the address. It may be a node whose speaker does not report its MAC addresses, as those of MetalLB do not.",
    next: "if it is none of these nodes, give that host another address, or the Service",
  },
  answersForMany: {
    states: ["Degraded"],
    means:
      "A host answers for many addresses of pools, this one among them, as with proxy ARP; or hosts with ever other MAC addresses do.",
    next: "turn proxy ARP off on that host, or take these addresses out of the pool",
  },
  twoOwners: {
    states: ["Degraded"],
    means:
      "Two nodes answer for the address: their speakers do not reach each other, so that both announce it until one gives way, or the kernel of one has the address.",
    next: "let UDP and TCP of the speakers' ring (port 7946 by default) pass between the nodes",
  },
} as const satisfies Readonly<Record<string, Cause>>;

/** Causes that another node finds on the wire, where the pool has `self-test`. */
const onTheWire = {
  notAnswered: {
    states: ["Degraded"],
    means: "The node announces the address, and another node that asks for it by ARP or neighbor discovery gets no answer.",
    next: "look for what drops ARP or neighbor discovery between the two nodes, such as port security or ARP inspection of the switch, or see the announcing node's interface",
  },
  answeredByTwo: {
    states: ["Degraded"],
    means: "Several hosts answer for the address.",
    next: "find the host with the other MAC address, and give it another address; on nodes set strictARP: true for kube-proxy in IPVS mode",
  },
  answeredByAnother: {
    states: ["Degraded"],
    means: "A host answers for the address that is not the node which announces it.",
    next: "find the host with that MAC address, and give it another address; on nodes set strictARP: true for kube-proxy in IPVS mode",
  },
  notConnected: {
    states: ["Degraded"],
    means: "The node answers for the address, and what is sent to the Service's TCP port gets no answer.",
    next: "see kube-proxy on that node, firewalls between the nodes, and the Service's endpoints: ingotctl probe svc/NAME -n NAMESPACE tells which it is",
  },
} as const satisfies Readonly<Record<string, Cause>>;

/** The speakers' causes on a Service and its addresses. */
export const announcementCauses = { ...announcement, ...onTheWire } as const;
