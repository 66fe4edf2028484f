import { asList, asText, at, type Json, type JsonObject } from "./json.ts";
import type { KubeObject } from "./objects.ts";
import { clusterRoleBindings, clusterRoles, roleBindings, roles } from "./resources.ts";
import type { Store } from "./store.ts";
import type { User } from "./tokens.ts";

/** The action of a request: a verb on a resource, or on a path. Absent names and namespaces stand for all. */
export type Action =
  | {
      readonly type: "resource";
      readonly verb: string;
      readonly group: string;
      readonly resource: string;
      readonly subresource: string;
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly type: "path"; readonly verb: string; readonly path: string };

/** Decides from the Roles, ClusterRoles and bindings in the store. `system:masters` may do everything. */
export class Authorizer {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  allows(user: User, action: Action): boolean {
    if (user.groups.includes("system:masters")) return true;
    const namespace = action.type === "resource" ? action.namespace : "";
    return this.rules(user, namespace).some((rule) => covers(rule, action));
  }

  /** The rules that hold for a user in a namespace; those of the whole cluster alone for the empty one. */
  rules(user: User, namespace: string): Json[] {
    if (user.groups.includes("system:masters"))
      return [
        { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
        { verbs: ["*"], nonResourceURLs: ["*"] },
      ];
    const bindings = [
      ...this.#store.entries(clusterRoleBindings),
      ...(namespace === ""
        ? []
        : this.#store.entries(roleBindings).filter(({ object }) => object.metadata.namespace === namespace)),
    ];
    return bindings.filter(({ object }) => binds(object, user)).flatMap(({ object }) => this.#rulesOf(object));
  }

  #rulesOf(binding: KubeObject): readonly Json[] {
    const name = asText(at(binding, "roleRef", "name"));
    const role =
      at(binding, "roleRef", "kind") === "ClusterRole"
        ? this.#store.get(clusterRoles, name)
        : this.#store.get(roles, `${binding.metadata.namespace}/${name}`);
    return asList(role?.rules);
  }
}

function binds(binding: KubeObject, user: User): boolean {
  return asList(binding.subjects).some((subject) => {
    const name = asText(at(subject, "name"));
    switch (at(subject, "kind")) {
      case "User":
        return name === user.name;
      case "Group":
        return user.groups.includes(name);
      case "ServiceAccount": {
        const namespace = asText(at(subject, "namespace")) || (binding.metadata.namespace ?? "");
        return user.name === `system:serviceaccount:${namespace}:${name}`;
      }
      default:
        return false;
    }
  });
}

function covers(rule: Json, action: Action): boolean {
  const has = (field: string, value: string): boolean => {
    const values = asList(at(rule, field));
    return values.includes("*") || values.includes(value);
  };
  if (!has("verbs", action.verb)) return false;
  if (action.type === "path")
    return asList(at(rule, "nonResourceURLs")).some((pattern) => {
      const text = asText(pattern);
      return text.endsWith("*") ? action.path.startsWith(text.slice(0, -1)) : action.path === text;
    });
  const { group, resource, subresource, name } = action;
  const wanted = subresource === "" ? resource : `${resource}/${subresource}`;
  const names = asList(at(rule, "resourceNames"));
  const covered = has("resources", wanted) || (subresource !== "" && asList(at(rule, "resources")).includes(`*/${subresource}`));
  return has("apiGroups", group) && covered && (names.length === 0 || (name !== "" && names.includes(name)));
}

/** Roles that every cluster grants from its start: discovery to known users, versions and health to all, reviews of oneself. */
export const defaultRoles: readonly JsonObject[] = [
  ...granted(
    "cluster-admin",
    ["system:masters"],
    [
      { apiGroups: ["*"], resources: ["*"], verbs: ["*"] },
      { nonResourceURLs: ["*"], verbs: ["*"] },
    ],
  ),
  ...granted(
    "system:discovery",
    ["system:authenticated"],
    [{ nonResourceURLs: ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"], verbs: ["get"] }],
  ),
  ...granted(
    "system:public-info-viewer",
    ["system:authenticated", "system:unauthenticated"],
    [{ nonResourceURLs: ["/healthz", "/livez", "/readyz", "/version", "/version/"], verbs: ["get"] }],
  ),
  ...granted(
    "system:basic-user",
    ["system:authenticated"],
    [
      {
        apiGroups: ["authorization.k8s.io"],
        resources: ["selfsubjectaccessreviews", "selfsubjectrulesreviews"],
        verbs: ["create"],
      },
      { apiGroups: ["authentication.k8s.io"], resources: ["selfsubjectreviews"], verbs: ["create"] },
    ],
  ),
];

function granted(name: string, groups: readonly string[], rules: readonly Json[]): JsonObject[] {
  const apiVersion = "rbac.authorization.k8s.io/v1";
  const metadata = { name, labels: { "kubernetes.io/bootstrapping": "rbac-defaults" } };
  return [
    { apiVersion, kind: "ClusterRole", metadata, rules },
    {
      apiVersion,
      kind: "ClusterRoleBinding",
      metadata,
      roleRef: { kind: "ClusterRole", name },
      subjects: groups.map((group) => ({ kind: "Group", name: group })),
    },
  ];
}
