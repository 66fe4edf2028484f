import type { Refusal } from "#pkg/allocator";
import type { Millis } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import type { ConfigMap, EventText, ReportEffect, Service } from "#pkg/k8s";

/** Actions that drivers carry out, in this order. */
export type ControllerEffect =
  | KeeperEffect
  | ReportEffect
  | MeasuredEffect
  /** Record a Kubernetes event on the ConfigMap with the configuration. */
  | ({ readonly type: "recordConfigEvent" } & EventText)
  /** Write the status of the Service, then deliver `statusWritten`. */
  | {
      readonly type: "writeStatus";
      readonly service: Service;
      readonly addresses: readonly string[];
      /** Undefined: as long as usual. */
      readonly answerWithin: Millis | undefined;
    }
  /** Deliver `continue` soon, after what else waits. */
  | { readonly type: "wake" }
  /** Deliver `portion` when the next portion of what concerns all Services is to be done. */
  | { readonly type: "portion"; readonly of: number };

export type KeeperEffect =
  /** All has been seen: decide which configuration is in force. */
  | { readonly type: "startConfig" }
  | { readonly type: "judgeConfig"; readonly configMap: ConfigMap | undefined }
  | { readonly type: "readStatus"; readonly configMap: ConfigMap | undefined }
  /** The labels of namespaces have changed. */
  | { readonly type: "judgeNamespaces" }
  /** The Service appeared, changed or went, or holds other addresses. */
  | { readonly type: "judgeService"; readonly service: string }
  /** Keep the records in IPAMs of these pools, and of no others. */
  | { readonly type: "keepRecords"; readonly pools: readonly Pool[] }
  /** It was decided on a Service, and this is why it did not get what it asks for. */
  | { readonly type: "decided"; readonly service: string; readonly unmet: Refusal | undefined }
  /** The summary in `ingot-status` may be another. */
  | { readonly type: "summarize" };

export type MeasuredEffect =
  /** A Service was decided on. */
  | { readonly type: "updated" }
  /** Addresses that a Service waited for are seen in its status. */
  | { readonly type: "allocated"; readonly afterMs: Millis };
