import type { Cause } from "../cause.ts";

const isDegraded = ["Degraded"] as const;

/** Causes on nodes, each by its own speaker; the rows from rpFilter on are checks of the node's settings. */
export const nodeCauses = {
  ready: {
    states: ["Ready"],
    means: "The speaker does its work, and the node's settings allow it.",
    next: "",
  },
  waiting: {
    states: ["Pending"],
    means:
      "The speaker has not seen everything that announcements depend on, and announces nothing, or it has lost the ring of the other speakers, and the nodes may announce the same addresses.",
    next: "see its log; if it waits for the other speakers, open the ring's port between the nodes, or, where no key fits, give it their key, from the same Secret",
  },
  layer2Unavailable: {
    states: ["Pending"],
    means: "The speaker cannot announce on layer 2, and leaves that to other nodes. Its BGP announcements go on.",
    next: "where NET_RAW is missing, add it to the capabilities of the speakers' container; else the speaker's log has what failed; a speaker tries again when it starts again",
  },
  cannotDeliver: {
    states: ["Pending"],
    means:
      "The node's kernel does not bring packets to the Pods of Services, for the reason in the message. Nodes that can have taken its addresses over; it gets addresses again after 30 s of health, or after up to 10 min where that happens again and again.",
    next: "kubectl -n kube-system get pods -o wide --field-selector spec.nodeName=NODE: see whether kube-proxy and the network plugin run on the node",
  },
  nobodyDelivers: {
    states: isDegraded,
    means: "No node of the cluster brings packets to Pods, so that all nodes go on announcing as if they did.",
    next: "look at what the nodes have in common: kube-proxy and its configuration, the network plugin, the API server",
  },
  noCarrier: {
    states: ["Pending"],
    means: "An interface of the node, in whose subnet addresses of a pool are, is down or has no carrier.",
    next: "check its cable and its switch port, and ip link on the node",
  },
  apiViewOld: {
    states: ["Pending"],
    means: "The speaker does not reach the API, and other speakers do: they announce what is new.",
    next: "look for network policies, and at the network between the node and the API",
  },
  apiUnreachable: {
    states: isDegraded,
    means:
      "The speaker does not reach the API, and as far as it knows no other speaker does. It goes on announcing what it knows.",
    next: "see whether the API server is up, and to the network between it and the nodes",
  },
  draining: {
    states: isDegraded,
    means: "The node is cordoned or about to go. Peers with drain-when-cordoned prefer other nodes.",
    next: "kubectl uncordon NODE, when the node is to be used again",
  },
  drained: {
    states: isDegraded,
    means: "The label ingot.dev/drain gives the node's addresses and routes to other nodes, as far as others can have them.",
    next: "ingotctl drain NODE --wait says when the node can go; ingotctl uncordon NODE takes it into use again",
  },
  excluded: {
    states: isDegraded,
    means: "A label excludes the node from load balancers, or its network is unavailable: it announces nothing.",
    next: "kubectl label node NODE node.kubernetes.io/exclude-from-external-load-balancers-, or run the speakers with --ignore-exclude-lb (Helm: speaker.ignoreExcludeLB: true)",
  },
  outOfService: {
    states: isDegraded,
    means: "The node has the taint node.kubernetes.io/out-of-service: others take over its addresses.",
    next: "once the node is well again, remove the taint: kubectl taint nodes NODE node.kubernetes.io/out-of-service-",
  },
  bfd: {
    states: isDegraded,
    means: "BFD packets cannot be sent or received on the node, for the reason in the message.",
    next: "stop the other program that has the port, let the node's firewall pass UDP 3784 and 4784, or take bfd-profile off the peers",
  },
  ringPacketsLost: {
    states: isDegraded,
    means: "UDP of the speakers' ring is lost between the node and another, while TCP or other nodes pass what it sends.",
    next: "let firewalls and network policies pass UDP of the ring (port 7946 by default, the next one of a central speaker) between the two nodes, in both directions",
  },
  foreignMembers: {
    states: isDegraded,
    means:
      "Speakers of another cluster, which has the same key, are members of the ring: they joined an address that a node of the other cluster has or had. They own no address here, and know the key that proves announcements.",
    next: "give one of the clusters another key of the ring (docs/operations.md), and delete Pods of speakers whose nodes are gone",
  },
  fastPathOff: {
    states: isDegraded,
    means:
      "The configuration has failover, and the node finds failures of others by the ring alone, so within 0.35 s at the fast pace, for the reason in the message.",
    next: "ingotctl members: replace speakers of MetalLB and of earlier versions; let UDP 3784 pass between nodes of one subnet; give nodes that BFD took for gone more processor time, or failover a longer interval",
  },
  handoverUnavailable: {
    states: isDegraded,
    means:
      "A pool has keep-connections, and the node cannot hand packets of open connections to the node that has them, for the reason in the message: connections break when an address moves to it.",
    next: "give speakers the capability NET_ADMIN (kustomize component net-admin, or Helm's speaker.netAdmin: true); use kube-proxy, and no program in its place; modprobe -a nf_tables nf_conntrack nft_ct; sysctl -w net.netfilter.nf_conntrack_tcp_loose=1; the speaker looks again each minute",
  },
  notReported: {
    states: isDegraded,
    means:
      "The API server refuses what the node writes for all nodes, so that this is old: the ConfigMaps `ingot-announced-*`, from which conditions and Events of Services come, or `ingot-conflicts`, by which addresses of other hosts are given to no Service.",
    next: "change the policy, the webhook or the rights that the message names; where the ConfigMap is immutable, delete it; where it is gone, apply the manifests again, or upgrade the Helm release: speakers may make none",
  },
  rpFilter: {
    states: isDegraded,
    means: "The kernel drops packets of clients, because its route to them leaves by another interface (reverse path filter).",
    next: "sysctl -w net.ipv4.conf.INTERFACE.rp_filter=2",
  },
  strictArp: {
    states: isDegraded,
    means: "The kernel answers ARP for addresses that kube-proxy holds on the node, whoever announces them.",
    next: "kubectl -n kube-system edit configmap kube-proxy: strictARP: true; or sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2",
  },
  addressBound: {
    states: isDegraded,
    means: "An address of a pool is on an interface of the node, whose kernel answers for it.",
    next: "ip addr del ADDRESS dev INTERFACE, or take the address out of the pool",
  },
  podNetwork: {
    states: isDegraded,
    means: "A pool has addresses of the network of the node's Pods: a Pod may have the address of a Service.",
    next: "take these addresses out of the pool; kubectl get nodes -o custom-columns=NAME:.metadata.name,PODS:.spec.podCIDRs shows the networks of all Pods",
  },
  forwardingOff: {
    states: isDegraded,
    means: "The kernel does not forward packets, and a Service that is announced from the node has endpoints on other nodes.",
    next: "sysctl -w net.ipv4.ip_forward=1, or net.ipv6.conf.all.forwarding=1",
  },
  ipv6Disabled: {
    states: isDegraded,
    means: "The kernel drops all IPv6 packets on an interface, while a pool has IPv6 addresses.",
    next: "sysctl -w net.ipv6.conf.INTERFACE.disable_ipv6=0",
  },
  outsideSubnets: {
    states: isDegraded,
    means: "Announced addresses are in no subnet of the node: hosts do not ask for them.",
    next: "use addresses of a subnet of the node, give the node an address in theirs, or add a route on the router",
  },
  noInterface: {
    states: isDegraded,
    means: "The interfaces of a pool match no interface of the node.",
    next: "correct the pool's interfaces, or select other nodes with its node-selectors",
  },
  nodePorts: {
    states: isDegraded,
    means: "The node's kube-proxy serves NodePorts at all addresses of the node, addresses of a pool among them.",
    next: "kubectl -n kube-system edit configmap kube-proxy: nodePortAddresses: [primary]; or carrier: route for the pool",
  },
  interfaceManaged: {
    states: isDegraded,
    means:
      "An interface on which addresses of Services are kept is managed by systemd-networkd or NetworkManager, which may remove them.",
    next: "have it leave the interface alone, as the message says",
  },
  promoteSecondaries: {
    states: isDegraded,
    means: "With the first address of a subnet on an interface, the kernel removes the subnet's other addresses.",
    next: "sysctl -w net.ipv4.conf.INTERFACE.promote_secondaries=1",
  },
  flannelAddress: {
    states: isDegraded,
    means: "The node's flannel takes an address of a Service for the node's own: other nodes send packets for its Pods there.",
    next: "name the node's own address by flannel's option public-ip or the annotation flannel.alpha.coreos.com/public-ip-overwrite, and start flannel again on the node",
  },
  realTimeRefused: {
    states: isDegraded,
    means:
      "The kernel gives threads of the speaker no real time, because their cgroup has none (CONFIG_RT_GROUP_SCHED). They have the largest share of the processors that others may get too, nice -20.",
    next: "start the node's kernel with rt_group_sched=0 (Linux 6.16 or later), or use one without CONFIG_RT_GROUP_SCHED; else leave the node time to spare, and no BFD below 300 ms",
  },
  cpuLimited: {
    states: isDegraded,
    means:
      "A CPU limit of less than one processor holds the speaker's threads back: it starts late, and others may take the node for failed.",
    next: "take the limit away where it is set: in your patch or values, or in a LimitRange of the namespace; the manifests have none",
  },
} as const satisfies Readonly<Record<string, Cause>>;
