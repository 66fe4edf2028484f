import assert from "node:assert/strict";
import { test } from "node:test";
import { annotations, readClaim } from "./claim.ts";
import { makeService, type ServiceSpec } from "./testing/world.ts";

function requesting(addresses: string): ServiceSpec {
  return { annotations: { [annotations.addresses]: addresses } };
}

const claims: { name: string; spec: ServiceSpec; want: object }[] = [
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
    spec: { ports: [{ name: "dns", protocol: "UDP", port: 53 }] },
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
  { name: "asks for a pool", spec: { annotations: { [annotations.pool]: "gold" } }, want: { requestedPool: "gold" } },
  { name: "takes an empty pool for none", spec: { annotations: { [annotations.pool]: "" } }, want: { requestedPool: undefined } },
  { name: "shares under a key", spec: { annotations: { [annotations.sharing]: "k" } }, want: { sharingKey: "k" } },
  {
    name: "has its sorted selector as backend key under Local",
    spec: { externalTrafficPolicy: "Local", selector: { b: "2", a: "1" } },
    want: { backendKey: "a=1,b=2" },
  },
  { name: "has no backend key under Cluster", spec: { selector: { a: "1" } }, want: { backendKey: "" } },
  {
    name: "has no backend key under Local without a selector",
    spec: { externalTrafficPolicy: "Local" },
    want: { backendKey: "" },
  },
];
for (const { name, spec, want } of claims) {
  test(`a Service ${name}`, () => {
    const read = readClaim(makeService("web", spec));
    assert.equal(read.type, "claim");
    assert.partialDeepStrictEqual(JSON.parse(JSON.stringify(read)).claim, JSON.parse(JSON.stringify(want)));
  });
}

const malformed: { name: string; spec: ServiceSpec; problem: RegExp }[] = [
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
  { name: "two addresses of one family", spec: requesting("192.0.2.1,192.0.2.2"), problem: /more than one IPv4 address$/ },
];
for (const { name, spec, problem } of malformed) {
  test(`a Service is told of ${name}, and judged without what it asks for`, () => {
    const pool = { ...spec.annotations, [annotations.pool]: "gold" };
    const read = readClaim(makeService("web", { ...spec, annotations: pool }));
    if (read.type !== "malformed") assert.fail(read.type);
    assert.match(read.problem, problem);
    assert.deepEqual([read.claim.requestedAddresses, read.claim.requestedPool], [[], undefined]);
  });
}

const others: { name: string; spec: ServiceSpec; want: object }[] = [
  { name: "of another type has no claim", spec: { type: "NodePort" }, want: { type: "none", why: "notLoadBalancer" } },
  { name: "without cluster addresses has no claim", spec: { clusterIPs: [] }, want: { type: "none", why: "noClusterIPs" } },
  { name: "of another load balancer class is foreign", spec: { loadBalancerClass: "example.com/lb" }, want: { type: "foreign" } },
];
for (const { name, spec, want } of others)
  test(`a Service ${name}`, () => assert.deepEqual(readClaim(makeService("web", spec)), want));
