import { type Fields, fields, list, text } from "#pkg/untrusted";
import { ApiError } from "./errors.ts";
import { short } from "./kept.ts";
import type { Pod } from "./objects.ts";
import { projectMeta, resources } from "./resources.ts";

/** The fields of a Pod that a table has. */
export type PodRow = Pick<Pod, "nodeName" | "podIPs" | "hostIP" | "ready">;

/** A table as `kubectl get` shows it, or the objects from a server that makes no tables. */
export const asTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

/**
 * The Pods of an answer in that form. A table has no address of a node, which is that of a Pod on the node's network unless the node has got
 * another one since, and counts a Pod on a node that is gone as ready. @throws {ApiError} for a table of another kind
 */
export function podRows(answer: Fields): readonly PodRow[] {
  if (answer.kind !== "Table")
    return list(answer.items).flatMap((item) => {
      const meta = projectMeta(item);
      return meta === undefined ? [] : resources.pods.project(fields(item), meta);
    });
  const columns = list(answer.columnDefinitions).map((column) => text(fields(column).name));
  const [ready = -1, status = -1, ip = -1, node = -1] = ["Ready", "Status", "IP", "Node"].map((name) => columns.indexOf(name));
  if (Math.min(ready, status, ip, node) < 0)
    throw new ApiError("Cannot read the table of Pods: it lacks a column", 200, "Malformed");
  return list(answer.rows).map((row): PodRow => {
    const cells = list(fields(row).cells).map((cell) => short(text(cell)));
    const [containers, all] = (cells[ready] ?? "").split("/");
    return {
      nodeName: known(cells[node]),
      podIPs: [cells[ip]].flatMap((address) => known(address) ?? []),
      hostIP: undefined,
      ready: cells[status] === "Running" && containers === all,
    };
  });
}

function known(cell = ""): string | undefined {
  return cell === "" || cell === "<none>" ? undefined : cell;
}
