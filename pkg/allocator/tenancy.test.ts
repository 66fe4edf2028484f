import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { port, request } from "#pkg/allocator/testing";
import type { Fence, LabelSelector, Pool, Quota, Reservation } from "#pkg/config";
import { pool } from "#pkg/config/testing";
import { AddressRange, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { AddressRequest } from "#pkg/service";
import { Allocator, finding, poolsOf } from "./index.ts";
import { Quotas } from "./quotas.ts";
import type { Refusal, Settlement } from "./types.ts";

const labeled = (key: string, value: string): LabelSelector => ({ matchLabels: new Map([[key, value]]), matchExpressions: [] });
const fence = (rest: Partial<Fence>): Pick<Pool, "fence"> => ({
  fence: { namespaces: [], namespaceSelectors: [], serviceSelectors: [], ...rest },
});
const onlyFor = (...namespaces: string[]) => fence({ namespaces });

function reserved(holder: Reservation["holder"], ...prefixes: string[]): Reservation {
  return { ranges: prefixes.map((text) => AddressRange.ofPrefix(parsePrefix(text) ?? assert.fail(text))), holder };
}
const forService = (service: string, ...prefixes: string[]) => reserved({ type: "service", service }, ...prefixes);
const forNamespace = (namespace: string, ...prefixes: string[]) => reserved({ type: "namespace", namespace }, ...prefixes);

const unlimited: Quota = {
  namespaces: [],
  namespaceSelectors: [],
  pools: [],
  together: false,
  ipv4: undefined,
  ipv6: undefined,
  services: undefined,
};

function start(pools: readonly Pool[], quotas: readonly Quota[] = [], namespaces: Record<string, Record<string, string>> = {}) {
  const allocator = new Allocator();
  for (const [name, labels] of Object.entries(namespaces)) allocator.setNamespace(name, labels);
  assert.deepEqual(allocator.setPools(pools, quotas), []);
  return allocator;
}

/** `pool: addresses`, with the refused parts. */
function outcome({ allocation, unmet, notAllowed }: Settlement): string {
  const held = allocation === undefined ? "nothing" : `${poolsOf(allocation).join(" ")}: ${allocation.addresses.join(" ")}`;
  return [held, unmet && text(unmet), notAllowed && `kept, though ${notAllowed.reason}`].filter(Boolean).join("; ");
}

function text(refusal: Refusal): string {
  return refusal.reason === "noPoolFits" ? finding(refusal) : refusal.reason;
}

function ask(allocator: Allocator, service: string, rest: Partial<AddressRequest> = {}): string {
  return outcome(allocator.settle(request(service, rest)));
}

const fenced = pool("a", ["10.0.0.0/30"], onlyFor("team-a"));
const roads: { name: string; pools: Pool[]; service?: string; rest?: Partial<AddressRequest>; want: string }[] = [
  { name: "automatically, inside", pools: [fenced], want: "a: 10.0.0.0" },
  {
    name: "automatically, outside",
    pools: [fenced],
    service: "team-b/x",
    want: 'nothing; no pool can serve this Service: one pool is not for namespace "team-b"',
  },
  {
    name: "by the pool's name, outside",
    pools: [fenced],
    service: "team-b/x",
    rest: { requestedPool: "a" },
    want: "nothing; notForNamespace",
  },
  {
    name: "by an address, outside",
    pools: [fenced],
    service: "team-b/x",
    rest: { requestedAddresses: [address("10.0.0.2")] },
    want: "nothing; notForNamespace",
  },
  { name: "by the pool's name, inside", pools: [fenced], rest: { requestedPool: "a" }, want: "a: 10.0.0.0" },
  {
    name: "only by name, where auto-assign is off",
    pools: [pool("a", ["10.0.0.0/30"], { ...onlyFor("team-a"), autoAssign: false })],
    want: 'nothing; no pool can serve this Service: pool "a" is only for Services that request it (auto-assign is false)',
  },
  {
    name: "by labels of the Service that match",
    pools: [pool("a", ["10.0.0.0/30"], fence({ serviceSelectors: [labeled("exposure", "public")] }))],
    rest: { labels: { exposure: "public" } },
    want: "a: 10.0.0.0",
  },
  {
    name: "by labels of the Service that do not match, by name",
    pools: [pool("a", ["10.0.0.0/30"], fence({ serviceSelectors: [labeled("exposure", "public")] }))],
    rest: { labels: { exposure: "no" }, requestedPool: "a" },
    want: "nothing; notForService",
  },
  {
    name: "by labels of the Service that are unknown",
    pools: [
      pool(
        "a",
        ["10.0.0.0/30"],
        fence({
          serviceSelectors: [{ matchLabels: new Map(), matchExpressions: [{ key: "x", operator: "DoesNotExist", values: [] }] }],
        }),
      ),
    ],
    rest: { labels: undefined, requestedPool: "a" },
    want: "nothing; notForService",
  },
  {
    name: "only with both the namespace and the labels",
    pools: [pool("a", ["10.0.0.0/30"], fence({ namespaces: ["team-b"], serviceSelectors: [labeled("x", "y")] }))],
    rest: { labels: { x: "y" }, requestedPool: "a" },
    want: "nothing; notForNamespace",
  },
  {
    name: "by labels of the namespace",
    pools: [pool("a", ["10.0.0.0/30"], fence({ namespaceSelectors: [labeled("tenant", "a")] }))],
    want: "a: 10.0.0.0",
  },
  {
    name: "by a name beside labels that do not match",
    pools: [pool("a", ["10.0.0.0/30"], fence({ namespaces: ["team-a"], namespaceSelectors: [labeled("tenant", "z")] }))],
    want: "a: 10.0.0.0",
  },
  {
    name: "not by labels of a namespace that is not known, whatever they are to be",
    pools: [
      pool(
        "a",
        ["10.0.0.0/30"],
        fence({
          namespaceSelectors: [
            { matchLabels: new Map(), matchExpressions: [{ key: "tenant", operator: "NotIn", values: ["a"] }] },
          ],
        }),
      ),
    ],
    service: "unknown/x",
    rest: { requestedPool: "a" },
    want: "nothing; notForNamespace",
  },
  {
    name: "of a closed pool not even by name",
    pools: [pool("a", ["10.0.0.0/30"], { closed: true })],
    rest: { requestedPool: "a" },
    want: "nothing; poolClosed",
  },
  {
    name: "of a closed pool not even by address",
    pools: [pool("a", ["10.0.0.0/30"], { closed: true })],
    rest: { requestedAddresses: [address("10.0.0.1")] },
    want: "nothing; poolClosed",
  },
  {
    name: "of the pool behind a closed one",
    pools: [pool("a", ["10.0.0.0/30"], { closed: true }), pool("b", ["10.1.0.0/30"])],
    want: "b: 10.1.0.0",
  },
  {
    name: "of the pool with the lowest priority",
    pools: [
      pool("a", ["10.0.0.0/30"]),
      pool("b", ["10.1.0.0/30"], { priority: 20 }),
      pool("c", ["10.2.0.0/30"], { priority: 10 }),
    ],
    want: "c: 10.2.0.0",
  },
  {
    name: "of a fenced pool before an open one",
    pools: [pool("a", ["10.0.0.0/30"]), pool("b", ["10.1.0.0/30"], onlyFor("team-a"))],
    want: "b: 10.1.0.0",
  },
  {
    name: "of an open pool with a priority before a fenced one without",
    pools: [pool("a", ["10.0.0.0/30"], onlyFor("team-a")), pool("b", ["10.1.0.0/30"], { priority: 2147483647 })],
    want: "b: 10.1.0.0",
  },
  {
    name: "of the first pool of those with one priority, whatever their fences",
    pools: [
      pool("a", ["10.0.0.0/30"], { priority: 5 }),
      pool("b", ["10.1.0.0/30"], { priority: 5, ...onlyFor("team-a") }),
      pool("c", ["10.2.0.0/30"], { priority: 5 }),
    ],
    want: "a: 10.0.0.0",
  },
  {
    name: "of both families from the first pool that is open to it and has both",
    pools: [
      pool("a", ["10.0.0.0/30"], { priority: 1, ...onlyFor("team-a") }),
      pool("b", ["10.1.0.0/30", "fd01::/126"], { priority: 2, ...onlyFor("team-b") }),
      pool("c", ["10.2.0.0/30", "fd02::/126"], { priority: 3, ...onlyFor("team-a", "team-b") }),
      pool("d", ["10.3.0.0/30", "fd03::/126"]),
    ],
    rest: { families: ["IPv4", "IPv6"] },
    want: "c: 10.2.0.0 fd02::",
  },
];
for (const { name, pools, service = "team-a/web", rest, want } of roads)
  test(`a Service gets an address ${name}`, () =>
    assert.equal(ask(start(pools, [], { "team-a": { tenant: "a" }, "team-b": {} }), service, rest), want));

test("a Service is not told the names of pools that are not for its namespace", () => {
  const allocator = start([fenced, pool("b", ["10.1.0.0/32"]), pool("c", ["10.2.0.0/30"], onlyFor("team-a"))]);
  ask(allocator, "team-b/first");
  assert.equal(
    ask(allocator, "team-b/second"),
    'nothing; no pool can serve this Service: pool "b" has no free IPv4 address (its only one is in use), 2 pools are not for namespace "team-b"',
  );
  const { unmet } = allocator.settle(request("team-b/third", { requestedPool: "x" }));
  assert.deepEqual(unmet, { reason: "unknownPool", pool: "x", known: ["b"], more: 0 });
});

test("who has an address keeps it, whatever the fence is then, and others do not get it", () => {
  const allocator = start([pool("a", ["10.0.0.0/30"])]);
  ask(allocator, "team-b/web");
  allocator.setPools([fenced]);
  assert.equal(ask(allocator, "team-b/web"), "a: 10.0.0.0; kept, though notForNamespace");
  assert.deepEqual([allocator.usageOf("a")?.notAllowed, ask(allocator, "team-a/web")], [1, "a: 10.0.0.1"]);
  allocator.release("team-b/web");
  assert.equal(allocator.usageOf("a")?.notAllowed, 0);
  assert.match(ask(allocator, "team-b/web"), /^nothing/);
});

test("a namespace whose labels change is inside or outside from then on", () => {
  const allocator = start([pool("a", ["10.0.0.0/30"], fence({ namespaceSelectors: [labeled("tenant", "a")] }))]);
  assert.match(ask(allocator, "x/1"), /^nothing/);
  allocator.setNamespace("x", { tenant: "a" });
  assert.equal(ask(allocator, "x/1"), "a: 10.0.0.0");
  allocator.setNamespace("x", { tenant: "b" });
  assert.equal(ask(allocator, "x/1"), "a: 10.0.0.0; kept, though notForNamespace");
  assert.match(ask(allocator, "x/2"), /^nothing/);
});

test("after a start a Service has what it had, but nothing that somebody wrote into its status later", () => {
  const allocator = start([fenced]);
  const other = request("team-b/web");
  assert.equal(outcome(allocator.adopt(other, [address("10.0.0.1")])), "nothing; notForNamespace");
  assert.equal(outcome(allocator.restore(other, [address("10.0.0.1")])), "a: 10.0.0.1");
  assert.equal(ask(allocator, "team-b/web"), "a: 10.0.0.1; kept, though notForNamespace");
});

const key = { sharingKey: "k" };
const https = { ...key, ports: [port("443/TCP")] };
const sharing: { mode: Pool["sharing"]; service: string; want: string }[] = [
  { mode: "cluster", service: "team-b/web", want: "a: 10.0.0.0" },
  { mode: "namespace", service: "team-b/web", want: "a: 10.0.0.1" },
  { mode: "namespace", service: "team-a/other", want: "a: 10.0.0.0" },
  { mode: "none", service: "team-a/other", want: "a: 10.0.0.1" },
];
for (const { mode, service, want } of sharing)
  test(`with sharing: ${mode}, ${service} with the same key as team-a/web gets ${want}`, () => {
    const allocator = start([pool("a", ["10.0.0.0/30"], { sharing: mode })]);
    ask(allocator, "team-a/web", key);
    assert.equal(ask(allocator, service, https), want);
  });

test("a Service may not join by address whom it may not share with, and hears nothing of it", () => {
  const joining = { ...https, requestedAddresses: [address("10.0.0.0")] };
  const refusals = (["cluster", "namespace", "none"] as const).map((mode) => {
    const allocator = start([pool("a", ["10.0.0.0/30"], { sharing: mode })]);
    ask(allocator, "team-a/web", key);
    const other = { ...joining, sharingKey: mode === "cluster" ? "l" : "k" };
    return ["team-b/x", "team-a/x"].map((service) => allocator.settle(request(service, other)).unmet);
  });
  const bare = { reason: "inUse", address: address("10.0.0.0") };
  assert.deepEqual(refusals, [
    [bare, { ...bare, reason: "sharingKeyMismatch", holder: "team-a/web", key: "l", holderKey: "k" }],
    [bare, undefined],
    [bare, { ...bare, reason: "sharingOff", pool: "a" }],
  ]);
});

test("Services that share keep on sharing under a stricter rule, and nobody joins them", () => {
  const allocator = start([pool("a", ["10.0.0.0/30"])]);
  ask(allocator, "team-a/web", key);
  ask(allocator, "team-b/web", https);
  const more = { ...key, ports: [port("53/UDP")] };
  allocator.setPools([pool("a", ["10.0.0.0/30"], { sharing: "namespace" })]);
  assert.equal(ask(allocator, "team-a/web", key), "a: 10.0.0.0; kept, though inUse");
  assert.equal(ask(allocator, "team-b/web", https), "a: 10.0.0.0; kept, though inUse");
  assert.equal(ask(allocator, "team-a/dns", more), "a: 10.0.0.1");
  allocator.release("team-a/dns");
  allocator.release("team-b/web");
  assert.equal(ask(allocator, "team-a/web", key), "a: 10.0.0.0");
  assert.equal(ask(allocator, "team-a/dns", more), "a: 10.0.0.0");
  allocator.setPools([pool("a", ["10.0.0.0/30"], { sharing: "none" })]);
  assert.equal(ask(allocator, "team-a/dns", more), "a: 10.0.0.0; kept, though sharingOff");
  assert.equal(ask(allocator, "team-a/third", https), "a: 10.0.0.1");
});

const keeping = pool("a", ["10.0.0.0/28"], {
  reservations: [
    reserved({ type: "nobody" }, "10.0.0.0/32"),
    forService("team-a/web", "10.0.0.1/32"),
    forNamespace("team-b", "10.0.0.2/31"),
  ],
});

test("reserved addresses go to whom they are for, without asking, and to nobody else", () => {
  const allocator = start([pool("z", ["10.9.0.0/30"]), keeping]);
  assert.equal(ask(allocator, "team-c/x"), "z: 10.9.0.0");
  assert.equal(ask(allocator, "team-c/y", { requestedPool: "a" }), "a: 10.0.0.4");
  assert.equal(ask(allocator, "team-a/web"), "a: 10.0.0.1");
  assert.equal(ask(allocator, "team-b/1"), "a: 10.0.0.2");
  assert.equal(ask(allocator, "team-b/2"), "a: 10.0.0.3");
  assert.equal(ask(allocator, "team-b/3"), "z: 10.9.0.1");
  for (const last of [0, 1, 2])
    assert.equal(ask(allocator, "team-c/z", { requestedAddresses: [address(`10.0.0.${last}`)] }), "nothing; reserved");
  const { total, reserved } = allocator.usageOf("a") ?? {};
  assert.deepEqual([total, reserved], [15, 3]);
});

test("an address is not taken from who has it when it is reserved, and whom it is for gets another one for good", () => {
  const allocator = start([pool("a", ["10.0.0.0/28"])]);
  for (const name of ["team-c/0", "team-c/1"]) ask(allocator, name);
  allocator.setPools([keeping]);
  assert.equal(ask(allocator, "team-c/0"), "a: 10.0.0.0; kept, though reserved");
  assert.equal(ask(allocator, "team-c/1"), "a: 10.0.0.1; kept, though reserved");
  const usage = () => allocator.usageOf("a")?.families.map(({ total, inUse }) => `${inUse} of ${total}`);
  assert.deepEqual(usage(), ["2 of 16"], "that of nobody is one more while it is in use");
  assert.equal(ask(allocator, "team-a/web"), "a: 10.0.0.4");
  allocator.release("team-c/0");
  allocator.release("team-c/1");
  assert.deepEqual(usage(), ["1 of 15"]);
  assert.equal(ask(allocator, "team-a/web"), "a: 10.0.0.4");
  assert.equal(ask(allocator, "team-c/0"), "a: 10.0.0.5");
});

test("a Service that shares has what is reserved for it for itself, but for its own address's rules", () => {
  const allocator = start([keeping]);
  assert.equal(ask(allocator, "team-a/web", key), "a: 10.0.0.1");
  assert.equal(ask(allocator, "team-a/other", https), "a: 10.0.0.4");
  assert.equal(ask(allocator, "team-b/1", key), "a: 10.0.0.2");
  assert.equal(ask(allocator, "team-b/2", https), "a: 10.0.0.2");
});

const dual = { families: ["IPv4", "IPv6"] as const };

test("a reservation of one family comes with an address of the other from the same pool, where that gives addresses unasked", () => {
  const one = { reservations: [forService("team-a/web", "10.1.0.2/32")] };
  const [a, b] = [pool("a", ["10.0.0.0/30", "fd00::/126"]), pool("b", ["10.1.0.0/30", "fd01::/126"], one)];
  assert.equal(ask(start([a, b]), "team-a/web", dual), "b: 10.1.0.2 fd01::");
  const closed = start([a, { ...b, autoAssign: false }]);
  assert.equal(ask(closed, "team-a/web", dual), "a: 10.0.0.0 fd00::");
  assert.equal(ask(closed, "team-a/web"), "a: 10.0.0.0");
  closed.release("team-a/web");
  assert.equal(ask(closed, "team-a/web"), "b: 10.1.0.2");
  assert.equal(ask(closed, "team-a/web", { ...dual, requestedPool: "b" }), "b: 10.1.0.2 fd01::");
});

test("of a pool without auto-assign a Service gets what is reserved for it, or is told that it is in use", () => {
  const reservations = [forService("team-a/web", "10.1.0.2/32"), forNamespace("team-a", "fd01::3/128")];
  const allocator = start([pool("b", ["10.1.0.0/30", "fd01::/126"], { autoAssign: false, reservations })]);
  assert.equal(ask(allocator, "team-a/web", dual), "b: 10.1.0.2 fd01::3");
  const unmet = ask(allocator, "team-a/other", { families: ["IPv6"] });
  assert.equal(
    unmet,
    'nothing; no pool can serve this Service: no IPv6 address of pool "b" that is reserved for this Service is free',
  );
  assert.match(ask(allocator, "team-a/other"), /auto-assign is false/);
});

test("a closed pool gives not even what is reserved in it", () => {
  const allocator = start([{ ...keeping, closed: true }, pool("b", ["10.1.0.0/30"])]);
  assert.equal(ask(allocator, "team-a/web"), "b: 10.1.0.0");
});

test("a quota counts addresses of its pools by namespace, and what is freed may be given again", () => {
  const public4 = { ...unlimited, pools: ["a"], ipv4: 2 };
  const allocator = start([pool("a", ["10.0.0.0/28"]), pool("b", ["10.1.0.0/32"])], [public4]);
  const got = ["1", "2", "3", "4"].map((name) => ask(allocator, `team-a/${name}`));
  assert.deepEqual(got, [
    "a: 10.0.0.0",
    "a: 10.0.0.1",
    "b: 10.1.0.0",
    'nothing; no pool can serve this Service: namespace "team-a" has 2 of 2 IPv4 addresses of pool "a", pool "b" has no free IPv4 address (its only one is in use)',
  ]);
  assert.equal(ask(allocator, "team-b/1"), "a: 10.0.0.2");
  assert.equal(ask(allocator, "team-a/4", { requestedPool: "a" }), "nothing; quotaExceeded");
  assert.equal(ask(allocator, "team-a/4", { requestedAddresses: [address("10.0.0.9")] }), "nothing; quotaExceeded");
  assert.equal(ask(allocator, "team-a/1", { requestedAddresses: [address("10.0.0.9")] }), "a: 10.0.0.9");
  allocator.release("team-a/1");
  assert.equal(ask(allocator, "team-a/4"), "a: 10.0.0.0");
});

test("a shared address counts once for each namespace, and who is over the limit may join it", () => {
  const allocator = start([pool("a", ["10.0.0.0/28"])], [{ ...unlimited, ipv4: 1 }]);
  ask(allocator, "team-c/first");
  assert.equal(ask(allocator, "team-a/web", key), "a: 10.0.0.1");
  allocator.release("team-c/first");
  assert.equal(ask(allocator, "team-a/dns", { ...key, ports: [port("53/UDP")] }), "a: 10.0.0.1");
  assert.equal(ask(allocator, "team-b/web", https), "a: 10.0.0.0");
  assert.deepEqual(
    [...allocator.quotaUsage()].map(({ namespace, used }) => `${namespace} ${used}`),
    ["team-a 1", "team-b 1"],
  );
});

const onPort = (sharingKey: string, number: number) => ({ sharingKey, ports: [port(`${number}/TCP`)] });

test("where a quota forbids the lowest address that could be shared, the lowest that its namespace has already is shared", () => {
  const allocator = start([pool("a", ["10.0.0.0/28"])], [{ ...unlimited, namespaces: ["team-b"], ipv4: 2 }]);
  ask(allocator, "team-a/0", onPort("k", 80));
  ask(allocator, "team-a/1", onPort("k", 80));
  ask(allocator, "team-b/2", onPort("k", 80));
  ask(allocator, "team-b/3", onPort("k", 80));
  const got = [443, 444].map((number) => ask(allocator, `team-b/${number}`, onPort("k", number)));
  assert.deepEqual(got, ["a: 10.0.0.2", "a: 10.0.0.2"]);
  assert.equal(ask(allocator, "team-b/again", onPort("k", 443)), "a: 10.0.0.3");
  assert.match(ask(allocator, "team-b/80", onPort("k", 80)), /^nothing; .*"team-b" has 2 of 2 IPv4 addresses/);
  assert.match(ask(allocator, "team-b/other", onPort("l", 443)), /^nothing; .*"team-b" has 2 of 2 IPv4 addresses/);
});

test("of addresses that would all be counted anew the lowest is shared that every quota allows", () => {
  const one = { ...unlimited, ipv4: 1 };
  const quotas = [
    { ...one, namespaces: ["team-b"] },
    { ...one, namespaces: ["team-b", "team-c"], together: true },
  ];
  const allocator = start([pool("a", ["10.0.0.0/28"])], quotas);
  ask(allocator, "team-a/web", onPort("k", 80));
  ask(allocator, "team-c/web", onPort("k", 80));
  assert.equal(ask(allocator, "team-b/web", onPort("k", 443)), "a: 10.0.0.1");
});

test("each of several addresses is one that costs nothing where a quota forbids the lowest ones", () => {
  const pools = [pool("a", ["10.0.0.0/28", "fd00::/124"]), pool("b", ["10.1.0.0/28"])];
  const allocator = start(pools, [{ ...unlimited, namespaces: ["team-b"], ipv4: 2, ipv6: 1 }]);
  const both = { families: ["IPv4", "IPv6"] as const };
  ask(allocator, "team-a/web", { ...both, ...onPort("k", 80) });
  ask(allocator, "team-a/b", { requestedPool: "b", ...onPort("k", 80) });
  ask(allocator, "team-b/web", { ...both, ...onPort("k", 80) });
  ask(allocator, "team-b/b", { requestedPool: "b", ...onPort("k", 80) });
  assert.equal(ask(allocator, "team-b/both", { ...both, ...onPort("k", 443) }), "a: 10.0.0.1 fd00::1");
  assert.equal(
    ask(allocator, "team-b/pools", { requestedPool: "a,b", mayHoldSeveral: true, ...onPort("k", 444) }),
    "a b: 10.0.0.1 10.1.0.1",
  );
});

test("of a pool that all Services share, a Service beyond its quota looks at no address twice that adds the same", () => {
  const allocator = start([pool("a", ["10.0.0.0/20"])], [{ ...unlimited, namespaces: ["team-b"], ipv4: 0 }]);
  for (let i = 0; i < 1_000; i++) ask(allocator, `team-a/${i}`, onPort("k", 80));
  const asked = mock.method(Quotas.prototype, "refusal");
  assert.match(ask(allocator, "team-b/web", onPort("k", 443)), /^nothing/);
  assert.ok(asked.mock.callCount() < 10, `${asked.mock.callCount()} questions`);
  asked.mock.restore();
});

test("namespaces of one quota may be counted together, and its Services", () => {
  const together = { ...unlimited, namespaces: ["team-a", "team-b"], together: true, services: 2 };
  const allocator = start([pool("a", ["10.0.0.0/28"])], [together]);
  ask(allocator, "team-a/1");
  ask(allocator, "team-b/1");
  assert.match(
    ask(allocator, "team-b/2"),
    /^nothing; .*namespace "team-b" and those that are counted with it have 2 of 2 Services/,
  );
  assert.equal(ask(allocator, "team-c/1"), "a: 10.0.0.2");
  assert.deepEqual(
    [...allocator.quotaUsage()],
    [{ quota: "quotas[0]", namespace: undefined, resource: "services", limit: 2, used: 2 }],
  );
});

test("above a lower quota nothing is taken, and nothing given", () => {
  const pools = [pool("a", ["10.0.0.0/28", "fd00::/124"])];
  const allocator = start(pools, []);
  for (const name of ["1", "2", "3"]) ask(allocator, `team-a/${name}`);
  allocator.setPools(pools, [{ ...unlimited, ipv4: 1 }]);
  assert.equal(ask(allocator, "team-a/3"), "a: 10.0.0.2");
  assert.equal(ask(allocator, "team-a/3", { requestedAddresses: [address("10.0.0.9")] }), "a: 10.0.0.2; quotaExceeded");
  assert.equal(ask(allocator, "team-a/3", { families: ["IPv4", "IPv6"] }), "a: 10.0.0.2 fd00::");
  assert.deepEqual(
    [...allocator.quotaUsage()].map(({ used, limit }) => [used, limit]),
    [[3, 1]],
  );
});

test("a namespace that comes under a quota by its labels is counted with what its Services have", () => {
  const quota = { ...unlimited, namespaceSelectors: [labeled("tier", "free")], ipv4: 1 };
  const allocator = start([pool("a", ["10.0.0.0/28"])], [quota], { x: {}, y: {} });
  ask(allocator, "x/1");
  ask(allocator, "y/1");
  assert.deepEqual([...allocator.quotaUsage()], []);
  assert.deepEqual([allocator.setNamespace("x", { tier: "free" }), allocator.setNamespace("y", { a: "b" })], [true, false]);
  assert.match(ask(allocator, "x/2"), /^nothing/);
  assert.equal(ask(allocator, "y/2"), "a: 10.0.0.2");
  allocator.release("x/1");
  assert.equal(ask(allocator, "x/2"), "a: 10.0.0.0");
  allocator.setNamespace("x", {});
  assert.deepEqual([...allocator.quotaUsage()], []);
});

test("labels of many namespaces that change at once have the Services counted once, when that is asked for", () => {
  const quota = { ...unlimited, namespaceSelectors: [labeled("tier", "free")], ipv4: 1 };
  const names = Array.from({ length: 60 }, (_, i) => `n${i}`);
  const allocator = start([pool("a", ["10.0.0.0/24"])], [quota], Object.fromEntries(names.map((name) => [name, {}])));
  for (const name of names) ask(allocator, `${name}/1`);
  const counted = mock.method(Quotas.prototype, "countAll");
  for (const name of names) assert.equal(allocator.setNamespace(name, { tier: "free" }), true);
  allocator.release("n0/1");
  for (const name of names.slice(1)) assert.match(ask(allocator, `${name}/2`), /^nothing/);
  assert.equal(ask(allocator, "n0/2"), "a: 10.0.0.0");
  assert.deepEqual(
    Array.from(allocator.quotaUsage(), ({ used }) => used),
    names.map(() => 1),
  );
  assert.equal(counted.mock.callCount(), 1);
  counted.mock.restore();
});

test("pools that a Service may not have are not in the way of those behind them, however many there are", () => {
  const pools = Array.from({ length: 200 }, (_, i) =>
    pool(`p${i}`, [`10.0.${i}.0/31`], { priority: i + 1, ...onlyFor(i % 2 === 0 ? "even" : "odd") }),
  );
  const allocator = start(pools);
  const got = Array.from({ length: 400 }, (_, i) => ask(allocator, `${i % 2 === 0 ? "even" : "odd"}/${i}`));
  const want = Array.from({ length: 400 }, (_, i) => {
    const rank = 2 * Math.floor(Math.floor(i / 2) / 2) + (i % 2);
    return `p${rank}: 10.0.${rank}.${Math.floor(i / 2) % 2}`;
  });
  assert.deepEqual(got, want);
});

test("of 10,000 pools a refusal names 20 that are open to the namespace, and counts the others", () => {
  const many = Array.from({ length: 10_000 }, (_, i) =>
    pool(`p${i}`, [`10.${i >> 8}.${i & 255}.0/31`], i % 2 === 0 ? {} : onlyFor("other")),
  );
  const allocator = start(many);
  const { unmet } = allocator.settle(request("default/web", { requestedPool: "x" }));
  assert.ok(unmet?.reason === "unknownPool");
  assert.equal(unmet.more, 4_980);
  assert.deepEqual(unmet.known.slice(0, 2), ["p0", "p2"]);
  assert.equal(unmet.known.length, 20);
});

test("a look at all quotas, a few at a time, has each once, also one that is used up to nothing and again meanwhile", () => {
  const allocator = start([pool("a", ["192.0.2.0/24"])], [{ ...unlimited, ipv4: 1 }]);
  for (const namespace of ["a", "b", "c"]) allocator.settle(request(`${namespace}/web`));
  const looking = Iterator.from(allocator.quotaUsage());
  const first = looking.next().value?.namespace;
  allocator.release("a/web");
  allocator.settle(request("a/web"));
  assert.deepEqual([first, ...looking.map(({ namespace }) => namespace)], ["a", "b", "c"]);
});

test("a quota by labels counts a namespace of which nothing is known yet, until its labels are", () => {
  const gold: Quota = { ...unlimited, namespaceSelectors: [labeled("tier", "gold")], services: 1 };
  const allocator = start([pool("a", ["10.0.0.0/29"])], [gold], { known: {} });
  assert.deepEqual(
    ["known/web", "known/shop"].map((service) => ask(allocator, service)),
    ["a: 10.0.0.0", "a: 10.0.0.1"],
  );
  assert.equal(ask(allocator, "new/web"), "a: 10.0.0.2");
  assert.match(ask(allocator, "new/shop"), /^nothing; .*"new" has 1 of 1 Services/);
  assert.ok(allocator.setNamespace("new", { tier: "silver" }));
  assert.equal(ask(allocator, "new/shop"), "a: 10.0.0.3");
});

test("an address that is reserved for a Service, and that avoid-buggy-ips keeps back, leads it to no other address of that pool", () => {
  const a = { ...pool("a", ["10.0.0.254-10.0.0.255"]), avoidBuggyIPs: true, priority: 1 };
  const b = { ...pool("b", ["10.0.1.0/30"]), reservations: [forService("p/web", "10.0.1.1/32")] };
  const reservations = [forService("p/web", "10.0.0.255/32"), forNamespace("p", "10.0.0.254/32")];
  assert.equal(ask(start([{ ...a, reservations }, b]), "p/web"), "b: 10.0.1.1");
});

test("an address that is reserved for a Service, and that another host uses, leads it to no other address of that pool", () => {
  const a = { ...pool("a", ["10.0.0.0/30"]), priority: 1 };
  const b = { ...pool("b", ["10.0.1.0/30"]), reservations: [forService("p/web", "10.0.1.1/32")] };
  const reservations = [forService("p/web", "10.0.0.1/32"), forNamespace("p", "10.0.0.2/32")];
  const occupied = start([{ ...a, reservations }, b]);
  occupied.setOccupied(new Map([["10.0.0.1", "02:00:00:00:00:01"]]));
  assert.equal(ask(occupied, "p/web"), "b: 10.0.1.1");
  assert.equal(ask(occupied, "p/other"), "a: 10.0.0.2");
});
