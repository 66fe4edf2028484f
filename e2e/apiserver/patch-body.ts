import { load } from "js-yaml";
import { badRequest, invalid, requiredValue, unsupportedMediaType } from "./api-error.ts";
import { type Applied, serverSideApply } from "./apply.ts";
import { asObject, isObject, type Json, type JsonObject } from "./json.ts";
import { jsonPatch, mergePatch } from "./patch.ts";
import { strategicMergePatch } from "./strategic-merge.ts";

/** A PATCH request: what it says and how it is to be read. */
export interface PatchRequest {
  readonly contentType: string;
  readonly body: string;
  readonly kind: string;
  readonly apiVersion: string;
  /** `fieldManager` and `force` of a server-side apply. */
  readonly manager: string;
  readonly force: boolean;
  /** RFC 3339, for `managedFields`. */
  readonly time: string;
}

export function isApply(contentType: string): boolean {
  return contentType === "application/apply-patch+yaml";
}

/** @throws {ApiError} 400 for a patch that cannot be read, 415 for an unknown kind of patch, 422 for one that cannot be carried out */
export function patched(current: JsonObject, { contentType, body, kind }: PatchRequest): Json {
  const patch = (): Json => parseJson(body, "error decoding patch");
  const object = (): JsonObject => {
    const value = patch();
    if (!isObject(value)) throw badRequest("error decoding patch: not an object");
    return value;
  };
  switch (contentType) {
    case "application/merge-patch+json":
      return mergePatch(current, object());
    case "application/json-patch+json":
      return jsonPatch(current, patch());
    case "application/strategic-merge-patch+json":
      return strategicMergePatch(kind, current, object());
    default:
      throw unsupportedMediaType("415: Unsupported Media Type");
  }
}

/** @throws {ApiError} 409 on conflict with another manager, 422 without a manager */
export function applied(current: JsonObject | undefined, request: PatchRequest): Applied {
  const { kind, apiVersion, manager, force, time } = request;
  if (manager === "") {
    const subject = { group: "meta.k8s.io", kind: "PatchOptions", name: "" };
    throw invalid(subject, [requiredValue("fieldManager", "is required for apply patch")]);
  }
  const configuration = asObject(parseYaml(request.body));
  if (configuration.apiVersion !== apiVersion || configuration.kind !== kind)
    throw badRequest(`the configuration applied is not a ${apiVersion} ${kind}`);
  return serverSideApply({ kind, apiVersion, current, configuration, manager, force, time });
}

/** @throws {ApiError} 400 */
export function parseJson(text: string, attempt: string): Json {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badRequest(`${attempt}: ${(cause as Error).message}`);
  }
}

/** JSON is tried first: it is what kubectl sends, and far faster to read. @throws {ApiError} 400 */
export function parseYaml(text: string): Json {
  if (text.trimStart().startsWith("{")) return parseJson(text, "error decoding YAML");
  try {
    return load(text) as Json;
  } catch (cause) {
    throw badRequest(`error decoding YAML: ${(cause as Error).message}`);
  }
}
