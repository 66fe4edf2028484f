import type { FieldError, Subject } from "./api-error.ts";
import type { JsonObject } from "./json.ts";
import type { KubeObject } from "./objects.ts";

/** A cell of a Table. */
export type Cell = string | number | null;

/** A column of `kubectl get`. `-o wide` alone shows columns of priority 1. */
export interface Column {
  readonly name: string;
  readonly type: "string" | "integer" | "date";
  readonly priority: 0 | 1;
  cell(object: KubeObject, now: Date): Cell;
}

/** One resource of the API: how it is called, and what sets it apart from the others. */
export interface Resource {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly nameRule: NameRule;
  /** Has a `status` that only the subresource `status` writes. */
  readonly hasStatus: boolean;
  /** Takes the status that an object is created with, as kubelets do with their Nodes. */
  readonly keepsInitialStatus: boolean;
  /** Has `spec.replicas`, which the subresource `scale` reads and writes. */
  readonly hasScale: boolean;
  /** Counts changes of its spec in `metadata.generation`. */
  readonly hasGeneration: boolean;
  /** Discovery does not name it: an administrator has not installed its definition. */
  readonly isUnlisted: boolean;
  /** Answers a deletion with the object; the others do with a Status. */
  readonly returnsDeleted: boolean;
  /** Fields that field selectors may name besides `metadata.name` and `metadata.namespace`, as text. */
  readonly fields: Readonly<Record<string, (object: KubeObject) => string>>;
  readonly columns: readonly Column[];
  /** Defaults, and the changes that one field brings about in others. `previous` is the stored object on an update. */
  prepare(object: KubeObject, previous: KubeObject | undefined): KubeObject;
  validate(object: KubeObject, previous: KubeObject | undefined): readonly FieldError[];
  /** The same objects under another API: where they are stored, and the forms to and from there. */
  readonly view?: { readonly of: Resource; toStored(object: JsonObject): JsonObject; fromStored(object: JsonObject): JsonObject };
}

export type NameRule = "label" | "label1035" | "subdomain" | "path";

/** `v1`, `apps/v1`. */
export function groupVersion({ group, version }: Resource): string {
  return group === "" ? version : `${group}/${version}`;
}

/** How messages name an object by its resource: `services "x"`. */
export function resourceSubject({ group, plural }: Resource, name: string): Subject {
  return { group, kind: plural, name };
}

/** How messages name an object by its kind: `Service "x"`. */
export function kindSubject({ group, kind }: Resource, name: string): Subject {
  return { group, kind, name };
}
