import type { Json, JsonObject } from "./json.ts";
import { groupVersion, type Resource } from "./resource.ts";
import { resources } from "./resources.ts";

interface DiscoveredResource {
  readonly group: string;
  readonly plural: string;
  readonly singular: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly Subresource[];
}

interface Subresource {
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly verbs: readonly string[];
}

const allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const statusVerbs = ["get", "patch", "update"];

/** Resources that are questions: they can only be created, and nothing is stored. */
const reviews: readonly DiscoveredResource[] = [
  review("authentication.k8s.io", "SelfSubjectReview"),
  review("authorization.k8s.io", "SelfSubjectAccessReview"),
  review("authorization.k8s.io", "SelfSubjectRulesReview"),
];

const discovered: readonly DiscoveredResource[] = [
  ...resources
    .filter(({ isUnlisted }) => !isUnlisted)
    .map((resource) => ({ ...resource, verbs: allVerbs, subresources: subresources(resource) })),
  ...reviews,
];

const groups = [...new Set(discovered.map(({ group }) => group))];

/** `/version` */
const version: JsonObject = {
  major: "1",
  minor: "35",
  gitVersion: "v1.35.0+ingot-test",
  gitCommit: "",
  gitTreeState: "",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "",
  compiler: "",
  platform: "",
};

/** `/api` */
const coreVersions: JsonObject = { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs: [] };

/** `/apis` */
const groupList: JsonObject = {
  kind: "APIGroupList",
  apiVersion: "v1",
  groups: groups.filter((group) => group !== "").map(groupDocument),
};

/** `/apis/GROUP`; undefined for a group that is not served. */
function groupInfo(group: string): JsonObject | undefined {
  return group !== "" && groups.includes(group) ? { kind: "APIGroup", apiVersion: "v1", ...groupDocument(group) } : undefined;
}

/** `/api/v1` and `/apis/GROUP/VERSION`; undefined for one that is not served. */
function resourceList(group: string, version: string): JsonObject | undefined {
  if (version !== "v1" || !groups.includes(group)) return undefined;
  return {
    kind: "APIResourceList",
    apiVersion: "v1",
    groupVersion: group === "" ? version : `${group}/${version}`,
    resources: discovered.filter((resource) => resource.group === group).flatMap(legacy),
  };
}

/** The document at a path, in JSON; undefined for an unknown path. */
export function discoveryDocument(path: string): JsonObject | undefined {
  if (path.startsWith("/openapi/v3/")) return openApiDocument(path.slice("/openapi/v3/".length));
  const [root, ...parts] = path.split("/").filter((part) => part !== "");
  const [first, second] = parts;
  switch (root) {
    case "version":
      return version;
    case "openapi":
      return first === "v3" ? openApiIndex : undefined;
    case "api":
      return first === undefined ? coreVersions : resourceList("", first);
    case "apis":
      if (first === undefined) return groupList;
      return second === undefined ? groupInfo(first) : resourceList(first, second);
    default:
      return undefined;
  }
}

/** `/api` or `/apis` in the aggregated form, `apidiscovery.k8s.io/v2`. */
export function aggregated(root: "api" | "apis"): JsonObject {
  const shown = groups.filter((group) => (group === "") === (root === "api"));
  return {
    kind: "APIGroupDiscoveryList",
    apiVersion: "apidiscovery.k8s.io/v2",
    metadata: {},
    items: shown.map((group) => ({
      metadata: group === "" ? {} : { name: group },
      versions: [
        {
          version: "v1",
          freshness: "Current",
          resources: discovered.filter((resource) => resource.group === group).map(aggregatedResource),
        },
      ],
    })),
  };
}

/** `/openapi/v3` */
const openApiIndex: JsonObject = {
  paths: Object.fromEntries(groups.map((group) => [groupPath(group), { serverRelativeURL: `/openapi/v3/${groupPath(group)}` }])),
};

/**
 * `/openapi/v3/api/v1` and so on: no schemas, only that every kind can be patched with `fieldValidation` and `dryRun`. kubectl looks
 * for these two before it leaves validation to the server, and for its own types works without the rest.
 */
function openApiDocument(path: string): JsonObject | undefined {
  const group = groups.find((candidate) => groupPath(candidate) === path);
  if (group === undefined) return undefined;
  const parameters = ["dryRun", "fieldManager", "fieldValidation", "force"].map((name) => ({
    name,
    in: "query",
    schema: { type: "string" },
  }));
  const paths = resources
    .filter((resource) => resource.group === group)
    .map((resource) => {
      const { kind, version, namespaced, plural } = resource;
      const patch = {
        parameters,
        responses: {},
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": { group, version, kind },
      };
      return [`/${path}/${namespaced ? "namespaces/{namespace}/" : ""}${plural}/{name}`, { patch }] as const;
    });
  return { openapi: "3.0.0", info: { title: "Kubernetes", version: "v1.35.0" }, paths: Object.fromEntries(paths) };
}

/**
 * `/openapi/v2`, as the protobuf that Go clients insist on: a document that has its version and title and describes nothing. kubectl asks
 * for it to validate kinds that are not in `/openapi/v3`, and lets pass what it does not find there; the kind itself then fails.
 */
export const openApiV2: Uint8Array = Buffer.concat([
  protobufText(1, "2.0"),
  protobufText(2, Buffer.concat([protobufText(1, "Kubernetes"), protobufText(2, "v1.35.0")])),
]);

/** A field of octets or text, shorter than 128. */
function protobufText(field: number, content: string | Uint8Array): Buffer {
  const octets = Buffer.from(content as string);
  return Buffer.concat([Buffer.of((field << 3) | 2, octets.length), octets]);
}

function groupPath(group: string): string {
  return group === "" ? "api/v1" : `apis/${group}/v1`;
}

function groupDocument(name: string): JsonObject {
  const preferred = { groupVersion: `${name}/v1`, version: "v1" };
  return { name, versions: [preferred], preferredVersion: preferred };
}

function subresources(resource: Resource): Subresource[] {
  const own = { group: resource.group, version: resource.version, kind: resource.kind };
  return [
    ...(resource.hasStatus ? [{ name: "status", ...own, verbs: statusVerbs }] : []),
    ...(resource.hasScale ? [{ name: "scale", group: "autoscaling", version: "v1", kind: "Scale", verbs: statusVerbs }] : []),
    ...(groupVersion(resource) === "v1" && resource.kind === "ServiceAccount"
      ? [{ name: "token", group: "authentication.k8s.io", version: "v1", kind: "TokenRequest", verbs: ["create"] }]
      : []),
  ];
}

function review(group: string, kind: string): DiscoveredResource {
  const singular = kind.toLowerCase();
  const plural = `${singular}s`;
  return {
    group,
    kind,
    singular,
    plural,
    namespaced: false,
    verbs: ["create"],
    shortNames: [],
    categories: [],
    subresources: [],
  };
}

function legacy(resource: DiscoveredResource): Json[] {
  const { plural, singular, namespaced, kind, verbs, shortNames, categories } = resource;
  return [
    {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs,
      ...optional("shortNames", shortNames),
      ...optional("categories", categories),
    },
    ...resource.subresources.map(({ name, group, version, kind, verbs }) => ({
      name: `${plural}/${name}`,
      singularName: "",
      namespaced,
      ...(group === resource.group ? {} : { group, version }),
      kind,
      verbs,
    })),
  ];
}

function aggregatedResource(resource: DiscoveredResource): Json {
  const { group, plural, singular, namespaced, kind, verbs, shortNames, categories } = resource;
  return {
    resource: plural,
    responseKind: { group, version: "v1", kind },
    scope: namespaced ? "Namespaced" : "Cluster",
    singularResource: singular,
    verbs,
    ...optional("shortNames", shortNames),
    ...optional("categories", categories),
    ...(resource.subresources.length === 0
      ? {}
      : {
          subresources: resource.subresources.map(({ name, group, version, kind, verbs }) => ({
            subresource: name,
            responseKind: { group, version, kind },
            verbs,
          })),
        }),
  };
}

function optional(name: string, values: readonly string[]): JsonObject {
  return values.length === 0 ? {} : { [name]: values };
}
