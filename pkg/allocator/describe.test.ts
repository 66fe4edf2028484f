import assert from "node:assert/strict";
import { test } from "node:test";
import { port } from "#pkg/allocator/testing";
import { address } from "#pkg/net/testing";
import { describe, type Refusal } from "./index.ts";

const at = { address: address("192.0.2.7"), holder: "default/web" };
const oneKey = "or set the annotation metallb.universe.tf/allow-shared-ip to one key on both Services";

const sentences: { [R in Refusal["reason"]]: [Extract<Refusal, { reason: R }>, string][] } = {
  noPools: [[{ reason: "noPools" }, "the configuration has no address pools; add one under address-pools"]],
  unknownPool: [
    [
      { reason: "unknownPool", pool: "c", known: ["a", "b"] },
      'there is no pool "c", only "a", "b"; correct the annotation metallb.universe.tf/address-pool or add the pool',
    ],
    [
      { reason: "unknownPool", pool: "x", known: ["a", "b", "c", "d", "e", "f", "g"] },
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
      'pool "a" has no IPv4 address besides those that avoid-buggy-ips excludes; add addresses to it or delete a Service that holds one',
    ],
  ],
  poolLacksFamily: [
    [
      { reason: "poolLacksFamily", pool: "a", family: "IPv6" },
      'pool "a" has no IPv6 addresses; add addresses of that family to it or request another pool',
    ],
  ],
  noPoolFits: [
    [
      {
        reason: "noPoolFits",
        pools: [
          { reason: "autoAssignOff", pool: "a" },
          { reason: "poolFull", pool: "b", family: "IPv4", total: 1 },
        ],
      },
      'no pool can serve this Service: pool "a" is only for Services that request it (auto-assign is false), pool "b" has no free IPv4 address (its only one is in use); add addresses to a pool or request a pool with the annotation metallb.universe.tf/address-pool',
    ],
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
      'addresses 192.0.2.7 and fd00::7 are in different pools ("a" and "b"); request addresses of one pool',
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
  inUse: [[{ reason: "inUse", ...at }, `address 192.0.2.7 is in use by default/web; request another address ${oneKey}`]],
  sharingKeyMismatch: [
    [
      { reason: "sharingKeyMismatch", ...at, key: "k", holderKey: "l" },
      `address 192.0.2.7 is in use by default/web under sharing key "l", not "k"; request another address ${oneKey}`,
    ],
  ],
  backendKeyMismatch: [
    [
      { reason: "backendKeyMismatch", ...at, key: "", holderKey: "app=web" },
      'address 192.0.2.7 is in use by default/web for the local Pods of "app=web", not for the whole cluster; request another address, or give both Services one selector or the externalTrafficPolicy Cluster',
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
  assert.ok(describe({ reason: "noPoolFits", pools }).length < 900);
});

test("what a tenant wrote is quoted, and at most 60 characters of it", () => {
  const text = describe({ reason: "unknownPool", pool: `\u202e\u0085${"x".repeat(250_000)}`, known: ["a"] });
  assert.match(text, /^there is no pool "\\u202e\\u0085x{58}…", only "a";/);
});
