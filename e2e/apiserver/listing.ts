import { ApiError, badRequest } from "./api-error.ts";
import { asNumber, asObject, type JsonObject } from "./json.ts";
import type { KubeObject } from "./objects.ts";
import type { Rendering } from "./rendering.ts";
import type { Resource } from "./resource.ts";
import { fieldSelector, parseFieldSelector, parseLabelSelector } from "./selectors.ts";
import type { Entry, Store } from "./store.ts";
import type { Selection } from "./watch.ts";

/** What `labelSelector`, `fieldSelector` and the namespace of a request select. @throws {ApiError} 400 */
export function selectionFor(resource: Resource, namespace: string | undefined, query: URLSearchParams): Selection {
  const labels = query.get("labelSelector") ?? "";
  const fields = query.get("fieldSelector") ?? "";
  const extract: Record<string, (object: KubeObject) => string> = {
    "metadata.name": ({ metadata }) => metadata.name,
    "metadata.namespace": ({ metadata }) => metadata.namespace ?? "",
    ...resource.fields,
  };
  const matchesLabels = parseLabelSelector(labels);
  const requirements = parseFieldSelector(fields, Object.keys(extract));
  const matchesFields = fieldSelector(requirements);
  return {
    everything: namespace === undefined && labels === "" && fields === "",
    matches: (object) => {
      if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
      if (labels !== "" && !matchesLabels(object.metadata.labels ?? {})) return false;
      const values = requirements.map(({ field }) => [field, extract[field]?.(object) ?? ""] as const);
      return requirements.length === 0 || matchesFields(Object.fromEntries(values));
    },
  };
}

/** Reads a resource version of a request; undefined for none and for 0, which both mean any. @throws {ApiError} 400, or 504 ahead of time */
export function requestedVersion(query: URLSearchParams, current: number): number | undefined {
  const text = query.get("resourceVersion") ?? "";
  if (text === "" || text === "0") return undefined;
  if (!/^\d+$/.test(text)) throw badRequest(`resourceVersion: Invalid value: ${JSON.stringify(text)}: not a number`);
  const version = Number(text);
  if (version > current) {
    throw new ApiError(504, "Timeout", `Timeout: Too large resource version: ${version}, current: ${current}`, {
      causes: [{ reason: "ResourceVersionTooLarge", message: "Too large resource version" }],
      retryAfterSeconds: 1,
    });
  }
  return version;
}

/** A list, or the page of one that `limit` and `continue` ask for. All pages are of the state that the first one saw. */
export function renderList(
  store: Store,
  resource: Resource,
  selection: Selection,
  query: URLSearchParams,
  rendering: Rendering,
): string {
  const token = query.get("continue") ?? "";
  const limit = Number(query.get("limit") ?? 0);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest(`limit: Invalid value: ${JSON.stringify(query.get("limit"))}`);
  if (token === "") requestedVersion(query, store.version);
  const { version, start } = token === "" ? { version: store.version, start: 0 } : decodeToken(token);
  const entries = token === "" ? store.entries(resource) : store.entriesAt(resource, version);
  if (limit === 0 && start === 0) {
    const selected = selection.everything ? entries : entries.filter(({ object }) => selection.matches(object));
    return rendering.many(selected, { resourceVersion: String(version) });
  }

  const page: Entry[] = [];
  let next = start;
  for (; next < entries.length && (limit === 0 || page.length < limit); next++) {
    const entry = entries[next];
    if (entry !== undefined && selection.matches(entry.object)) page.push(entry);
  }
  const remaining = entries.slice(next).filter(({ object }) => selection.matches(object)).length;
  if (remaining === 0) return rendering.many(page, { resourceVersion: String(version) });
  if (token === "") store.keepSnapshot(resource);
  const selective = query.get("labelSelector") || query.get("fieldSelector"); // Then the real API does not count either.
  return rendering.many(page, {
    resourceVersion: String(version),
    continue: encodeToken(version, next),
    ...(selective ? {} : { remainingItemCount: remaining }),
  });
}

function encodeToken(version: number, start: number): string {
  return Buffer.from(JSON.stringify({ version, start })).toString("base64url");
}

function decodeToken(token: string): { version: number; start: number } {
  let decoded: JsonObject;
  try {
    decoded = asObject(JSON.parse(Buffer.from(token, "base64url").toString()));
  } catch (cause) {
    throw badRequest(`invalid continue token: ${String(cause)}`);
  }
  const version = asNumber(decoded.version);
  const start = asNumber(decoded.start);
  if (version === undefined || start === undefined) throw badRequest("invalid continue token: continue key is not valid");
  return { version, start };
}
