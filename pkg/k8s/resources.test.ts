import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { classlessOnly } from "#pkg/service";
import { fields } from "#pkg/untrusted";
import type { ObjectMeta } from "./objects.ts";
import { nodesOf, projectMeta, type Resource, resources, servicesOf } from "./resources.ts";

const metadata = { namespace: "ns", name: "x", uid: "u", resourceVersion: "7", managedFields: [{ manager: "m" }] };
const meta = { key: "ns/x", namespace: "ns", name: "x", uid: "u", resourceVersion: "7" };

function project<V extends ObjectMeta>(resource: Resource<V>, raw: object): V {
  const found = projectMeta(raw);
  assert.ok(found);
  return resource.project(fields(raw), found);
}

test("an object needs a name, a uid and a version; its key has the namespace where there is one", () => {
  assert.deepEqual(projectMeta({ metadata }), meta);
  assert.deepEqual(projectMeta({ metadata: { ...metadata, namespace: undefined } })?.key, "x");
  for (const field of ["name", "uid", "resourceVersion"])
    for (const value of [undefined, "", 7, null])
      assert.equal(projectMeta({ metadata: { ...metadata, [field]: value } }), undefined);
  for (const raw of [undefined, null, 1, "x", [], {}, { metadata: [] }]) assert.equal(projectMeta(raw), undefined);
});

test("a Service keeps what decides about it", () => {
  const annotations = {
    "metallb.universe.tf/address-pool": "p",
    other: "x",
    "kubectl.kubernetes.io/last-applied-configuration": "{}",
  };
  const raw = {
    metadata: { ...metadata, annotations, creationTimestamp: "1970-01-02T00:00:01Z" },
    spec: {
      type: "LoadBalancer",
      clusterIP: "10.0.0.1",
      clusterIPs: ["10.0.0.1", "fd00::1"],
      ipFamilyPolicy: "PreferDualStack",
      ports: [
        { name: "http", port: 80, nodePort: 30000 },
        { protocol: "UDP", port: 53 },
      ],
      selector: { app: "x" },
      externalTrafficPolicy: "Local",
      loadBalancerIP: "192.0.2.9",
      internalTrafficPolicy: "Local",
      loadBalancerSourceRanges: ["198.51.100.0/24"],
      healthCheckNodePort: 30123,
      externalIPs: ["192.0.2.7", 7],
    },
    status: { loadBalancer: { ingress: [{ ip: "192.0.2.1", ipMode: "VIP" }, { hostname: "h" }] } },
  };
  assert.deepEqual(project(resources.services, raw), {
    ...meta,
    created: 86_401,
    labels: undefined,
    annotations: { "metallb.universe.tf/address-pool": "p" },
    type: "LoadBalancer",
    isClaimed: true,
    otherClass: undefined,
    clusterIPs: ["10.0.0.1", "fd00::1"],
    prefersDualStack: true,
    ports: [
      { name: "http", protocol: "TCP", port: 80 },
      { name: "", protocol: "UDP", port: 53 },
    ],
    selector: { app: "x" },
    externalTrafficPolicy: "Local",
    loadBalancerIP: "192.0.2.9",
    ingress: ["192.0.2.1"],
    ingressDetails: {},
    isForSome: true,
    isInternalLocal: true,
    healthCheckNodePort: 30123,
    hasHostnames: true,
    conditions: [],
    externalIPs: undefined,
  });
});

test("labels are kept of Services of type LoadBalancer where they are asked for, and of Namespaces, but not any number of them", () => {
  const labels = { app: "x", tier: "free" };
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`label${i}`, "value"]));
  const labelsOf = (type: string, given: object) =>
    project(servicesOf(classlessOnly, "labels"), { metadata: { ...metadata, labels: given }, spec: { type } }).labels;
  assert.deepEqual([labelsOf("LoadBalancer", labels), labelsOf("ClusterIP", labels)], [labels, undefined]);
  assert.equal(labelsOf("LoadBalancer", many), undefined);
  const ofNamespace = (given: object) => project(resources.namespaces, { metadata: { ...metadata, labels: given } }).labels;
  assert.deepEqual([ofNamespace(labels), ofNamespace({}), ofNamespace(many)], [labels, {}, undefined]);
});

test("the controller's conditions are kept of a Service, however many of others there are before them", () => {
  const condition = (type: string) => ({
    type,
    status: "True",
    reason: "Told",
    message: "m",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  });
  const others = Array.from({ length: 1_000 }, (_, i) => condition(`example.com/c${i}`));
  const of = (conditions: object[]) =>
    project(servicesOf(classlessOnly, "labels"), { metadata, status: { conditions } }).conditions.map(({ type }) => type);
  assert.deepEqual(of([...others, condition("ingot.dev/Assigned")]), ["ingot.dev/Assigned"]);
  assert.equal(of(others.map(({ type }) => condition(`ingot.dev/${type}`))).length, 100);
});

test("1 KiB is kept of each value that anybody may write into a Service, and of an annotation what shows that it is too long", () => {
  const long = `${"x".repeat(1023)}é${"y".repeat(250_000)}`;
  const raw = { metadata: { ...metadata, annotations: { "metallb.io/address-pool": long } }, spec: { loadBalancerIP: long } };
  const service = project(resources.services, raw);
  assert.deepEqual(
    [service.annotations, service.loadBalancerIP],
    [{ "metallb.io/address-pool": long.slice(0, 1025) }, long.slice(0, 1024)],
  );
});

test("1 KiB of a selector is kept or a digest that tells it from others, and 1,001 ports", () => {
  const selector = Object.fromEntries(Array.from({ length: 20_000 }, (_, i) => [`key${i}`, `value${i}`]));
  const ports = Array.from({ length: 20_000 }, (_, i) => ({ port: i + 1 }));
  const selectorOf = (spec: object) => project(resources.services, { metadata, spec }).selector;
  const kept = selectorOf({ selector });
  assert.deepEqual(Object.keys(kept), ["sha256"]);
  assert.deepEqual(selectorOf({ selector: Object.fromEntries(Object.entries(selector).toReversed()) }), kept, "in any order");
  assert.notDeepEqual(selectorOf({ selector: { ...selector, key0: "other" } }), kept);
  assert.deepEqual(selectorOf({ selector: { app: "x".repeat(63) } }), { app: "x".repeat(63) });
  assert.equal(project(resources.services, { metadata, spec: { ports } }).ports.length, 1001);
});

test("a Service is claimed by its load balancer class", () => {
  const classes = { name: "example.com/lb", isDefault: false };
  const claimed = (spec: object) => project(servicesOf(classes), { metadata, spec }).isClaimed;
  assert.deepEqual(
    [claimed({ loadBalancerClass: "example.com/lb" }), claimed({ loadBalancerClass: "c" }), claimed({})],
    [true, false, false],
  );
  assert.equal(project(resources.services, { metadata, spec: { loadBalancerClass: "c" } }).isClaimed, false);
});

test("of a status is kept what is more than an address that the node serves itself", () => {
  const ports = [{ port: 80, protocol: "TCP", error: "example.com/Busy" }];
  const ingress = [
    { ip: "192.0.2.1", ipMode: "VIP", ports: [] },
    { ip: "2001:DB8::1", ipMode: "Proxy", ports },
    { ip: "192.0.2.2", ports },
    { hostname: "h", ports },
  ];
  const { ingressDetails } = project(resources.services, { metadata, status: { loadBalancer: { ingress } } });
  assert.deepEqual(ingressDetails, { "2001:db8::1": { ipMode: "Proxy", ports }, "192.0.2.2": { ports } });
});

test("the first hundred of 40,000 addresses of a status are kept, and reading the status costs no more than their number", () => {
  let read = 0;
  const ingress = Array.from({ length: 40_000 }, (_, i) => ({
    get ip() {
      read++;
      return `10.0.${i >> 8}.${i & 255}`;
    },
    ipMode: "Proxy",
  }));
  const service = project(resources.services, { metadata, status: { loadBalancer: { ingress } } });
  assert.equal(service.ingress.length, 100);
  assert.equal(Object.keys(service.ingressDetails).length, 100);
  assert.ok(read <= 300, `${read} addresses read`);
});

const clusterIPs = [
  { name: "the list", spec: { clusterIP: "10.0.0.1", clusterIPs: ["10.0.0.2"] }, want: ["10.0.0.2"] },
  { name: "the single one of servers before 1.20", spec: { clusterIP: "10.0.0.1" }, want: ["10.0.0.1"] },
  { name: "none when headless", spec: { clusterIP: "None", clusterIPs: ["None"] }, want: [] },
  { name: "none when not yet given", spec: { clusterIP: "" }, want: [] },
];
for (const { name, spec, want } of clusterIPs)
  test(`cluster addresses of a Service: ${name}`, () =>
    assert.deepEqual(project(resources.services, { metadata, spec }).clusterIPs, want));

test("an EndpointSlice belongs to the Service in its label and counts for each node; unset readiness is ready, and what neither serves nor drains is left out", () => {
  const raw = {
    metadata: { ...metadata, labels: { "kubernetes.io/service-name": "web" } },
    addressType: "IPv4",
    endpoints: [
      { addresses: ["10.1.0.1"], nodeName: "n1", conditions: { ready: true, serving: true } },
      { addresses: ["10.1.0.2"], nodeName: "n2", conditions: { ready: false } },
      { addresses: ["10.1.0.3"], conditions: {} },
      { addresses: ["10.1.0.4"], nodeName: "n4", conditions: { ready: false, serving: true, terminating: true } },
      { addresses: ["10.1.0.5"], nodeName: "n5", conditions: { ready: false, serving: false, terminating: true } },
      { addresses: ["10.1.0.6"], nodeName: "n6", conditions: { ready: false, serving: true, terminating: false } },
      { addresses: ["10.1.0.7"], nodeName: "n4", conditions: { ready: true } },
      { addresses: ["10.1.0.8"], nodeName: "n1", conditions: {} },
    ],
    ports: [{ port: 80 }],
  };
  assert.deepEqual(project(resources.endpointSlices, raw), {
    ...meta,
    service: "ns/web",
    family: "IPv4",
    endpoints: [
      { nodeName: "n1", ready: 2, draining: 0 },
      { nodeName: undefined, ready: 1, draining: 0 },
      { nodeName: "n4", ready: 1, draining: 1 },
    ],
    idle: 3,
  });
  assert.equal(project(resources.endpointSlices, { metadata }).service, "");
});

test("an EndpointSlice of names has no endpoints: kube-proxy sends nothing there", () => {
  const endpoints = [{ addresses: ["web.example.com"], nodeName: "n1", conditions: { ready: true } }];
  const { endpoints: found, idle } = project(resources.endpointSlices, { metadata, addressType: "FQDN", endpoints });
  assert.deepEqual([found, idle], [[], 0]);
});

test("Endpoints read as one slice of the Service of their name", () => {
  const raw = {
    metadata,
    subsets: [
      { addresses: [{ ip: "10.1.0.1", nodeName: "n1" }, {}], notReadyAddresses: [{ ip: "10.1.0.2", nodeName: "n2" }] },
      { addresses: null },
      { addresses: [{ ip: "10.1.0.3" }] },
    ],
  };
  assert.deepEqual(project(resources.endpoints, raw), {
    ...meta,
    service: "ns/x",
    family: undefined,
    endpoints: [
      { nodeName: "n1", ready: 1, draining: 0 },
      { nodeName: undefined, ready: 1, draining: 0 },
    ],
    idle: 1,
  });
});

test("a Node keeps its labels, and whether it is to be left", () => {
  const addresses = [{ type: "InternalIP", address: "192.0.2.7" }];
  const raw = { metadata: { ...metadata, namespace: "", labels: { zone: "a" } }, status: { addresses } };
  const node = { ...meta, key: "x", namespace: "", labels: { zone: "a" } };
  assert.deepEqual(project(resources.nodes, raw), {
    ...node,
    unschedulable: false,
    deleting: false,
    taints: [],
    flannelAddresses: [],
  });
  const left = {
    ...raw,
    metadata: {
      ...raw.metadata,
      deletionTimestamp: "2026-01-01T00:00:00Z",
      annotations: {
        "flannel.alpha.coreos.com/public-ip": "192.0.2.7",
        "flannel.alpha.coreos.com/public-ipv6": "2001:db8::7",
        "flannel.alpha.coreos.com/backend-type": "vxlan",
      },
    },
    spec: { unschedulable: true, taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }, { key: 7 }] },
  };
  assert.deepEqual(project(resources.nodes, left), {
    ...node,
    unschedulable: true,
    deleting: true,
    taints: ["node.kubernetes.io/unschedulable"],
    flannelAddresses: ["192.0.2.7", "2001:db8::7"],
  });
});

test("of this node alone annotations are kept, as long as lists of values may be, and longer ones so that they are found too long", () => {
  const annotations = { list: "x".repeat(1_024), long: "x".repeat(2_000) };
  const lengths = (own: string) => {
    const { annotations: kept = {} } = project(nodesOf(own), { metadata: { ...metadata, annotations } });
    return Object.entries(kept).map(([name, { length }]) => [name, length]);
  };
  assert.deepEqual(lengths(metadata.name), [
    ["list", 1_024],
    ["long", 1_025],
  ]);
  assert.deepEqual(lengths("another"), []);
});

const ready = [
  { type: "Initialized", status: "True" },
  { type: "Ready", status: "True" },
];
const pods = [
  { name: "ready", raw: { metadata, status: { conditions: ready } }, want: true },
  { name: "not ready", raw: { metadata, status: { conditions: [{ type: "Ready", status: "False" }] } }, want: false },
  {
    name: "ready, but being deleted",
    raw: { metadata: { ...metadata, deletionTimestamp: "2026-01-01T00:00:00Z" }, status: { conditions: ready } },
    want: false,
  },
  { name: "new", raw: { metadata }, want: false },
];
for (const { name, raw, want } of pods)
  test(`a Pod that is ${name}`, () => assert.equal(project(resources.pods, raw).ready, want));

test("a Pod keeps its node and addresses", () => {
  const raw = {
    metadata,
    spec: { nodeName: "n1" },
    status: { podIP: "10.1.0.1", podIPs: [{ ip: "10.1.0.1" }, { ip: "fd00::1" }] },
  };
  const want = { ...meta, nodeName: "n1", podIPs: ["10.1.0.1", "fd00::1"], hostIP: undefined, ready: false };
  assert.deepEqual(project(resources.pods, raw), want);
  const status = { ...raw.status, hostIP: "10.1.0.9" };
  assert.deepEqual(project(resources.pods, { ...raw, status }), want);
  const spec = { ...raw.spec, hostNetwork: true };
  assert.deepEqual(project(resources.pods, { ...raw, spec, status }), { ...want, hostIP: "10.1.0.9" });
  assert.deepEqual(project(resources.pods, { metadata, status: { podIP: "10.1.0.1" } }).podIPs, ["10.1.0.1"]);
});

test("a ConfigMap keeps its texts, under any name", () => {
  const raw = JSON.parse(`{"metadata":${JSON.stringify(metadata)},"data":{"config":"a","__proto__":"b","number":1}}`);
  assert.deepEqual(Object.entries(project(resources.configMaps, raw).data), [
    ["config", "a"],
    ["__proto__", "b"],
  ]);
});

test("a Secret's values are decoded", () => {
  const data = { password: "aHVudGVyMg==", odd: "é!", number: 1 };
  assert.deepEqual(project(resources.secrets, { metadata, data }).data, { password: "hunter2", odd: "" });
});

// Fields with the names in use and values of any type: the tolerant reading has to hold at every depth.
const names = [
  "spec status metadata labels annotations loadBalancer ingress ports selector clusterIPs clusterIP addresses endpoints conditions",
  "subsets notReadyAddresses podIPs podIP data ip type address port protocol name nodeName kubernetes.io/service-name",
].flatMap((line) => line.split(" "));
const { anything } = fc.letrec((tie) => ({
  anything: fc.oneof(
    { depthSize: "medium" },
    fc.jsonValue({ maxDepth: 1 }),
    fc.array(tie("anything"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...names), tie("anything"), { maxKeys: 6 }),
  ),
}));

for (const resource of Object.values(resources))
  test(`${resource.plural}: objects of any shape can be read, and only texts come out as texts`, () => {
    fc.assert(
      fc.property(anything, (value) => {
        const raw = { ...fields(value), metadata: { ...fields(fields(value).metadata), ...metadata } };
        const object: Readonly<Record<string, unknown>> = { ...project<ObjectMeta>(resource, raw) };
        for (const field of ["clusterIPs", "ingress", "podIPs"])
          for (const item of (object[field] ?? []) as unknown[]) assert.equal(typeof item, "string");
        for (const field of ["annotations", "selector", "labels", "data"])
          for (const item of Object.values(object[field] ?? {})) assert.equal(typeof item, "string");
      }),
      { numRuns: 300 },
    );
  });
