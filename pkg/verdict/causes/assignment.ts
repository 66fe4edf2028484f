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
    next: "if it is to be served here: create it again without a loadBalancerClass, which cannot be changed, or see --lb-class and --lb-class-default (Helm: loadBalancerClass)",
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
    next: `${shareKey}, which have no port in common and the externalTrafficPolicy Cluster`,
  },
  sharingKeyMismatch: {
    states: isUnmet,
    means: "Another Service holds the requested address under another sharing key.",
    next: shareKey,
  },
  backendKeyMismatch: {
    states: isUnmet,
    means: "Another Service shares the requested address, and its traffic policy or selector differs.",
    next: "request another address, or give both Services the externalTrafficPolicy Cluster or, in one namespace, Local and one selector",
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
  oneFamily: {
    states: ["Assigned"],
    means: "The Service prefers two IP families (ipFamilyPolicy PreferDualStack), and has an address of one.",
    next: "add addresses of the other family to its pool; the Service gets one then, and keeps the address that it has",
  },
  undecided: {
    states: isPending,
    means: "The controller has not looked at the Service yet.",
    next: "wait; if it stays so, see the controller's log",
  },
  noConfiguration: {
    states: isPending,
    means: "There is no configuration, and so no pool.",
    next: "ingotctl explain config",
  },
  malformedRequest: {
    states: isUnmet,
    means: "The requested addresses cannot be read, or are requested in two ways at once.",
    next: `correct spec.loadBalancerIP or the annotation ${annotations.addresses}`,
  },
  statusOverwritten: {
    states: ["Degraded"],
    means: "Another controller writes the status of the Service, too, or an admission webhook changes what is written.",
    next: "run one controller only, or give the Service the load balancer class of the other one; kubectl get mutatingwebhookconfigurations lists webhooks",
  },
  externalIPs: {
    states: ["Degraded"],
    means:
      "Another Service has the address among its `spec.externalIPs`, with the same port: kube-proxy sends what comes there to the Pods of one of the two.",
    next: "take the address out of the spec.externalIPs of the other Service",
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

/** The controller's causes, and those of a Service without an address on record. */
export const assignmentCauses = { ...withoutAddress, ...assignment, ...refusals } as const;
