import type { RawSlice } from "../cluster/cluster-state.ts";
import type { RawPod } from "../cluster/installation.ts";

/**
 * The slices that are left when nodes have been drained, as `kubectl drain --ignore-daemonsets` does it: Pods of DaemonSets, and those that a
 * kubelet runs by itself, stay.
 * @param pods of those nodes
 */
export function drained(slices: readonly RawSlice[], nodes: ReadonlySet<string>, pods: readonly RawPod[]): RawSlice[] {
  const staying = new Set(pods.filter(stays).map(({ metadata }) => `${metadata?.namespace}/${metadata?.name}`));
  return slices.map((slice) => ({
    ...slice,
    endpoints: (slice.endpoints ?? []).filter(({ nodeName, targetRef }) => {
      if (nodeName === undefined || !nodes.has(nodeName)) return true;
      const { kind, namespace = slice.metadata?.namespace, name } = targetRef ?? {};
      return kind === "Pod" && staying.has(`${namespace}/${name}`);
    }),
  }));
}

function stays({ metadata }: RawPod): boolean {
  const isOfKubelet = metadata?.annotations?.["kubernetes.io/config.mirror"] !== undefined;
  return isOfKubelet || metadata?.ownerReferences?.some(({ kind }) => kind === "DaemonSet") === true;
}
