import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonObject } from "./json.ts";
import { strategicMergePatch } from "./strategic-merge.ts";

const ports = [
  { name: "http", port: 80, protocol: "TCP", nodePort: 30000 },
  { name: "dns", port: 53, protocol: "UDP" },
];
const cases: { name: string; kind?: string; target: JsonObject; patch: JsonObject; want: JsonObject }[] = [
  {
    name: "a list with a merge key is merged item by item",
    target: { spec: { ports } },
    patch: { spec: { ports: [{ port: 80, name: "web" }] } },
    want: { spec: { ports: [{ ...ports[0], name: "web" }, { ...ports[1] }] } },
  },
  {
    name: "new items come where the patch has them, before those they precede",
    target: { spec: { ports } },
    patch: { spec: { ports: [{ port: 443, name: "https" }, { port: 80 }] } },
    want: { spec: { ports: [{ port: 443, name: "https" }, { ...ports[0] }, { ...ports[1] }] } },
  },
  {
    name: "an item is deleted by its key",
    target: { spec: { ports } },
    patch: { spec: { ports: [{ port: 80, $patch: "delete" }] } },
    want: { spec: { ports: [{ ...ports[1] }] } },
  },
  {
    name: "a list is replaced by directive",
    target: { spec: { ports } },
    patch: { spec: { ports: [{ port: 1 }, { $patch: "replace" }] } },
    want: { spec: { ports: [{ port: 1 }] } },
  },
  {
    name: "the element order puts items into place, also without a change of them",
    target: { spec: { ports } },
    patch: { spec: { "$setElementOrder/ports": [{ port: 53 }, { port: 80 }] } },
    want: { spec: { ports: [{ ...ports[1] }, { ...ports[0] }] } },
  },
  {
    name: "a list without a merge key is replaced",
    kind: "EndpointSlice",
    target: { endpoints: [{ addresses: ["10.0.0.1"] }, { addresses: ["10.0.0.2"] }] },
    patch: { endpoints: [{ addresses: ["10.0.0.3"] }] },
    want: { endpoints: [{ addresses: ["10.0.0.3"] }] },
  },
  {
    name: "conditions are merged by type",
    kind: "Node",
    target: {
      status: {
        conditions: [
          { type: "Ready", status: "True" },
          { type: "DiskPressure", status: "False" },
        ],
      },
    },
    patch: { status: { conditions: [{ type: "Ready", status: "Unknown" }] } },
    want: {
      status: {
        conditions: [
          { type: "Ready", status: "Unknown" },
          { type: "DiskPressure", status: "False" },
        ],
      },
    },
  },
  {
    name: "containers deep in a template are merged by name, and their ports by number",
    kind: "Deployment",
    target: {
      spec: { template: { spec: { containers: [{ name: "a", image: "x", ports: [{ containerPort: 1 }] }, { name: "b" }] } } },
    },
    patch: { spec: { template: { spec: { containers: [{ name: "a", image: "y", ports: [{ containerPort: 2 }] }] } } } },
    want: {
      spec: {
        template: {
          spec: { containers: [{ name: "a", image: "y", ports: [{ containerPort: 2 }, { containerPort: 1 }] }, { name: "b" }] },
        },
      },
    },
  },
  {
    name: "a set gains and loses values",
    target: { metadata: { finalizers: ["a/a", "b/b"] } },
    patch: { metadata: { finalizers: ["c/c"], "$deleteFromPrimitiveList/finalizers": ["a/a"] } },
    want: { metadata: { finalizers: ["b/b", "c/c"] } },
  },
  {
    name: "null removes, and an object is replaced or cut down by directive",
    target: { metadata: { labels: { a: "1" }, annotations: { b: "2", c: "3" } }, spec: { type: "ClusterIP", clusterIP: "x" } },
    patch: {
      metadata: { labels: null, annotations: { $patch: "replace", d: "4" } },
      spec: { $retainKeys: ["type"], type: "NodePort" },
    },
    want: { metadata: { annotations: { d: "4" } }, spec: { type: "NodePort" } },
  },
];
for (const { name, kind = "Service", target, patch, want } of cases) {
  test(`strategic merge patch: ${name}`, () => {
    assert.deepEqual(strategicMergePatch(kind, target, patch), want);
  });
}

test("strategic merge patch: an item without its key, or an unknown directive, is refused", () => {
  assert.throws(() => strategicMergePatch("Service", {}, { spec: { ports: [{ name: "x" }] } }), {
    code: 400,
    message: /does not contain declared merge key: port/,
  });
  assert.throws(() => strategicMergePatch("Service", {}, { spec: { $patch: "explode" } }), { code: 400 });
});
