import { asNumber, asObject, asText, at, type Json, type JsonObject } from "../json.ts";
import type { KubeObject } from "../objects.ts";
import type { Column } from "../resource.ts";
import { column, nameColumn, since, wide } from "./columns.ts";

export function prepareEvent(object: KubeObject): KubeObject {
  const defaults = {
    source: {},
    firstTimestamp: null,
    lastTimestamp: null,
    eventTime: null,
    reportingComponent: "",
    reportingInstance: "",
  };
  return { ...defaults, ...object };
}

/** Names of the fields in `events.k8s.io/v1` -> in `v1`. Other fields have the same name in both. */
const names: Record<string, string> = {
  regarding: "involvedObject",
  note: "message",
  reportingController: "reportingComponent",
  deprecatedSource: "source",
  deprecatedFirstTimestamp: "firstTimestamp",
  deprecatedLastTimestamp: "lastTimestamp",
  deprecatedCount: "count",
};
const namesBack = Object.fromEntries(Object.entries(names).map(([there, here]) => [here, there]));

/** An `events.k8s.io/v1` Event as the `v1` one that is stored. */
export function eventToCore(object: JsonObject): JsonObject {
  return { ...renamed(object, names), apiVersion: "v1" };
}

export function eventFromCore(object: JsonObject): JsonObject {
  return { ...renamed(object, namesBack), apiVersion: "events.k8s.io/v1" };
}

function renamed(object: JsonObject, table: Readonly<Record<string, string>>): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [table[name] ?? name, value]));
}

export const eventFields: Record<string, (object: KubeObject) => string> = {
  ...Object.fromEntries(
    ["kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath"].map((field) => [
      `involvedObject.${field}`,
      (object: KubeObject) => asText(at(object, "involvedObject", field)),
    ]),
  ),
  reason: (object) => asText(object.reason),
  reportingComponent: (object) => asText(object.reportingComponent),
  source: (object) => asText(at(object, "source", "component")) || asText(object.reportingComponent),
  type: (object) => asText(object.type),
};

export const eventColumns: readonly Column[] = [
  column("Last Seen", (object, now) => since(lastSeen(object), now)),
  column("Type", (object) => asText(object.type)),
  column("Reason", (object) => asText(object.reason)),
  column("Object", (object) => {
    const { kind, name } = asObject(object.involvedObject);
    return `${asText(kind).toLowerCase()}/${asText(name)}`;
  }),
  wide("Subobject", (object) => asText(at(object, "involvedObject", "fieldPath"))),
  wide("Source", (object) => {
    const component = asText(at(object, "source", "component")) || asText(object.reportingComponent);
    const host = asText(at(object, "source", "host")) || asText(object.reportingInstance);
    return host === "" ? component : `${component}, ${host}`;
  }),
  column("Message", (object) => asText(object.message).trim()),
  wide("First Seen", (object, now) => since(object.firstTimestamp ?? object.eventTime, now)),
  wide("Count", (object) => asNumber(at(object, "series", "count")) ?? asNumber(object.count) ?? 1),
  { ...nameColumn, priority: 1 },
];

function lastSeen(object: KubeObject): Json | undefined {
  return at(object, "series", "lastObservedTime") ?? object.lastTimestamp ?? object.firstTimestamp ?? object.eventTime;
}
