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
    means: "The annotation names a pool that there is not.",
    next: `correct the annotation ${annotations.pool} or add the pool`,
  },
  poolFull: {
    states: isUnmet,
    means: "Every address of the pool, of a family that the Service needs, is in use.",
    next: "add addresses to it or delete a Service that holds one",
  },
  poolLacksFamily: {
    states: isUnmet,
    means: "The pool has no address of a family that the Service needs.",
    next: "add addresses of that family to it or request another pool",
  },
  noPoolFits: {
    states: isUnmet,
    means: "No pool with auto-assign has what the Service needs. The message says of each pool why.",
    next: `add addresses to a pool or request a pool with the annotation ${annotations.pool}`,
  },
  autoAssignOff: {
    states: isUnmet,
    means: "The pool is only for Services that request it.",
    next: `request it with the annotation ${annotations.pool}`,
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
    means: "The requested addresses are in different pools.",
    next: "request addresses of one pool",
  },
  familyMismatch: {
    states: isUnmet,
    means: "The requested addresses are not one of each IP family of the Service.",
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

/** What else the controller finds. */
const assignment = {
  assigned: {
    states: ["Assigned"],
    means: "The Service has all that it asks for. Who announces its addresses the speakers know.",
    next: "",
  },
  undecided: {
    states: isPending,
    means: "The controller has not looked at the Service yet.",
    next: "wait; if it stays so, see the controller's log",
  },
  noConfiguration: {
    states: isPending,
    means: "There is no configuration, so that there are no pools.",
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
  statusRefused: {
    states: isPending,
    means: "The API server, or an admission policy, refuses the status with the assigned address.",
    next: "change the policy that the message names",
  },
} as const satisfies Readonly<Record<string, Cause>>;

/** What speakers find. */
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
    means: "The address in the status is in no pool, or not in the pool of the Service's first one.",
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
    means: "No speaker is active.",
    next: "see why the speakers are not ready",
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
  notInSubnet: {
    states: isPending,
    means: "The pool asks for a node in the subnet of the address, and there is none.",
    next: "use addresses of their subnets, or give a node an address in this one",
  },
  noReadyEndpointOnOwner: {
    states: ["Degraded"],
    means: "The Service shares the address, and the node that announces it has none of its endpoints (Local).",
    next: "let a Pod of the Service run there, or set externalTrafficPolicy to Cluster",
  },
  noReadyEndpointOnNode: {
    states: isPending,
    means: "By BGP each node speaks for itself: this one has no ready endpoint, and externalTrafficPolicy is Local.",
    next: "see the other nodes; if none announces it, see why its Pods are not ready",
  },
  apiViewOld: {
    states: isPending,
    means: "By BGP and under Local, a node that does not reach the API leaves the address to those that do.",
    next: "see the verdict on the node",
  },
  noPeer: {
    states: isPending,
    means: "By BGP each node speaks for itself: this one has no peer for an advertisement of the pool.",
    next: "see node-selectors of peers and advertisements, and the peers that advertisements name",
  },
  noSession: {
    states: isPending,
    means: "The node has routes for the address, and no session with any router that is to have them.",
    next: "see the verdicts on the peers",
  },
  someSessionsDown: {
    states: ["Degraded"],
    means: "Of the routers that are to have the node's routes for the address, some have no session.",
    next: "see the verdicts on the peers",
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
    next: "give that host another address, or the Service",
  },
  unidentifiedHost: {
    states: ["Degraded"],
    means: "A host uses the address that may be a node whose speaker does not report its MAC addresses.",
    next: "if it is no node, give that host another address, or the Service",
  },
  answersForMany: {
    states: ["Degraded"],
    means: "A host answers for many addresses of pools, this one among them.",
    next: "look for proxy ARP on that host, or take these addresses out of the pool",
  },
  twoOwners: {
    states: ["Degraded"],
    means: "Two speakers announce the address, and one of them leaves it to the other.",
    next: "let UDP and TCP of the speakers' ring (port 7946) pass between the nodes; set strictARP: true for kube-proxy in IPVS mode",
  },
} as const satisfies Readonly<Record<string, Cause>>;

/** Of Services and their addresses. */
export const serviceCauses = { ...withoutAddress, ...assignment, ...refusals, ...announcement } as const;
