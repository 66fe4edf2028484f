import type { Protocol } from "../config.ts";

/**
 * The configuration as `schema.json` shapes it: every value that is there has the right type and lies in its range. Anything may
 * be absent, because the rules between fields are checked even where the shape is wrong.
 */
export interface RawConfig {
  readonly "address-pools"?: RawList<RawPool>;
  readonly quotas?: RawList<RawQuota>;
  readonly peers?: RawList<RawPeer>;
  readonly "bgp-communities"?: Readonly<Record<string, string | undefined>>; // alias -> community
  readonly "bfd-profiles"?: RawList<RawBfdProfile>;
}

/** An entry that did not fit keeps its place as undefined, so that positions stay true. */
export type RawList<T> = readonly (T | undefined)[];

export interface RawPool {
  readonly name?: string;
  readonly protocol?: Protocol | "none" | RawList<Protocol>;
  readonly addresses?: RawList<string>;
  readonly "auto-assign"?: boolean;
  readonly "avoid-buggy-ips"?: boolean;
  readonly namespaces?: RawList<string>;
  readonly "namespace-selectors"?: RawList<RawSelector>;
  readonly "service-selectors"?: RawList<RawSelector>;
  readonly priority?: number;
  readonly closed?: boolean;
  readonly sharing?: "cluster" | "namespace" | "none";
  readonly reserved?: RawList<string | RawReservation>;
  readonly netbox?: RawNetbox;
  readonly "bgp-advertisements"?: RawList<RawAdvertisement>;
  readonly "node-selectors"?: RawList<RawSelector>;
  readonly "preferred-nodes"?: RawList<RawPreferredNode>;
  readonly interfaces?: RawList<string>;
  readonly "l2-placement"?: "hash" | "subnet" | "sticky" | "sticky-subnet";
  readonly "conflict-probe"?: "off" | "report" | "strict";
  readonly "self-test"?: string;
  readonly placement?: "routed" | "lan" | "auto";
  readonly carrier?: "address" | "route";
  readonly "dummy-interface"?: string;
  readonly "aggregation-length"?: number;
  readonly "aggregation-length-v6"?: number;
  readonly "route-table"?: number;
  readonly "route-protocol"?: number;
  readonly "address-lifetime"?: string;
}

export interface RawReservation {
  readonly addresses?: RawList<string>;
  readonly service?: string;
  readonly namespace?: string;
}

export interface RawNetbox {
  readonly url?: string;
  readonly "token-secret"?: RawSecretKey;
  readonly mode?: "record" | "allocate";
  readonly prefix?: string;
  readonly tags?: RawList<string>;
  readonly tenant?: string;
  readonly role?: string;
  readonly "on-release"?: "delete" | "deprecate" | "keep";
}

export interface RawQuota {
  readonly namespaces?: RawList<string>;
  readonly "namespace-selectors"?: RawList<RawSelector>;
  readonly pools?: RawList<string>;
  readonly together?: boolean;
  readonly ipv4?: number;
  readonly ipv6?: number;
  readonly services?: number;
}

export interface RawAdvertisement {
  readonly "aggregation-length"?: number;
  readonly "aggregation-length-v6"?: number;
  readonly localpref?: number;
  readonly communities?: RawList<string>;
  readonly med?: number;
  readonly "as-path-prepend"?: number;
  readonly peers?: RawList<string>;
  readonly "node-selectors"?: RawList<RawSelector>;
  readonly "next-hop"?: string;
  readonly "next-hop-v6"?: string;
  readonly weight?: "endpoints";
}

export interface RawPeer {
  readonly name?: string;
  readonly "my-asn"?: number;
  readonly "peer-asn"?: number | "internal" | "external";
  readonly families?: RawList<"ipv4" | "ipv6">;
  readonly "peer-address"?: string;
  readonly interface?: string;
  readonly "source-address"?: string;
  readonly "source-interface"?: string;
  readonly "peer-port"?: number;
  readonly "hold-time"?: string;
  readonly "keepalive-time"?: string;
  readonly "connect-time"?: string;
  readonly "router-id"?: string;
  readonly "node-selectors"?: RawList<RawSelector>;
  readonly password?: string;
  readonly "password-secret"?: RawSecretKey;
  readonly "bfd-profile"?: string;
  readonly "bfd-strict"?: boolean;
  readonly "ebgp-multihop"?: boolean;
  readonly "ebgp-multihop-ttl"?: number;
  readonly "ttl-security"?: number;
  readonly passive?: boolean;
  readonly disabled?: boolean;
  readonly "graceful-restart-time"?: string;
  readonly "graceful-shutdown-time"?: string;
  readonly "drain-when-cordoned"?: boolean;
}

export interface RawSecretKey {
  readonly name?: string;
  readonly key?: string;
}

export interface RawSelector {
  readonly "match-labels"?: Readonly<Record<string, string | undefined>>; // label -> value
  readonly "match-expressions"?: RawList<RawExpression>;
}

export interface RawPreferredNode extends RawSelector {
  readonly weight?: number;
}

export interface RawExpression {
  readonly key?: string;
  readonly operator?: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: RawList<string>;
}

export interface RawBfdProfile {
  readonly name?: string;
  readonly "receive-interval"?: number;
  readonly "transmit-interval"?: number;
  readonly "detect-multiplier"?: number;
  readonly "echo-interval"?: number;
  readonly "echo-mode"?: boolean;
  readonly "passive-mode"?: boolean;
  readonly "minimum-ttl"?: number;
}
