import { type FieldError, invalidValue, requiredValue } from "../api-error.ts";
import { asList, asNumber, asObject, asText, at, type Json, type JsonObject } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { Column } from "../resource.ts";
import { ageColumn, column, count, joined, labelText, nameColumn, wide } from "./columns.ts";

export function preparePod(object: KubeObject, previous: KubeObject | undefined): KubeObject {
  const status = previous === undefined ? { phase: "Pending", ...asObject(object.status) } : object.status;
  return { ...object, spec: podSpec(asObject(object.spec)), status };
}

export function prepareDeployment(object: KubeObject): KubeObject {
  const spec = withTemplate(object);
  const strategy = withRollingUpdate(spec.strategy, { maxUnavailable: "25%", maxSurge: "25%" });
  const defaults = { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 };
  return { status: {}, ...object, spec: { ...defaults, ...spec, strategy } };
}

export function prepareDaemonSet(object: KubeObject): KubeObject {
  const spec = withTemplate(object);
  const updateStrategy = withRollingUpdate(spec.updateStrategy, { maxUnavailable: 1, maxSurge: 0 });
  const status = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0 };
  return {
    ...object,
    spec: { revisionHistoryLimit: 10, ...spec, updateStrategy },
    status: { ...status, ...asObject(object.status) },
  };
}

export function validatePod(object: KubeObject): FieldError[] {
  return containerErrors(at(object, "spec", "containers"), "spec.containers");
}

export function validateWorkload(object: KubeObject, previous: KubeObject | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const selector = asObject(at(object, "spec", "selector", "matchLabels"));
  const labels = asObject(at(object, "spec", "template", "metadata", "labels"));
  const before = at(previous, "spec", "selector");
  const now = at(object, "spec", "selector");
  if (Object.keys(selector).length === 0) errors.push(requiredValue("spec.selector"));
  else if (Object.entries(selector).some(([key, value]) => labels[key] !== value))
    errors.push(invalidValue("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"));
  if (before !== undefined && JSON.stringify(before) !== JSON.stringify(now))
    errors.push(invalidValue("spec.selector", now, "field is immutable"));
  return [...errors, ...containerErrors(at(object, "spec", "template", "spec", "containers"), "spec.template.spec.containers")];
}

function containerErrors(containers: Json | undefined, field: string): FieldError[] {
  if (asList(containers).length === 0) return [requiredValue(field)];
  return asList(containers).flatMap((container, index) => [
    ...(asText(at(container, "name")) === "" ? [requiredValue(`${field}[${index}].name`)] : []),
    ...(asText(at(container, "image")) === "" ? [requiredValue(`${field}[${index}].image`)] : []),
  ]);
}

function withRollingUpdate(strategy: Json | undefined, rollingUpdate: JsonObject): JsonObject {
  const type = asText(at(strategy, "type")) || "RollingUpdate";
  if (type !== "RollingUpdate") return { ...asObject(strategy), type };
  return { type, rollingUpdate: { ...rollingUpdate, ...asObject(at(strategy, "rollingUpdate")) } };
}

function withTemplate(object: KubeObject): JsonObject {
  const spec = asObject(object.spec);
  const template = asObject(spec.template);
  return { ...spec, template: { ...template, spec: podSpec(asObject(template.spec)) } };
}

function podSpec(spec: JsonObject): JsonObject {
  return {
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    securityContext: {},
    schedulerName: "default-scheduler",
    ...spec,
    ...(spec.containers === undefined ? {} : { containers: asList(spec.containers).map(container) }),
    ...(spec.initContainers === undefined ? {} : { initContainers: asList(spec.initContainers).map(container) }),
  };
}

function container(value: Json): JsonObject {
  const image = asText(at(value, "image"));
  const tag = /:([^/:]+)$/.exec(image)?.[1] ?? "latest";
  return {
    resources: {},
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: tag === "latest" && !image.includes("@") ? "Always" : "IfNotPresent",
    ...asObject(value),
    ...(at(value, "ports") === undefined
      ? {}
      : { ports: asList(at(value, "ports")).map((port) => ({ protocol: "TCP", ...asObject(port) })) }),
  };
}

const containerColumns: readonly Column[] = [
  wide("Containers", (object) => joined(at(object, "spec", "template", "spec", "containers"), "name")),
  wide("Images", (object) => joined(at(object, "spec", "template", "spec", "containers"), "image")),
  wide("Selector", (object) => labelText(at(object, "spec", "selector", "matchLabels"))),
];

export const deploymentColumns: readonly Column[] = [
  nameColumn,
  column("Ready", (object) => `${count(object, "status", "readyReplicas")}/${count(object, "spec", "replicas")}`),
  column("Up-to-date", (object) => count(object, "status", "updatedReplicas")),
  column("Available", (object) => count(object, "status", "availableReplicas")),
  ageColumn,
  ...containerColumns,
];

export const daemonSetColumns: readonly Column[] = [
  nameColumn,
  column("Desired", (object) => count(object, "status", "desiredNumberScheduled"), "integer"),
  column("Current", (object) => count(object, "status", "currentNumberScheduled"), "integer"),
  column("Ready", (object) => count(object, "status", "numberReady"), "integer"),
  column("Up-to-date", (object) => count(object, "status", "updatedNumberScheduled"), "integer"),
  column("Available", (object) => count(object, "status", "numberAvailable"), "integer"),
  column("Node Selector", (object) => labelText(at(object, "spec", "template", "spec", "nodeSelector"))),
  ageColumn,
  ...containerColumns,
];

export const podColumns: readonly Column[] = [
  nameColumn,
  column("Ready", readyContainers),
  column("Status", podStatus),
  column("Restarts", (object) =>
    String(containerStatuses(object).reduce<number>((sum, status) => sum + (asNumber(at(status, "restartCount")) ?? 0), 0)),
  ),
  ageColumn,
  wide("IP", (object) => asText(at(object, "status", "podIP")) || "<none>"),
  wide("Node", (object) => asText(at(object, "spec", "nodeName")) || "<none>"),
  wide("Nominated Node", (object) => asText(at(object, "status", "nominatedNodeName")) || "<none>"),
  wide("Readiness Gates", () => "<none>"),
];

function containerStatuses(pod: KubeObject): readonly Json[] {
  return asList(at(pod, "status", "containerStatuses"));
}

function readyContainers(pod: KubeObject): string {
  const ready = containerStatuses(pod).filter((status) => at(status, "ready") === true);
  return `${ready.length}/${asList(at(pod, "spec", "containers")).length}`;
}

function podStatus(pod: KubeObject): string {
  if (pod.metadata.deletionTimestamp !== undefined) return "Terminating";
  const waiting = containerStatuses(pod).map((status) => asText(at(status, "state", "waiting", "reason")));
  return waiting.find((reason) => reason !== "") ?? (asText(at(pod, "status", "reason")) || asText(at(pod, "status", "phase")));
}
