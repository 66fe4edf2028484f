import assert from "node:assert/strict";
import { test } from "node:test";
import { port, request } from "#pkg/allocator/testing";
import { pool } from "#pkg/config/testing";
import { address } from "#pkg/net/testing";
import type { AddressRequest } from "#pkg/service";
import { Allocator, describe, poolsOf } from "./index.ts";
import type { Settlement } from "./types.ts";

const nothing = { reserved: 0, notAllowed: 0, ipamProblem: undefined };
const both = ["IPv4", "IPv6"] as const;

function withPools(...pools: ReturnType<typeof pool>[]): Allocator {
  const allocator = new Allocator();
  assert.deepEqual(allocator.setPools(pools), []);
  return allocator;
}

/** `pools: addresses` of the Service, or the reason why it holds none. */
function outcome({ allocation, unmet }: Settlement): string {
  return allocation ? `${poolsOf(allocation).join(" ")}: ${allocation.addresses.join(" ")}` : `refused: ${unmet?.reason}`;
}

function settle(allocator: Allocator, service: string, rest: Partial<AddressRequest> = {}): string {
  return outcome(allocator.settle(request(service, rest)));
}

function inUse(allocator: Allocator): Record<string, number> {
  return Object.fromEntries([...allocator.usage()].map(({ pool, inUse }) => [pool, inUse]));
}

test("pools are tried in the file's order, lowest address first", () => {
  const allocator = withPools(pool("b", ["192.0.2.8/31"]), pool("a", ["192.0.2.4/31"]));
  const got = ["s/1", "s/2", "s/3"].map((service) => settle(allocator, service));
  assert.deepEqual(got, ["b: 192.0.2.8", "b: 192.0.2.9", "a: 192.0.2.4"]);
});

test("a look at all pools, a few at a time, goes on where other pools are put in their place meanwhile", () => {
  const [a, b, c, d] = ["a", "b", "c", "d"].map((name, index) => pool(name, [`192.0.2.${8 * index}/29`]));
  assert.ok(a && b && c && d);
  const allocator = withPools(a, b, c);
  const looking = Iterator.from(allocator.usage());
  assert.equal(looking.next().value?.pool, "a");
  assert.deepEqual(allocator.setPools([d, c]), []);
  assert.deepEqual(
    [...looking].map((usage) => usage.pool),
    ["c"],
  );
});

test("the entries of a pool are tried in the order in which they are listed", () => {
  const allocator = withPools(pool("a", ["192.0.2.8-192.0.2.8", "192.0.2.4-192.0.2.4"]));
  assert.deepEqual([settle(allocator, "s/1"), settle(allocator, "s/2")], ["a: 192.0.2.8", "a: 192.0.2.4"]);
});

test("an address given back is the next one given when it is the lowest", () => {
  const allocator = withPools(pool("a", ["192.0.2.0/29"]));
  for (const service of ["s/1", "s/2", "s/3"]) settle(allocator, service);
  assert.equal(allocator.release("s/2"), true);
  assert.equal(allocator.release("s/2"), false);
  assert.equal(allocator.held("s/2"), undefined);
  assert.equal(settle(allocator, "s/4"), "a: 192.0.2.1");
  assert.equal(settle(allocator, "s/5"), "a: 192.0.2.3");
});

test("a Service that holds what it asks for keeps it, although a lower address is free", () => {
  const allocator = withPools(pool("a", ["192.0.2.0/29"]));
  settle(allocator, "s/1");
  settle(allocator, "s/2");
  allocator.release("s/1");
  assert.equal(settle(allocator, "s/2"), "a: 192.0.2.1");
});

test("avoid-buggy-ips skips .0 and .255 of IPv4 only", () => {
  const allocator = withPools(pool("a", ["192.0.2.254-192.0.4.1", "2001:db8::/127"], { avoidBuggyIPs: true }));
  assert.deepEqual(
    [...allocator.usage()],
    [
      {
        pool: "a",
        total: 1 + 254 + 1 + 2,
        inUse: 0,
        full: [],
        families: [
          { family: "IPv4", total: 1 + 254 + 1, inUse: 0 },
          { family: "IPv6", total: 2, inUse: 0 },
        ],
        ...nothing,
      },
    ],
  );
  assert.equal(settle(allocator, "s/1"), "a: 192.0.2.254");
  assert.equal(settle(allocator, "s/2"), "a: 192.0.3.1");
  assert.equal(settle(allocator, "s/3", { requestedAddresses: [address("192.0.4.0")] }), "refused: buggyAddress");
  assert.equal(settle(allocator, "s/4", { requestedAddresses: [address("192.0.3.254")] }), "a: 192.0.3.254");
  assert.equal(settle(allocator, "s/5", { requestedAddresses: [address("192.0.4.1")] }), "a: 192.0.4.1");
  assert.equal(settle(allocator, "s/6", { families: ["IPv6"] }), "a: 2001:db8::");
});

test("an IPv6 pool of 2^120 addresses costs nothing, and its far end can be requested", () => {
  const allocator = withPools(pool("a", ["2000::/8"]));
  const families = ["IPv6"] as const;
  assert.equal(settle(allocator, "s/1", { families, requestedAddresses: [address("20ff::ffff")] }), "a: 20ff::ffff");
  assert.equal(settle(allocator, "s/2", { families }), "a: 2000::");
  assert.deepEqual(
    [...allocator.usage()],
    [{ pool: "a", total: 2 ** 120, inUse: 2, full: [], families: [{ family: "IPv6", total: 2 ** 120, inUse: 2 }], ...nothing }],
  );
});

const dualStackPools = [
  {
    name: "skips a pool that lacks a family",
    pools: { a: ["10.0.0.0/31"], b: ["10.0.1.0/31", "fd00::/127"] },
    want: "b: 10.0.1.0 fd00::",
  },
  { name: "has the order of the pool's list", pools: { a: ["fd00::/127", "10.0.0.0/31"] }, want: "a: fd00:: 10.0.0.0" },
  {
    name: "finds the first pool with both",
    pools: {
      a: ["fd00::/128"],
      b: ["10.0.1.0/32"],
      c: ["fd02::/128"],
      d: ["10.0.3.0/32", "fd03::/128"],
      e: ["10.0.4.0/32", "fd04::/128"],
    },
    want: "d: 10.0.3.0 fd03::",
  },
  { name: "is refused where no one pool has both", pools: { a: ["10.0.0.0/24"], b: ["fd00::/64"] }, want: "refused: noPoolFits" },
];
for (const { name, pools, want } of dualStackPools) {
  test(`a dual-stack Service ${name}`, () => {
    const allocator = withPools(...Object.entries(pools).map(([name, addresses]) => pool(name, addresses)));
    assert.equal(settle(allocator, "s/1", { families: both }), want);
  });
}

test("a Service that becomes dual-stack keeps its address and gets the other from the same pool", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/31", "fd00::/64"]), pool("b", ["10.0.1.0/24", "fd01::/64"]));
  for (const service of ["s/1", "s/2", "s/3"]) settle(allocator, service);
  assert.equal(settle(allocator, "s/3", { families: both }), "b: 10.0.1.0 fd01::");
  allocator.release("s/1");
  assert.equal(settle(allocator, "s/2", { families: ["IPv6", "IPv4"] }), "a: 10.0.0.1 fd00::");
});

test("a Service that becomes dual-stack moves where its pool has no address of the other family", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/24"]), pool("b", ["10.0.1.0/24", "fd01::/64"]));
  settle(allocator, "s/1");
  assert.equal(settle(allocator, "s/1", { families: both }), "b: 10.0.1.0 fd01::");
  assert.deepEqual(inUse(allocator), { a: 0, b: 2 });
});

test("a Service that becomes dual-stack keeps its address where no pool has both, and learns why", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/24"]), pool("b", ["fd01::/64"]));
  settle(allocator, "s/1");
  const settlement = allocator.settle(request("s/1", { families: both }));
  assert.equal(outcome(settlement), "a: 10.0.0.0");
  assert.equal(settlement.unmet?.reason, "poolLacksFamily");
});

test("a Service gives an address up for a second family only when it asks for something else itself", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/24"]), pool("b", ["10.0.1.0/32", "fd01::/64"]));
  settle(allocator, "s/other", { requestedPool: "b" });
  settle(allocator, "s/1");
  settle(allocator, "s/1", { families: both });
  allocator.release("s/other");
  allocator.setPools([
    pool("a", ["10.0.0.0/24"]),
    pool("b", ["10.0.1.0/24", "fd01::/64"]),
    pool("c", ["10.0.2.0/24", "fd02::/64"]),
  ]);
  assert.equal(settle(allocator, "s/1", { families: both }), "a: 10.0.0.0");
  const { left } = allocator.settle(request("s/1", { families: ["IPv6", "IPv4"] }));
  assert.deepEqual(left, { reason: "poolLacksFamily", pool: "a", family: "IPv6" });
  assert.deepEqual(inUse(allocator), { a: 0, b: 2, c: 0 });
});

test("a Service that becomes single-stack keeps the address of the family it has left", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/24", "fd01::/64"]));
  settle(allocator, "s/1", { families: both });
  assert.deepEqual(allocator.settle(request("s/1", { families: ["IPv6"] })), {
    allocation: { addresses: [address("fd01::")], pools: ["a"] },
    unmet: undefined,
    lacking: undefined,
    notAllowed: undefined,
    left: undefined,
  });
});

const requests = [
  { name: "a free address is given", want: "a: 10.0.0.7", request: { requestedAddresses: ["10.0.0.7"] } },
  { name: "auto-assign false does not matter", want: "manual: 10.1.0.7", request: { requestedAddresses: ["10.1.0.7"] } },
  { name: "an address in no pool is refused", want: "refused: outsidePools", request: { requestedAddresses: ["10.9.0.0"] } },
  { name: "the other family is refused", want: "refused: familyMismatch", request: { requestedAddresses: ["fd00::1"] } },
  {
    name: "two addresses of one family are given",
    want: "a: 10.0.0.7 10.0.0.8",
    request: { requestedAddresses: ["10.0.0.7", "10.0.0.8"] },
  },
  {
    name: "one address for a dual-stack Service is refused",
    want: "refused: familyMismatch",
    request: { families: both, requestedAddresses: ["10.0.0.7"] },
  },
  {
    name: "both families are given, sorted as text",
    want: "a: 10.0.0.7 fd00::7",
    request: { families: both, requestedAddresses: ["fd00::7", "10.0.0.7"] },
  },
  {
    name: "both families of different pools are given",
    want: "manual a: 10.1.0.7 fd00::7",
    request: { families: both, requestedAddresses: ["fd00::7", "10.1.0.7"] },
  },
  { name: "an address of another Service is refused", want: "refused: inUse", request: { requestedAddresses: ["10.0.0.0"] } },
  { name: "a pool is given from", want: "manual: 10.1.0.0", request: { requestedPool: "manual" } },
  { name: "a pool that does not exist is refused", want: "refused: unknownPool", request: { requestedPool: "other" } },
  { name: "a full pool is refused", want: "refused: poolFull", request: { requestedPool: "full" } },
  {
    name: "a pool without the family is refused",
    want: "refused: poolLacksFamily",
    request: { families: both, requestedPool: "manual" },
  },
];
for (const { name, want, request: wanted } of requests) {
  test(`a request: ${name}`, () => {
    const manual = { autoAssign: false };
    const allocator = withPools(
      pool("a", ["10.0.0.0/24", "fd00::/64"]),
      pool("manual", ["10.1.0.0/24"], manual),
      pool("full", ["10.2.0.0/32"], manual),
    );
    settle(allocator, "s/1");
    settle(allocator, "s/2", { requestedPool: "full" });
    const { requestedAddresses = [], ...rest } = wanted;
    assert.equal(settle(allocator, "s/3", { ...rest, requestedAddresses: requestedAddresses.map(address) }), want);
  });
}

test("requested addresses win over a pool annotation that contradicts them, and the answer names both", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/24"]), pool("b", ["10.1.0.0/24"]));
  const requestedAddresses = [address("10.0.0.7")];
  const wrong = allocator.settle(request("s/1", { requestedAddresses, requestedPool: "b" }));
  assert.deepEqual(wrong.unmet, { reason: "wrongPool", address: address("10.0.0.7"), pool: "a", wanted: "b" });
  assert.equal(outcome(wrong), "a: 10.0.0.7");
  const unknown = allocator.settle(request("s/1", { requestedAddresses, requestedPool: "c" }));
  assert.deepEqual(unknown.unmet, { reason: "unknownPool", pool: "c", known: ["a", "b"], more: 0 });
  assert.equal(outcome(unknown), "a: 10.0.0.7");
  assert.equal(allocator.settle(request("s/1", { requestedAddresses, requestedPool: "a" })).unmet, undefined);
});

test("a Service that stops asking for a pool stays, also in one without auto-assign", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/24"]), pool("b", ["10.1.0.0/24"], { autoAssign: false }));
  settle(allocator, "s/1", { requestedPool: "b" });
  assert.equal(settle(allocator, "s/1"), "b: 10.1.0.0");
});

test("asking for another pool moves the Service and frees what it had", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/24"]), pool("b", ["10.1.0.0/24"]));
  settle(allocator, "s/1");
  const moved = allocator.settle(request("s/1", { requestedPool: "b" }));
  assert.equal(outcome(moved), "b: 10.1.0.0");
  assert.deepEqual(inUse(allocator), { a: 0, b: 1 });
});

const shared = { sharingKey: "k" };
const unmeetable: { name: string; change: Partial<AddressRequest>; reason: string }[] = [
  { name: "an unknown pool", change: { requestedPool: "nope" }, reason: "unknownPool" },
  { name: "a full pool", change: { requestedPool: "full" }, reason: "poolFull" },
  { name: "an address in use", change: { requestedAddresses: [address("10.1.0.0")] }, reason: "inUse" },
  { name: "an address outside all pools", change: { requestedAddresses: [address("10.9.0.0")] }, reason: "outsidePools" },
  { name: "an address of the wrong family", change: { requestedAddresses: [address("fd00::")] }, reason: "familyMismatch" },
];
for (const { name, change, reason } of unmeetable) {
  test(`a change to ${name} keeps the old address and says why`, () => {
    const allocator = withPools(pool("a", ["10.0.0.0/24"]), pool("full", ["10.1.0.0/32"]));
    settle(allocator, "s/1");
    settle(allocator, "s/2", { requestedPool: "full" });
    const { allocation, unmet } = allocator.settle(request("s/1", change));
    assert.deepEqual(allocation, { addresses: [address("10.0.0.0")], pools: ["a"] });
    assert.equal(unmet?.reason, reason);
    assert.deepEqual(allocator.holders(address("10.0.0.0")), ["s/1"]);
  });
}

test("a Service that loses the right to share moves, and releases the address where there is nowhere to move", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/31"]));
  const https = { ...shared, ports: [port("443/TCP")] };
  settle(allocator, "s/1", shared);
  assert.equal(settle(allocator, "s/2", https), "a: 10.0.0.0");
  assert.equal(settle(allocator, "s/2"), "a: 10.0.0.1", "it moves");
  assert.equal(settle(allocator, "s/3", https), "a: 10.0.0.0");
  const refused = allocator.settle(request("s/3", { ...shared, requestedAddresses: [address("10.0.0.1")] }));
  assert.equal(outcome(refused), "refused: inUse", "port 80 is not allowed where it is");
  assert.deepEqual(allocator.holders(address("10.0.0.0")), ["s/1"]);
});

test("the only user of an address may change its sharing key, its backend and its ports", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/31"]));
  settle(allocator, "s/1", { sharingKey: "k" });
  assert.equal(settle(allocator, "s/1", { sharingKey: "l", backendKey: "app=web", ports: [port("1/UDP")] }), "a: 10.0.0.0");
  assert.equal(settle(allocator, "s/2", { sharingKey: "k" }), "a: 10.0.0.1");
  assert.equal(settle(allocator, "s/3", { sharingKey: "l", backendKey: "app=web", ports: [port("1/TCP")] }), "a: 10.0.0.0");
});

test("automatic allocation takes the lowest address, free or shareable", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/30"]));
  settle(allocator, "s/0");
  settle(allocator, "s/1");
  settle(allocator, "s/2", shared);
  const next = { ...shared, ports: [port("80/UDP")] };
  assert.equal(settle(allocator, "s/3", next), "a: 10.0.0.2", "shareable before the free 10.0.0.3");
  allocator.release("s/0");
  assert.equal(
    settle(allocator, "s/4", { ...shared, ports: [port("1/TCP")] }),
    "a: 10.0.0.0",
    "free before the shareable 10.0.0.2",
  );
});

test("automatic allocation shares in a full pool before it takes a free address of a later one", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/32"]), pool("b", ["10.1.0.0/24"]));
  settle(allocator, "s/1", shared);
  assert.equal(settle(allocator, "s/2", { ...shared, ports: [port("443/TCP")] }), "a: 10.0.0.0");
  assert.equal(settle(allocator, "s/3", { ...shared, ports: [port("443/TCP")] }), "b: 10.1.0.0");
  assert.equal(settle(allocator, "s/4", { ...shared, ports: [port("443/UDP"), port("80/UDP")] }), "a: 10.0.0.0");
  assert.deepEqual(allocator.holders(address("10.0.0.0")), ["s/1", "s/2", "s/4"]);
  assert.deepEqual(inUse(allocator), { a: 1, b: 1 });
});

test("a port named twice in one request is free again when the request goes", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/31"]));
  settle(allocator, "s/1", { ...shared, ports: [port("1/TCP")], requestedAddresses: [address("10.0.0.0")] });
  settle(allocator, "s/2", { ...shared, ports: [port("2/TCP"), port("2/TCP")], requestedAddresses: [address("10.0.0.1")] });
  assert.equal(settle(allocator, "s/3", { ...shared, ports: [port("2/TCP")] }), "a: 10.0.0.0");
});

const records: { name: string; recorded: string[]; request?: Partial<AddressRequest>; want: string; unmet?: string }[] = [
  {
    name: "a free address is taken, as recorded",
    recorded: ["fd00::9", "10.0.0.9"],
    request: { families: both },
    want: "a: fd00::9 10.0.0.9",
  },
  { name: "a pool without auto-assign is fine", recorded: ["10.1.0.9"], want: "manual: 10.1.0.9" },
  {
    name: "a request that says otherwise waits",
    recorded: ["10.0.0.9"],
    request: { requestedPool: "manual" },
    want: "a: 10.0.0.9",
  },
  { name: "nothing on record takes nothing", recorded: [], want: "refused: undefined" },
  { name: "an address in no pool is refused", recorded: ["10.9.0.0"], want: "refused: outsidePools", unmet: "outsidePools" },
  { name: "an address in use is refused", recorded: ["10.0.0.0"], want: "refused: inUse", unmet: "inUse" },
  { name: "a buggy address is refused", recorded: ["10.2.0.0"], want: "refused: buggyAddress", unmet: "buggyAddress" },
  { name: "the other family is refused", recorded: ["fd00::9"], want: "refused: familyMismatch", unmet: "familyMismatch" },
  {
    name: "only the first of one family is taken",
    recorded: ["10.0.0.9", "10.0.0.8"],
    want: "a: 10.0.0.9",
    unmet: "familyMismatch",
  },
  {
    name: "half of a dual-stack record is kept",
    recorded: ["10.0.0.9"],
    request: { families: both },
    want: "a: 10.0.0.9",
    unmet: "familyMismatch",
  },
  {
    name: "only one pool is taken from",
    recorded: ["10.1.0.9", "fd00::9"],
    request: { families: both },
    want: "manual: 10.1.0.9",
    unmet: "severalPools",
  },
  {
    name: "an allowed address stays where the other is in use",
    recorded: ["10.0.0.0", "fd00::9"],
    request: { families: both },
    want: "a: fd00::9",
    unmet: "inUse",
  },
];
for (const { name, recorded, request: rest, want, unmet } of records) {
  test(`adopt: ${name}`, () => {
    const allocator = withPools(
      pool("a", ["10.0.0.0/24", "fd00::/64"]),
      pool("manual", ["10.1.0.0/24"], { autoAssign: false }),
      pool("sound", ["10.2.0.0/24"], { avoidBuggyIPs: true }),
    );
    settle(allocator, "s/1");
    const adopted = allocator.adopt(request("s/2", rest), recorded.map(address));
    assert.equal(outcome(adopted), want);
    assert.equal(adopted.unmet?.reason, unmet);
    assert.deepEqual(allocator.held("s/2"), adopted.allocation);
  });
}

test("after a restart a Service whose request cannot be met keeps its address, and a waiting one does not get it", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/32"]));
  const holder = request("s/2", { requestedPool: "nope" });
  allocator.adopt(holder, [address("10.0.0.0")]);
  assert.equal(settle(allocator, "s/1"), "refused: noPoolFits");
  assert.equal(outcome(allocator.settle(holder)), "a: 10.0.0.0");
});

test("a Service that holds an address is never in its own way", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/24"]));
  const wanted = request("s/1", { requestedAddresses: [address("10.0.0.3")] });
  allocator.settle(wanted);
  assert.deepEqual(allocator.settle(wanted), {
    allocation: { addresses: [address("10.0.0.3")], pools: ["a"] },
    unmet: undefined,
    lacking: undefined,
    notAllowed: undefined,
    left: undefined,
  });
  assert.equal(outcome(allocator.adopt(wanted, [address("10.0.0.3")])), "a: 10.0.0.3");
  assert.deepEqual(allocator.holders(address("10.0.0.3")), ["s/1"]);
});

test("new pools under which an address in use has no place change nothing and name every such address", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/24", "fd00::/64"]), pool("b", ["10.1.0.0/24"]));
  settle(allocator, "s/3", { families: both });
  settle(allocator, "s/2", { requestedPool: "b" });
  settle(allocator, "s/1");
  settle(allocator, "s/4", { requestedAddresses: [address("10.0.0.4")] });
  const stranded = allocator.setPools([
    pool("c", ["10.0.0.1/32"], { avoidBuggyIPs: true }),
    pool("d", ["10.0.0.0/32"]),
    pool("e", ["10.1.0.0/24"], { avoidBuggyIPs: true }),
    pool("f", ["fd00::/64"]),
  ]);
  assert.deepEqual(
    stranded.map(({ service, address, refusal }) => `${service} ${address} ${refusal.reason}`),
    ["s/2 10.1.0.0 buggyAddress", "s/3 fd00:: severalPools", "s/4 10.0.0.4 outsidePools"],
  );
  assert.deepEqual(inUse(allocator), { a: 4, b: 1 });
  assert.equal(settle(allocator, "s/5"), "a: 10.0.0.2", "the old pools still decide");
});

test("accepted pools take over what is held, under their own names, and free addresses follow their order", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/30"]));
  for (const service of ["s/0", "s/1", "s/2"]) settle(allocator, service);
  allocator.release("s/1");
  assert.deepEqual(allocator.setPools([pool("c", ["10.0.0.2/31"]), pool("b", ["10.0.0.0/31"])]), []);
  assert.deepEqual(allocator.held("s/0"), { addresses: [address("10.0.0.0")], pools: ["b"] });
  assert.deepEqual(allocator.held("s/2"), { addresses: [address("10.0.0.2")], pools: ["c"] });
  assert.deepEqual(
    [...allocator.usage()],
    [
      { pool: "c", total: 2, inUse: 1, full: [], families: [{ family: "IPv4", total: 2, inUse: 1 }], ...nothing },
      { pool: "b", total: 2, inUse: 1, full: [], families: [{ family: "IPv4", total: 2, inUse: 1 }], ...nothing },
    ],
  );
  const got = ["s/3", "s/4", "s/5"].map((service) => settle(allocator, service));
  assert.deepEqual(got, ["c: 10.0.0.3", "b: 10.0.0.1", "refused: noPoolFits"]);
});

test("sharing outlives a change of pools", () => {
  const allocator = withPools(pool("a", ["10.0.0.0/30"]));
  settle(allocator, "s/1", shared);
  allocator.setPools([pool("b", ["10.0.0.0/24"])]);
  assert.equal(settle(allocator, "s/2", shared), "b: 10.0.0.1");
  assert.equal(settle(allocator, "s/3", { ...shared, ports: [port("443/TCP")] }), "b: 10.0.0.0");
});

test("a refusal by all pools has one reason for each, in the file's order", () => {
  const allocator = withPools(
    pool("manual", ["10.0.0.0/24"], { autoAssign: false }),
    pool("full", ["10.1.0.0/32"]),
    pool("six", ["fd00::/64"]),
    pool("buggy", ["10.2.0.0/32"], { avoidBuggyIPs: true }),
  );
  settle(allocator, "s/1");
  const { unmet } = allocator.settle(request("s/2"));
  assert.deepEqual(unmet, {
    reason: "noPoolFits",
    pools: [
      { reason: "autoAssignOff", pool: "manual" },
      { reason: "poolFull", pool: "full", family: "IPv4", total: 1 },
      { reason: "poolLacksFamily", pool: "six", family: "IPv4" },
      { reason: "poolFull", pool: "buggy", family: "IPv4", total: 0 },
    ],
    namespace: "s",
    others: 0,
  });
  assert.match(
    unmet ? describe(unmet) : "",
    /^no pool can serve this Service: pool "manual" is only for Services .*; add addresses/,
  );
});

test("without pools every request is refused for that", () => {
  assert.deepEqual(new Allocator().settle(request("s/1", { requestedPool: "a" })).unmet, { reason: "noPools" });
});

test("a request without families is a broken invariant", () => {
  assert.throws(() => withPools(pool("a", ["10.0.0.0/24"])).settle(request("s/1", { families: [] })), RangeError);
});
