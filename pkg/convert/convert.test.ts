import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConvertOptions } from "./convert.ts";
import { converted, l2, metallb, peer, pool } from "./testing/converted.ts";

const extras = (name: string, namespace: string, text: string) =>
  `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, namespace: ${namespace}}\ndata: {extras: "${text}"}\n`;
const frr = (name: string, nodeSelector: string) =>
  `---\napiVersion: frrk8s.metallb.io/v1beta1\nkind: FRRConfiguration\nmetadata: {name: ${name}, namespace: frr-k8s-system}\nspec: {nodeSelector: ${nodeSelector}}\n`;

const toConfigMap: {
  name: string;
  text: string;
  options?: Partial<ConvertOptions>;
  want: string;
  losses?: RegExp[];
  notes?: RegExp[];
}[] = [
  {
    name: "pools come in the order of their priority, then by name",
    text: `${pool("b", "192.0.2.0/28")}${pool("z", "192.0.2.16/28", ", serviceAllocation: {priority: 2}")}${pool("x", "192.0.2.32/28", ", serviceAllocation: {priority: 1}")}${pool("a", "192.0.2.48/28", ", serviceAllocation: {priority: 0}")}${l2}`,
    want: `address-pools:
- name: x
  addresses:
  - 192.0.2.32/28
  priority: 1
  protocol: layer2
- name: z
  addresses:
  - 192.0.2.16/28
  priority: 2
  protocol: layer2
- name: a
  addresses:
  - 192.0.2.48/28
  protocol: layer2
- name: b
  addresses:
  - 192.0.2.0/28
  protocol: layer2
`,
  },
  {
    name: "pools to which MetalLB pins every Service come before the open ones, however that is written",
    text: `${pool("a", "192.0.2.0/28")}${pool("b", "192.0.2.16/28", ", serviceAllocation: null")}${pool("w", "192.0.2.32/28", ", serviceAllocation: {serviceSelectors: [{}]}")}${pool("x", "192.0.2.48/28", ", serviceAllocation: {namespaceSelectors: [{}]}")}${pool("z", "192.0.2.64/28", ", serviceAllocation: {}")}${pool("zz", "192.0.2.80/28", ", serviceAllocation: {priority: 1}")}${metallb("AddressPool", "0", "{protocol: layer2, addresses: [192.0.2.96/28]}")}${l2}`,
    want: `address-pools:
${[
  ["zz", 80, "priority: 1\n  "],
  ["w", 32, ""],
  ["x", 48, ""],
  ["z", 64, ""],
  ["a", 0, ""],
  ["b", 16, ""],
]
  .map(([name, first, more]) => `- name: ${name}\n  addresses:\n  - 192.0.2.${first}/28\n  ${more}protocol: layer2\n`)
  .join("")}- name: '0'
  protocol: layer2
  addresses:
  - 192.0.2.96/28
`,
  },
  {
    name: "a negative priority, which MetalLB puts nowhere in particular, is none",
    text: `${pool("open", "192.0.2.0/28")}${pool("team", "192.0.2.16/28", ", serviceAllocation: {priority: -5, namespaces: [team]}")}${pool("late", "192.0.2.32/28", ", serviceAllocation: {priority: 9}")}${l2}`,
    want: `address-pools:
- name: late
  addresses:
  - 192.0.2.32/28
  priority: 9
  protocol: layer2
- name: team
  addresses:
  - 192.0.2.16/28
  namespaces:
  - team
  protocol: layer2
- name: open
  addresses:
  - 192.0.2.0/28
  protocol: layer2
`,
    losses: [/^IPAddressPool "team": spec\.serviceAllocation\.priority -5: /],
  },
  {
    name: "a pool for some namespaces does not become one for all",
    text: `${pool("a", "192.0.2.0/28", ", serviceAllocation: {namespaces: [team]}")}${l2}`,
    want: "address-pools:\n- name: a\n  addresses:\n  - 192.0.2.0/28\n  namespaces:\n  - team\n  protocol: layer2\n",
  },
  {
    name: "a pool for namespaces and Services with labels is for the same, and a selector of all namespaces is no fence",
    text: `${pool("a", "192.0.2.0/28", ", serviceAllocation: {namespaces: [x], namespaceSelectors: [{matchLabels: {t: a}}], serviceSelectors: [{matchExpressions: [{key: k, operator: Exists}]}]}")}${pool("b", "192.0.2.16/28", ", serviceAllocation: {priority: 7, namespaces: [x], namespaceSelectors: [{}]}")}${l2}`,
    want: `address-pools:
- name: b
  addresses:
  - 192.0.2.16/28
  priority: 7
  protocol: layer2
- name: a
  addresses:
  - 192.0.2.0/28
  namespaces:
  - x
  namespace-selectors:
  - match-labels:
      t: a
  service-selectors:
  - match-expressions:
    - key: k
      operator: Exists
  sharing: cluster
  protocol: layer2
`,
  },
  {
    name: "a pool that no advertisement selects is announced by nobody",
    text: pool("a", "192.0.2.0/28"),
    want: `address-pools:
- name: a
  addresses:
  - 192.0.2.0/28
  protocol: none
`,
    notes: [/nothing announces it/],
  },
  {
    name: "advertisements select pools by label",
    text: `${metallb("IPAddressPool", "a", "{addresses: [192.0.2.0/28]}", ", labels: {for: lan}")}${pool("b", "192.0.2.16/28")}${metallb("L2Advertisement", "l2", "{ipAddressPoolSelectors: [{matchLabels: {for: lan}}], interfaces: [eth0], nodeSelectors: [{matchLabels: {rack: a}}]}")}${metallb("BGPAdvertisement", "bgp", "{ipAddressPools: [b]}")}`,
    want: `address-pools:
- name: a
  addresses:
  - 192.0.2.0/28
  protocol: layer2
  node-selectors:
  - match-labels:
      rack: a
  interfaces:
  - eth0
- name: b
  addresses:
  - 192.0.2.16/28
  protocol: bgp
`,
  },
  {
    name: "preferred nodes keep their weights; what matches every node or none makes no difference",
    text: `${pool("a", "192.0.2.0/28")}${metallb("L2Advertisement", "l2", "{preferredNodeSelectors: [{weight: 100, preference: {matchLabels: {edge: 'true'}}}, {weight: 7, preference: {}}, {weight: 5, preference: {matchExpressions: [{key: x, operator: Exists}, {key: x, operator: DoesNotExist}]}}]}")}`,
    want: `address-pools:
- name: a
  addresses:
  - 192.0.2.0/28
  protocol: layer2
  preferred-nodes:
  - weight: 100
    match-labels:
      edge: 'true'
`,
  },
  {
    name: "of advertisements that prefer different nodes all weights count",
    text: `${pool("a", "192.0.2.0/28")}${metallb("L2Advertisement", "l2", "{preferredNodeSelectors: [{weight: 2, preference: {matchLabels: {edge: x}}}]}")}${metallb("L2Advertisement", "l3", "{}")}`,
    want: `address-pools:
- name: a
  addresses:
  - 192.0.2.0/28
  protocol: layer2
  preferred-nodes:
  - weight: 2
    match-labels:
      edge: x
`,
  },
  {
    name: "weights of advertisements for different nodes count for their nodes alone",
    text: `${pool("a", "192.0.2.0/28")}${metallb("L2Advertisement", "l2", "{nodeSelectors: [{matchLabels: {rack: r1}}], preferredNodeSelectors: [{weight: 2, preference: {matchLabels: {edge: x}}}]}")}${metallb("L2Advertisement", "l3", "{}")}`,
    want: `address-pools:
- name: a
  addresses:
  - 192.0.2.0/28
  protocol: layer2
  preferred-nodes:
  - weight: 2
    match-labels:
      edge: x
      rack: r1
`,
  },
  {
    name: "a pool that is announced in both ways keeps both",
    text: `${pool("a", "192.0.2.0/28")}${metallb("L2Advertisement", "l2", "{interfaces: [eth0]}")}${metallb("BGPAdvertisement", "bgp", "{localPref: 7}")}`,
    want: `address-pools:
- name: a
  addresses:
  - 192.0.2.0/28
  protocol:
  - layer2
  - bgp
  interfaces:
  - eth0
  bgp-advertisements:
  - localpref: 7
`,
  },
  {
    name: "a pool that is announced in both ways is announced in the preferred one",
    text: `${pool("a", "192.0.2.0/28")}${l2}${metallb("BGPAdvertisement", "bgp", "{}")}`,
    options: { prefer: "bgp" },
    want: "address-pools:\n- name: a\n  addresses:\n  - 192.0.2.0/28\n  protocol: bgp\n",
    losses: [/^IPAddressPool "a": is announced by layer 2 and by BGP; here by BGP alone$/],
  },
  {
    name: "every field of a peer",
    text:
      metallb(
        "BGPPeer",
        "tor",
        "{myASN: 64512, localASN: 64999, dynamicASN: external, peerAddress: '2001:db8::1', sourceAddress: '2001:db8::2', peerPort: 1179, holdTime: 30s, keepaliveTime: 10s, connectTime: 30s, routerID: 192.0.2.9, passwordSecret: {name: s}, bfdProfile: fast, ebgpMultiHop: true, dualStackAddressFamily: false, nodeSelectors: [{matchExpressions: [{key: rack, operator: Exists}]}]}",
      ) + metallb("BFDProfile", "fast", "{receiveInterval: 50, echoMode: true}"),
    want: `peers:
- name: tor
  my-asn: 64999
  peer-asn: external
  peer-address: 2001:db8::1
  families:
  - ipv6
  source-address: 2001:db8::2
  peer-port: 1179
  hold-time: 30s
  keepalive-time: 10s
  connect-time: 30s
  router-id: 192.0.2.9
  node-selectors:
  - match-expressions:
    - key: rack
      operator: Exists
  password-secret:
    name: s
  bfd-profile: fast
  ebgp-multihop: true
  graceful-restart-time: 0s
bfd-profiles:
- name: fast
  receive-interval: 50
  echo-mode: true
`,
    notes: [
      /Secret s needs the label ingot-use=bgp-password, and the component bgp-passwords its name/,
      /localASN 64999 is my-asn here/,
      /graceful-restart-time: 0s/,
    ],
  },
  {
    name: "a keepalive time alone gives the hold time of FRR",
    text: metallb(
      "BGPPeer",
      "tor",
      "{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, keepaliveTime: 20s, enableGracefulRestart: true, disableMP: false}",
    ),
    want: "peers:\n- name: tor\n  my-asn: 1\n  peer-asn: 2\n  peer-address: 192.0.2.1\n  hold-time: 60s\n  keepalive-time: 20s\n",
  },
  {
    name: "a peer in a VRF is kept, without a session",
    text: peer(", vrf: red"),
    want: "peers:\n- name: tor\n  my-asn: 64512\n  peer-asn: 64513\n  peer-address: 192.0.2.1\n  hold-time: 90s\n  disabled: true\n",
    losses: [/^BGPPeer "tor": spec\.vrf "red" is not supported/],
  },
  {
    name: "a peer without an address finds the router on its interface, for both families; one that does not exist is left out of advertisements",
    text: `${metallb("BGPPeer", "un", "{myASN: 1, peerASN: 2, interface: eth0}")}${peer("")}${pool("a", "192.0.2.0/28")}${metallb("BGPAdvertisement", "bgp", "{peers: [un, tor, nobody]}")}`,
    want: `peers:
- name: un
  my-asn: 1
  peer-asn: 2
  interface: eth0
  graceful-restart-time: 0s
- name: tor
  my-asn: 64512
  peer-asn: 64513
  peer-address: 192.0.2.1
  hold-time: 90s
address-pools:
- name: a
  addresses:
  - 192.0.2.0/28
  protocol: bgp
  bgp-advertisements:
  - peers:
    - un
    - tor
`,
    losses: [/^BGPAdvertisement "bgp": spec\.peers names "nobody"/],
  },
  {
    name: "the form of 0.13, and communities by name",
    text: `${metallb("AddressPool", "old", "{protocol: bgp, addresses: [192.0.2.0/28], autoAssign: false, bgpAdvertisements: [{aggregationLength: 28, communities: [mine]}]}")}${metallb("Community", "c", "{communities: [{name: mine, value: '64512:1'}]}")}`,
    want: `bgp-communities:
  mine: '64512:1'
address-pools:
- name: old
  protocol: bgp
  addresses:
  - 192.0.2.0/28
  auto-assign: false
  bgp-advertisements:
  - aggregation-length: 28
    communities:
    - mine
`,
  },
  {
    name: "a List, as kubectl prints it, with fields of a release to come",
    text: JSON.stringify({
      apiVersion: "v1",
      kind: "List",
      items: [
        {
          apiVersion: "metallb.io/v1beta1",
          kind: "IPAddressPool",
          metadata: { name: "a" },
          spec: { addresses: ["192.0.2.0/28"], color: "blue" },
          status: { assignedIPv4: 1 },
        },
        { apiVersion: "metallb.io/v1beta1", kind: "L2Advertisement", metadata: { name: "a" } },
        { apiVersion: "metallb.io/v1beta1", kind: "ServiceL2Status", metadata: { name: "l2-x" }, status: {} },
        { apiVersion: "v1", kind: "Namespace", metadata: { name: "metallb-system" } },
      ],
    }),
    want: "address-pools:\n- name: a\n  addresses:\n  - 192.0.2.0/28\n  protocol: layer2\n",
    losses: [/^IPAddressPool "a": spec\.color is not known here$/],
  },
  {
    name: "a field of a release to come that is as good as absent, as the API server fills it in, loses nothing",
    text: `apiVersion: purelb.io/v2
kind: ServiceGroup
metadata: {name: default, namespace: purelb}
spec: {enforceNamespaces: false, remote: {v4pool: {subnet: 192.0.2.0/24, pool: 192.0.2.0/24, aggregation: /32}}}
`,
    want: "address-pools:\n- name: default\n  addresses:\n  - 192.0.2.0/24\n  protocol: interface\n",
    notes: [/^ServiceGroup "default": spec\.enforceNamespaces is not known here$/],
  },
  {
    name: "what is for MetalLB's FRR is lost, but for what its speakers made, and what is empty or of another namespace",
    text: `${pool("a", "192.0.2.0/28")}${l2}${extras("bgpextras", "metallb-system", "router bgp 64512")}${extras("bgpextras", "other", "x")}${extras("other", "metallb-system", "x")}${frr("mine", "{matchLabels: {kubernetes.io/hostname: mine}}")}${frr("metallb-mine", "{}")}${frr("metallb-node-1", "{matchLabels: {kubernetes.io/hostname: node-1}}")}`,
    want: "address-pools:\n- name: a\n  addresses:\n  - 192.0.2.0/28\n  protocol: layer2\n",
    losses: [
      /^ConfigMap "bgpextras": lines for FRR/,
      /^FRRConfiguration "mine": is for FRR/,
      /^FRRConfiguration "metallb-mine": is for FRR/,
    ],
  },
  {
    name: "Calico's BGPPeers, which kubectl gives for MetalLB's where no group is named, are no peers, which is said",
    text: `${pool("a", "192.0.2.0/28")}${l2}---\napiVersion: crd.projectcalico.org/v1\nkind: BGPPeer\nmetadata: {name: tor}\nspec: {asNumber: 64513, peerIP: 192.0.2.1}\n`,
    want: "address-pools:\n- name: a\n  addresses:\n  - 192.0.2.0/28\n  protocol: layer2\n",
    losses: [/^BGPPeer "tor": is of "crd\.projectcalico\.org"; kubectl get bgppeers\.metallb\.io has MetalLB's$/],
  },
  {
    name: "a ConfigMap for MetalLB's FRR with nothing in it loses nothing",
    text: `${pool("a", "192.0.2.0/28")}${l2}${extras("bgpextras", "metallb-system", "")}`,
    want: "address-pools:\n- name: a\n  addresses:\n  - 192.0.2.0/28\n  protocol: layer2\n",
  },
  {
    name: "OpenELB: the default Eip is for all, others have to be asked for",
    text: `apiVersion: network.kubesphere.io/v1alpha2
kind: Eip
metadata: {name: lan, annotations: {eip.openelb.kubesphere.io/is-default-eip: "true"}}
spec: {address: 192.0.2.10-192.0.2.20, protocol: layer2, interface: "can_reach:192.0.2.1"}
---
apiVersion: network.kubesphere.io/v1alpha2
kind: Eip
metadata: {name: wan}
spec: {address: 198.51.100.0/24, priority: -1, namespaces: [web]}
---
apiVersion: network.kubesphere.io/v1alpha2
kind: BgpConf
metadata: {name: default}
spec: {as: 65001}
---
apiVersion: network.kubesphere.io/v1alpha2
kind: BgpPeer
metadata: {name: tor}
spec: {conf: {peerAs: 65002, neighborAddress: 192.0.2.1}, timers: {config: {holdTime: "30"}}}
`,
    want: `peers:
- name: tor
  my-asn: 65001
  peer-asn: 65002
  peer-address: 192.0.2.1
  families:
  - ipv4
  hold-time: 30s
  graceful-restart-time: 0s
address-pools:
- name: wan
  protocol: bgp
  addresses:
  - 198.51.100.0/24
  auto-assign: false
- name: lan
  protocol: layer2
  addresses:
  - 192.0.2.10-192.0.2.20
  interfaces:
  - can_reach:192.0.2.1
`,
    losses: [/^Eip "wan": spec\.namespaces/],
    notes: [/^Services need no annotation here/],
  },
  {
    name: "OpenELB: one address, a disabled Eip, and a router that is found on an interface",
    text: `apiVersion: network.kubesphere.io/v1alpha2
kind: Eip
metadata: {name: one}
spec: {address: 192.0.2.10, disable: true}
---
apiVersion: network.kubesphere.io/v1alpha2
kind: Eip
metadata: {name: six}
spec: {address: "2001:db8::7"}
---
apiVersion: network.kubesphere.io/v1alpha2
kind: BgpPeer
metadata: {name: tor}
spec: {conf: {localAs: 65001, peerAs: 65002, neighborInterface: eth1}, gracefulRestart: {enabled: true}}
`,
    want: `peers:
- name: tor
  my-asn: 65001
  peer-asn: 65002
  interface: eth1
  families:
  - ipv4
address-pools:
- name: one
  protocol: bgp
  addresses:
  - 192.0.2.10/32
  auto-assign: false
  closed: true
- name: six
  protocol: bgp
  addresses:
  - 2001:db8::7/128
  auto-assign: false
`,
    notes: [/^Services need no annotation here/],
  },
  {
    name: "PureLB: addresses are put into the kernels, of local groups on NICs, of those of v1 where the subnet says so",
    text: `apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: default, namespace: purelb}
spec: {local: {v4pool: {subnet: 192.0.2.0/24, pool: 192.0.2.10-192.0.2.20}}}
---
apiVersion: purelb.io/v2
kind: ServiceGroup
metadata: {name: near, namespace: purelb}
spec: {local: {v4pool: {subnet: 192.0.2.0/24, pool: 192.0.2.64/28, aggregation: default}}}
---
apiVersion: purelb.io/v2
kind: ServiceGroup
metadata: {name: far, namespace: purelb}
spec: {remote: {v4pools: [{subnet: 198.51.100.0/24, pool: 198.51.100.0/24, aggregation: /32}]}}
---
apiVersion: purelb.io/v2
kind: ServiceGroup
metadata: {name: ipam, namespace: purelb}
spec: {external: {provider: netbox}}
---
apiVersion: purelb.io/v2
kind: ServiceGroup
metadata: {name: wide, namespace: purelb}
spec:
  remote:
    v4pools: [{subnet: 203.0.113.0/24, pool: 203.0.113.0/24, aggregation: default}]
    v6pools: [{subnet: "2001:db8::/64", pool: "2001:db8::/120", aggregation: default}]
---
apiVersion: purelb.io/v2
kind: LBNodeAgent
metadata: {name: default, namespace: purelb}
spec: {local: {localInterface: eth0, dummyInterface: lb9}}
`,
    want: `address-pools:
- name: default
  addresses:
  - 192.0.2.10-192.0.2.20
  protocol: interface
  placement: auto
  interfaces:
  - '*eth0*'
  dummy-interface: lb9
- name: near
  addresses:
  - 192.0.2.64/28
  auto-assign: false
  protocol: interface
  placement: lan
  interfaces:
  - '*eth0*'
- name: far
  addresses:
  - 198.51.100.0/24
  auto-assign: false
  protocol: interface
  dummy-interface: lb9
- name: wide
  addresses:
  - 203.0.113.0/24
  - 2001:db8::/120
  auto-assign: false
  protocol: interface
  dummy-interface: lb9
  aggregation-length: 24
`,
    losses: [
      /^LBNodeAgent "default": .*only its interfaces are taken over/,
      /^ServiceGroup "default": aggregation \/24 is wider/,
      /^ServiceGroup "ipam": spec\.external/,
      /^ServiceGroup "wide": aggregation \/64 is wider/,
    ],
    notes: [/purelb\.io\/service-group/, /--lb-class=purelb\.io\/purelbv2 /],
  },
  {
    name: "PureLB: v1 has a load balancer class of its own",
    text: `apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: default, namespace: purelb}
spec: {local: {subnet: 192.0.2.0/24, pool: 192.0.2.0/24, aggregation: /32}}
`,
    want: "address-pools:\n- name: default\n  addresses:\n  - 192.0.2.0/24\n  protocol: interface\n  placement: auto\n",
    notes: [/class purelb\.io\/purelb are served with --lb-class=purelb\.io\/purelb /],
  },
  {
    name: "PureLB: a group of NetBox is a pool that NetBox keeps, and one with multiPool a pool for each range",
    text: `apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: ipam, namespace: purelb}
spec: {netbox: {url: "https://netbox.example.com/", tenant: k8s, aggregation: /32}}
---
apiVersion: purelb.io/v2
kind: ServiceGroup
metadata: {name: default, namespace: purelb}
spec:
  remote:
    multiPool: true
    v4pools: [{subnet: 203.0.113.0/24, pool: 203.0.113.0/28, aggregation: /32}, {subnet: 198.51.100.0/24, pool: 198.51.100.0/28, aggregation: /32}]
    v6pools: [{subnet: "2001:db8::/64", pool: "2001:db8::/120", aggregation: /128}]
---
apiVersion: purelb.io/v2
kind: ServiceGroup
metadata: {name: one, namespace: purelb}
spec: {remote: {multiPool: true, v4pool: {subnet: 203.0.113.0/24, pool: 203.0.113.16/28, aggregation: /32}}}
`,
    want: `address-pools:
- name: default
  addresses:
  - 203.0.113.0/28
  - 2001:db8::/120
  protocol: interface
- name: ipam
  addresses:
  - 192.0.2.0/32
  auto-assign: false
  netbox:
    url: https://netbox.example.com/
    token-secret:
      name: netbox
    tags:
    - purelb
    tenant: k8s
    mode: allocate
  protocol: interface
  placement: auto
- name: default-2
  addresses:
  - 198.51.100.0/28
  auto-assign: false
  protocol: interface
- name: one
  addresses:
  - 203.0.113.16/28
  auto-assign: false
  protocol: interface
`,
    losses: [
      /^ServiceGroup "ipam": spec\.netbox: .* in place of 192\.0\.2\.0\/32/,
      /^ServiceGroup "default": multiPool: without/,
    ],
    notes: [/address-pool: default,default-2 a Service gets an address of each range/, /Secret netbox, .*docs\/netbox\.md/],
  },
];
for (const { name, text, options, want, losses = [], notes } of toConfigMap) {
  test(`to a ConfigMap: ${name}`, () => {
    const result = converted(text, options);
    assert.deepEqual(
      result.problems.filter((problem) => problem.includes("error:")),
      [],
    );
    assert.equal(result.config, want);
    assert.equal(result.losses.length, losses.length, JSON.stringify(result.losses));
    for (const [index, loss] of losses.entries()) assert.match(result.losses[index] ?? "", loss);
    for (const note of notes ?? [])
      assert.ok(
        result.notes.some((text) => note.test(text)),
        `${note}: ${result.notes}`,
      );
    for (const line of [...result.losses, ...result.notes]) assert.ok(result.text?.includes(`# - ${line}\n`), line);
  });
}

test("PureLB: `interfaces` of agents are beside the NIC that they choose, so that they exclude none", () => {
  const group =
    "apiVersion: purelb.io/v2\nkind: ServiceGroup\nmetadata: {name: default, namespace: purelb}\nspec: {local: {v4pool: {subnet: 192.0.2.0/24, pool: 192.0.2.0/28}}}\n";
  const interfacesOf = (...agents: string[]) => {
    const objects = agents.map(
      (local, index) =>
        `---\napiVersion: purelb.io/v2\nkind: LBNodeAgent\nmetadata: {name: a${index}, namespace: purelb}\nspec: {local: ${local}}\n`,
    );
    return /interfaces:\n((?: *- .*\n)*)/.exec(converted(group + objects.join("")).config ?? "")?.[1]?.replaceAll(/[ '\n]/g, "");
  };
  assert.equal(interfacesOf("{localInterface: default, interfaces: [eth1, bond0]}"), undefined);
  assert.equal(interfacesOf("{localInterface: eth1}", "{interfaces: [eth2]}"), undefined);
  assert.equal(interfacesOf("{localInterface: eth1}", "{localInterface: '^eth2$'}"), undefined);
  assert.equal(interfacesOf("{localInterface: eth0, interfaces: [eth1]}"), "-*eth0*-eth1");
});

test("OpenELB: the BgpConf that is named default counts, wherever it stands, as in OpenELB", () => {
  const object = (kind: string, name: string, spec: string) =>
    `---\napiVersion: network.kubesphere.io/v1alpha2\nkind: ${kind}\nmetadata: {name: ${name}}\nspec: ${spec}\n`;
  const peerObject = object("BgpPeer", "tor", "{conf: {peerAs: 65002, neighborAddress: 192.0.2.1}}");
  const all =
    object("BgpConf", "another", "{as: 64999}") + object("BgpConf", "default", "{as: 65001, listenPort: 17900}") + peerObject;
  const { config, notes } = converted(all);
  assert.match(config ?? "", /my-asn: 65001/);
  assert.ok(notes.includes('BgpConf "another": OpenELB reads the one that is named "default" alone.'), `${notes}`);
  assert.match(
    notes.join("\n"),
    /^OpenELB takes routers' sessions at port 17900: give the speakers --bgp-port=17900 for that\.$/m,
  );
  const deaf = converted(object("BgpConf", "default", "{as: 65001, listenPort: -1}") + peerObject);
  assert.match(deaf.config ?? "", /my-asn: 65001/);
  assert.doesNotMatch(deaf.notes.join("\n"), /port/);
  const { problems } = converted(object("BgpConf", "another", "{as: 64999}") + peerObject);
  assert.match(problems.join(), /needs localAs, or a BgpConf with as/);
});
