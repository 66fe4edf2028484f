import type { ModelSettings, UpdateShape } from "#pkg/bgp/testing";
import type { Millis } from "#pkg/clock";
import type { Peer } from "#pkg/config";
import type { Family } from "#pkg/net";

/** Fields of a peer, as an operator writes them. */
export type PeerFields = Partial<
  Pick<
    Peer,
    | "families"
    | "passive"
    | "holdTimeSeconds"
    | "keepaliveSeconds"
    | "connectTimeSeconds"
    | "gracefulRestartSeconds"
    | "gracefulRestartNotification"
    | "longLivedStaleSeconds"
    | "addPath"
    | "role"
    | "roleStrict"
    | "myAsn"
    | "maximumPrefix"
    | "password"
    | "drainWhenCordoned"
    | "bfdProfile"
    | "bfdStrict"
    | "ebgpMultihop"
  >
> & {
  readonly routerIdText?: string | undefined;
  readonly hasSecret?: boolean | undefined;
  /** By its address, by its router advertisements, as the gateway, or by an annotation of the node. */
  readonly reached?: "named" | "found" | "gateway" | "node";
  /** An entry by its address stands before or behind this one, with its source or without. */
  readonly isTwice?: "first" | "last" | "otherSource" | "otherSourceFirst" | undefined;
  readonly source?: "address" | "interface" | undefined;
  /** Settings of the entry by its address, where there are two entries. */
  readonly other?: Partial<
    Pick<Peer, "holdTimeSeconds" | "gracefulRestartNotification" | "longLivedStaleSeconds" | "bfdProfile" | "bfdStrict">
  >;
};

export type Act = { readonly at: Millis } & (
  | { readonly type: "peer"; readonly router: number; readonly fields: PeerFields }
  | { readonly type: "removePeer"; readonly router: number }
  /** The node's annotation for the router gets the right value, another one, or goes. */
  | { readonly type: "annotation"; readonly router: number; readonly value: string | undefined }
  /** The default route by way of the router. */
  | { readonly type: "gateway"; readonly router: number; readonly on: boolean }
  | { readonly type: "found"; readonly router: number; readonly on: boolean }
  /** The node has no address for a while. */
  | { readonly type: "renumber"; readonly ms: Millis }
  | { readonly type: "secret"; readonly value: string | undefined }
  | { readonly type: "drain"; readonly on: boolean }
  | { readonly type: "routes"; readonly changes: readonly RouteChange[] }
  | {
      readonly type: "restart";
      readonly awayMs: Millis;
      /** `crash`: with its node, which says nothing, and boots. */
      readonly how: "killed" | "leaves" | "crash";
      readonly forwardingPreserved: boolean;
      /** After so long the next process has read Secrets and heard routers. */
      readonly lateMs: Millis;
    }
  | { readonly type: "stall"; readonly ms: Millis }
  | { readonly type: "ipv6"; readonly on: boolean }
  | { readonly type: "router"; readonly router: number; readonly fields: Partial<ModelSettings>; readonly says: boolean }
  | {
      readonly type: "routerRestart";
      readonly router: number;
      readonly awayMs: Millis;
      readonly keeps: boolean;
      readonly crash: boolean;
    }
  | { readonly type: "notify"; readonly router: number; readonly code: number; readonly subcode: number }
  | { readonly type: "tells"; readonly router: number; readonly shape: UpdateShape; readonly times: number }
  /** Another router comes to its place, with its address. */
  | { readonly type: "replace"; readonly router: number; readonly awayMs: Millis; readonly fields: Partial<ModelSettings> }
  | { readonly type: "refresh"; readonly router: number; readonly family: Family }
  /** `dials`: the router connects at once again, as this side does. */
  | { readonly type: "break"; readonly router: number; readonly dials: boolean }
  | { readonly type: "freeze"; readonly router: number; readonly ms: Millis }
  | { readonly type: "silent"; readonly router: number; readonly ms: Millis }
);

export interface RouteChange {
  readonly host: number;
  readonly family: Family;
  /** 0 withdraws. */
  readonly version: number;
  /** Next hops of several paths; none for a route by itself. */
  readonly paths: readonly number[];
}

export interface Story {
  readonly seed: number;
  readonly routers: number;
  readonly acts: readonly Act[];
  readonly latency: Millis;
}
