import { asList, asObject, asText, at, type Json } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { Column } from "../resource.ts";
import { ageColumn, column, nameColumn, wide } from "./columns.ts";

export function prepareNamespace(object: KubeObject): KubeObject {
  const labels = { ...object.metadata.labels, "kubernetes.io/metadata.name": object.metadata.name };
  return {
    ...object,
    metadata: { ...object.metadata, labels },
    spec: { finalizers: ["kubernetes"], ...asObject(object.spec) },
    status: { phase: "Active", ...asObject(object.status) },
  };
}

export const namespaceColumns: readonly Column[] = [
  nameColumn,
  column("Status", (object) => asText(at(object, "status", "phase"))),
  ageColumn,
];

const rolePrefix = "node-role.kubernetes.io/";

export const nodeColumns: readonly Column[] = [
  nameColumn,
  column("Status", nodeStatus),
  column("Roles", (object) => {
    const roles = Object.keys(object.metadata.labels ?? {}).filter((key) => key.startsWith(rolePrefix));
    return roles.map((key) => key.slice(rolePrefix.length)).sort().join(",") || "<none>"; // biome-ignore format: one thought
  }),
  ageColumn,
  column("Version", (object) => asText(at(object, "status", "nodeInfo", "kubeletVersion"))),
  wide("Internal-IP", (object) => nodeAddress(object, "InternalIP")),
  wide("External-IP", (object) => nodeAddress(object, "ExternalIP")),
  wide("OS-Image", (object) => nodeInfo(object, "osImage")),
  wide("Kernel-Version", (object) => nodeInfo(object, "kernelVersion")),
  wide("Container-Runtime", (object) => nodeInfo(object, "containerRuntimeVersion")),
];

function nodeStatus(node: KubeObject): string {
  const ready = asList(at(node, "status", "conditions")).find((condition) => at(condition, "type") === "Ready");
  const text = ready === undefined ? "Unknown" : at(ready, "status") === "True" ? "Ready" : "NotReady";
  return at(node, "spec", "unschedulable") === true ? `${text},SchedulingDisabled` : text;
}

function nodeAddress(node: KubeObject, type: string): string {
  const addresses: readonly Json[] = asList(at(node, "status", "addresses"));
  return (
    asText(
      at(
        addresses.find((address) => at(address, "type") === type),
        "address",
      ),
    ) || "<none>"
  );
}

function nodeInfo(node: KubeObject, field: string): string {
  return asText(at(node, "status", "nodeInfo", field)) || "<unknown>";
}
