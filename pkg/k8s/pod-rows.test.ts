import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "./errors.ts";
import { podRows } from "./pod-rows.ts";

const names = ["Name", "Ready", "Status", "Restarts", "Age", "IP", "Node", "Nominated Node", "Readiness Gates"];

/** As kube-apiserver 1.35 answers. */
function table(rows: readonly unknown[], columns = names) {
  const columnDefinitions = columns.map((name) => ({ name, type: "string", format: "", description: "", priority: 0 }));
  return { kind: "Table", apiVersion: "meta.k8s.io/v1", metadata: { resourceVersion: "812" }, columnDefinitions, rows };
}

const row = (ready: string, status: string, ip: string, node: string) => ({
  cells: ["speaker-x7k2p", ready, status, 0, "4d", ip, node, "<none>", "<none>"],
  object: { kind: "PartialObjectMetadata" },
});

const cases = [
  { name: "one that is ready", row: row("1/1", "Running", "10.0.0.7", "node7"), want: ["node7", ["10.0.0.7"], true] },
  {
    name: "one of two containers is ready",
    row: row("1/2", "Running", "10.0.0.7", "node7"),
    want: ["node7", ["10.0.0.7"], false],
  },
  { name: "one that ends", row: row("1/1", "Terminating", "10.0.0.7", "node7"), want: ["node7", ["10.0.0.7"], false] },
  { name: "one without an address", row: row("0/1", "ContainerCreating", "<none>", "node7"), want: ["node7", [], false] },
  { name: "one without a node", row: row("0/1", "Pending", "<none>", "<none>"), want: [undefined, [], false] },
  { name: "one that says nothing", row: {}, want: [undefined, [], false] },
] as const;
for (const { name, row, want } of cases)
  test(`a row of a table of Pods: ${name}`, () => {
    const [{ nodeName, podIPs, ready } = assert.fail()] = podRows(table([row]));
    assert.deepEqual([nodeName, podIPs, ready], want);
  });

test("a server that makes no tables sends Pods, whose hosts are known", () => {
  const conditions = [{ type: "Ready", status: "True" }];
  const pod = {
    metadata: { name: "speaker-x7k2p", namespace: "metallb-system", uid: "1", resourceVersion: "7" },
    spec: { nodeName: "node7", hostNetwork: true },
    status: { hostIP: "10.0.0.8", podIP: "10.0.0.7", conditions },
  };
  const [{ nodeName, hostIP, ready } = assert.fail(), ...others] = podRows({ kind: "PodList", items: [pod, {}] });
  assert.deepEqual([nodeName, hostIP, ready, others], ["node7", "10.0.0.8", true, []]);
  assert.deepEqual(podRows({ kind: "PodList", items: null }), []);
});

test("a table that lacks a column is none of Pods", () => {
  for (const missing of ["Ready", "Status", "IP", "Node"])
    assert.throws(
      () =>
        podRows(
          table(
            [],
            names.filter((name) => name !== missing),
          ),
        ),
      ApiError,
    );
});
