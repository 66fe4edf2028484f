import assert from "node:assert/strict";
import { test } from "node:test";
import { announcedAddresses, hasNoAddresses } from "#pkg/placement";

const web = {
  type: "LoadBalancer",
  loadBalancerClass: undefined,
  ingress: ["192.0.2.1"],
  externalTrafficPolicy: "Cluster",
} as const;

const cases: { name: string; service: Parameters<typeof announcedAddresses>[0]; want: string | string[] }[] = [
  { name: "one address", service: web, want: ["192.0.2.1"] },
  {
    name: "both families, in the order of the status",
    service: { ...web, ingress: ["2001:db8::1", "192.0.2.1"] },
    want: ["2001:db8::1", "192.0.2.1"],
  },
  {
    name: "the same address written twice is one",
    service: { ...web, ingress: ["192.0.2.1", "::ffff:192.0.2.1"] },
    want: ["192.0.2.1"],
  },
  {
    name: "an invalid one beside a valid one is passed over",
    service: { ...web, ingress: ["300.0.0.1", "192.0.2.1"] },
    want: ["192.0.2.1"],
  },
  { name: "only invalid ones", service: { ...web, ingress: ["192.0.2.1/32"] }, want: "invalidIP" },
  { name: "none yet", service: { ...web, ingress: [] }, want: "noIPAllocated" },
  { name: "another type of Service keeps nothing announced", service: { ...web, type: "ClusterIP" }, want: "notLoadBalancer" },
  {
    name: "a Service of another class is someone else's",
    service: { ...web, loadBalancerClass: "example.com/lb" },
    want: "otherLoadBalancerClass",
  },
];
for (const { name, service, want } of cases) {
  test(`announcedAddresses: ${name}`, () => {
    const result = announcedAddresses(service);
    assert.deepEqual(hasNoAddresses(result) ? result : result.map(String), want);
  });
}
