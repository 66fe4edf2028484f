import assert from "node:assert/strict";
import { test } from "node:test";
import { claimsClass, type NoAddresses, readClasses, recordedAddresses, whyNoAddresses } from "#pkg/service";
import type { ServiceFields } from "./service.ts";

const web = {
  type: "LoadBalancer",
  isClaimed: true,
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
    service: { isClaimed: false },
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

const ours = "example.com/lb";
const flags: { name: string; given: [string, boolean]; claims: (string | undefined)[] }[] = [
  { name: "without flags, only Services without a class", given: ["", false], claims: [undefined] },
  { name: "with --lb-class, only that class", given: [ours, false], claims: [ours] },
  { name: "with --lb-class and --lb-class-default, both", given: [ours, true], claims: [undefined, ours] },
  { name: "with --lb-class-default alone, as without flags", given: ["", true], claims: [undefined] },
];
for (const { name, given, claims } of flags) {
  test(`claimed are, ${name}`, () => {
    const classes = readClasses(...given);
    const offered = [undefined, ours, "example.com/other", "Example.com/lb", ""];
    assert.deepEqual(
      offered.filter((name) => claimsClass(classes, name)),
      claims,
    );
  });
}

for (const name of ["lb", "lb.v2_X", "a.b-c.example/l", `${"a".repeat(63)}`])
  test(`a class may be ${name}`, () => void readClasses(name, false));

for (const name of [
  " ",
  "a/b/c",
  "/lb",
  "example.com/",
  "Example.com/lb",
  "-lb",
  "lb-",
  "a b",
  "l\u{e9}",
  `${"a".repeat(64)}`,
  `${"a".repeat(254)}/lb`,
])
  test(`a class cannot be ${JSON.stringify(name)}, which the API server refuses`, () => {
    assert.throws(
      () => readClasses(name, false),
      /^Error: Cannot serve the load balancer class ".*": it must be such as example\.com\/lb or lb$/,
    );
  });
