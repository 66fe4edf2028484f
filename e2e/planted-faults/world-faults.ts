import type { Fault } from "#e2e/demo-cluster";
import type { World } from "../simulation/scenarios/world.ts";

/** The configuration of the world in which each fault is planted; Service `web` has an endpoint on both nodes. */
export const worldConfiguration = `address-pools:
- {name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.209]}
- {name: one, protocol: layer2, auto-assign: false, addresses: [172.30.0.210/32, "fd00:30::210-fd00:30::21f"]}
- {name: fenced, protocol: layer2, auto-assign: false, namespaces: [team], addresses: [172.30.0.214/32]}
- {name: few, protocol: layer2, auto-assign: false, addresses: [172.30.0.212-172.30.0.213]}
- {name: racked, protocol: layer2, auto-assign: false, node-selectors: [{match-labels: {rack: "9"}}], addresses: [172.30.1.0/30]}
- {name: fibre, protocol: layer2, auto-assign: false, interfaces: [eth9], addresses: [172.30.1.4/30]}
- {name: routed, protocol: bgp, auto-assign: false, addresses: [203.0.113.16/28]}
quotas:
- {pools: [few], ipv4: 1}
`;
const slots = `- {name: slotted, protocol: bgp, auto-assign: false, addresses: [203.0.113.0/28], next-hop-slots: [172.30.0.224/28], node-selectors: [{match-labels: {rack: "9"}}]}
`;
const pool = (name: string) => ({ "metallb.universe.tf/address-pool": name });
const ip = (address: string) => ({ "metallb.universe.tf/loadBalancerIPs": address });
const key = (text: string) => ({ "metallb.universe.tf/allow-shared-ip": text });
const dual = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" };
const excluded = { "node.kubernetes.io/exclude-from-external-load-balancers": "" };

const cutFromApi = ({ cluster: { speakers } }: World) => {
  for (const { connection } of speakers.values()) connection.isCut = true;
};

/** The same for faults of custom resources, where these are the configuration. */
export const objectsConfiguration = `apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: lan, namespace: metallb-system}
spec: {addresses: [172.30.0.200-172.30.0.209]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: lan, namespace: metallb-system}
spec: {ipAddressPools: [lan]}
`;

/** Faults of custom resources, each in a world of its own. */
export const objectFaults: Readonly<Record<string, Fault<World, unknown>>> = {
  "invalid-object": {
    symptom: "An IPAddressPool was edited, and the new addresses are not used.",
    plant: ({ cluster }) =>
      cluster.api.patch("ipaddresspools", "metallb-system/lan", {
        spec: { addresses: ["172.30.0.200-172.30.0.209", "172.30.1.0/33"] },
      }),
    find: "explain config",
    causes: ["invalid"],
    cause: /IPAddressPool metallb-system\/lan, spec\.addresses\[1\]: .*172\.30\.1\.0\/33/,
    remedy: /kubectl -n metallb-system get ipaddresspools,\S+ -o yaml \| ingotctl validate - lists all: correct them/,
    describe: "ipaddresspool/lan",
  },
};

/** Faults that decisions of controller and speakers show, each in a world of its own. */
export const worldFaults: Readonly<Record<string, Fault<World, unknown>>> = {
  "pool-of-others": {
    symptom: "Service late stays at <pending>; its pool has free addresses.",
    plant: (world) => world.expose("late", [0], { annotations: pool("fenced") }),
    find: "explain svc/late",
    causes: ["notForNamespace"],
    cause: /pool "fenced" is not for namespace "default"/,
    remedy: /request a pool or an address that is, or ask the administrators/,
  },
  "no-ipv6": {
    symptom: "Dual-stack Service late stays at <pending>.",
    plant: (world) => world.expose("late", [0], { spec: dual, annotations: pool("lan") }),
    find: "explain svc/late",
    causes: ["poolLacksFamily"],
    cause: /pool "lan" has no IPv6 addresses/,
    remedy: /add addresses of that family to it or request another pool/,
  },
  "full-family": {
    symptom: "Dual-stack Service late stays at <pending>; its pool is nearly empty.",
    plant: async (world) => {
      world.expose("first", [0], { annotations: pool("one") });
      await world.assigned("first");
      world.expose("late", [0], { spec: dual, annotations: pool("one") });
    },
    find: "explain svc/late",
    causes: ["poolFull"],
    cause: /pool "one" has no free IPv4 address/,
    remedy: /add addresses to it or delete a Service that holds one/,
  },
  "address-outside": {
    symptom: "Service late stays at <pending>; it requests an address.",
    plant: (world) => world.expose("late", [0], { annotations: ip("192.0.2.1") }),
    find: "explain svc/late",
    causes: ["outsidePools"],
    cause: /192\.0\.2\.1 is in no pool/,
    remedy: /request another address or add this one to a pool/,
  },
  "address-in-use": {
    symptom: "Service late stays at <pending>; it requests an address.",
    plant: (world, address) => world.expose("late", [0], { annotations: ip(address) }),
    find: "explain svc/late",
    causes: ["inUse"],
    cause: /172\.30\.0\.200 is in use by default\/web/,
    remedy: /request another address or set the annotation metallb\.universe\.tf\/allow-shared-ip to one key/,
  },
  "other-class": {
    symptom: "Service late stays at <pending>, and no controller says a word.",
    plant: (world) => world.expose("late", [0], { spec: { loadBalancerClass: "ingot.dev/layer-2" } }),
    find: "explain svc/late",
    causes: ["otherLoadBalancerClass"],
    cause: /"?ingot\.dev\/layer-2"?/,
    remedy: /create it again without a loadBalancerClass/,
  },
  quota: {
    symptom: "Service late stays at <pending>; its pool has free addresses.",
    plant: async (world) => {
      world.expose("first", [0], { annotations: pool("few") });
      await world.assigned("first");
      world.expose("late", [0], { annotations: pool("few") });
    },
    find: "explain svc/late",
    causes: ["quotaExceeded"],
    cause: /namespace "default" has 1 of 1 IPv4 addresses of pool "few"/,
    remedy: /delete a Service that holds an address, or ask the administrators/,
  },
  "sharing-key": {
    symptom: "Service late is to share the address of another Service, and stays at <pending>.",
    plant: async (world) => {
      world.expose("first", [0], { annotations: { ...ip("172.30.0.205"), ...key("a") } });
      await world.assigned("first");
      world.expose("late", [0], { annotations: { ...ip("172.30.0.205"), ...key("b") }, spec: { ports: [{ port: 81 }] } });
    },
    find: "explain svc/late",
    causes: ["sharingKeyMismatch"],
    cause: /default\/first.* under sharing key "a"/,
    remedy: /set the annotation metallb\.universe\.tf\/allow-shared-ip to one key on both Services/,
  },
  "sharing-port": {
    symptom: "Service late is to share the address of another Service, and stays at <pending>.",
    plant: async (world) => {
      const annotations = { ...ip("172.30.0.205"), ...key("a") };
      world.expose("first", [0], { annotations });
      await world.assigned("first");
      world.expose("late", [0], { annotations });
    },
    find: "explain svc/late",
    causes: ["portClash"],
    cause: /default\/first.* which has port/,
    remedy: /request another address or use another port/,
  },
  "pods-not-ready": {
    symptom: "Service late has an address since its rollout, and nobody answers there.",
    plant: async (world) => {
      world.expose("late", [0, 1]);
      await world.explains("svc/late", /Announced/);
      const endpoints = [{ addresses: ["10.244.0.2"], nodeName: "node-0", conditions: { ready: false } }];
      world.cluster.api.patch("endpointslices", "default/late", { endpoints });
    },
    find: "explain svc/late",
    causes: ["noReadyEndpoint"],
    cause: /no endpoint is ready \(the Service has 1\)/,
    remedy: /see why its Pods are not ready/,
  },
  "node-selectors": {
    symptom: "Service late has an address, and nobody answers ARP for it.",
    plant: (world) => world.expose("late", [0, 1], { annotations: pool("racked") }),
    find: "explain svc/late",
    causes: ["noNodeSelected"],
    cause: /pool racked .*: the pool's node-selectors match none/,
    remedy: /change the node-selectors of the pool or the labels/,
  },
  "excluded-nodes": {
    symptom: "Nobody answers ARP for any address since the nodes became control planes.",
    plant: (world) => {
      for (const node of [0, 1]) world.patchNode(node, { metadata: { labels: excluded } });
    },
    find: "explain svc/web",
    causes: ["nodeExcluded", "excluded"],
    cause: /exclude-from-external-load-balancers/,
    remedy: /kubectl label node node-\d node\.kubernetes\.io\/exclude-from-external-load-balancers-/,
  },
  "wrong-interface": {
    symptom: "Service late has an address, and nobody answers ARP for it.",
    plant: (world) => world.expose("late", [0, 1], { annotations: pool("fibre") }),
    find: "explain svc/late",
    causes: ["noInterface"],
    cause: /eth9/,
    remedy: /change the pool's interfaces/,
  },
  "no-peers": {
    symptom: "Service late has an address, and no router has a route to it.",
    plant: (world) => world.expose("late", [0, 1], { annotations: pool("routed") }),
    find: "explain svc/late",
    causes: ["noPeer"],
    cause: /(?:no peer|no node has a BGP peer) for an advertisement of pool routed/,
    remedy: /add a peer under peers/,
  },
  "no-controller": {
    symptom: "Service late stays at <pending>, and no controller says why.",
    plant: (world) => {
      for (const index of world.cluster.controllers.keys()) world.cluster.killController(index);
      world.expose("late", [0]);
    },
    find: "explain svc/late",
    causes: ["noIPAllocated"],
    cause: /controller: none answers|no controller of Ingot works/,
    remedy: /get a controller to work, which assigns addresses|scale deployment NAME --replicas=1/,
  },
  "two-controllers": {
    symptom: "The EXTERNAL-IP of Service web changes every few seconds.",
    plant: (world) => {
      const { cluster } = world;
      const overwrite = () => {
        world.writeStatus("web", ["192.0.2.9"]);
        cluster.time.schedule(cluster.now + 700, overwrite);
      };
      overwrite();
    },
    find: "explain svc/web",
    causes: ["statusOverwritten", "ipNotAllowed"],
    cause: /[Aa]nother controller/,
    remedy: /[Rr]un one controller only, or give the Service the load balancer class of the other one/,
  },
  "api-out": {
    symptom: "kubectl does not answer; Services do, and nobody knows for how long.",
    plant: cutFromApi,
    find: "explain svc/web",
    causes: ["apiUnreachable"],
    cause: /has not reached the API for/,
    remedy: /see whether the API server is up/,
    describe: "none",
  },
  "pool-taken-away": {
    symptom: "The ConfigMap was edited, and the new addresses are not used.",
    plant: (world) => world.configure("address-pools: [{name: new, protocol: layer2, addresses: [172.30.9.0/24]}]"),
    find: "explain config",
    causes: ["strands"],
    cause: /no pool would be left for addresses in use by "?default\/web/,
    remedy: /put these addresses back into a pool, or move the Services first/,
    describe: "configmap/config",
  },
  "unknown-field": {
    symptom: "The ConfigMap was edited, and the new addresses are not used.",
    plant: (world) => world.configure(worldConfiguration.replace("addresses: [172.30.0.200", "adresses: [172.30.0.200")),
    find: "explain config",
    causes: ["invalid"],
    cause: /line 2, column \d+.*adresses.*did you mean "addresses"/s,
    remedy: /ingotctl validate - lists all: correct them/,
    describe: "configmap/config",
  },
  "dead-proxy-of-a-node": {
    symptom: "Service web answered slowly for seconds, and node-0 announces nothing since; its speaker runs.",
    plant: ({ cluster }) => cluster.machines.setPath(0, false, "proxySilent"),
    find: "explain node/node-0",
    causes: ["cannotDeliver"],
    cause: /kube-proxy/,
    remedy: /see whether kube-proxy and the network plugin run on the node/,
  },
  "conntrack-full": {
    symptom: "New connections through node-0 fail now and then, and it announces nothing since.",
    plant: ({ cluster }) => cluster.machines.setPath(0, false, "conntrackFull"),
    find: "explain node/node-0",
    causes: ["cannotDeliver"],
    cause: /drops packets, because its table of connections is full/,
    remedy: /sysctl net\.netfilter\.nf_conntrack_count net\.netfilter\.nf_conntrack_max/,
  },
  "slots-without-owner": {
    symptom: "A static route to a next-hop slot leads nowhere since the nodes of rack 9 are gone.",
    plant: (world) => world.configure(worldConfiguration.replace("quotas:", `${slots}quotas:`)),
    find: "explain pool/slotted",
    causes: ["slotsUnowned"],
    cause: /16 next-hop slots of pool slotted, 172\.30\.0\.224 to 172\.30\.0\.239, have no owner/,
    remedy: /see node-selectors and interfaces of the pool/,
  },
  "reports-refused": {
    symptom: "Service late has no condition ingot.dev/Announced, and kubectl wait waits for it for ever.",
    plant: (world) => {
      world.weather.forbidden = "reports";
      world.expose("late", [0]);
    },
    find: "explain node/node-0",
    causes: ["notReported"],
    cause: /what node-0 reports for all nodes is refused: .*ingot-announced-\d: the user cannot patch resource/,
    remedy: /change the policy, the webhook or the rights that the message names/,
  },
  "summary-refused": {
    symptom: "kubectl get configmap ingot-summary shows what was the case yesterday.",
    plant: (world) => {
      world.weather.forbidden = "reports";
      world.expose("late", [0]);
    },
    find: "explain config",
    causes: ["notReported"],
    cause: /in force, but the summary of the state is not written: .*ingot-summary: the user cannot patch resource/,
    remedy: /change the policy, the webhook or the rights that the message names/,
    describe: "configmap/config",
  },
  "no-speakers": {
    symptom: "No Service answers, and the DaemonSet of the speakers has no Pods, because Pod Security refuses them.",
    plant: ({ cluster }) => {
      for (const node of [0, 1]) cluster.killSpeaker(node);
    },
    find: "explain svc/web",
    causes: ["noActiveSpeaker"],
    cause: /no speaker runs that could announce it|no speaker has said for minutes who announces the Service/,
    remedy: /kubectl -n metallb-system get pods -o wide/,
  },
  "forgotten-drain": {
    symptom: "node-0 is back since yesterday, and announces nothing.",
    plant: (world) => world.patchNode(0, { metadata: { labels: { "ingot.dev/drain": "true" } } }),
    find: "explain node/node-0",
    causes: ["drained"],
    cause: /node-0 is drained by its label ingot\.dev\/drain/,
    remedy: /ingotctl uncordon node-0 takes it into use again/,
  },
  "external-ips": {
    symptom: "Service web answers with the pages of another one.",
    plant: (world, address) => world.apply("thief", { spec: { type: "ClusterIP", externalIPs: [address] } }),
    find: "explain svc/web",
    causes: ["externalIPs"],
    cause: /Service default\/thief has 172\.30\.0\.200 among its spec\.externalIPs: .* TCP port 80/,
    remedy: /kubectl get services -A \| grep 172\.30\.0\.200 names it: take the address out/,
  },
  "policy-refuses": {
    symptom: "Service late stays at <pending> since an admission policy came.",
    plant: (world) => {
      world.weather.refusesStatus = true;
      world.expose("late", [0]);
    },
    find: "explain svc/late",
    causes: ["statusRefused", "noIPAllocated"],
    cause: /the API server refuses the status with the assigned addresses/i,
    remedy: /change the policy, the webhook or the rights/,
  },
};
