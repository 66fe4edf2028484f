import { type FieldError, invalidValue, requiredValue } from "./api-error.ts";
import { asList, asObject } from "./json.ts";
import type { KubeObject } from "./objects.ts";
import type { NameRule } from "./resource.ts";

const rules: Record<NameRule, { pattern: RegExp; maximum: number; why: string }> = {
  label: {
    pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/,
    maximum: 63,
    why: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
  },
  label1035: {
    pattern: /^[a-z]([-a-z0-9]*[a-z0-9])?$/,
    maximum: 63,
    why: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
  },
  subdomain: {
    pattern: /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    maximum: 253,
    why: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
  },
  path: { pattern: /^(?!\.{1,2}$)[^/%]+$/, maximum: 253, why: "may not be '.' or '..', nor contain '/' or '%'" },
};

const qualifiedName = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const whyKey =
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const whyValue =
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/** Checks a name against one of the API's naming rules. */
export function nameErrors(field: string, name: string, rule: NameRule): FieldError[] {
  const { pattern, maximum, why } = rules[rule];
  if (name.length > maximum) return [invalidValue(field, name, `must be no more than ${maximum} characters`)];
  return pattern.test(name) ? [] : [invalidValue(field, name, why)];
}

/** Checks the metadata of every kind. */
export function metadataErrors({ metadata }: KubeObject, rule: NameRule): FieldError[] {
  if (metadata.name === "") return [requiredValue("metadata.name", "name or generateName is required")];
  const errors = nameErrors("metadata.name", metadata.name, rule);
  for (const [key, value] of Object.entries(asObject(metadata.labels))) {
    if (!qualifiedName.test(key)) errors.push(invalidValue("metadata.labels", key, whyKey));
    if (typeof value !== "string" || value.length > 63 || !labelValue.test(value))
      errors.push(invalidValue("metadata.labels", value, whyValue));
  }
  for (const key of Object.keys(asObject(metadata.annotations)))
    if (!qualifiedName.test(key.toLowerCase())) errors.push(invalidValue("metadata.annotations", key, whyKey));
  for (const [index, finalizer] of asList(metadata.finalizers).entries()) {
    if (typeof finalizer !== "string" || !(finalizer.includes("/") || ["orphan", "foregroundDeletion"].includes(finalizer)))
      errors.push(
        invalidValue(
          `metadata.finalizers[${index}]`,
          finalizer,
          "name is neither a standard finalizer name nor is it fully qualified",
        ),
      );
  }
  return errors;
}
