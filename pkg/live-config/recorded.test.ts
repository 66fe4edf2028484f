import assert from "node:assert/strict";
import { test } from "node:test";
import { recordedAddresses } from "#pkg/live-config";

const service = {
  type: "LoadBalancer",
  loadBalancerClass: undefined,
  clusterIPs: ["10.96.0.1"],
  ingress: ["192.0.2.1", "fd00::1"],
};
const cases: { name: string; change: Partial<Parameters<typeof recordedAddresses>[0]>; want: string[] }[] = [
  { name: "a load balancer holds what its status says", change: {}, want: ["192.0.2.1", "fd00::1"] },
  { name: "another type holds nothing", change: { type: "ClusterIP" }, want: [] },
  { name: "another implementation's holds nothing here", change: { loadBalancerClass: "example.com/lb" }, want: [] },
  { name: "one without cluster addresses holds nothing", change: { clusterIPs: [] }, want: [] },
  { name: "what is no address is skipped", change: { ingress: ["192.0.2", "192.0.2.1"] }, want: ["192.0.2.1"] },
];
for (const { name, change, want } of cases) {
  test(`recordedAddresses: ${name}`, () => assert.deepEqual(recordedAddresses({ ...service, ...change }).map(String), want));
}
