import { configurationKinds } from "#pkg/convert";
import { asText, at, type JsonObject } from "./json.ts";
import { namespaceColumns, nodeColumns, prepareNamespace } from "./kinds/cluster.ts";
import { ageColumn, column, nameColumn } from "./kinds/columns.ts";
import { configMapColumns, prepareSecret, secretColumns, validateConfigMap, validateSecret } from "./kinds/data.ts";
import {
  endpointSliceColumns,
  endpointsColumns,
  prepareEndpointSlice,
  prepareEndpoints,
  validateEndpointSlice,
} from "./kinds/endpoints.ts";
import { eventColumns, eventFields, eventFromCore, eventToCore, prepareEvent } from "./kinds/event.ts";
import { bindingColumns, prepareBinding, roleColumns, validateBinding, validateRole } from "./kinds/rbac.ts";
import { prepareService, serviceColumns, validateService } from "./kinds/service.ts";
import {
  daemonSetColumns,
  deploymentColumns,
  podColumns,
  prepareDaemonSet,
  prepareDeployment,
  preparePod,
  validatePod,
  validateWorkload,
} from "./kinds/workload.ts";
import type { KubeObject } from "./objects.ts";
import { groupVersion, type Resource } from "./resource.ts";

const rbac = "rbac.authorization.k8s.io";

export const namespaces = define({
  kind: "Namespace",
  plural: "namespaces",
  shortNames: ["ns"],
  namespaced: false,
  nameRule: "label",
  hasStatus: true,
  returnsDeleted: true,
  fields: { "status.phase": text("status", "phase") },
  columns: namespaceColumns,
  prepare: prepareNamespace,
});

export const services = define({
  kind: "Service",
  plural: "services",
  shortNames: ["svc"],
  categories: ["all"],
  nameRule: "label1035",
  hasStatus: true,
  returnsDeleted: true,
  fields: { "spec.clusterIP": text("spec", "clusterIP"), "spec.type": text("spec", "type") },
  columns: serviceColumns,
  prepare: prepareService,
  validate: validateService,
});

export const serviceAccounts = define({
  kind: "ServiceAccount",
  plural: "serviceaccounts",
  shortNames: ["sa"],
  returnsDeleted: true,
});

export const roles = define({
  group: rbac,
  kind: "Role",
  plural: "roles",
  nameRule: "path",
  columns: roleColumns,
  validate: validateRole,
});

export const clusterRoles = define({
  group: rbac,
  kind: "ClusterRole",
  plural: "clusterroles",
  namespaced: false,
  nameRule: "path",
  columns: roleColumns,
  validate: validateRole,
});

export const roleBindings = define({
  group: rbac,
  kind: "RoleBinding",
  plural: "rolebindings",
  nameRule: "path",
  columns: bindingColumns,
  prepare: prepareBinding,
  validate: validateBinding,
});

export const clusterRoleBindings = define({
  group: rbac,
  kind: "ClusterRoleBinding",
  plural: "clusterrolebindings",
  namespaced: false,
  nameRule: "path",
  columns: bindingColumns,
  prepare: prepareBinding,
  validate: validateBinding,
});

const events = define({
  kind: "Event",
  plural: "events",
  shortNames: ["ev"],
  fields: eventFields,
  columns: eventColumns,
  prepare: prepareEvent,
});

/** Everything the server serves, in the order of discovery. */
export const resources: readonly Resource[] = [
  define({ kind: "ConfigMap", plural: "configmaps", shortNames: ["cm"], columns: configMapColumns, validate: validateConfigMap }),
  define({
    kind: "Endpoints",
    plural: "endpoints",
    singular: "endpoints",
    shortNames: ["ep"],
    columns: endpointsColumns,
    prepare: prepareEndpoints,
  }),
  events,
  namespaces,
  define({
    kind: "Node",
    plural: "nodes",
    shortNames: ["no"],
    namespaced: false,
    hasStatus: true,
    keepsInitialStatus: true,
    fields: { "spec.unschedulable": (object) => String(at(object, "spec", "unschedulable") === true) },
    columns: nodeColumns,
  }),
  define({
    kind: "Pod",
    plural: "pods",
    shortNames: ["po"],
    categories: ["all"],
    hasStatus: true,
    hasGeneration: true,
    returnsDeleted: true,
    fields: {
      "spec.nodeName": text("spec", "nodeName"),
      "spec.restartPolicy": text("spec", "restartPolicy"),
      "spec.schedulerName": text("spec", "schedulerName"),
      "spec.serviceAccountName": text("spec", "serviceAccountName"),
      "spec.hostNetwork": (object) => String(at(object, "spec", "hostNetwork") === true),
      "status.phase": text("status", "phase"),
      "status.podIP": text("status", "podIP"),
      "status.nominatedNodeName": text("status", "nominatedNodeName"),
    },
    columns: podColumns,
    prepare: preparePod,
    validate: validatePod,
  }),
  define({
    kind: "Secret",
    plural: "secrets",
    fields: { type: text("type") },
    columns: secretColumns,
    prepare: prepareSecret,
    validate: validateSecret,
  }),
  serviceAccounts,
  services,
  define({
    group: "apps",
    kind: "DaemonSet",
    plural: "daemonsets",
    shortNames: ["ds"],
    categories: ["all"],
    hasStatus: true,
    hasGeneration: true,
    columns: daemonSetColumns,
    prepare: prepareDaemonSet,
    validate: validateWorkload,
  }),
  define({
    group: "apps",
    kind: "Deployment",
    plural: "deployments",
    shortNames: ["deploy"],
    categories: ["all"],
    hasStatus: true,
    hasScale: true,
    hasGeneration: true,
    columns: deploymentColumns,
    prepare: prepareDeployment,
    validate: validateWorkload,
  }),
  define({
    group: "coordination.k8s.io",
    kind: "Lease",
    plural: "leases",
    columns: [nameColumn, column("Holder", text("spec", "holderIdentity")), ageColumn],
  }),
  define({
    group: "discovery.k8s.io",
    kind: "EndpointSlice",
    plural: "endpointslices",
    hasGeneration: true,
    columns: endpointSliceColumns,
    prepare: prepareEndpointSlice,
    validate: validateEndpointSlice,
  }),
  { ...events, group: "events.k8s.io", view: { of: events, toStored: eventToCore, fromStored: eventFromCore } },
  clusterRoleBindings,
  clusterRoles,
  roleBindings,
  roles,
  // Of MetalLB, as its definitions make them known.
  ...["ServiceL2Status", "ServiceBGPStatus", "ConfigurationState"].map((kind) => statusResource("metallb.io", kind)),
  statusResource("frrk8s.metallb.io", "BGPSessionState"),
  ...configurationKinds.map(({ kind, plural, versions: [version = ""] }) =>
    define({ group: "metallb.io", version, kind, plural, hasGeneration: true, isUnlisted: true }),
  ),
];

/** @returns undefined for a kind that is not served */
export function resourceOfKind(apiVersion: string, kind: string): Resource | undefined {
  return resources.find((resource) => resource.kind === kind && groupVersion(resource) === apiVersion);
}

/** @returns undefined for a resource that is not served */
export function resourceAt(group: string, version: string, plural: string): Resource | undefined {
  return resources.find((resource) => resource.group === group && resource.version === version && resource.plural === plural);
}

function statusResource(group: string, kind: string): Resource {
  const plural = `${kind.toLowerCase()}${kind.endsWith("s") ? "es" : "s"}`;
  return define({ group, version: "v1beta1", kind, plural, hasStatus: true, hasGeneration: true });
}

function define(given: Partial<Resource> & Pick<Resource, "kind" | "plural">): Resource {
  return {
    group: "",
    version: "v1",
    singular: given.kind.toLowerCase(),
    shortNames: [],
    categories: [],
    namespaced: true,
    nameRule: "subdomain",
    hasStatus: false,
    keepsInitialStatus: false,
    hasScale: false,
    hasGeneration: false,
    isUnlisted: false,
    returnsDeleted: false,
    fields: {},
    columns: [nameColumn, ageColumn],
    prepare: (object) => object,
    validate: () => [],
    ...given,
  };
}

function text(...path: readonly string[]): (object: KubeObject) => string {
  return (object: JsonObject) => asText(at(object, ...path));
}
