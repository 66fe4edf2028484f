import { array, type Fitting, flag, integer, object, oneOf, type Schema, text } from "../fields.ts";
import { labelSelector } from "../selectors.ts";

/** The kinds of MetalLB that are a configuration, by their plural in the API. The first version that the API serves is read. */
export const configurationKinds = [
  { plural: "ipaddresspools", kind: "IPAddressPool", versions: ["v1beta1"] },
  { plural: "l2advertisements", kind: "L2Advertisement", versions: ["v1beta1"] },
  { plural: "bgpadvertisements", kind: "BGPAdvertisement", versions: ["v1beta1"] },
  { plural: "bgppeers", kind: "BGPPeer", versions: ["v1beta2", "v1beta1"] },
  { plural: "bfdprofiles", kind: "BFDProfile", versions: ["v1beta1"] },
  { plural: "communities", kind: "Community", versions: ["v1beta1"] },
  { plural: "addresspools", kind: "AddressPool", versions: ["v1beta1"] },
] as const;

const texts = array(text);
const selectors = array(labelSelector);
const maxAsn = 4294967295;
const interval = integer(10, 60000);

/** Fields of both kinds of advertisements. */
const advertisement = {
  ipAddressPools: texts,
  ipAddressPoolSelectors: selectors,
  nodeSelectors: selectors,
  serviceSelectors: selectors,
} as const;

const bgpAttributes = {
  aggregationLength: integer(1, 32),
  aggregationLengthV6: integer(1, 128),
  localPref: integer(0, 4294967295),
  communities: texts,
} as const;

/**
 * The `spec` of each kind that configures MetalLB (group `metallb.io`, releases 0.13 to 0.16): the fields and the values that the API server
 * takes. The same schema is for resources that are read here and for resources that are made here.
 */
export const schemas = {
  IPAddressPool: object(
    {
      addresses: texts,
      autoAssign: flag,
      avoidBuggyIPs: flag,
      serviceAllocation: object({
        priority: integer(),
        namespaces: texts,
        namespaceSelectors: selectors,
        serviceSelectors: selectors,
      }),
    },
    "addresses",
  ),
  L2Advertisement: object({
    ...advertisement,
    interfaces: texts,
    preferredNodeSelectors: array(object({ weight: integer(1, 100), preference: labelSelector })),
  }),
  BGPAdvertisement: object({ ...advertisement, ...bgpAttributes, peers: texts }),
  /** Schema of `v1beta2`, which has every field of `v1beta1` under the same name. */
  BGPPeer: object(
    {
      myASN: integer(0, maxAsn),
      peerASN: integer(0, maxAsn),
      dynamicASN: oneOf("internal", "external"),
      localASN: integer(1, maxAsn),
      peerAddress: text,
      interface: text,
      sourceAddress: text,
      peerPort: integer(0, 16384),
      holdTime: text,
      keepaliveTime: text,
      connectTime: text,
      routerID: text,
      nodeSelectors: selectors,
      password: text,
      passwordSecret: object({ name: text, namespace: text }),
      bfdProfile: text,
      enableGracefulRestart: flag,
      ebgpMultiHop: flag,
      vrf: text,
      disableMP: flag,
      dualStackAddressFamily: flag,
    },
    "myASN",
  ),
  BFDProfile: object({
    receiveInterval: interval,
    transmitInterval: interval,
    detectMultiplier: integer(2, 255),
    echoInterval: interval,
    echoMode: flag,
    passiveMode: flag,
    minimumTtl: integer(1, 254),
  }),
  Community: object({ communities: array(object({ name: text, value: text })) }),
  /** The form of 0.13 and before, gone in 0.14.3. */
  AddressPool: object(
    {
      protocol: oneOf("layer2", "bgp"),
      addresses: texts,
      autoAssign: flag,
      bgpAdvertisements: array(object(bgpAttributes)),
    },
    "protocol",
    "addresses",
  ),
} as const satisfies Record<string, Schema>;

/** The `spec` of a kind. */
export type Spec<Kind extends keyof typeof schemas> = Partial<Fitting<(typeof schemas)[Kind]>>;
