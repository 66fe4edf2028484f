import type { IpamChange } from "#pkg/allocator";
import type { AnnouncedLine } from "#pkg/announced";
import type { Millis } from "#pkg/clock";
import type { ParsedConfig } from "#pkg/config";
import type { TimerEvent } from "#pkg/core";
import type { ObjectReference, Service } from "#pkg/k8s";
import type { Missing, NamespaceLabels } from "#pkg/live-config";
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
  /** The summary was collected. */
  | { readonly type: "summaryCollected"; readonly hash: string }
  /** The summary was written, or why it was not. */
  | {
      readonly type: "summaryWritten";
      readonly written: { readonly hash: string; readonly bytes: number } | undefined;
      readonly failure?: WriteFailure;
    }
  /** A Service's conditions were written, or why they were not. */
  | { readonly type: "conditionsWritten"; readonly key: string; readonly failure: WriteFailure | undefined }
  /** Asked for by the effect `readConfig`: a text was read. */
  | { readonly type: "configRead"; readonly secretText: string; readonly parsed: ParsedConfig }
  /** Asked for by the effect `judgePortion`. */
  | { readonly type: "judgePortion"; readonly of: number }
  /** The last good configuration was written, or why it was not. */
  | { readonly type: "lastGoodWritten"; readonly secretText: string; readonly failure: WriteFailure | undefined }
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
  /** For each of them afterwards, in several turns where they are many: the change counts. Nothing is decided before all of them do. */
  | { readonly type: "service"; readonly key: string }
  /** All Services were listed again. */
  | { readonly type: "relisted" }
  /** The ConfigMap with the configuration, or the custom resources in its place; `about`: the ConfigMap, or the object that changed last. */
  | {
      readonly type: "configMap";
      readonly now:
        | {
            readonly about: ObjectReference | undefined;
            readonly version: string;
            readonly secretText: string | undefined;
            readonly missing?: Missing | undefined;
            readonly missingKinds?: readonly string[] | undefined;
            readonly mayRenumber: boolean;
          }
        | undefined;
    }
  /** Custom resources have changed, and what they are now comes as `configMap`; or it has come. */
  | { readonly type: "objectsChanging"; readonly areChanging: boolean }
  /** The ConfigMap `ingot-status`, with the text of the last good configuration. `hasSummary`: version 0.1.0 wrote its summary there. */
  | { readonly type: "statusMap"; readonly secretText: string | undefined; readonly hasSummary: boolean }
  /** The ConfigMap `ingot-summary`. `hash` tells one summary from another; it is empty without a summary. */
  | { readonly type: "summaryMap"; readonly hash: string }
  /** Other hosts of the network have these addresses, and no others, as speakers report. */
  | { readonly type: "occupied"; readonly reported: ReadonlyMap<string, Occupant> } // address -> the host
  /** Lines about Services, as a speaker writes them. `alive` is another one as long as there is such a speaker. */
  | {
      readonly type: "announced";
      readonly lines: ReadonlyMap<string, AnnouncedLine>; // service -> its line
      readonly alive?: string | undefined;
    }
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
  | { readonly type: "namespacesKnown"; readonly labels: NamespaceLabels };

export interface ServiceChange {
  readonly key: string;
  /** Undefined where it is gone. */
  readonly now: Service | undefined;
}

/** Findings of the keeper of NetBox's records. */
export type KeeperEvent =
  /** An IPAM says something else of its pool. */
  | ({ readonly type: "ipam" } & IpamChange)
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
