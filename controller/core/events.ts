import type { IpamPool } from "#pkg/allocator";
import type { Millis } from "#pkg/clock";
import type { Config } from "#pkg/config";
import type { TimerEvent } from "#pkg/core";
import type { ConfigMap, Service } from "#pkg/k8s";
import type { Occupant } from "#pkg/quarantine";

/** Events that drivers deliver. */
export type ControllerEvent =
  | SourceEvent
  | KeeperEvent
  | TimerEvent
  /** Nothing was seen or decided before. */
  | { readonly type: "begin" }
  /** This controller becomes the one that works. */
  | { readonly type: "lead" }
  /** A Service's status was written, or was not. */
  | ({ readonly type: "statusWritten"; readonly key: string; readonly addresses: readonly string[] } & StatusWrite)
  /** Asked for by the effect `wake`: the next Service is to be decided on. */
  | { readonly type: "continue" }
  /** Asked for by the effect `portion`: some of the Services are to be looked at under the configuration of this number. */
  | { readonly type: "portion"; readonly of: number }
  /** Decide nothing any more. */
  | { readonly type: "stop" };

/** Objects of the Kubernetes API. */
export type SourceEvent =
  /** These Services changed, all of one list at once: the configuration is judged with them, before anything is decided on one. */
  | { readonly type: "services"; readonly changed: readonly ServiceChange[] }
  /** For each of them afterwards: the change counts. */
  | { readonly type: "service"; readonly key: string }
  /** All Services were listed again. */
  | { readonly type: "relisted" }
  /** The ConfigMap with the configuration. */
  | { readonly type: "configMap"; readonly now: ConfigMap | undefined }
  /** The ConfigMap `ingot-status`. */
  | { readonly type: "statusMap"; readonly now: ConfigMap | undefined }
  /** Other hosts of the network have these addresses, and no others, as speakers report. */
  | { readonly type: "occupied"; readonly reported: ReadonlyMap<string, Occupant> } // address -> the host
  /** Whether all of this has been seen, and is still seen. */
  | { readonly type: "seen"; readonly isCurrent: boolean }
  /** A namespace has these labels, or none that are known. `isNews`: it had others before, on which something was decided. */
  | {
      readonly type: "namespace";
      readonly name: string;
      readonly labels: Readonly<Record<string, string>> | undefined;
      readonly isNews: boolean;
    }
  /** Namespaces have been seen for the first time, or the server refuses to show them from now on. */
  | { readonly type: "namespacesKnown" };

export interface ServiceChange {
  readonly key: string;
  /** Undefined where it is gone. */
  readonly now: Service | undefined;
}

/** Findings of the keepers of the configuration and of NetBox's records. */
export type KeeperEvent =
  /** Another configuration is in force; it may leave no pool for addresses in use, if it `mayRenumber`. */
  | { readonly type: "config"; readonly config: Pick<Config, "pools" | "quotas">; readonly mayRenumber: boolean }
  /** There is no configuration, and this is why. */
  | { readonly type: "noConfig"; readonly why: string }
  /** The ConfigMap got another verdict, or another configuration is in force. */
  | { readonly type: "judged" }
  /** What IPAMs say of their pools, and of no others. */
  | { readonly type: "ipam"; readonly pools: readonly IpamPool[] }
  /** Something is wrong with a pool's IPAM, or nothing any more. */
  | { readonly type: "ipamProblem"; readonly pool: string; readonly problem: string | undefined };

/** How the write of a status ended. */
export type StatusWrite =
  | { readonly result: "written" | "conflict" | "gone"; readonly tookMs: Millis }
  | { readonly result: "failed"; readonly failure: WriteFailure };

/** The API server's answer, if it gave one. */
export interface WriteFailure {
  readonly status: number | undefined;
  readonly reason: string | undefined;
  readonly message: string;
  /** The cause of a missing answer. */
  readonly cause: string | undefined;
  readonly retryAfterMs: Millis | undefined;
}
