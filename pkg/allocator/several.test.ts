import assert from "node:assert/strict";
import { test } from "node:test";
import { port, request } from "#pkg/allocator/testing";
import { pool } from "#pkg/config/testing";
import { address } from "#pkg/net/testing";
import type { AddressRequest } from "#pkg/service";
import { Allocator } from "./index.ts";
import type { Settlement } from "./types.ts";

const both = ["IPv4", "IPv6"] as const;
const pools = [
  pool("public", ["198.51.100.0/29", "2001:db8::/125"]),
  pool("internal", ["10.0.0.0/30", "fd00::/126"]),
  pool("old", ["192.0.2.0/31"], { autoAssign: false }),
  pool("six", ["2001:db8:6::/126"], { autoAssign: false }),
];

function withPools(): Allocator {
  const allocator = new Allocator();
  assert.deepEqual(allocator.setPools(pools), []);
  return allocator;
}

/** `address of pool` for each address, or the reason why there is no address; then why not more. */
function text({ allocation, unmet }: Settlement): string {
  const held = allocation?.addresses.map((one, index) => `${one} of ${allocation.pools[index]}`).join(", ") ?? "nothing";
  return unmet === undefined ? held : `${held}; ${unmet.reason}`;
}

function settle(allocator: Allocator, service: string, rest: Partial<AddressRequest>): string {
  return text(allocator.settle(request(service, rest)));
}

const cases: { name: string; request: Partial<AddressRequest>; want: string }[] = [
  {
    name: "two pools by name give one address each, in the order of the annotation",
    request: { requestedPool: "public,internal" },
    want: "198.51.100.0 of public, 10.0.0.0 of internal",
  },
  {
    name: "and of each family of the Service, in its order",
    request: { families: ["IPv6", "IPv4"], requestedPool: "internal, public" },
    want: "fd00:: of internal, 10.0.0.0 of internal, 2001:db8:: of public, 198.51.100.0 of public",
  },
  {
    name: "a pool named twice gives two",
    request: { requestedPool: "public,public" },
    want: "198.51.100.0 of public, 198.51.100.1 of public",
  },
  {
    name: "a pool without a family is left out for it where another one has it",
    request: { families: both, requestedPool: "old,six" },
    want: "192.0.2.0 of old, 2001:db8:6:: of six",
  },
  {
    name: "a family that none of them has is refused",
    request: { families: both, requestedPool: "old,old" },
    want: "nothing; poolLacksFamily",
  },
  {
    name: "all or nothing: a pool that is full beside one that is not",
    request: { requestedPool: "public,old,old,old" },
    want: "nothing; poolFull",
  },
  { name: "a pool that there is not", request: { requestedPool: "public,nope" }, want: "nothing; unknownPool" },
  { name: "an empty name", request: { requestedPool: "public," }, want: "nothing; unknownPool" },
  {
    name: "sixteen addresses are the most",
    request: { families: both, requestedPool: Array(9).fill("public").join() },
    want: "nothing; tooManyAddresses",
  },
  {
    name: "addresses of several pools are given as they are asked for",
    request: { requestedAddresses: ["198.51.100.7", "10.0.0.2", "198.51.100.5"].map(address) },
    want: "198.51.100.7 of public, 10.0.0.2 of internal, 198.51.100.5 of public",
  },
  {
    name: "several of one family and one of the other",
    request: { families: both, requestedAddresses: ["198.51.100.7", "2001:db8::7", "198.51.100.5"].map(address) },
    want: "198.51.100.7 of public, 2001:db8::7 of public, 198.51.100.5 of public",
  },
  {
    name: "a list without one of the families is refused",
    request: { families: both, requestedAddresses: ["198.51.100.7", "198.51.100.5"].map(address) },
    want: "nothing; familyMismatch",
  },
  {
    name: "one of them outside all pools, and none is given",
    request: { requestedAddresses: ["198.51.100.7", "203.0.113.1"].map(address) },
    want: "nothing; outsidePools",
  },
  {
    name: "requested addresses win over the pools that are named, and that is said",
    request: { requestedAddresses: ["198.51.100.7", "10.0.0.2"].map(address), requestedPool: "public,old" },
    want: "198.51.100.7 of public, 10.0.0.2 of internal; wrongPool",
  },
  {
    name: "and not where all of them are in such a pool",
    request: { requestedAddresses: ["198.51.100.7", "10.0.0.2"].map(address), requestedPool: "internal,public" },
    want: "198.51.100.7 of public, 10.0.0.2 of internal",
  },
];
for (const { name, request, want } of cases) test(name, () => assert.equal(settle(withPools(), "s/1", request), want));

test("the name of a pool may have commas", () => {
  const allocator = new Allocator();
  allocator.setPools([pool("a,b", ["192.0.2.0/31"]), pool("a", ["10.0.0.0/31"]), pool("b", ["10.0.1.0/31"])]);
  assert.equal(settle(allocator, "s/1", { requestedPool: "a,b" }), "192.0.2.0 of a,b");
  assert.equal(settle(allocator, "s/2", { requestedPool: "b,a" }), "10.0.1.0 of b, 10.0.0.0 of a");
});

test("a move to another pool: the new address beside the old one, then the new one alone", () => {
  const allocator = withPools();
  assert.equal(settle(allocator, "s/1", { requestedPool: "old" }), "192.0.2.0 of old");
  assert.equal(settle(allocator, "s/1", { requestedPool: "public,old" }), "198.51.100.0 of public, 192.0.2.0 of old");
  assert.equal(
    settle(allocator, "s/1", { requestedPool: "old,public" }),
    "198.51.100.0 of public, 192.0.2.0 of old",
    "as they are",
  );
  assert.equal(settle(allocator, "s/1", { requestedPool: "public" }), "198.51.100.0 of public");
  assert.equal(settle(allocator, "s/2", { requestedPool: "old" }), "192.0.2.0 of old");
});

test("what cannot be met costs nothing, and what is no longer asked for goes", () => {
  const allocator = withPools();
  settle(allocator, "s/0", { requestedPool: "old,old" });
  settle(allocator, "s/1", { requestedPool: "public,internal" });
  const kept = "198.51.100.0 of public, 10.0.0.0 of internal";
  assert.equal(settle(allocator, "s/1", { requestedPool: "public,internal,old" }), `${kept}; poolFull`);
  allocator.release("s/0");
  assert.equal(settle(allocator, "s/1", { requestedPool: "public,internal,old" }), `${kept}, 192.0.2.0 of old`);
  assert.equal(settle(allocator, "s/1", {}), "198.51.100.0 of public");
  assert.deepEqual(
    [...allocator.usage()].map(({ inUse }) => inUse),
    [1, 0, 0, 0],
  );
});

test("after a restart a Service that asks for several has what its status says, and another one what it may have alone", () => {
  const recorded = ["198.51.100.3", "10.0.0.1", "198.51.100.1"].map(address);
  const allocator = withPools();
  const asking = request("s/1", { requestedPool: "internal,public,public" });
  assert.equal(text(allocator.restore(asking, recorded)), "198.51.100.3 of public, 10.0.0.1 of internal, 198.51.100.1 of public");
  assert.equal(text(allocator.settle(asking)), "198.51.100.3 of public, 10.0.0.1 of internal, 198.51.100.1 of public");
  const plain = withPools();
  assert.equal(text(plain.restore(request("s/1"), recorded)), "198.51.100.3 of public; familyMismatch");
});

test("a configuration that parts the pools of a Service strands nothing, and one without one of them that address alone", () => {
  const allocator = withPools();
  settle(allocator, "s/1", { requestedPool: "public,internal" });
  const [first = pool("x", ["10.9.0.0/31"]), second = first] = pools;
  assert.deepEqual(
    allocator.setPools([first]).map(({ service, address }) => `${service} ${address}`),
    ["s/1 10.0.0.0"],
  );
  assert.deepEqual(allocator.setPools([second, first]), []);
  assert.equal(allocator.isHeld(address("10.0.0.0")), true);
});

test("each address is shared by itself", () => {
  const allocator = withPools();
  const web = { sharingKey: "k", requestedPool: "public,internal" };
  const both = "198.51.100.0 of public, 10.0.0.0 of internal";
  assert.equal(settle(allocator, "s/1", web), both);
  assert.equal(settle(allocator, "s/2", { ...web, ports: [port("443/TCP")] }), both);
  assert.equal(settle(allocator, "s/3", { ...web, ports: [port("443/TCP")], requestedPool: "internal" }), "10.0.0.1 of internal");
  assert.equal(settle(allocator, "s/4", { ...web, ports: [port("443/TCP")] }), "198.51.100.1 of public, 10.0.0.2 of internal");
});

test("an address that another host has is taken away by itself, and another one of its pool given", () => {
  const allocator = withPools();
  settle(allocator, "s/1", { requestedPool: "public,internal" });
  allocator.setOccupied(new Map([["10.0.0.0", "02:00:00:00:00:01"]]));
  assert.equal(settle(allocator, "s/1", { requestedPool: "public,internal" }), "198.51.100.0 of public, 10.0.0.1 of internal");
});

test("who asks for one of several again keeps just that one, whatever the order was", () => {
  for (const [asked, want] of [
    [{ requestedPool: "old" }, "192.0.2.1 of old"],
    [{ requestedPool: "public" }, "198.51.100.3 of public"],
    [{ requestedAddresses: [address("198.51.100.1")] }, "198.51.100.1 of public"],
  ] as const) {
    const allocator = withPools();
    const several = { requestedAddresses: ["198.51.100.3", "192.0.2.1", "198.51.100.1"].map(address) };
    settle(allocator, "s/1", several);
    allocator.setPools(pools.map((one) => ({ ...one, closed: true })));
    const service = request("s/1", asked);
    allocator.restore(service, allocator.held("s/1")?.addresses ?? []);
    assert.equal(text(allocator.settle(service)), want);
  }
});

test("blanks are part of a pool's name, but not around the names of a list", () => {
  const allocator = withPools();
  const unknown = (requestedPool: string) => allocator.settle(request("s/1", { requestedPool })).unmet;
  for (const name of [" public", "public ", "\tpublic"]) {
    const refusal = unknown(name);
    assert.equal(refusal?.reason === "unknownPool" ? refusal.pool : "", name);
  }
  assert.equal(settle(allocator, "s/1", { requestedPool: "public , internal" }), "198.51.100.0 of public, 10.0.0.0 of internal");
});
