import type { Refusal } from "#pkg/allocator";
import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { ConditionsWrite, EventText, ObjectReference, ReportEffect, Service } from "#pkg/k8s";
import type { LiveConfigEffect } from "#pkg/live-config";

/** Actions that drivers carry out, in this order. */
export type ControllerEffect =
  | KeeperEffect
  | ReportEffect
  | LiveConfigEffect
  | MeasuredEffect
  /** Record a Kubernetes event on this object of the configuration, where it is one and still there; else on the ConfigMap with it. */
  | ({ readonly type: "recordConfigEvent"; readonly about: ObjectReference; readonly object?: string } & EventText)
  /** Write the status of the Service, then deliver `statusWritten`. */
  | {
      readonly type: "writeStatus";
      readonly service: Service;
      readonly addresses: readonly string[];
      /** Undefined: as long as usual. */
      readonly answerWithin: Millis | undefined;
    }
  /** Write these conditions and annotations of the Service, where an empty `since` is from now on, then deliver `conditionsWritten`. */
  | ({ readonly type: "writeConditions"; readonly service: Service } & ConditionsWrite)
  /** Deliver `continue` soon, after what else waits. */
  | { readonly type: "wake" }
  /** Deliver `portion` when the next portion of what concerns all Services is to be done. */
  | { readonly type: "portion"; readonly of: number };

export type KeeperEffect =
  /** Write the text of the last good configuration into `ingot-status`, then deliver `lastGoodWritten`. */
  | { readonly type: "writeLastGood"; readonly secretText: string }
  /** Keep the records in IPAMs of these pools, and of no others. */
  | { readonly type: "keepRecords"; readonly pools: readonly Pool[] }
  /** It was decided on a Service, and this is why it did not get all that it asks for. */
  | { readonly type: "decided"; readonly service: string; readonly missing: Refusal | undefined }
  /** Collect the summary of the cluster's state, then deliver `summaryCollected`. */
  | { readonly type: "collectSummary" }
  /** Write what was collected last into `ingot-summary`, then deliver `summaryWritten`. */
  | { readonly type: "writeSummary" };

export type MeasuredEffect =
  /** Whether a configuration is in force, and whether the ConfigMap has another one. */
  | { readonly type: "showConfig"; readonly loaded: boolean; readonly stale: boolean }
  /** A Service was decided on. */
  | { readonly type: "updated" }
  /** Addresses that a Service waited for are seen in its status. */
  | { readonly type: "allocated"; readonly afterMs: Millis };
