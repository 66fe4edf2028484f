import assert from "node:assert/strict";
import { test } from "node:test";
import { asList, at, type Json, type JsonObject } from "./json.ts";
import { age } from "./kinds/columns.ts";
import type { ObjectInput } from "./objects.ts";
import { ApiServer } from "./server.ts";
import { TestClient } from "./test-client.ts";

const now = new Date("2026-01-01T00:10:00Z");
const table = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io,application/json" };

/** The rows of `kubectl get -o wide`, as name of the column -> cell. */
async function rows(path: string, ...objects: ObjectInput[]): Promise<JsonObject[]> {
  await using server = new ApiServer({ now: () => now });
  await server.start();
  for (const object of objects) server.create(object);
  using client = new TestClient(server);
  const { body } = await client.get(path, table);
  assert.equal(body.kind, "Table");
  const columns = asList(body.columnDefinitions).map((column) => String(at(column, "name")));
  return asList(body.rows).map((row) => {
    assert.equal(at(row, "object", "kind"), "PartialObjectMetadata");
    return Object.fromEntries(asList(at(row, "cells")).map((cell, index) => [columns[index] ?? "", cell]));
  });
}

const metadata = (name: string, more: JsonObject = {}): { name: string; namespace: string } => ({
  name,
  namespace: "default",
  ...more,
});
const labels = { app: "x" };
const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "i:1" }], nodeSelector: { os: "linux" } } };

const cases: { path: string; object: ObjectInput; want: JsonObject }[] = [
  {
    path: "/api/v1/namespaces/default/services?fieldSelector=metadata.name%3Dweb",
    object: {
      apiVersion: "v1",
      kind: "Service",
      metadata: metadata("web"),
      spec: {
        type: "LoadBalancer",
        selector: { b: "2", a: "1" },
        ports: [{ port: 80 }, { port: 53, protocol: "UDP" }].map((port, i) => ({ name: `p${i}`, ...port })),
      },
      status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }, { hostname: "example.com" }] } },
    },
    want: {
      Name: "web",
      Type: "LoadBalancer",
      "Cluster-IP": "10.96.0.10",
      "External-IP": "192.0.2.1,example.com",
      "Port(s)": "80:30000/TCP,53:30001/UDP",
      Age: "0s",
      Selector: "a=1,b=2",
    },
  },
  {
    path: "/api/v1/namespaces/default/pods",
    object: {
      apiVersion: "v1",
      kind: "Pod",
      metadata: metadata("p"),
      spec: {
        nodeName: "n1",
        containers: [
          { name: "a", image: "i" },
          { name: "b", image: "i" },
        ],
      },
      status: {
        phase: "Running",
        podIP: "10.0.0.1",
        containerStatuses: [
          { ready: true, restartCount: 2 },
          { ready: false, restartCount: 1, state: { waiting: { reason: "CrashLoopBackOff" } } },
        ],
      },
    },
    want: {
      Name: "p",
      Ready: "1/2",
      Status: "CrashLoopBackOff",
      Restarts: "3",
      Age: "0s",
      IP: "10.0.0.1",
      Node: "n1",
      "Nominated Node": "<none>",
      "Readiness Gates": "<none>",
    },
  },
  {
    path: "/api/v1/nodes",
    object: {
      apiVersion: "v1",
      kind: "Node",
      metadata: { name: "n1", labels: { "node-role.kubernetes.io/worker": "", "node-role.kubernetes.io/control-plane": "" } },
      spec: { unschedulable: true },
      status: {
        conditions: [{ type: "Ready", status: "True" }],
        addresses: [{ type: "InternalIP", address: "192.0.2.1" }],
        nodeInfo: { kubeletVersion: "v1.35.0", osImage: "Linux" },
      },
    },
    want: {
      Name: "n1",
      Status: "Ready,SchedulingDisabled",
      Roles: "control-plane,worker",
      Age: "0s",
      Version: "v1.35.0",
      "Internal-IP": "192.0.2.1",
      "External-IP": "<none>",
      "OS-Image": "Linux",
      "Kernel-Version": "<unknown>",
      "Container-Runtime": "<unknown>",
    },
  },
  {
    path: "/api/v1/namespaces/default/events",
    object: {
      apiVersion: "v1",
      kind: "Event",
      metadata: metadata("e"),
      involvedObject: { kind: "Service", name: "web", namespace: "default" },
      type: "Normal",
      reason: "IPAllocated",
      message: "Assigned IP\n",
      source: { component: "metallb-controller" },
      firstTimestamp: "2026-01-01T00:00:00Z",
      lastTimestamp: "2026-01-01T00:09:00Z",
      count: 3,
    },
    want: {
      "Last Seen": "60s",
      Type: "Normal",
      Reason: "IPAllocated",
      Object: "service/web",
      Subobject: "",
      Source: "metallb-controller",
      Message: "Assigned IP",
      "First Seen": "10m",
      Count: 3,
      Name: "e",
    },
  },
  {
    path: "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    object: {
      apiVersion: "discovery.k8s.io/v1",
      kind: "EndpointSlice",
      metadata: metadata("s"),
      addressType: "IPv4",
      endpoints: [
        { addresses: ["10.0.0.1"] },
        { addresses: ["10.0.0.2"] },
        { addresses: ["10.0.0.3"] },
        { addresses: ["10.0.0.4"] },
      ],
      ports: [{ port: 80 }, { port: 443, name: "https" }],
    },
    want: { Name: "s", AddressType: "IPv4", Ports: "80,443", Endpoints: "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...", Age: "0s" },
  },
  {
    path: "/api/v1/namespaces/default/endpoints",
    object: {
      apiVersion: "v1",
      kind: "Endpoints",
      metadata: metadata("s"),
      subsets: [{ addresses: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }], ports: [{ port: 80 }] }],
    },
    want: { Name: "s", Endpoints: "10.0.0.1:80,[fd00::1]:80", Age: "0s" },
  },
  {
    path: "/apis/apps/v1/namespaces/default/deployments",
    object: {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: metadata("d"),
      spec: { replicas: 2, selector: { matchLabels: labels }, template },
      status: { readyReplicas: 1, updatedReplicas: 2, availableReplicas: 1 },
    },
    want: {
      Name: "d",
      Ready: "1/2",
      "Up-to-date": 2,
      Available: 1,
      Age: "0s",
      Containers: "c",
      Images: "i:1",
      Selector: "app=x",
    },
  },
  {
    path: "/apis/apps/v1/namespaces/default/daemonsets",
    object: {
      apiVersion: "apps/v1",
      kind: "DaemonSet",
      metadata: metadata("d"),
      spec: { selector: { matchLabels: labels }, template },
      status: { desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 2 },
    },
    want: {
      Name: "d",
      Desired: 3,
      Current: 3,
      Ready: 2,
      "Up-to-date": 0,
      Available: 0,
      "Node Selector": "os=linux",
      Age: "0s",
      Containers: "c",
      Images: "i:1",
      Selector: "app=x",
    },
  },
  {
    path: "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
    object: {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: metadata("b"),
      roleRef: { kind: "Role", name: "r" },
      subjects: [
        { kind: "User", name: "alice" },
        { kind: "ServiceAccount", name: "s", namespace: "n" },
      ],
    },
    want: { Name: "b", Role: "Role/r", Age: "0s", Users: "alice", Groups: "", ServiceAccounts: "n/s" },
  },
];
for (const { path, object, want } of cases) {
  test(`the columns of a ${object.kind} are the usual ones`, async () => {
    assert.deepEqual(await rows(path, object), [want]);
  });
}

const ages: [seconds: number, want: string][] = [
  [0, "0s"],
  [119, "119s"],
  [120, "2m"],
  [125, "2m5s"],
  [600, "10m"],
  [3 * 3600 - 1, "179m"],
  [3 * 3600, "3h"],
  [5 * 3600 + 180, "5h3m"],
  [30 * 3600, "30h"],
  [76 * 3600, "3d4h"],
  [20 * 86400, "20d"],
  [800 * 86400, "2y70d"],
  [-5, "0s"],
];
for (const [seconds, want] of ages) {
  test(`${seconds} seconds ago is ${want}`, () => {
    assert.equal(age(seconds), want);
  });
}

test("a watch of a Table has a row for each event, and the whole object on request", async () => {
  await using server = new ApiServer({ now: () => now });
  await server.start();
  using client = new TestClient(server);
  using watch = await client.watch(
    `/api/v1/namespaces?watch=1&includeObject=Object&resourceVersion=${server.resourceVersion}`,
    table,
  );
  server.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "n" } });
  const event = await watch.next();
  assert.equal(event?.type, "ADDED");
  const [row]: readonly Json[] = asList(event?.object.rows);
  assert.deepEqual(at(row, "cells"), ["n", "Active", "0s"]);
  assert.equal(at(row, "object", "status", "phase"), "Active");
});
