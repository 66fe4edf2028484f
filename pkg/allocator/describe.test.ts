import assert from "node:assert/strict";
import { test } from "node:test";
import { port } from "#pkg/allocator/testing";
import { address } from "#pkg/net/testing";
import { describe, facts, type Refusal } from "./index.ts";

const at = { address: address("192.0.2.7"), holder: "default/web" };
const oneKey = "or set the annotation metallb.universe.tf/allow-shared-ip to one key on both Services";

const quota = {
  reason: "quotaExceeded",
  quota: "quotas[0]",
  namespace: "team-a",
  together: false,
  pools: [],
  resource: "ipv4",
  limit: 2,
  used: 2,
  asked: 0,
  needs: 1,
} as const;
const lessOrMore = "; delete a Service that holds an address, or ask the administrators of the cluster for more";

const sentences: { [R in Refusal["reason"]]: [Extract<Refusal, { reason: R }>, string][] } = {
  noPools: [[{ reason: "noPools" }, "the configuration has no address pools; add one under address-pools"]],
  unknownPool: [
    [
      { reason: "unknownPool", pool: "c", known: ["a", "b"], more: 0 },
      'there is no pool "c", only "a", "b"; correct the annotation metallb.universe.tf/address-pool or add the pool',
    ],
    [
      { reason: "unknownPool", pool: "x", known: ["a", "b", "c", "d", "e", "f", "g"], more: 0 },
      'there is no pool "x", only "a", "b", "c", "d", "e", and 2 more; correct the annotation metallb.universe.tf/address-pool or add the pool',
    ],
  ],
  poolFull: [
    [
      { reason: "poolFull", pool: "a", family: "IPv4", total: 16 },
      'pool "a" has no free IPv4 address (all 16 are in use); add addresses to it or delete a Service that holds one',
    ],
    [
      { reason: "poolFull", pool: "a", family: "IPv4", total: 0 },
      'pool "a" has no IPv4 address besides those that are reserved or that avoid-buggy-ips excludes; add addresses to it or delete a Service that holds one',
    ],
  ],
  reservedInUse: [
    [
      { reason: "reservedInUse", pool: "a", family: "IPv6" },
      'no IPv6 address of pool "a" that is reserved for this Service is free; delete a Service that holds one, or request the pool with the annotation metallb.universe.tf/address-pool',
    ],
  ],
  poolLacksFamily: [
    [
      { reason: "poolLacksFamily", pool: "a", family: "IPv6" },
      'pool "a" has no IPv6 addresses; add addresses of that family to it or request another pool',
    ],
  ],
  awaitsIpam: [
    [
      { reason: "awaitsIpam", pool: "a", family: "IPv4", granted: 0, exhausted: false, asks: [] },
      'NetBox has not chosen an IPv4 address of pool "a" for this Service yet; wait; if it stays so, see what the pool says of NetBox',
    ],
    [
      { reason: "awaitsIpam", pool: "a", family: "IPv6", granted: 1, exhausted: true, asks: [] },
      'NetBox has no free IPv6 address left for pool "a"; wait; if it stays so, see what the pool says of NetBox',
    ],
  ],
  notGranted: [
    [
      { reason: "notGranted", address: address("192.0.2.1"), pool: "a" },
      'NetBox chooses the addresses of pool "a", and has not chosen 192.0.2.1 for this Service; request the pool instead, or another address',
    ],
  ],
  recordedElsewhere: [
    [
      { reason: "recordedElsewhere", address: address("192.0.2.1"), pool: "a", by: "printer" },
      'address 192.0.2.1 of pool "a" is somebody else\'s in NetBox ("printer"); request another address, or remove that record in NetBox, which is read again within 5 minutes',
    ],
  ],
  notForNamespace: [
    [
      { reason: "notForNamespace", pool: "a", namespace: "team-b" },
      'pool "a" is not for namespace "team-b"; request a pool or an address that is, or ask the administrators of the cluster for this one',
    ],
  ],
  notForService: [
    [
      { reason: "notForService", pool: "a" },
      'pool "a" is for Services with other labels; give the Service these labels, or request another pool',
    ],
  ],
  poolClosed: [[{ reason: "poolClosed", pool: "a" }, 'pool "a" is closed: no new address of it is given; request another pool']],
  reserved: [
    [
      { reason: "reserved", address: address("10.0.0.1"), pool: "a" },
      'address 10.0.0.1 of pool "a" is reserved; request another address',
    ],
  ],
  sharingOff: [
    [
      { reason: "sharingOff", address: address("10.0.0.1"), pool: "a" },
      'address 10.0.0.1 is in use, and no two Services share an address of pool "a"; request another address',
    ],
  ],
  sharedByTooMany: [
    [
      { reason: "sharedByTooMany", address: address("10.0.0.1"), limit: 500 },
      "address 10.0.0.1 is shared by 500 Services already, and no more may; request another address, or give it another sharing key",
    ],
  ],
  quotaExceeded: [
    [{ ...quota, pools: ["public"] }, `namespace "team-a" has 2 of 2 IPv4 addresses of pool "public"${lessOrMore}`],
    [{ ...quota, resource: "services", limit: 4, used: 4 }, `namespace "team-a" has 4 of 4 Services with addresses${lessOrMore}`],
    [
      { ...quota, together: true, pools: ["a", "b"], resource: "ipv6", used: 1, needs: 2 },
      `namespace "team-a" and those that are counted with it have 1 of 2 IPv6 addresses of pools "a", "b", and this Service needs 2 more${lessOrMore}`,
    ],
    [
      { ...quota, used: 1, asked: 1 },
      `namespace "team-a" has 1 of 2 IPv4 addresses, others of its Services wait for 1${lessOrMore}`,
    ],
    [{ ...quota, limit: 0, used: 0 }, `namespace "team-a" may have no IPv4 addresses${lessOrMore}`],
  ],
  noPoolFits: [
    [
      {
        reason: "noPoolFits",
        namespace: "ns",
        others: 0,
        pools: [
          { reason: "autoAssignOff", pool: "a" },
          { reason: "poolFull", pool: "b", family: "IPv4", total: 1 },
        ],
      },
      'no pool can serve this Service: pool "a" is only for Services that request it (auto-assign is false), pool "b" has no free IPv4 address (its only one is in use); add addresses to a pool or request a pool with the annotation metallb.universe.tf/address-pool',
    ],
    [
      {
        reason: "noPoolFits",
        namespace: "ns",
        others: 0,
        pools: [quota, { reason: "poolFull", pool: "b", family: "IPv4", total: 1 }],
      },
      'no pool can serve this Service: namespace "team-a" has 2 of 2 IPv4 addresses, pool "b" has no free IPv4 address (its only one is in use); add addresses to a pool',
    ],
    [
      { reason: "noPoolFits", namespace: "ns", others: 0, pools: [quota, { reason: "autoAssignOff", pool: "a" }] },
      `no pool can serve this Service: namespace "team-a" has 2 of 2 IPv4 addresses, pool "a" is only for Services that request it (auto-assign is false)${lessOrMore}`,
    ],
    [
      { reason: "noPoolFits", namespace: "ns", others: 2, pools: [] },
      'no pool can serve this Service: 2 pools are not for namespace "ns"; ask the administrators of the cluster for a pool for namespace "ns"',
    ],
    [
      {
        reason: "noPoolFits",
        namespace: "ns",
        others: 1,
        pools: [
          { reason: "notForService", pool: "a" },
          { reason: "poolClosed", pool: "b" },
        ],
      },
      'no pool can serve this Service: pool "a" is for Services with other labels, pool "b" is closed: no new address of it is given, one pool is not for namespace "ns"; give the Service the labels of a pool or ask the administrators of the cluster for a pool for namespace "ns"',
    ],
    [
      { reason: "noPoolFits", namespace: "ns", others: 0, pools: [{ reason: "poolClosed", pool: "b" }] },
      'no pool can serve this Service: pool "b" is closed: no new address of it is given; request another pool',
    ],
    ...[false, true].map((exhausted): [Extract<Refusal, { reason: "noPoolFits" }>, string] => [
      {
        reason: "noPoolFits",
        namespace: "ns",
        others: 0,
        pools: [{ reason: "awaitsIpam", pool: "a", family: "IPv4", granted: 0, exhausted, asks: [] }],
      },
      exhausted
        ? 'no pool can serve this Service: NetBox has no free IPv4 address left for pool "a"; add addresses to a pool'
        : 'no pool can serve this Service: NetBox has not chosen an IPv4 address of pool "a" for this Service yet; wait for NetBox',
    ]),
  ],
  autoAssignOff: [
    [
      { reason: "autoAssignOff", pool: "a" },
      'pool "a" is only for Services that request it (auto-assign is false); request it with the annotation metallb.universe.tf/address-pool',
    ],
  ],
  outsidePools: [
    [
      { reason: "outsidePools", address: at.address },
      "address 192.0.2.7 is in no pool; request another address or add this one to a pool",
    ],
  ],
  buggyAddress: [
    [
      { reason: "buggyAddress", address: address("192.0.2.0"), pool: "a" },
      'address 192.0.2.0 ends in .0 or .255, which avoid-buggy-ips keeps out of use in pool "a"; request another address',
    ],
  ],
  wrongPool: [
    [
      { reason: "wrongPool", address: at.address, pool: "a", wanted: "b" },
      'address 192.0.2.7 is in pool "a", not in the requested pool "b"; request an address in that pool or remove the annotation metallb.universe.tf/address-pool',
    ],
  ],
  severalPools: [
    [
      { reason: "severalPools", addresses: [at.address, address("fd00::7")], pools: ["a", "b"] },
      'addresses 192.0.2.7 and fd00::7 are in different pools ("a" and "b"); name the pools in the annotation metallb.universe.tf/address-pool, or the addresses in metallb.universe.tf/loadBalancerIPs',
    ],
  ],
  tooManyAddresses: [
    [
      { reason: "tooManyAddresses", addresses: 18, limit: 16 },
      "the Service asks for 18 addresses, and may have 16 at most; name fewer pools in the annotation metallb.universe.tf/address-pool",
    ],
  ],
  familyMismatch: [
    [
      { reason: "familyMismatch", wanted: ["IPv4", "IPv6"], found: ["IPv6"] },
      "the Service is IPv4 and IPv6, but the requested addresses are IPv6; give one address of each of its families",
    ],
  ],
  occupied: [
    [
      { reason: "occupied", address: at.address, by: "02:00:00:00:00:42, seen on eth0 of node node1" },
      "another host uses address 192.0.2.7 (02:00:00:00:00:42, seen on eth0 of node node1); request another address, or remove this one from that host; it can be assigned about a minute after nobody answers for it",
    ],
  ],
  inUse: [
    [
      { reason: "inUse", ...at },
      `address 192.0.2.7 is in use by default/web; request another address ${oneKey}, which have no port in common and the externalTrafficPolicy Cluster`,
    ],
  ],
  sharingKeyMismatch: [
    [
      { reason: "sharingKeyMismatch", ...at, key: "k", holderKey: "l" },
      `address 192.0.2.7 is in use by default/web under sharing key "l", not "k"; request another address ${oneKey}`,
    ],
  ],
  backendKeyMismatch: [
    [
      { reason: "backendKeyMismatch", ...at, key: "", holderKey: "app=web" },
      'address 192.0.2.7 is in use by default/web for the local Pods of "app=web", not for the whole cluster; request another address, or give both Services the externalTrafficPolicy Cluster or, in one namespace, Local and one selector',
    ],
  ],
  portClash: [
    [
      { reason: "portClash", ...at, port: port("80/TCP") },
      "address 192.0.2.7 is in use by default/web, which has port 80/TCP there too; request another address or use another port",
    ],
  ],
};
for (const [refusal, want] of Object.values(sentences).flat()) {
  test(`describe: ${refusal.reason} is "${want}"`, () => assert.equal(describe(refusal), want));
}

test("a refusal by thousands of pools fits into an event", () => {
  const pools = Array.from(
    { length: 10_000 },
    (_, i): Refusal => ({ reason: "poolFull", pool: `pool-${i}`, family: "IPv4", total: 256 }),
  );
  assert.ok(describe({ reason: "noPoolFits", namespace: "ns", others: 0, pools }).length < 900);
});

test("what a tenant wrote is quoted, and at most 60 characters of it", () => {
  const text = describe({ reason: "unknownPool", pool: `\u202e\u0085${"x".repeat(250_000)}`, known: ["a"], more: 0 });
  assert.match(text, /^there is no pool "\\u202e\\u0085x{58}…", only "a";/);
});

test("facts about a pool that there is not: the first of those that there are, and how many more", () => {
  const values = (more: number) =>
    facts({ reason: "unknownPool", pool: "x", known: ["a", "b"], more }).map(({ name, value }) => `${name}: ${value}`);
  assert.deepEqual(values(0), ["pool: x", "known: a, b"]);
  assert.deepEqual(values(9_980), ["pool: x", "known: a, b, and 9980 more"]);
});
