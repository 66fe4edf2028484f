import assert from "node:assert/strict";
import { test } from "node:test";
import { serverSideApply } from "./apply.ts";
import { asObject, at, type JsonObject } from "./json.ts";

const defaults = { kind: "Service", apiVersion: "v1", manager: "one", force: false, time: "2026-01-01T00:00:00Z" };

function applied(configuration: JsonObject, options: Partial<typeof defaults> & { current?: JsonObject } = {}): JsonObject {
  const { object, managedFields } = serverSideApply({ ...defaults, current: undefined, ...options, configuration });
  return { ...object, metadata: { ...asObject(object.metadata), managedFields } };
}

function service(spec: JsonObject, metadata: JsonObject = {}): JsonObject {
  return { apiVersion: "v1", kind: "Service", metadata: { name: "web", ...metadata }, spec };
}

function managers(object: JsonObject): unknown[] {
  return (at(object, "metadata", "managedFields") as JsonObject[]).map(({ manager, fieldsV1 }) => [manager, fieldsV1]);
}

test("the fields applied are recorded as the real API records them", () => {
  const object = applied(
    service({ ports: [{ port: 80, name: "x" }], selector: { a: "b" } }, { labels: { a: "b" }, finalizers: ["x/y"] }),
  );
  assert.deepEqual(managers(object), [
    [
      "one",
      {
        "f:metadata": { "f:labels": { "f:a": {} }, "f:finalizers": { 'v:"x/y"': {} } },
        "f:spec": {
          "f:ports": { 'k:{"port":80,"protocol":"TCP"}': { ".": {}, "f:port": {}, "f:name": {} } },
          "f:selector": {},
        },
      },
    ],
  ]);
});

test("applying the same again changes nothing, not even the time", () => {
  const first = applied(service({ type: "LoadBalancer" }));
  assert.deepEqual(applied(service({ type: "LoadBalancer" }), { current: first, time: "2027-01-01T00:00:00Z" }), first);
});

test("another value for another's field is a conflict that names every field", () => {
  const current = applied(service({ ports: [{ port: 80, name: "x" }], selector: { a: "b" } }, { labels: { a: "b" } }));
  const other = service({ ports: [{ port: 80, name: "y" }], selector: { a: "c" } }, { labels: { a: "c" } });
  assert.throws(() => applied(other, { current, manager: "two" }), {
    code: 409,
    message:
      'Apply failed with 3 conflicts: conflicts with "one":\n- .metadata.labels.a\n- .spec.ports[port=80,protocol="TCP"].name\n- .spec.selector',
    details: {
      causes: [
        { reason: "FieldManagerConflict", message: 'conflict with "one"', field: ".metadata.labels.a" },
        { reason: "FieldManagerConflict", message: 'conflict with "one"', field: '.spec.ports[port=80,protocol="TCP"].name' },
        { reason: "FieldManagerConflict", message: 'conflict with "one"', field: ".spec.selector" },
      ],
    },
  });
});

test("force takes the fields over, and equal values are shared", () => {
  const current = applied(service({ type: "LoadBalancer", sessionAffinity: "None" }));
  const object = applied(service({ type: "NodePort", sessionAffinity: "None" }), { current, manager: "two", force: true });
  assert.equal(at(object, "spec", "type"), "NodePort");
  assert.deepEqual(managers(object), [
    ["two", { "f:spec": { "f:type": {}, "f:sessionAffinity": {} } }],
    ["one", { "f:spec": { "f:sessionAffinity": {} } }],
  ]);
});

test("what a manager no longer names is removed, unless another owns it too", () => {
  const ports = [
    { port: 80, name: "x" },
    { port: 81, name: "y" },
  ];
  const first = applied(service({ ports, selector: { a: "b" } }, { labels: { mine: "1", shared: "2" } }));
  const both = applied(service({ ports: [ports[0] ?? null] }, { labels: { shared: "2" } }), { current: first, manager: "two" });
  const object = applied(service({ type: "LoadBalancer" }), { current: both });
  assert.deepEqual(object.spec, { ports: [{ port: 80, name: "x" }], type: "LoadBalancer" });
  assert.deepEqual(at(object, "metadata", "labels"), { shared: "2" });
});

test("what nobody applied stays as it is", () => {
  const current = service(
    { clusterIP: "10.96.0.10", ports: [{ port: 80, protocol: "TCP", nodePort: 30000 }] },
    { annotations: { a: "b" } },
  );
  const object = applied(service({ ports: [{ port: 80, name: "x" }] }), { current });
  assert.deepEqual(object.spec, { clusterIP: "10.96.0.10", ports: [{ port: 80, protocol: "TCP", nodePort: 30000, name: "x" }] });
  assert.deepEqual(at(object, "metadata", "annotations"), { a: "b" });
});
