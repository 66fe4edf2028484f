import { badRequest } from "./api-error.ts";
import { asList, equal, isObject, type Json, type JsonObject, without } from "./json.ts";
import { listRule } from "./lists.ts";

/**
 * Kubernetes' strategic merge patch: a merge patch in which the lists named in `lists.ts` are merged by key. Knows the directives
 * `$patch: delete|replace|merge`, `$retainKeys`, `$deleteFromPrimitiveList/NAME` and `$setElementOrder/NAME`.
 * @throws {ApiError} 400 for an unknown directive, or a list item without its merge key
 */
export function strategicMergePatch(kind: string, target: JsonObject, patch: JsonObject): JsonObject {
  return mergeObject(kind, "", target, patch) ?? {};
}

/** Undefined where the patch deletes the object. */
function mergeObject(kind: string, path: string, target: JsonObject, patch: JsonObject): JsonObject | undefined {
  const directive = patch.$patch;
  if (directive === "delete") return undefined;
  if (directive === "replace") return without(patch, "$patch");
  if (directive !== undefined && directive !== "merge") throw badRequest(`unknown patch type: ${String(directive)}`);

  const retained = patch.$retainKeys;
  const result: Record<string, Json | undefined> = Array.isArray(retained)
    ? Object.fromEntries(Object.entries(target).filter(([name]) => retained.includes(name)))
    : { ...target };
  for (const [name, value] of Object.entries(patch)) {
    if (name.startsWith("$deleteFromPrimitiveList/")) {
      const list = name.slice(name.indexOf("/") + 1);
      result[list] = asList(result[list]).filter((item) => !asList(value).includes(item));
      continue;
    }
    if (name.startsWith("$") || value === undefined) continue;
    const below = path === "" ? name : `${path}.${name}`;
    if (value === null) delete result[name];
    else if (Array.isArray(value))
      result[name] = mergeList(kind, below, asList(result[name]), value, patch[`$setElementOrder/${name}`]);
    else if (isObject(value)) result[name] = mergeObject(kind, below, isObject(result[name]) ? result[name] : {}, value);
    else result[name] = value;
  }
  for (const [name, order] of Object.entries(patch)) {
    if (!name.startsWith("$setElementOrder/")) continue;
    const list = name.slice(name.indexOf("/") + 1);
    if (patch[list] === undefined && result[list] !== undefined)
      result[list] = mergeList(kind, path === "" ? list : `${path}.${list}`, asList(result[list]), [], order);
  }
  return result;
}

function mergeList(
  kind: string,
  path: string,
  target: readonly Json[],
  patch: readonly Json[],
  elementOrder: Json | undefined,
): readonly Json[] {
  const { mergeKey, set } = listRule(kind, path);
  if (set) return ordered([...target, ...patch.filter((item) => !target.includes(item))], target, asList(elementOrder), equal);
  if (mergeKey === undefined) return patch;
  if (patch.some((item) => isObject(item) && item.$patch === "replace"))
    return patch.filter((item) => !(isObject(item) && item.$patch === "replace"));

  const same = (a: Json, b: Json): boolean => isObject(a) && isObject(b) && equal(a[mergeKey], b[mergeKey]);
  let merged = target;
  for (const item of patch) {
    if (!isObject(item) || item[mergeKey] === undefined)
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`);
    const position = merged.findIndex((candidate) => same(candidate, item));
    const current = merged[position];
    const result = mergeObject(kind, path, isObject(current) ? current : {}, item);
    if (result === undefined) merged = merged.filter((candidate) => !same(candidate, item));
    else merged = position < 0 ? [...merged, result] : merged.with(position, result);
  }
  const order = elementOrder === undefined ? patch : asList(elementOrder);
  return ordered(merged, target, order, same);
}

/**
 * Items named in `order` come in its order; the others keep their order in `target`, and their place before those of `order` that
 * they preceded there.
 */
function ordered(
  items: readonly Json[],
  target: readonly Json[],
  order: readonly Json[],
  same: (a: Json, b: Json) => boolean,
): readonly Json[] {
  const position = (list: readonly Json[], item: Json): number => list.findIndex((candidate) => same(candidate, item));
  const named = items.filter((item) => position(order, item) >= 0);
  named.sort((a, b) => position(order, a) - position(order, b));
  const others = items.filter((item) => position(order, item) < 0);
  const result: Json[] = [];
  for (const item of named) {
    const before = position(target, item);
    while (others[0] !== undefined && position(target, others[0]) < before) result.push(others.shift() as Json);
    result.push(item);
  }
  return [...result, ...others];
}
