import { type FieldError, invalidValue, requiredValue } from "../api-error.ts";
import { asList, asObject, asText, at, equal } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { Column } from "../resource.ts";
import { ageColumn, column, nameColumn, wide } from "./columns.ts";

const group = "rbac.authorization.k8s.io";

/** The groups that people leave out of a binding. */
export function prepareBinding(object: KubeObject): KubeObject {
  const subjects = asList(object.subjects).map((subject) => ({
    ...(at(subject, "kind") === "ServiceAccount" ? {} : { apiGroup: group }),
    ...asObject(subject),
  }));
  return {
    ...object,
    ...(object.subjects === undefined ? {} : { subjects }),
    roleRef: { apiGroup: group, ...asObject(object.roleRef) },
  };
}

export function validateBinding(object: KubeObject, previous: KubeObject | undefined): FieldError[] {
  const errors: FieldError[] = [];
  if (previous !== undefined && !equal(previous.roleRef, object.roleRef))
    errors.push(invalidValue("roleRef", object.roleRef, "cannot change roleRef"));
  if (asText(at(object, "roleRef", "name")) === "") errors.push(requiredValue("roleRef.name"));
  for (const [index, subject] of asList(object.subjects).entries()) {
    const namespace = asText(at(subject, "namespace"));
    if (object.kind === "ClusterRoleBinding" && at(subject, "kind") === "ServiceAccount" && namespace === "")
      errors.push(requiredValue(`subjects[${index}].namespace`));
  }
  return errors;
}

export function validateRole(object: KubeObject): FieldError[] {
  return asList(object.rules).flatMap((rule, index) => {
    const field = `rules[${index}]`;
    const errors: FieldError[] = [];
    if (asList(at(rule, "verbs")).length === 0)
      errors.push(requiredValue(`${field}.verbs`, "verbs must contain at least one value"));
    if (asList(at(rule, "nonResourceURLs")).length > 0) {
      if (object.kind === "Role")
        errors.push(
          invalidValue(
            `${field}.nonResourceURLs`,
            at(rule, "nonResourceURLs"),
            "namespaced rules cannot apply to non-resource URLs",
          ),
        );
      return errors;
    }
    if (asList(at(rule, "apiGroups")).length === 0)
      errors.push(requiredValue(`${field}.apiGroups`, "resource rules must supply at least one api group"));
    if (asList(at(rule, "resources")).length === 0)
      errors.push(requiredValue(`${field}.resources`, "resource rules must supply at least one resource"));
    return errors;
  });
}

export const roleColumns: readonly Column[] = [
  nameColumn,
  column("Created At", ({ metadata }) => metadata.creationTimestamp ?? null, "date"),
];

export const bindingColumns: readonly Column[] = [
  nameColumn,
  column("Role", (object) => `${asText(at(object, "roleRef", "kind"))}/${asText(at(object, "roleRef", "name"))}`),
  ageColumn,
  wide("Users", (object) => subjects(object, "User")),
  wide("Groups", (object) => subjects(object, "Group")),
  wide("ServiceAccounts", (object) => subjects(object, "ServiceAccount")),
];

function subjects(object: KubeObject, kind: string): string {
  const found = asList(object.subjects).filter((subject) => at(subject, "kind") === kind);
  const texts = found.map((subject) => {
    const namespace = asText(at(subject, "namespace"));
    return kind === "ServiceAccount" ? `${namespace}/${asText(at(subject, "name"))}` : asText(at(subject, "name"));
  });
  return texts.join(", ");
}
