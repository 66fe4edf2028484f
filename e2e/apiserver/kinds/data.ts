import { type FieldError, invalidValue } from "../api-error.ts";
import { asObject, asText, without } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { Column } from "../resource.ts";
import { ageColumn, column, nameColumn } from "./columns.ts";

const dataKey = /^[-._a-zA-Z0-9]+$/;
const whyKey =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/** `stringData` is only for writing: it ends up in `data`, in base64. */
export function prepareSecret(object: KubeObject): KubeObject {
  const given = Object.entries(asObject(object.stringData));
  const encoded = given.map(([key, value]) => [key, Buffer.from(asText(value)).toString("base64")] as const);
  const data = { ...asObject(object.data), ...Object.fromEntries(encoded) };
  return {
    type: "Opaque",
    ...(without(object, "stringData") as KubeObject),
    ...(Object.keys(data).length === 0 ? {} : { data }),
  };
}

export function validateConfigMap(object: KubeObject, previous: KubeObject | undefined): FieldError[] {
  const errors = keyErrors(object);
  for (const [key, value] of Object.entries(asObject(object.data)))
    if (typeof value !== "string") errors.push(invalidValue(`data[${key}]`, value, "must be a string"));
  return [...errors, ...immutableErrors(object, previous)];
}

export function validateSecret(object: KubeObject, previous: KubeObject | undefined): FieldError[] {
  const errors = keyErrors(object);
  for (const [key, value] of Object.entries(asObject(object.data)))
    if (typeof value !== "string" || Buffer.from(value, "base64").toString("base64") !== value)
      errors.push(invalidValue(`data[${key}]`, "<redacted>", "must be base64"));
  if (previous !== undefined && previous.type !== object.type)
    errors.push(invalidValue("type", object.type, "field is immutable"));
  return [...errors, ...immutableErrors(object, previous)];
}

function keyErrors(object: KubeObject): FieldError[] {
  const bad = Object.keys(asObject(object.data)).filter((key) => !dataKey.test(key));
  return bad.map((key) => invalidValue(`data[${key}]`, key, whyKey));
}

function immutableErrors(object: KubeObject, previous: KubeObject | undefined): FieldError[] {
  if (previous?.immutable !== true) return [];
  const changed = JSON.stringify(previous.data) !== JSON.stringify(object.data) || object.immutable !== true;
  return changed
    ? [{ reason: "FieldValueForbidden", field: "data", message: "Forbidden: field is immutable when `immutable` is set" }]
    : [];
}

function size(object: KubeObject): number {
  return Object.keys(asObject(object.data)).length + Object.keys(asObject(object.binaryData)).length;
}

export const configMapColumns: readonly Column[] = [nameColumn, column("Data", size), ageColumn];
export const secretColumns: readonly Column[] = [
  nameColumn,
  column("Type", (object) => asText(object.type)),
  column("Data", size),
  ageColumn,
];
