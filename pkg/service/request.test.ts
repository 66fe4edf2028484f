import assert from "node:assert/strict";
import { test } from "node:test";
import { annotations, isAnnotation, readRequest } from "#pkg/service";
import type { ServiceFields } from "./service.ts";

function service(spec: Partial<ServiceFields> = {}): ServiceFields {
  return {
    key: "default/web",
    labels: {},
    annotations: {},
    type: "LoadBalancer",
    isClaimed: true,
    clusterIPs: ["10.96.0.1"],
    prefersDualStack: false,
    ports: [{ protocol: "TCP", port: 80 }],
    selector: {},
    externalTrafficPolicy: "Cluster",
    loadBalancerIP: "",
    ingress: [],
    ...spec,
  };
}

function requesting(addresses: string): Partial<ServiceFields> {
  return { annotations: { [annotations.addresses]: addresses } };
}

const portsUpTo = (last: number) => Array.from({ length: last }, (_, i) => ({ name: "", protocol: "TCP", port: i + 1 }));
const requests: { name: string; spec: Partial<ServiceFields>; want: object }[] = [
  {
    name: "asks for nothing in particular",
    spec: {},
    want: { families: ["IPv4"], sharingKey: "", backendKey: "", requestedAddresses: [], requestedPool: undefined },
  },
  {
    name: "takes the families of its cluster addresses, in their order",
    spec: { clusterIPs: ["fd00::1", "10.96.0.1"] },
    want: { families: ["IPv6", "IPv4"] },
  },
  {
    name: "has ports with their protocols",
    spec: { ports: [{ protocol: "UDP", port: 53 }] },
    want: { ports: [{ protocol: "UDP", port: 53 }] },
  },
  { name: "asks for spec.loadBalancerIP", spec: { loadBalancerIP: "192.0.2.1" }, want: { requestedAddresses: ["192.0.2.1"] } },
  {
    name: "asks for the annotation's addresses, with blanks around them",
    spec: requesting(" 192.0.2.1 , fd00::1"),
    want: { requestedAddresses: ["192.0.2.1", "fd00::1"] },
  },
  {
    name: "takes an empty annotation for none",
    spec: { ...requesting(""), loadBalancerIP: "192.0.2.1" },
    want: { requestedAddresses: ["192.0.2.1"] },
  },
  {
    name: "asks for several addresses of a family, in their order",
    spec: requesting("192.0.2.9,192.0.2.1,fd00::1"),
    want: { requestedAddresses: ["192.0.2.9", "192.0.2.1", "fd00::1"], mayHoldSeveral: true },
  },
  {
    name: "asks for sixteen addresses",
    spec: requesting(Array.from({ length: 16 }, (_, i) => `192.0.2.${i}`).join()),
    want: { mayHoldSeveral: true },
  },
  {
    name: "asks for several pools",
    spec: { annotations: { [annotations.pool]: "gold,iron" } },
    want: { requestedPool: "gold,iron", mayHoldSeveral: true },
  },
  {
    name: "may hold one address of each family where it asks for one address or pool",
    spec: { annotations: { [annotations.pool]: "gold", [annotations.addresses]: "192.0.2.1" } },
    want: { mayHoldSeveral: false },
  },
  { name: "asks for a pool", spec: { annotations: { [annotations.pool]: "gold" } }, want: { requestedPool: "gold" } },
  { name: "takes an empty pool for none", spec: { annotations: { [annotations.pool]: "" } }, want: { requestedPool: undefined } },
  { name: "shares under a key", spec: { annotations: { [annotations.sharing]: "k" } }, want: { sharingKey: "k" } },
  {
    name: "shares with 1,000 ports",
    spec: { annotations: { [annotations.sharing]: "k" }, ports: portsUpTo(1000) },
    want: { sharingKey: "k" },
  },
  {
    name: "shares with nobody with more, since which is not kept",
    spec: { annotations: { [annotations.sharing]: "k" }, ports: portsUpTo(1001) },
    want: { sharingKey: "" },
  },
  {
    name: "has its namespace and its sorted selector as backend key under Local",
    spec: { externalTrafficPolicy: "Local", selector: { b: "2", a: "1" } },
    want: { backendKey: "default/a=1,b=2" },
  },
  { name: "has no backend key under Cluster", spec: { selector: { a: "1" } }, want: { backendKey: "" } },
  {
    name: "has its namespace as backend key under Local without a selector: somebody writes its endpoints",
    spec: { externalTrafficPolicy: "Local" },
    want: { backendKey: "default/" },
  },
];
for (const { name, spec, want } of requests) {
  test(`a Service ${name}`, () => {
    const read = readRequest(service(spec));
    assert.equal(read.type, "request");
    assert.partialDeepStrictEqual(JSON.parse(JSON.stringify(read)).request, JSON.parse(JSON.stringify(want)));
  });
}

const malformed: { name: string; spec: Partial<ServiceFields>; problem: RegExp }[] = [
  ...[annotations.addresses, annotations.pool, annotations.sharing].map((name) => ({
    name: `more than 1,024 characters in ${name}`,
    spec: { annotations: { [name]: "x,".repeat(513) } },
    problem: new RegExp(`^invalid ${name}: it has more than 1024 characters$`),
  })),
  {
    name: "both ways of asking at once",
    spec: { ...requesting("192.0.2.1"), loadBalancerIP: "192.0.2.2" },
    problem: /^service can not have both .*loadBalancerIPs \("192\.0\.2\.1"\) and spec\.loadBalancerIP \("192\.0\.2\.2"\)$/,
  },
  {
    name: "a loadBalancerIP that is none",
    spec: { loadBalancerIP: "a.b" },
    problem: /^invalid spec\.loadBalancerIP "a\.b": not an IP address$/,
  },
  {
    name: "an address with a prefix length",
    spec: requesting("192.0.2.1/32"),
    problem: /"192\.0\.2\.1\/32" is not an IP address$/,
  },
  { name: "a blank annotation", spec: requesting(" "), problem: /" ": "" is not an IP address$/ },
  { name: "a comma too many", spec: requesting("192.0.2.1,"), problem: /"" is not an IP address$/ },
  {
    name: "a long annotation with control characters",
    spec: requesting(`\u202e\u009b${"x".repeat(1000)}`),
    problem:
      /^invalid metallb\.universe\.tf\/loadBalancerIPs "\\u202e\\u009bx{58}…": "\\u202e\\u009bx{58}…" is not an IP address$/,
  },
  { name: "an address twice", spec: requesting("192.0.2.1,::ffff:192.0.2.1"), problem: /192\.0\.2\.1 is listed twice$/ },
  {
    name: "seventeen addresses",
    spec: requesting(Array.from({ length: 17 }, (_, i) => `192.0.2.${i}`).join()),
    problem: /more than 16 addresses$/,
  },
];
for (const { name, spec, problem } of malformed) {
  test(`a Service with ${name} is malformed, and judged without what it asks for`, () => {
    const pool = { [annotations.pool]: "gold", ...spec.annotations };
    const read = readRequest(service({ ...spec, annotations: pool }));
    if (read.type !== "malformed") assert.fail(read.type);
    assert.match(read.problem, problem);
    assert.deepEqual([read.request.requestedAddresses, read.request.requestedPool], [[], undefined]);
  });
}

const others: { name: string; spec: Partial<ServiceFields>; want: object }[] = [
  { name: "of another type asks for nothing", spec: { type: "NodePort" }, want: { type: "notOurs", why: "notLoadBalancer" } },
  {
    name: "without cluster addresses asks for nothing",
    spec: { clusterIPs: [] },
    want: { type: "notOurs", why: "noClusterIPs" },
  },
  {
    name: "of another load balancer class is foreign",
    spec: { isClaimed: false },
    want: { type: "notOurs", why: "otherLoadBalancerClass" },
  },
];
for (const { name, spec, want } of others) test(`a Service ${name}`, () => assert.deepEqual(readRequest(service(spec)), want));

test("an annotation is read under MetalLB's newer prefix too, which wins where both are given", () => {
  const newer = {
    pool: "metallb.io/address-pool",
    addresses: "metallb.io/loadBalancerIPs",
    sharing: "metallb.io/allow-shared-ip",
  };
  for (const name of Object.values(newer)) assert.equal(isAnnotation(name), true, name);
  assert.equal(isAnnotation("metallb.io/ip-allocated-from-pool"), false);
  const read = (given: Record<string, string>) => readRequest(service({ annotations: given }));
  const all = { [newer.pool]: "gold", [newer.addresses]: "192.0.2.1", [newer.sharing]: "k" };
  const want = { type: "request", request: { requestedPool: "gold", sharingKey: "k" } };
  assert.partialDeepStrictEqual(read(all), want);
  const older = { [annotations.pool]: "iron", [annotations.addresses]: "192.0.2.7", [annotations.sharing]: "l" };
  const both = read({ ...older, ...all });
  assert.partialDeepStrictEqual(both, want);
  assert.deepEqual(both.type === "request" && both.request.requestedAddresses.map(String), ["192.0.2.1"]);
  const { problem } = read({ ...older, [newer.addresses]: "x" }) as { problem: string };
  assert.equal(problem, 'invalid metallb.io/loadBalancerIPs "x": "x" is not an IP address');
});
