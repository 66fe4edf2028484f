import type { Schema } from "../fields.ts";
import { labelSelector, type Selector } from "../selectors.ts";

/**
 * The `spec` of MetalLB's custom resources (group `metallb.io`, releases 0.13 to 0.16): the fields and the values that the API server
 * takes. The same schema is for resources that are read here and for resources that are made here.
 */
const texts: Schema = { type: "array", items: { type: "string" } };
const text: Schema = { type: "string" };
const flag: Schema = { type: "boolean" };

const selectors: Schema = { type: "array", items: labelSelector };

const asn = (minimum: number): Schema => ({ type: "integer", minimum, maximum: 4294967295 });

export interface PoolSpec {
  readonly addresses: readonly string[];
  readonly autoAssign: boolean;
  readonly avoidBuggyIPs: boolean;
  readonly serviceAllocation: {
    readonly priority?: number;
    readonly namespaces?: readonly string[];
    readonly namespaceSelectors?: readonly Selector[];
    readonly serviceSelectors?: readonly Selector[];
  };
}

const ipAddressPool: Schema = {
  type: "object",
  required: ["addresses"],
  properties: {
    addresses: texts,
    autoAssign: flag,
    avoidBuggyIPs: flag,
    serviceAllocation: {
      type: "object",
      properties: {
        priority: { type: "integer" },
        namespaces: texts,
        namespaceSelectors: selectors,
        serviceSelectors: selectors,
      },
    },
  },
};

/** Fields of both kinds of advertisements. */
export interface AdvertisementSpec {
  readonly ipAddressPools: readonly string[];
  readonly ipAddressPoolSelectors: readonly Selector[];
  readonly nodeSelectors: readonly Selector[];
  readonly serviceSelectors: readonly Selector[];
}

const advertisement = {
  ipAddressPools: texts,
  ipAddressPoolSelectors: selectors,
  nodeSelectors: selectors,
  serviceSelectors: selectors,
} as const;

export interface L2Spec extends AdvertisementSpec {
  readonly interfaces: readonly string[];
  readonly preferredNodeSelectors: readonly { readonly weight?: number; readonly preference?: Selector }[];
}

const l2Advertisement: Schema = {
  type: "object",
  properties: {
    ...advertisement,
    interfaces: texts,
    preferredNodeSelectors: {
      type: "array",
      items: {
        type: "object",
        properties: { weight: { type: "integer", minimum: 1, maximum: 100 }, preference: labelSelector },
      },
    },
  },
};

export interface BgpSpec extends AdvertisementSpec {
  readonly aggregationLength: number;
  readonly aggregationLengthV6: number;
  readonly localPref: number;
  readonly communities: readonly string[];
  readonly peers: readonly string[];
}

const length: Schema = { type: "integer", minimum: 1 };
const bgpAttributes = {
  aggregationLength: length,
  aggregationLengthV6: length,
  localPref: { type: "integer", minimum: 0, maximum: 4294967295 },
  communities: texts,
} as const satisfies Record<string, Schema>;

const bgpAdvertisement: Schema = { type: "object", properties: { ...advertisement, ...bgpAttributes, peers: texts } };

export interface PeerSpec {
  readonly myASN: number;
  readonly peerASN: number;
  readonly dynamicASN: "internal" | "external";
  readonly localASN: number;
  readonly peerAddress: string;
  readonly interface: string;
  readonly sourceAddress: string;
  readonly peerPort: number;
  readonly holdTime: string;
  readonly keepaliveTime: string;
  readonly connectTime: string;
  readonly routerID: string;
  readonly nodeSelectors: readonly Selector[];
  readonly password: string;
  readonly passwordSecret: { readonly name?: string; readonly namespace?: string };
  readonly bfdProfile: string;
  readonly enableGracefulRestart: boolean;
  readonly ebgpMultiHop: boolean;
  readonly vrf: string;
  readonly disableMP: boolean;
  readonly dualStackAddressFamily: boolean;
}

/** Schema of `v1beta2`, which has every field of `v1beta1` under the same name. */
const bgpPeer: Schema = {
  type: "object",
  required: ["myASN"],
  properties: {
    myASN: asn(0),
    peerASN: asn(0),
    dynamicASN: { type: "string", enum: ["internal", "external"] },
    localASN: asn(1),
    peerAddress: text,
    interface: text,
    sourceAddress: text,
    peerPort: { type: "integer", minimum: 0, maximum: 16384 },
    holdTime: text,
    keepaliveTime: text,
    connectTime: text,
    routerID: text,
    nodeSelectors: selectors,
    password: text,
    passwordSecret: { type: "object", properties: { name: text, namespace: text } },
    bfdProfile: text,
    enableGracefulRestart: flag,
    ebgpMultiHop: flag,
    vrf: text,
    disableMP: flag,
    dualStackAddressFamily: flag,
  },
};

export interface BfdSpec {
  readonly receiveInterval: number;
  readonly transmitInterval: number;
  readonly detectMultiplier: number;
  readonly echoInterval: number;
  readonly echoMode: boolean;
  readonly passiveMode: boolean;
  readonly minimumTtl: number;
}

const interval: Schema = { type: "integer", minimum: 10, maximum: 60000 };

const bfdProfile: Schema = {
  type: "object",
  properties: {
    receiveInterval: interval,
    transmitInterval: interval,
    detectMultiplier: { type: "integer", minimum: 2, maximum: 255 },
    echoInterval: interval,
    echoMode: flag,
    passiveMode: flag,
    minimumTtl: { type: "integer", minimum: 1, maximum: 254 },
  },
};

export interface CommunitySpec {
  readonly communities: readonly { readonly name?: string; readonly value?: string }[];
}

const community: Schema = {
  type: "object",
  properties: { communities: { type: "array", items: { type: "object", properties: { name: text, value: text } } } },
};

/** The form of 0.13 and before, gone in 0.14.3. */
export interface AddressPoolSpec {
  readonly protocol: "layer2" | "bgp";
  readonly addresses: readonly string[];
  readonly autoAssign: boolean;
  readonly bgpAdvertisements: readonly Partial<BgpSpec>[];
}

const addressPool: Schema = {
  type: "object",
  required: ["protocol", "addresses"],
  properties: {
    protocol: { type: "string", enum: ["layer2", "bgp"] },
    addresses: texts,
    autoAssign: flag,
    bgpAdvertisements: { type: "array", items: { type: "object", properties: bgpAttributes } },
  },
};

/** Each kind that configures MetalLB -> its `spec`. */
export const schemas = {
  IPAddressPool: ipAddressPool,
  L2Advertisement: l2Advertisement,
  BGPAdvertisement: bgpAdvertisement,
  BGPPeer: bgpPeer,
  BFDProfile: bfdProfile,
  Community: community,
  AddressPool: addressPool,
} as const satisfies Record<string, Schema>;
