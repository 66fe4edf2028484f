import { ApiError } from "./api-error.ts";
import { asList, asObject, asText, equal, isObject, type Json, type JsonObject, without } from "./json.ts";
import { isAtomicMap, listRule } from "./lists.ts";

export interface ApplyRequest {
  readonly kind: string;
  readonly apiVersion: string;
  /** The stored object; undefined when it does not exist yet. */
  readonly current: JsonObject | undefined;
  /** The manager's wish: all fields that it owns, nothing else. */
  readonly configuration: JsonObject;
  readonly manager: string;
  /** Takes fields over from other managers instead of refusing. */
  readonly force: boolean;
  readonly time: string;
}

export interface Applied {
  readonly object: JsonObject;
  readonly managedFields: readonly Json[];
}

/** A set of fields: each a path of `f:name`, `k:{keys of a list item}` and `v:item of a set`, as in `managedFields`, in JSON. */
type FieldSet = ReadonlySet<string>;
type Path = readonly string[];

interface Manager {
  readonly name: string;
  readonly fields: FieldSet;
  readonly entry: JsonObject;
}

/**
 * Server-side apply: sets what the configuration says, removes what this manager applied before and no longer names, and remembers
 * who owns what. Only those who apply own fields; other writers neither gain nor lose any.
 * @throws {ApiError} 409 when a field has another owner and another value
 */
export function serverSideApply(request: ApplyRequest): Applied {
  const { kind, current = {}, configuration, manager, force } = request;
  const wanted = withoutIdentity(configuration);
  const fields = fieldSet(kind, wanted);
  const managers = asList(asObject(current.metadata).managedFields).map(toManager);
  const others = managers.filter(({ name }) => name !== manager);
  const conflicts = others.flatMap((other) => conflictsWith(other, fields, current, wanted));
  if (conflicts.length > 0 && !force) throw conflictError(conflicts);

  const kept = others.map((other) => ({ ...other, fields: other.fields.difference(lost(conflicts, other)) }));
  const before = managers.find(({ name }) => name === manager)?.fields ?? new Set<string>();
  const ownedByOthers = new Set(kept.flatMap((other) => [...other.fields]));
  const removed = [...before].filter((field) => !fields.has(field) && !ownedByOthers.has(field));
  const merged = merge(kind, "", current, { ...configuration, ...wanted, metadata: asObject(configuration.metadata) });
  const object = removed.reduce<Json>((result, field) => removeAt(result, JSON.parse(field)), merged);
  const mine = {
    manager,
    operation: "Apply",
    apiVersion: request.apiVersion,
    time: request.time,
    fieldsType: "FieldsV1",
    fieldsV1: toTree(fields),
  };
  const unchanged = before.size === fields.size && before.isSubsetOf(fields);
  const previousEntry = managers.find(({ name }) => name === manager)?.entry;
  const entry = unchanged && previousEntry !== undefined ? previousEntry : mine; // So that applying the same again writes nothing.
  const theirs = kept
    .filter(({ fields }) => fields.size > 0)
    .map((other) => ({ ...other.entry, fieldsV1: toTree(other.fields) }));
  return { object: asObject(object), managedFields: fields.size === 0 ? theirs : [entry, ...theirs] };
}

interface Conflict {
  readonly manager: string;
  readonly field: string;
}

function conflictsWith(other: Manager, fields: FieldSet, current: JsonObject, wanted: JsonObject): Conflict[] {
  const differing = [...fields.intersection(other.fields)].filter((field) => {
    const path: Path = JSON.parse(field);
    const isItself = path.at(-1)?.startsWith("f:") !== true; // An item of a list: having it is no matter of values.
    return !isItself && !equal(valueAt(current, path), valueAt(wanted, path));
  });
  return differing.map((field) => ({ manager: other.name, field }));
}

function lost(conflicts: readonly Conflict[], { name }: Manager): FieldSet {
  return new Set(conflicts.filter(({ manager }) => manager === name).map(({ field }) => field));
}

function conflictError(conflicts: readonly Conflict[]): ApiError {
  const causes = conflicts.map(({ manager, field }) => ({
    reason: "FieldManagerConflict",
    message: `conflict with "${manager}"`,
    field: pathText(JSON.parse(field)),
  }));
  const [first] = causes;
  const byMessage = Object.entries(Object.groupBy(causes, ({ message }) => message));
  const lists = byMessage.map(([message, own = []]) =>
    [own.length > 1 ? message.replace("conflict", "conflicts") : message, ":", ...own.map(({ field }) => `\n- ${field}`)].join(
      "",
    ),
  );
  const what =
    causes.length === 1 ? `1 conflict: ${first?.message}: ${first?.field}` : `${causes.length} conflicts: ${lists.join("\n")}`;
  return new ApiError(409, "Conflict", `Apply failed with ${what}`, { causes });
}

/** `.spec.ports[port=80,protocol="TCP"].name` */
function pathText(path: Path): string {
  return path
    .map((element) => {
      if (element.startsWith("f:")) return `.${element.slice(2)}`;
      if (element.startsWith("v:")) return `[=${element.slice(2)}]`;
      const keys = Object.entries(JSON.parse(element.slice(2)) as JsonObject);
      return `[${keys.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(",")}]`;
    })
    .join("");
}

function toManager(entry: Json): Manager {
  const object = asObject(entry);
  return { name: asText(object.manager), fields: fromTree(asObject(object.fieldsV1)), entry: object };
}

const identity = [
  "name",
  "namespace",
  "uid",
  "resourceVersion",
  "generation",
  "generateName",
  "creationTimestamp",
  "deletionTimestamp",
  "managedFields",
];

function withoutIdentity(configuration: JsonObject): JsonObject {
  return { ...without(configuration, "apiVersion", "kind"), metadata: without(asObject(configuration.metadata), ...identity) };
}

function fieldSet(kind: string, configuration: JsonObject): Set<string> {
  const fields = new Set<string>();
  const own = (path: Path): unknown => fields.add(JSON.stringify(path));
  const walk = (value: Json, path: Path, names: string): void => {
    const entries = isObject(value) && !isAtomicMap(kind, names) ? Object.entries(value) : [];
    const { keys, set } = listRule(kind, names);
    if (entries.length > 0) {
      for (const [name, child] of entries)
        if (child !== undefined) walk(child, [...path, `f:${name}`], names === "" ? name : `${names}.${name}`);
    } else if (Array.isArray(value) && keys !== undefined) {
      for (const item of value) {
        const itemPath = [...path, keyElement(item, keys)];
        own(itemPath);
        walk(item, itemPath, names);
      }
    } else if (Array.isArray(value) && set) for (const item of value) own([...path, `v:${JSON.stringify(item)}`]);
    else if (path.length > 0 && names !== "metadata") own(path);
  };
  walk(configuration, [], "");
  return fields;
}

/** The keys of a list's item, in the list's order; a missing protocol is TCP, as the API's schema has it. */
function keyElement(item: Json, keys: readonly string[]): string {
  const object = asObject(item);
  const values = keys.map((key) => [key, object[key] ?? (key === "protocol" ? "TCP" : null)]);
  return `k:${JSON.stringify(Object.fromEntries(values))}`;
}

function toTree(fields: FieldSet): JsonObject {
  const root = new Map<string, unknown>();
  type Tree = Map<string, Tree | unknown>;
  for (const field of fields) {
    let node: Tree = root;
    for (const element of JSON.parse(field) as Path) {
      if (!node.has(element)) node.set(element, new Map());
      node = node.get(element) as Tree;
    }
    node.set(".", new Map());
  }
  const toJson = (tree: Tree): JsonObject => {
    if (tree.size === 1 && tree.has(".")) return {};
    return Object.fromEntries([...tree].map(([element, child]) => [element, toJson(child as Tree)]));
  };
  return toJson(root);
}

function fromTree(tree: JsonObject): Set<string> {
  const fields = new Set<string>();
  const walk = (node: JsonObject, path: Path): void => {
    for (const [element, child] of Object.entries(node)) {
      if (element === ".") continue;
      const below = asObject(child);
      if (Object.keys(below).length === 0 || "." in below) fields.add(JSON.stringify([...path, element]));
      walk(below, [...path, element]);
    }
  };
  walk(tree, []);
  return fields;
}

function matches(item: Json, element: string): boolean {
  if (element.startsWith("v:")) return JSON.stringify(item) === element.slice(2);
  const keys = Object.keys(JSON.parse(element.slice(2)) as JsonObject);
  return keyElement(item, keys) === element;
}

function valueAt(value: Json | undefined, path: Path): Json | undefined {
  for (const element of path) {
    if (element.startsWith("f:")) value = asObject(value)[element.slice(2)];
    else value = asList(value).find((item) => matches(item, element));
  }
  return value;
}

/** Without what is at the path, and without objects and lists that this leaves empty. */
function removeAt(value: Json, [element, ...rest]: Path): Json {
  if (element === undefined) return value;
  if (element.startsWith("f:")) {
    const name = element.slice(2);
    const child = asObject(value)[name];
    if (child === undefined) return value;
    const left = rest.length === 0 ? undefined : removeAt(child, rest);
    const emptied = left === undefined || isEmpty(left);
    return emptied ? without(asObject(value), name) : { ...asObject(value), [name]: left };
  }
  return asList(value).flatMap((item) => {
    if (!matches(item, element)) return [item];
    return rest.length === 0 ? [] : [removeAt(item, rest)];
  });
}

function isEmpty(value: Json): boolean {
  return Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;
}

function merge(kind: string, names: string, live: Json | undefined, wanted: Json): Json {
  const { keys, set } = listRule(kind, names);
  if (isObject(wanted) && isObject(live) && !isAtomicMap(kind, names)) {
    const merged: Record<string, Json | undefined> = { ...live };
    for (const [name, value] of Object.entries(wanted))
      if (value !== undefined) merged[name] = merge(kind, names === "" ? name : `${names}.${name}`, live[name], value);
    return merged;
  }
  if (!Array.isArray(wanted) || !Array.isArray(live)) return wanted;
  if (set) return [...live, ...wanted.filter((item) => !live.includes(item))];
  if (keys === undefined) return wanted;
  const added = wanted.filter((item) => !live.some((other) => keyElement(other, keys) === keyElement(item, keys)));
  const updated = live.map((item) => {
    const match = wanted.find((other) => keyElement(other, keys) === keyElement(item, keys));
    return match === undefined ? item : merge(kind, names, item, match);
  });
  return [...updated, ...added];
}
