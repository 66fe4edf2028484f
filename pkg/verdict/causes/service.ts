import { annotations, type NoAddresses } from "#pkg/service";
import type { Cause } from "../cause.ts";

const isNotOurs = ["NotOurs"] as const;
const isPending = ["Pending"] as const;
/** A Service that keeps an address, although it asks for another one, is degraded. */
const isUnmet = ["Pending", "Degraded"] as const;

/** Why a Service has no address on record. */
const withoutAddress = {
  notLoadBalancer: {
    states: isNotOurs,
    means: "The Service is not of type LoadBalancer.",
    next: "",
  },
  otherLoadBalancerClass: {
    states: isNotOurs,
    means: "By its `spec.loadBalancerClass`, or because it has none, the Service is for another implementation.",
    next: "if it is to be served here, see --lb-class and --lb-class-default",
  },
  noClusterIPs: {
    states: isNotOurs,
    means: "The Service has no cluster IP, so that nothing could pass traffic on to its endpoints.",
    next: "leave out clusterIP: None",
  },
  noIPAllocated: {
    states: isPending,
    means: "A speaker sees no address in the status of the Service.",
    next: "see the controller's verdict on it",
  },
  invalidIP: {
    states: isPending,
    means: "The status of the Service has a text that is no IP address. The controller writes none.",
    next: "see who else writes the status, and the controller's verdict",
  },
} as const satisfies Readonly<Record<NoAddresses, Cause>>;

const shareKey = `request another address or set the annotation ${annotations.sharing} to one key on both Services`;

/** Why the controller does not give what is asked for. */
const refusals = {
  noPools: {
    states: isUnmet,
    means: "The configuration has no pools.",
    next: "add one under address-pools",
  },
  unknownPool: {
    states: isUnmet,
    means: "The annotation names a pool that does not exist.",
    next: `correct the annotation ${annotations.pool} or add the pool`,
  },
  poolFull: {
    states: isUnmet,
    means: "Every address of the pool, of a family that the Service needs, is in use.",
    next: "add addresses to it or delete a Service that holds one",
  },
  reservedInUse: {
    states: isUnmet,
    means:
      "A pool without auto-assign gives the Service only addresses reserved for it or its namespace, and all of these, in a family that the Service needs, are in use.",
    next: `delete a Service that holds one, or request the pool with the annotation ${annotations.pool}`,
  },
  awaitsIpam: {
    states: isUnmet,
    means: "NetBox chooses the addresses of the pool, and has chosen none for the Service yet.",
    next: "wait; if it stays so, see what the pool says of NetBox",
  },
  notGranted: {
    states: isUnmet,
    means: "The Service requests an address of a pool whose addresses NetBox chooses.",
    next: "request the pool instead, or another address",
  },
  recordedElsewhere: {
    states: isUnmet,
    means: "The requested address is in use according to a record of NetBox that this cluster did not make.",
    next: "request another address, or remove that record in NetBox, which is read again within 5 minutes",
  },
  poolLacksFamily: {
    states: isUnmet,
    means: "The pool has no address of a family that the Service needs.",
    next: "add addresses of that family to it or request another pool",
  },
  noPoolFits: {
    states: isUnmet,
    means: "No pool with auto-assign has what the Service needs. The message names the reason for each pool.",
    next: `add addresses to a pool or request a pool with the annotation ${annotations.pool}`,
  },
  autoAssignOff: {
    states: isUnmet,
    means: "The pool is only for Services that request it.",
    next: `request it with the annotation ${annotations.pool}`,
  },
  notForNamespace: {
    states: isUnmet,
    means: "The requested pool, or the pool of the requested address, is not for the namespace of the Service.",
    next: "request a pool or an address that is, or ask the administrators of the cluster for this one",
  },
  notForService: {
    states: isUnmet,
    means: "The pool is for Services with labels that this one does not have.",
    next: "give the Service these labels, or request another pool",
  },
  poolClosed: {
    states: isUnmet,
    means: "The pool gives no new addresses. Services that have one keep it.",
    next: "request another pool",
  },
  reserved: {
    states: isUnmet,
    means: "The requested address is kept for another Service or namespace, or for nobody.",
    next: "request another address",
  },
  sharingOff: {
    states: isUnmet,
    means: "Another Service holds the requested address, and in its pool no two Services share one.",
    next: "request another address",
  },
  sharedByTooMany: {
    states: isUnmet,
    means:
      "The maximum of 500 Services share the address. No other Service gets it; if more have it already, the oldest 500 count.",
    next: "request another address, or give it another sharing key",
  },
  quotaExceeded: {
    states: isUnmet,
    means: "The namespace has as much as its quota allows. The Service is tried again as soon as something is freed.",
    next: "delete a Service that holds an address, or ask the administrators of the cluster for more",
  },
  outsidePools: {
    states: isUnmet,
    means: "The requested address is in no pool.",
    next: "request another address or add this one to a pool",
  },
  buggyAddress: {
    states: isUnmet,
    means: "The requested address ends in .0 or .255, and the pool has avoid-buggy-ips.",
    next: "request another address",
  },
  wrongPool: {
    states: isUnmet,
    means: "The requested address is in another pool than the requested pool. The address counts.",
    next: `request an address in that pool or remove the annotation ${annotations.pool}`,
  },
  severalPools: {
    states: isUnmet,
    means: "The addresses in the status are in different pools, and the Service does not ask for several.",
    next: `name the pools in the annotation ${annotations.pool}, or the addresses in ${annotations.addresses}`,
  },
  tooManyAddresses: {
    states: isUnmet,
    means: "The requested pools would give the Service more addresses than it may have.",
    next: `name fewer pools in the annotation ${annotations.pool}`,
  },
  familyMismatch: {
    states: isUnmet,
    means: "The requested addresses are not one of each IP family of the Service, or of a longer list not at least one of each.",
    next: "give one address of each of its families",
  },
  occupied: {
    states: isUnmet,
    means: "Another host of the network has the requested address.",
    next: "request another address, or remove this one from that host; it can be assigned about a minute after nobody answers for it",
  },
  inUse: {
    states: isUnmet,
    means: "Another Service holds the requested address, and the two do not share it.",
    next: shareKey,
  },
  sharingKeyMismatch: {
    states: isUnmet,
    means: "Another Service holds the requested address under another sharing key.",
    next: shareKey,
  },
  backendKeyMismatch: {
    states: isUnmet,
    means: "Another Service shares the requested address, and its traffic policy or selector differs.",
    next: "request another address, or give both Services one selector or the externalTrafficPolicy Cluster",
  },
  portClash: {
    states: isUnmet,
    means: "Another Service shares the requested address, and has the same port.",
    next: "request another address or use another port",
  },
} as const satisfies Readonly<Record<string, Cause>>;

/** Further causes by the controller. */
const assignment = {
  assigned: {
    states: ["Assigned"],
    means: "The Service has all that it asks for. The speakers know who announces its addresses.",
    next: "",
  },
  notAllowed: {
    states: ["Assigned"],
    means:
      "The Service keeps its addresses, although the configuration, its labels or its namespace's labels would not allow them now.",
    next: "the Service keeps them; once it is deleted and made again, it gets what is allowed then",
  },
  undecided: {
    states: isPending,
    means: "The controller has not looked at the Service yet.",
    next: "wait; if it stays so, see the controller's log",
  },
  noConfiguration: {
    states: isPending,
    means: "There is no configuration, and so no pool.",
    next: "see the verdict on the configuration",
  },
  malformedRequest: {
    states: isUnmet,
    means: "The requested addresses cannot be read, or are requested in two ways at once.",
    next: `correct spec.loadBalancerIP or the annotation ${annotations.addresses}`,
  },
  statusOverwritten: {
    states: ["Degraded"],
    means: "Another controller writes the status of the Service, too.",
    next: "run one controller only, or give the Service the load balancer class of the other one",
  },
  addressGivenUp: {
    states: isPending,
    means: "Another Service has given the address up, but its status, which speakers go by, still has it.",
    next: "wait; if it stays so, see why the status of that Service is not written",
  },
  statusRefused: {
    states: isPending,
    means:
      "An address is assigned, but the API server, an admission policy or a webhook refuses the status with the address, or does not answer, so that nobody announces it.",
    next: "change the policy, the webhook or the rights that the message names; the controller keeps trying to write the status",
  },
} as const satisfies Readonly<Record<string, Cause>>;

/** Causes by speakers. */
const announcement = {
  announced: {
    states: ["Announced"],
    means: "The node announces the address.",
    next: "",
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
    next: "see the controller's verdict, and who writes the status",
  },
  noReadyEndpoint: {
    states: isPending,
    means: "No endpoint of the Service is ready.",
    next: "see why its Pods are not ready, and whether its selector matches them",
  },
  noReadyEndpointOnActiveNode: {
    states: isPending,
    means: "No node with a running speaker has a ready endpoint, and externalTrafficPolicy is Local.",
    next: "run a speaker on a node of its Pods, or set externalTrafficPolicy to Cluster",
  },
  noActiveSpeaker: {
    states: isPending,
    means: "No node has a working speaker, or all that have one have the taint node.kubernetes.io/out-of-service.",
    next: "see why the Pods of the speakers are not Ready: their log and /readyz have it",
  },
  noNodeSelected: {
    states: isPending,
    means: "The pool's node-selectors match no node that could announce the address.",
    next: "change them or the labels of nodes",
  },
  nodeExcluded: {
    states: isPending,
    means: "The nodes that could announce the address are excluded from load balancers by a label.",
    next: "remove it from one of them, or run the speakers with --ignore-exclude-lb",
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
    next: "let a Pod of the Service run there, or set externalTrafficPolicy to Cluster",
  },
  noReadyEndpointOnNode: {
    states: isPending,
    means:
      "By BGP, or in its kernel, each node announces by itself: this one has no ready endpoint, and externalTrafficPolicy is Local.",
    next: "see the other nodes; if none announces it, see why its Pods are not ready",
  },
  apiViewOld: {
    states: isPending,
    means: "By BGP and under Local, a node that does not reach the API leaves the address to nodes that do.",
    next: "see the verdict on the node",
  },
  noPeer: {
    states: isPending,
    means: "By BGP each node speaks for itself: this one has no peer for an advertisement of the pool.",
    next: "see node-selectors of peers and advertisements, and the peers that advertisements name",
  },
  noSession: {
    states: ["Pending", "Degraded"],
    means:
      "The node has routes for the address, and no session with any router that should have them. Degraded where other nodes announce it.",
    next: "see the verdicts on the peers",
  },
  someSessionsDown: {
    states: ["Degraded"],
    means: "Some of the routers that should have the node's routes for the address have no session.",
    next: "see the verdicts on the peers",
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
    next: "let UDP and TCP of the speakers' ring (port 7946) pass between the nodes",
  },
} as const satisfies Readonly<Record<string, Cause>>;

/** Causes that another node finds on the wire, where the pool has `self-test`. */
const onTheWire = {
  notAnswered: {
    states: ["Degraded"],
    means: "The node announces the address, and another node that asks for it by ARP or neighbor discovery gets no answer.",
    next: "look for what drops ARP or neighbor discovery between the two nodes, such as a port security of the switch, or see the announcing node's interface",
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
    next: "see kube-proxy on that node, firewalls between the nodes, and the Service's endpoints",
  },
} as const satisfies Readonly<Record<string, Cause>>;

/** Causes on Services and their addresses. */
export const serviceCauses = { ...withoutAddress, ...assignment, ...refusals, ...announcement, ...onTheWire } as const;
