import { ApiError, badRequest } from "./api-error.ts";
import { asList, equal, isObject, type Json, type JsonObject, without } from "./json.ts";

/** JSON merge patch (RFC 7396): null removes, objects merge, everything else replaces. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (!isObject(patch)) return patch;
  const result: Record<string, Json | undefined> = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    if (value === null) delete result[name];
    else result[name] = mergePatch(result[name], value);
  }
  return result;
}

/**
 * JSON patch (RFC 6902), all six operations.
 * @throws {ApiError} 400 when the patch is not a list of operations, 422 when an operation cannot be carried out
 */
export function jsonPatch(target: Json, patch: Json): Json {
  if (!Array.isArray(patch)) throw badRequest("error decoding patch: the patch is not a list of operations");
  return patch.reduce<Json>((document, operation) => {
    if (!isObject(operation)) throw badRequest("error decoding patch: an operation is not an object");
    return carryOut(document, operation);
  }, target);
}

function carryOut(document: Json, operation: JsonObject): Json {
  const path = pointer(operation.path);
  const { value } = operation;
  switch (operation.op) {
    case "add":
      return add(document, path, required(value));
    case "remove":
      return remove(document, path);
    case "replace":
      read(document, path);
      return replace(document, path, required(value));
    case "move": {
      const from = pointer(operation.from);
      return add(remove(document, from), path, read(document, from));
    }
    case "copy":
      return add(document, path, read(document, pointer(operation.from)));
    case "test":
      if (value === null && isAbsent(document, path)) return document; // The API server's library does so.
      if (!equal(read(document, path), value)) throw cannot(`testing value ${operation.path} failed`);
      return document;
    default:
      throw cannot(`unexpected kind: ${String(operation.op)}`);
  }
}

function pointer(text: Json | undefined): string[] {
  if (typeof text !== "string" || (text !== "" && !text.startsWith("/"))) throw cannot(`invalid path ${String(text)}`);
  const steps = text.split("/").slice(1);
  return steps.map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~")); // In this order (RFC 6901, section 4).
}

function required(value: Json | undefined): Json {
  if (value === undefined) throw cannot("the operation has no value");
  return value;
}

function read(document: Json, path: readonly string[]): Json {
  return path.reduce<Json>((value, step) => {
    const next = isObject(value) ? value[step] : asList(value)[index(step, asList(value).length - 1)];
    if (next === undefined) throw cannot(`missing path /${path.join("/")}`);
    return next;
  }, document);
}

function isAbsent(document: Json, path: readonly string[]): boolean {
  const parent = read(document, path.slice(0, -1));
  return isObject(parent) && parent[path.at(-1) ?? ""] === undefined;
}

function replace(document: Json, path: readonly string[], value: Json): Json {
  return change(
    document,
    path,
    (parent, step) => {
      if (isObject(parent)) return { ...parent, [step]: value };
      return parent.with(index(step, parent.length - 1), value);
    },
    value,
  );
}

function add(document: Json, path: readonly string[], value: Json): Json {
  return change(
    document,
    path,
    (parent, step) => {
      if (isObject(parent)) return { ...parent, [step]: value };
      return parent.toSpliced(step === "-" ? parent.length : index(step, parent.length), 0, value);
    },
    value,
  );
}

function remove(document: Json, path: readonly string[]): Json {
  read(document, path);
  return change(
    document,
    path,
    (parent, step) => {
      if (isObject(parent)) return without(parent, step);
      return parent.toSpliced(index(step, parent.length - 1), 1);
    },
    null,
  );
}

/** Rebuilds the way down to the parent of `path`, and the parent by `edit`; the empty path is the whole document. */
function change(
  document: Json,
  path: readonly string[],
  edit: (parent: JsonObject | readonly Json[], step: string) => Json,
  whole: Json,
): Json {
  const [step, ...rest] = path;
  if (step === undefined) return whole;
  if (!isObject(document) && !Array.isArray(document)) throw cannot(`missing path at ${step}`);
  if (rest.length === 0) return edit(document, step);
  const child = change(read(document, [step]), rest, edit, whole);
  return isObject(document) ? { ...document, [step]: child } : document.with(index(step, document.length - 1), child);
}

function index(step: string, last: number): number {
  if (!/^(0|[1-9]\d*)$/.test(step) || Number(step) > last) throw cannot(`invalid index ${step}`);
  return Number(step);
}

function cannot(why: string): ApiError {
  return new ApiError(422, "Invalid", `the server rejected our request due to an error in our request: ${why}`, {});
}
