import assert from "node:assert/strict";
import { test } from "node:test";
import { type NoAddresses, recordedAddresses, whyNoAddresses } from "#pkg/service";
import type { ServiceFields } from "./service.ts";

const web = {
  type: "LoadBalancer",
  loadBalancerClass: undefined,
  clusterIPs: ["10.96.0.1"],
  ingress: ["192.0.2.1"],
};

const cases: { name: string; service: Partial<ServiceFields>; want: string[] | NoAddresses }[] = [
  { name: "one address", service: {}, want: ["192.0.2.1"] },
  {
    name: "both families, in the order of the status",
    service: { ingress: ["2001:db8::1", "192.0.2.1"] },
    want: ["2001:db8::1", "192.0.2.1"],
  },
  {
    name: "the same address written twice is one",
    service: { ingress: ["192.0.2.1", "::ffff:192.0.2.1"] },
    want: ["192.0.2.1"],
  },
  {
    name: "an invalid one beside a valid one is passed over",
    service: { ingress: ["300.0.0.1", "192.0.2.1"] },
    want: ["192.0.2.1"],
  },
  { name: "only invalid ones", service: { ingress: ["192.0.2.1/32"] }, want: "invalidIP" },
  { name: "none yet", service: { ingress: [] }, want: "noIPAllocated" },
  { name: "another type of Service holds nothing", service: { type: "ClusterIP" }, want: "notLoadBalancer" },
  {
    name: "a Service of another class is someone else's",
    service: { loadBalancerClass: "example.com/lb" },
    want: "otherLoadBalancerClass",
  },
  { name: "a Service without cluster addresses holds nothing", service: { clusterIPs: [] }, want: "noClusterIPs" },
  { name: "a headless Service holds nothing", service: { clusterIPs: ["None"] }, want: "noClusterIPs" },
];
for (const { name, service, want } of cases) {
  test(`recordedAddresses: ${name}`, () => {
    const found = recordedAddresses({ ...web, ...service });
    assert.deepEqual(found.length === 0 ? whyNoAddresses({ ...web, ...service }) : found.map(String), want);
  });
}
