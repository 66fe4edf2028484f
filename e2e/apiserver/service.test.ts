import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "./api-error.ts";
import { at, type JsonObject } from "./json.ts";
import type { KubeObject } from "./objects.ts";
import { ApiServer, type ApiServerOptions } from "./server.ts";

function service(name: string, spec: JsonObject) {
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" }, spec };
}

function created(spec: JsonObject, options: ApiServerOptions = {}): KubeObject {
  return new ApiServer(options).create(service("web", spec));
}

function addresses(object: KubeObject): unknown {
  const { clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy } = object.spec as JsonObject;
  return { clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy };
}

const ports = [{ port: 80 }];
const families: { name: string; spec: JsonObject; options?: ApiServerOptions; want: JsonObject }[] = [
  {
    name: "one family by default, the cluster's first",
    spec: { ports },
    want: { clusterIP: "10.96.0.10", clusterIPs: ["10.96.0.10"], ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" },
  },
  {
    name: "the other family on request",
    spec: { ports, ipFamilies: ["IPv6"] },
    want: { clusterIP: "fd00:10:96::a", clusterIPs: ["fd00:10:96::a"], ipFamilies: ["IPv6"], ipFamilyPolicy: "SingleStack" },
  },
  {
    name: "both families on request, the one named first",
    spec: { ports, ipFamilies: ["IPv6"], ipFamilyPolicy: "PreferDualStack" },
    want: {
      clusterIP: "fd00:10:96::a",
      clusterIPs: ["fd00:10:96::a", "10.96.0.10"],
      ipFamilies: ["IPv6", "IPv4"],
      ipFamilyPolicy: "PreferDualStack",
    },
  },
  {
    name: "one family where both are preferred but the cluster has one",
    spec: { ports, ipFamilyPolicy: "PreferDualStack" },
    options: { clusterCidrs: ["10.0.0.0/24"] },
    want: { clusterIP: "10.0.0.10", clusterIPs: ["10.0.0.10"], ipFamilies: ["IPv4"], ipFamilyPolicy: "PreferDualStack" },
  },
  {
    name: "an address of one's choice",
    spec: { ports, clusterIP: "10.96.0.99" },
    want: { clusterIP: "10.96.0.99", clusterIPs: ["10.96.0.99"], ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" },
  },
  {
    name: "none for a headless one",
    spec: { ports, clusterIP: "None" },
    want: { clusterIP: "None", clusterIPs: ["None"], ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" },
  },
  {
    name: "none for an external name",
    spec: { type: "ExternalName", externalName: "example.com" },
    want: { clusterIP: undefined, clusterIPs: undefined, ipFamilies: undefined, ipFamilyPolicy: undefined } as JsonObject,
  },
];
for (const { name, spec, options, want } of families) {
  test(`cluster addresses: ${name}`, () => {
    assert.deepEqual(addresses(created(spec, options)), want);
  });
}

const refusals: { name: string; spec: JsonObject; options?: ApiServerOptions; message: string }[] = [
  {
    name: "an unknown type",
    spec: { ports, type: "Foo" },
    message: 'spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
  },
  { name: "no ports", spec: {}, message: "spec.ports: Required value" },
  {
    name: "a port out of range",
    spec: { ports: [{ port: 0, targetPort: 1 }] },
    message: "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
  },
  {
    name: "an unknown protocol",
    spec: { ports: [{ port: 1, protocol: "foo" }] },
    message: 'spec.ports[0].protocol: Unsupported value: "foo": supported values: "SCTP", "TCP", "UDP"',
  },
  {
    name: "several ports without names",
    spec: { ports: [{ port: 1 }, { port: 2, name: "x" }] },
    message: "spec.ports[0].name: Required value",
  },
  {
    name: "a traffic policy inside the cluster",
    spec: { ports, externalTrafficPolicy: "Local" },
    message: 'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
  },
  {
    name: "two families for a single stack",
    spec: { ports, ipFamilies: ["IPv6", "IPv4"] },
    message:
      "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
  },
  {
    name: "the same family twice",
    spec: { ports, ipFamilies: ["IPv6", "IPv6"] },
    message: 'spec.ipFamilies[1]: Duplicate value: "IPv6"',
  },
  {
    name: "two families that the cluster does not have",
    spec: { ports, ipFamilyPolicy: "RequireDualStack" },
    options: { clusterCidrs: ["10.0.0.0/24"] },
    message: 'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
  },
  {
    name: "an address outside the cluster's",
    spec: { ports, clusterIP: "1.2.3.4" },
    message:
      'spec.clusterIPs: Invalid value: ["1.2.3.4"]: failed to allocate IP 1.2.3.4: the provided network does not match the current range',
  },
  {
    name: "an address that is taken",
    spec: { ports, clusterIP: "10.96.0.1" },
    message: 'spec.clusterIPs: Invalid value: ["10.96.0.1"]: failed to allocate IP 10.96.0.1: provided IP is already allocated',
  },
  {
    name: "a node port out of range",
    spec: { type: "NodePort", ports: [{ port: 1, nodePort: 3 }] },
    message:
      "spec.ports[0].nodePort: Invalid value: 3: provided port is not in the valid range. The range of valid ports is 30000-32767",
  },
];
for (const { name, spec, options, message } of refusals) {
  test(`a Service is refused for ${name}`, () => {
    assert.throws(() => created(spec, options), { code: 422, message: `Service "web" is invalid: ${message}` });
  });
}

test("node ports are not given twice, and come free with their Service", () => {
  const server = new ApiServer({ nodePorts: [30000, 30001] });
  const first = server.create(service("a", { type: "LoadBalancer", ports }));
  server.create(service("b", { type: "NodePort", ports: [{ port: 80, nodePort: 30001 }] }));
  assert.equal(at(first, "spec", "ports") && JSON.stringify(at(first, "spec", "ports")).includes('"nodePort":30000'), true);
  assert.throws(() => server.create(service("c", { type: "NodePort", ports: [{ port: 80, nodePort: 30001 }] })), {
    code: 422,
    message: /provided port is already allocated/,
  });
  assert.throws(() => server.create(service("c", { type: "LoadBalancer", ports })), { code: 500, message: /range is full/ });
  server.create(service("udp", { type: "LoadBalancer", ports: [{ port: 80, protocol: "UDP" }] })); // Another protocol, another port.
  server.delete(first);
  server.create(service("c", { type: "LoadBalancer", ports }));
});

test("no node ports without need, and one for health checks with a local traffic policy", () => {
  const without = created({ type: "LoadBalancer", allocateLoadBalancerNodePorts: false, ports });
  assert.deepEqual(at(without, "spec", "ports"), [{ protocol: "TCP", port: 80, targetPort: 80 }]);
  const local = created({ type: "LoadBalancer", externalTrafficPolicy: "Local", ports });
  assert.equal(at(local, "spec", "healthCheckNodePort"), 30001);
});

test("whoever replaces a Service without its addresses and node ports keeps them", () => {
  const server = new ApiServer();
  const before = server.create(service("web", { type: "LoadBalancer", ports, ipFamilyPolicy: "PreferDualStack" }));
  const after = server.update(
    service("web", {
      type: "LoadBalancer",
      ports: [{ port: 80 }, { port: 443, name: "https" }].map((port) => ({ name: "http", ...port })),
    }),
  );
  assert.deepEqual(addresses(after), addresses(before));
  assert.deepEqual(at(after, "spec", "ports"), [
    { name: "http", protocol: "TCP", port: 80, targetPort: 80, nodePort: 30000 },
    { name: "https", protocol: "TCP", port: 443, targetPort: 443, nodePort: 30001 },
  ]);
});

test("a cluster address may not change, but its second family may come and go", () => {
  const server = new ApiServer();
  const web = server.create(service("web", { ports }));
  assert.throws(() => server.patch(web, { spec: { clusterIP: "10.96.0.99" } }), {
    code: 422,
    message: 'Service "web" is invalid: spec.clusterIPs[0]: Invalid value: ["10.96.0.99"]: may not change once set',
  });
  const dual = server.patch(web, { spec: { ipFamilyPolicy: "PreferDualStack" } });
  assert.deepEqual(at(dual, "spec", "clusterIPs"), ["10.96.0.10", "fd00:10:96::a"]);
  const single = server.patch(web, { spec: { ipFamilyPolicy: "SingleStack" } });
  assert.deepEqual(addresses(single), addresses(web));
});

test("a Service that is no longer a load balancer loses what only load balancers have", () => {
  const server = new ApiServer();
  const web = server.create({
    ...service("web", { type: "LoadBalancer", loadBalancerClass: "example.com/x", externalTrafficPolicy: "Local", ports }),
    status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } },
  });
  const plain = server.patch(web, { spec: { type: "ClusterIP" } });
  assert.deepEqual(plain.status, { loadBalancer: {} });
  assert.deepEqual(plain.spec, {
    ports: [{ protocol: "TCP", port: 80, targetPort: 80 }],
    sessionAffinity: "None",
    internalTrafficPolicy: "Cluster",
    type: "ClusterIP",
    clusterIP: "10.96.0.10",
    clusterIPs: ["10.96.0.10"],
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
  });
});

const statuses: { name: string; ingress: JsonObject; type?: string; message: RegExp }[] = [
  {
    name: "an address that is none",
    ingress: { ip: "bad" },
    message: /ingress\[0\].ip: Invalid value: "bad": must be a valid IP address/,
  },
  {
    name: "an unknown mode",
    ingress: { ip: "192.0.2.1", ipMode: "Foo" },
    message: /ingress\[0\].ipMode: Unsupported value: "Foo": supported values: "Proxy", "VIP"/,
  },
  { name: "a host name that is none", ingress: { hostname: "x_y" }, message: /ingress\[0\].hostname: Invalid value: "x_y"/ },
  {
    name: "an ingress for another type",
    ingress: { ip: "192.0.2.1" },
    type: "NodePort",
    message: /ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'/,
  },
];
for (const { name, ingress, type = "LoadBalancer", message } of statuses) {
  test(`a status is refused for ${name}`, () => {
    const object = { ...service("web", { type, ports }), status: { loadBalancer: { ingress: [ingress] } } };
    assert.throws(
      () => new ApiServer().create(object),
      (error: unknown) => error instanceof ApiError && error.code === 422 && message.test(error.message),
    );
  });
}
