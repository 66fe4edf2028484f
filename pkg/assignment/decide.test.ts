import assert from "node:assert/strict";
import { test } from "node:test";
import { Allocator } from "#pkg/allocator";
import { parseConfig } from "#pkg/config";
import { service } from "#pkg/k8s/testing";
import { annotations } from "#pkg/service";
import { decide, releasedBy } from "./decide.ts";

type ServiceSpec = Parameters<typeof service>[1];

const pools = `
address-pools:
- {name: main, protocol: layer2, addresses: [10.0.0.0-10.0.0.1]}
- {name: dual, protocol: layer2, auto-assign: false, addresses: [10.1.0.0-10.1.0.9, "fd00::-fd00::9"]}
- {name: sound, protocol: bgp, auto-assign: false, avoid-buggy-ips: true, addresses: [10.2.0.0/30]}
`;
const dualStack = ["10.96.0.1", "fd96::1"];
const inPool = (pool: string) => ({ annotations: { [annotations.pool]: pool } });
const asking = (addresses: string, more: Record<string, string> = {}) => ({
  annotations: { [annotations.addresses]: addresses, ...more },
});
const sharing = (key: string, port: number) => ({
  annotations: { [annotations.sharing]: key },
  ports: [{ name: "", protocol: "TCP", port }],
});

interface Case {
  readonly name: string;
  /** Other Services, which hold what their status says. */
  readonly others?: Readonly<Record<string, ServiceSpec>>;
  readonly spec: ServiceSpec;
  readonly status: string | undefined;
  readonly warning?: RegExp;
  readonly lost?: string;
}

const cases: Record<string, readonly Case[]> = {
  "a status on record": [
    { name: "stays", spec: { ingress: ["10.0.0.1"] }, status: "10.0.0.1" },
    { name: "stays in a pool without auto-assign", spec: { ingress: ["10.1.0.5"] }, status: "10.1.0.5" },
    { name: "is replaced where it is in no pool", spec: { ingress: ["192.0.2.1"] }, status: "10.0.0.0", lost: "192.0.2.1" },
    {
      name: "is replaced where avoid-buggy-ips forbids it",
      spec: { ingress: ["10.2.0.0"] },
      status: "10.0.0.0",
      lost: "10.2.0.0",
    },
    { name: "is replaced where it is of the wrong family", spec: { ingress: ["fd00::1"] }, status: "10.0.0.0", lost: "fd00::1" },
    {
      name: "is replaced where someone else holds it",
      others: { other: { ingress: ["10.0.0.0"] } },
      spec: { ingress: ["10.0.0.0"] },
      status: "10.0.0.1",
      lost: "10.0.0.0",
    },
    { name: "is replaced where it is no address", spec: { ingress: ["10.0.0"] }, status: "10.0.0.0" },
    { name: "keeps its order", spec: { clusterIPs: dualStack, ingress: ["fd00::3", "10.1.0.3"] }, status: "fd00::3 10.1.0.3" },
    {
      name: "loses only the family that the Service has no more",
      spec: { ingress: ["10.1.0.3", "fd00::3"] },
      status: "10.1.0.3",
      lost: "fd00::3",
    },
    {
      name: "is completed when the Service becomes dual-stack",
      spec: { clusterIPs: dualStack, ingress: ["10.1.0.3"], ...inPool("dual") },
      status: "10.1.0.3 fd00::",
    },
    {
      name: "stays when the Service becomes dual-stack and there is nothing to complete it",
      spec: { clusterIPs: dualStack, ingress: ["10.0.0.1"] },
      status: "10.0.0.1",
      warning: /^AllocationFailed: .*it keeps \["10\.0\.0\.1"\]$/,
    },
  ],
  "a requested address": [
    { name: "is given", spec: { loadBalancerIP: "10.1.0.7" }, status: "10.1.0.7" },
    { name: "replaces the one on record", spec: { loadBalancerIP: "10.0.0.0", ingress: ["10.0.0.1"] }, status: "10.0.0.0" },
    {
      name: "is written sorted as text, whatever the order on record",
      spec: { ...asking("10.1.0.3,fd00::3"), clusterIPs: dualStack, ingress: ["fd00::3", "10.1.0.3"] },
      status: "10.1.0.3 fd00::3",
    },
    {
      name: "is sorted as text with the other family's",
      spec: { ...asking("fd00::3,10.1.0.3"), clusterIPs: dualStack },
      status: "10.1.0.3 fd00::3",
    },
    {
      name: "that is taken costs the old one nothing",
      others: { other: { ingress: ["10.0.0.0"] } },
      spec: { loadBalancerIP: "10.0.0.0", ingress: ["10.0.0.1"] },
      status: "10.0.0.1",
      warning:
        /^AllocationFailed: Failed to allocate IP for "default\/web": .*10\.0\.0\.0 is in use by default\/other.*; it keeps \["10\.0\.0\.1"\]$/,
    },
    {
      name: "that is taken leaves a new Service without",
      others: { other: { ingress: ["10.0.0.0"] } },
      spec: { loadBalancerIP: "10.0.0.0" },
      status: "",
      warning: /^AllocationFailed: .*in use by default\/other/,
    },
    {
      name: "in no pool is refused",
      spec: { loadBalancerIP: "192.0.2.1" },
      status: "",
      warning: /^AllocationFailed: .*192\.0\.2\.1 is in no pool/,
    },
    {
      name: "of another family is refused",
      spec: { loadBalancerIP: "fd00::1" },
      status: "",
      warning: /^AllocationFailed: .*the Service is IPv4/,
    },
    {
      name: "wins over a pool that contradicts it, with a warning that names both",
      spec: asking("10.0.0.1", { [annotations.pool]: "dual" }),
      status: "10.0.0.1",
      warning: /^AddressPoolIgnored: .*\["10\.0\.0\.1"\] is in pool "main", not in "dual"$/,
    },
    {
      name: "wins over a pool that does not exist, with a warning that names both",
      spec: asking("10.0.0.1", { [annotations.pool]: "none" }),
      status: "10.0.0.1",
      warning: /^AddressPoolIgnored: .*\["10\.0\.0\.1"\] is in pool "main", not in "none"$/,
    },
    {
      name: "in the requested pool is no contradiction",
      spec: asking("10.1.0.1", { [annotations.pool]: "dual" }),
      status: "10.1.0.1",
    },
  ],
  "a malformed request": [
    {
      name: "gives nothing to a new Service",
      spec: { loadBalancerIP: "x" },
      status: "",
      warning: /^AllocationFailed: Failed to allocate IP for "default\/web": invalid spec\.loadBalancerIP "x"/,
    },
    {
      name: "costs the old address nothing",
      spec: { loadBalancerIP: "x", ingress: ["10.0.0.1"] },
      status: "10.0.0.1",
      warning: /^LoadBalancerFailed: invalid requested loadbalancer IPs: .*"x".*; it keeps \["10\.0\.0\.1"\]$/,
    },
    {
      name: "does not save an address that is no longer allowed",
      spec: { loadBalancerIP: "x", ingress: ["192.0.2.1"] },
      status: "",
      lost: "192.0.2.1",
      warning: /^AllocationFailed/,
    },
  ],
  "a requested pool": [
    { name: "is used, also without auto-assign", spec: inPool("dual"), status: "10.1.0.0" },
    { name: "replaces an address of another pool", spec: { ...inPool("dual"), ingress: ["10.0.0.1"] }, status: "10.1.0.0" },
    {
      name: "that does not exist costs the old address nothing",
      spec: { ...inPool("none"), ingress: ["10.0.0.1"] },
      status: "10.0.0.1",
      warning: /^AllocationFailed: .*there is no pool "none".*it keeps/,
    },
    {
      name: "gives one address of each family, in the pool's order",
      spec: { ...inPool("dual"), clusterIPs: ["fd96::1", "10.96.0.1"] },
      status: "10.1.0.0 fd00::",
    },
    { name: "gives no address that avoid-buggy-ips forbids", spec: inPool("sound"), status: "10.2.0.1" },
  ],
  sharing: [
    {
      name: "puts two Services with one key and different ports on one address",
      others: { other: { ...sharing("k", 80), ingress: ["10.0.0.0"] } },
      spec: sharing("k", 443),
      status: "10.0.0.0",
    },
    {
      name: "is refused for the same port",
      others: { other: { ...sharing("k", 80), ingress: ["10.0.0.0"] } },
      spec: sharing("k", 80),
      status: "10.0.0.1",
    },
    {
      name: "is refused for another key",
      others: { other: { ...sharing("k", 80), ingress: ["10.0.0.0"] } },
      spec: sharing("j", 443),
      status: "10.0.0.1",
    },
    {
      name: "stays after a restart",
      others: { other: { ...sharing("k", 80), ingress: ["10.0.0.0"] } },
      spec: { ...sharing("k", 443), ingress: ["10.0.0.0"] },
      status: "10.0.0.0",
    },
    {
      name: "that is given up costs the address, which others hold by the old key",
      others: { other: { ...sharing("k", 80), ingress: ["10.0.0.0"] } },
      spec: { ...sharing("j", 443), ingress: ["10.0.0.0"] },
      status: "10.0.0.1",
      lost: "10.0.0.0",
    },
    {
      name: "under another key is free to a sole user",
      spec: { ...sharing("j", 443), ingress: ["10.0.0.0"] },
      status: "10.0.0.0",
    },
    {
      name: "is refused for Local without selector beside Cluster: its endpoints would decide where both are announced",
      others: { other: { ...sharing("k", 80), ingress: ["10.0.0.0"] } },
      spec: { ...sharing("k", 443), externalTrafficPolicy: "Local" },
      status: "10.0.0.1",
    },
    {
      name: "is refused for Local with a selector beside Cluster",
      others: { other: { ...sharing("k", 80), ingress: ["10.0.0.0"] } },
      spec: { ...sharing("k", 443), externalTrafficPolicy: "Local", selector: { a: "b" } },
      status: "10.0.0.1",
    },
  ],
  "a Service": [
    { name: "that is no load balancer has no status", spec: { type: "ClusterIP", ingress: ["10.0.0.1"] }, status: "" },
    { name: "without cluster addresses has no status", spec: { clusterIPs: [], ingress: ["10.0.0.1"] }, status: "" },
    {
      name: "of another class has a status that is not ours to write",
      spec: { isClaimed: false, ingress: ["10.0.0.1"] },
      status: undefined,
    },
    { name: "gets the lowest address of the first pool with auto-assign", spec: {}, status: "10.0.0.0" },
    {
      name: "that prefers two families has one where no pool has both, and no warning",
      spec: { clusterIPs: dualStack, prefersDualStack: true },
      status: "10.0.0.0",
    },
    {
      name: "that prefers two families keeps what it has of one",
      spec: { clusterIPs: dualStack, prefersDualStack: true, ingress: ["10.0.0.1"] },
      status: "10.0.0.1",
    },
    {
      name: "gets a warning that lists the pools that were tried",
      others: { a: { ingress: ["10.0.0.0"] }, b: { ingress: ["10.0.0.1"] } },
      spec: {},
      status: "",
      warning: /pool "main" has no free IPv4 address.*pool "dual".*auto-assign is false/,
    },
  ],
};

for (const [about, table] of Object.entries(cases))
  for (const { name, others = {}, spec, status, warning, lost } of table)
    test(`${about} ${name}`, () => {
      const allocator = new Allocator();
      allocator.setPools(parseConfig(pools).config?.pools ?? []);
      for (const [other, otherSpec] of Object.entries(others)) decide(`default/${other}`, service(other, otherSpec), allocator);
      const web = service("web", spec);
      const decision = decide(web.key, web, allocator);
      assert.equal(decision.status?.join(" "), status);
      assert.equal(decision.lost?.addresses.join(" "), lost);
      const recorded = decision.warning === undefined ? "" : `${decision.warning.reason}: ${decision.warning.message}`;
      assert.match(recorded, warning ?? /^$/);

      // Deciding again, before and after the status is written, changes nothing.
      assert.deepEqual(decide(web.key, web, allocator).status, decision.status);
      const written = { ...web, ingress: decision.status ?? web.ingress };
      const again = decide(web.key, written, allocator);
      assert.deepEqual([again.status, again.warning, again.lost], [decision.status, decision.warning, undefined]);

      // So does a restart.
      const restarted = new Allocator();
      restarted.setPools(parseConfig(pools).config?.pools ?? []);
      for (const [other, otherSpec] of Object.entries(others)) decide(`default/${other}`, service(other, otherSpec), restarted);
      assert.deepEqual(decide(web.key, written, restarted).status, decision.status);
    });

test("of an address that goes because the Service has other families now nothing is asked, and nobody is warned", () => {
  const allocator = new Allocator();
  allocator.setPools(parseConfig(pools).config?.pools ?? []);
  decide("default/web", service("web", { clusterIPs: dualStack, ...inPool("dual") }), allocator);
  const held = allocator.held("default/web")?.addresses.map(String) ?? [];
  const { type, message } =
    releasedBy(decide("default/web", service("web", { ingress: held, ...inPool("dual") }), allocator)) ?? {};
  assert.deepEqual([type, message], ["Normal", 'Released ["fd00::"]: the Service is IPv4']);
});

test("a Service that is gone holds nothing", () => {
  const allocator = new Allocator();
  allocator.setPools(parseConfig(pools).config?.pools ?? []);
  decide("default/web", service("web"), allocator);
  assert.equal(decide("default/web", undefined, allocator).status, undefined);
  assert.equal(allocator.held("default/web"), undefined);
});

test("an address that was given and not yet written is not lost to a status that is older", () => {
  const allocator = new Allocator();
  allocator.setPools(parseConfig(pools).config?.pools ?? []);
  const web = service("web", { ingress: ["192.0.2.1"] });
  decide("default/a", service("a"), allocator);
  assert.deepEqual(decide("default/web", web, allocator).status, ["10.0.0.1"]);
  decide("default/a", undefined, allocator);
  assert.deepEqual(decide("default/web", web, allocator).status, ["10.0.0.1"]);
});
