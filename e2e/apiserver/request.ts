import type { Action } from "./rbac.ts";

/** The target of a request's method, path and query. */
export type Target =
  | {
      readonly type: "resource";
      readonly group: string;
      readonly version: string;
      readonly plural: string;
      readonly namespace: string | undefined;
      readonly name: string | undefined;
      readonly subresource: string;
      readonly verb: string;
    }
  | { readonly type: "path"; readonly path: string; readonly verb: string };

const verbs: Record<string, string> = { POST: "create", PUT: "update", PATCH: "patch" };

/** Reads the target as Kubernetes' own request parser does. Anything outside `/api/v1` and `/apis/GROUP/VERSION` is a plain path. */
export function parseTarget(method: string, path: string, query: URLSearchParams): Target {
  const [root, ...rest] = path
    .split("/")
    .filter((part) => part !== "")
    .map(decode);
  const [group = "", version = ""] = root === "apis" ? rest : ["", rest[0]];
  let parts = root === "apis" ? rest.slice(2) : rest.slice(1);
  if ((root !== "api" && root !== "apis") || parts.length === 0) return { type: "path", path, verb: method.toLowerCase() };

  let namespace: string | undefined;
  if (parts[0] === "namespaces" && parts.length > 2 && parts[2] !== "status" && parts[2] !== "finalize") {
    namespace = parts[1];
    parts = parts.slice(2);
  }
  const [plural = "", name, ...subresource] = parts;
  const verb = verbs[method] ?? readOrDelete(method, name !== undefined, query);
  return { type: "resource", group, version, plural, namespace, name, subresource: subresource.join("/"), verb };
}

function readOrDelete(method: string, named: boolean, query: URLSearchParams): string {
  if (method === "DELETE") return named ? "delete" : "deletecollection";
  if (named) return "get";
  return query.get("watch") === "true" || query.get("watch") === "1" ? "watch" : "list";
}

/**
 * The action that has to be allowed for the request. A list, watch or deletion of a collection by `metadata.name` counts as naming
 * that object, and a namespace as being in itself. Rules with `resourceNames` and Roles count on that.
 */
export function requiredAction(target: Target, query: URLSearchParams): Action {
  if (target.type === "path") return target;
  const { group, plural, subresource, verb } = target;
  const selected = /(?:^|,)metadata\.name==?([^,]+)/.exec(query.get("fieldSelector") ?? "")?.[1];
  const name = target.name ?? selected ?? "";
  const namespace = plural === "namespaces" && group === "" ? (target.name ?? "") : (target.namespace ?? "");
  return { type: "resource", verb, group, resource: plural, subresource, namespace, name };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // A stray % names nothing, which is what the answer will say.
  }
}
