import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clash, Naive, port, request } from "#pkg/allocator/testing";
import type { LabelSelector, Pool, Quota, Reservation } from "#pkg/config";
import { pool } from "#pkg/config/testing";
import { type Address, AddressRange } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { AddressRequest } from "#pkg/service";
import { Allocator, type Refusal, type Settlement } from "./index.ts";

const manual = { autoAssign: false };
const noBuggy = { avoidBuggyIPs: true };
const configurations: readonly (readonly Pool[])[] = [
  [
    pool("a", ["10.0.0.254-10.0.1.1", "fd00::/127"]),
    pool("b", ["fd01::/126", "10.0.2.0/30"]),
    pool("m", ["10.0.3.0/31", "fd03::/127"], manual),
  ],
  [
    pool("m", ["10.0.3.0/31", "fd03::/127"]),
    pool("b", ["10.0.2.0/30", "fd01::/126"]),
    pool("a", ["10.0.0.254-10.0.1.1", "fd00::/127"], noBuggy),
  ],
  [
    pool("c", ["10.0.1.0/31", "10.0.0.254/31", "fd00::/127"]),
    pool("m", ["10.0.2.2/31", "10.0.2.0/31", "10.0.3.0/31", "fd01::/126"], manual),
    pool("d", ["fd03::/127"]),
  ],
  [
    pool("x", ["10.0.1.0-10.0.1.1"]),
    pool("y", ["10.0.0.254-10.0.0.255", "fd00::/127"]),
    pool("z", ["10.0.2.0/30", "10.0.3.0/31", "fd01::/126", "fd03::/127"]),
  ],
  [pool("a", ["10.0.0.254-10.0.1.1", "fd00::/127"], { ...manual, ...noBuggy })],
  [],
];
const universe = [
  ...["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1", "10.0.2.0", "10.0.2.1", "10.0.2.2", "10.0.2.3", "10.0.3.0", "10.0.3.1"],
  ...["10.9.9.9", "fd00::", "fd00::1", "fd01::", "fd01::1", "fd01::2", "fd01::3", "fd03::", "fd03::1", "fd09::9"],
].map(address);

const labeled = (key: string, value: string): LabelSelector => ({ matchLabels: new Map([[key, value]]), matchExpressions: [] });

const services = fc.constantFrom("s/1", "s/2", "s/3", "s/4", "s/5", "s/6", "s/7", "s/8");
const someAddresses = fc.uniqueArray(fc.constantFrom(...universe), { maxLength: 3 });
const requestable = fc.oneof(
  fc.constantFrom(...universe).map((address) => [address]),
  someAddresses,
);
const often = <T>(usual: T, other: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: other });
const requests = fc
  .record({
    service: services,
    families: fc.constantFrom<AddressRequest["families"][]>(["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]),
    ports: fc.uniqueArray(fc.constantFrom("1/TCP", "2/TCP", "1/UDP", "2/UDP"), { maxLength: 3 }),
    prefersDualStack: fc.boolean(),
    sharingKey: fc.constantFrom("", "k", "k", "k", "l"),
    backendKey: often("", fc.constant("app=web")),
    requestedAddresses: often<Address[]>([], requestable),
    requestedPool: often<string | undefined>(
      undefined,
      fc.constantFrom("a", "b", "c", "m", "x", "y", "z", "nope", "a,b", " b, a", "m,m", "x,z", "z,y,z", "c,m,d", "b,nope"),
    ),
  })
  .map(({ service, ports, prefersDualStack, ...rest }) =>
    request(service, { ...rest, prefersDualStack: prefersDualStack && rest.families.length > 1, ports: ports.map(port) }),
  );

const steps = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: fc.record({ type: fc.constant("settle" as const), request: requests }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("adopt" as const), request: requests, recorded: someAddresses }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("release" as const), service: services }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("setPools" as const), pools: fc.constantFrom(...configurations) }) },
  ),
  { maxLength: 60, size: "max" },
);

function reasonText(refusal: Refusal | undefined): string | undefined {
  if (refusal?.reason !== "noPoolFits") return refusal?.reason;
  return `noPoolFits: ${refusal.pools.map(({ reason }) => reason).join(" ")} and ${refusal.others}`;
}

/** The plain rules do not say why a Service gets neither of the two families that it prefers. */
function assertSameOutcome(
  { unmet, lacking }: Settlement,
  plain: ReturnType<Naive["settle"]>,
  { prefersDualStack }: AddressRequest,
): void {
  const isExact = !prefersDualStack || unmet === undefined;
  assert.equal(isExact ? reasonText(unmet) : "refused", isExact ? plain.unmet : plain.unmet && "refused");
  assert.equal(reasonText(lacking), plain.lacking);
}

/** Books and gauges agree with the plain rules, and nobody shares an address against the rules. */
function assertConsistent(allocator: Allocator, naive: Naive, pools: readonly Pool[]): void {
  const inUse = new Map(pools.map(({ name }) => [name, new Set<string>()]));
  for (const address of universe) {
    const requests = naive.requests(address);
    assert.deepEqual([...allocator.holders(address)].sort(), requests.map(({ service }) => service).sort());
    for (const a of requests) {
      inUse.get(allocator.poolOf(address) ?? "")?.add(String(address));
      for (const b of requests) assert.equal(clash(a, b), undefined, `${a.service} and ${b.service} on ${address}`);
    }
  }
  const counted = [...allocator.usage()].map((usage) => [usage.pool, usage.inUse]);
  assert.deepEqual(
    counted,
    [...inUse].map(([name, addresses]) => [name, addresses.size]),
  );
}

/** First takes away addresses that the Service may not keep, as the controller does before it settles anything. */
function keep(allocator: Allocator, naive: Naive, request: AddressRequest): void {
  const held = allocator.held(request.service)?.addresses ?? [];
  assert.equal(reasonText(allocator.restore(request, held).unmet), naive.restore(request, held));
}

/** Fences, priorities, closed pools, reservations and sharing rules, as far as people draw them. */
const fences = fc.record({
  namespaces: fc.uniqueArray(fc.constantFrom("p", "q"), { maxLength: 1 }),
  namespaceSelectors: fc.uniqueArray(fc.constantFrom(labeled("tier", "free"), labeled("tier", "paid")), { maxLength: 1 }),
  serviceSelectors: fc.uniqueArray(fc.constantFrom(labeled("exposure", "public")), { maxLength: 1 }),
});
const holders: Reservation["holder"][] = [
  { type: "nobody" },
  { type: "service", service: "p/1" },
  { type: "service", service: "q/2" },
  { type: "namespace", namespace: "p" },
  { type: "namespace", namespace: "r" },
];
const rules = fc.record({
  fence: often<Pool["fence"]>({ namespaces: [], namespaceSelectors: [], serviceSelectors: [] }, fences),
  priority: often<number | undefined>(undefined, fc.constantFrom(1, 2, 3)),
  closed: often(false, fc.constant(true)),
  sharing: fc.constantFrom("cluster", "namespace", "none"),
  reserved: fc.array(fc.tuple(fc.nat(7), fc.constantFrom(...holders)), { maxLength: 3 }),
});
type Rules = typeof rules extends fc.Arbitrary<infer R> ? R : never;

/** With addresses of its own in place of the numbers of those that are to be reserved. */
function ruled(pool: Pool, { reserved, ...rest }: Rules): Pool {
  const own = universe.filter((address) => pool.ranges.some((range) => range.contains(address)));
  const chosen = new Map(
    reserved.flatMap(([index, holder]) => (own[index] === undefined ? [] : [[own[index], holder] as const])),
  );
  const reservations = [...chosen].map(([address, holder]) => ({ ranges: [new AddressRange(address, address)], holder }));
  return { ...pool, ...rest, reservations };
}
const ruledPools = fc
  .tuple(fc.constantFrom(...configurations), fc.array(rules, { minLength: 3, maxLength: 3 }))
  .map(([pools, given]) => pools.map((pool, index) => ruled(pool, given[index] as Rules)));
const limit = fc.option(fc.nat(2), { nil: undefined });
const quota: fc.Arbitrary<Quota> = fc.record({
  namespaces: fc.uniqueArray(fc.constantFrom("p", "q"), { maxLength: 1 }),
  namespaceSelectors: fc.uniqueArray(fc.constantFrom(labeled("tier", "free")), { maxLength: 1 }),
  pools: fc.uniqueArray(fc.constantFrom("a", "b", "x", "z"), { maxLength: 2 }),
  together: fc.boolean(),
  ipv4: limit,
  ipv6: limit,
  services: limit,
});

const tenants = ["p/1", "p/2", "p/3", "q/1", "q/2", "q/3", "r/1", "r/2"];
const tenantRequests = fc
  .tuple(requests, fc.constantFrom(...tenants), fc.constantFrom({}, { exposure: "public" }, undefined))
  .map(([request, service, labels]) => ({ ...request, service, labels }));
const tenantSteps = fc.array(
  fc.oneof(
    { weight: 12, arbitrary: fc.record({ type: fc.constant("settle" as const), request: tenantRequests }) },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant("restore" as const), request: tenantRequests, recorded: someAddresses }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ type: fc.constant("adopt" as const), request: tenantRequests, recorded: someAddresses }),
    },
    { weight: 4, arbitrary: fc.record({ type: fc.constant("release" as const), service: fc.constantFrom(...tenants) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        type: fc.constant("setPools" as const),
        pools: ruledPools,
        quotas: fc.array(quota, { maxLength: 2 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant("setNamespace" as const),
        name: fc.constantFrom("p", "q", "r"),
        labels: fc.constantFrom({ tier: "free" }, { tier: "paid" }, {}, undefined),
      }),
    },
  ),
  { maxLength: 60, size: "max" },
);

/** Rules that every change of a Service's holding has to keep, whatever the plain rules say. */
function assertAllowed(
  allocator: Allocator,
  naive: Naive,
  pools: readonly Pool[],
  asked: AddressRequest,
  before: readonly string[],
) {
  const namespace = asked.service.split("/")[0] ?? "";
  const { pools: names = [], addresses = [] } = allocator.held(asked.service) ?? {};
  for (const [index, address] of addresses.entries()) {
    if (before.includes(String(address))) continue;
    const pool = pools.find((one) => one.name === names[index]);
    assert.ok(pool !== undefined && !pool.closed && naive.isInside(pool.fence, namespace), `${asked.service} got ${address}`);
    const holder = pool.reservations.find(({ ranges }) => ranges.some((range) => range.contains(address)))?.holder;
    const isFor =
      holder?.type === "service"
        ? holder.service === asked.service
        : holder?.type === "namespace" && holder.namespace === namespace;
    assert.ok(holder === undefined || isFor, `${asked.service} got ${address}, which is reserved`);
  }
}

/** Services with the chances of a refused one are refused for the same reason. @returns how many such Services exist */
function assertSameChances(allocator: Allocator, refused: AddressRequest, unmet: Refusal | undefined): number {
  if (unmet === undefined || allocator.held(refused.service) !== undefined) return 0;
  const chances = allocator.chancesOf(refused);
  const others = tenants
    .flatMap((service) => [{}, { exposure: "public" }, undefined].map((labels) => ({ ...refused, service, labels })))
    .filter((other) => allocator.held(other.service) === undefined && allocator.chancesOf(other) === chances);
  for (const other of others) assert.deepEqual(awaited(allocator.settle(other).unmet), awaited(unmet), other.service);
  return others.length;
}

/** Obstacles that a change of others' holdings may remove. */
function awaited(refusal: Refusal | undefined): string[] {
  if (refusal === undefined) return ["nothing"];
  if (refusal.reason === "noPoolFits") return refusal.pools.flatMap(awaited);
  const isForGood = /^(notFor|poolClosed|autoAssignOff|poolLacksFamily)/.test(refusal.reason);
  return isForGood ? [] : [`${refusal.reason} ${"pool" in refusal ? refusal.pool : ""}`];
}

test("under any fences, reservations, sharing rules and quotas everything ends as the plainly written rules say", () => {
  let alike = 0;
  fc.assert(
    fc.property(tenantSteps, (steps) => {
      const allocator = new Allocator();
      const naive = new Naive();
      let pools = configurations[0] ?? [];
      let quotas: readonly Quota[] = [];
      allocator.setPools(pools);
      naive.setPools(pools);
      for (const step of steps) {
        const before = new Map(tenants.map((service) => [service, (allocator.held(service)?.addresses ?? []).map(String)]));
        switch (step.type) {
          case "settle": {
            keep(allocator, naive, step.request);
            const used = quotas.map((one) => naive.used(one, step.request.service.split("/")[0] ?? ""));
            const settlement = allocator.settle(step.request);
            assertSameOutcome(settlement, naive.settle(step.request), step.request);
            assert.equal(settlement.notAllowed?.reason, naive.notAllowed(step.request));
            assertAllowed(allocator, naive, pools, step.request, before.get(step.request.service) ?? []);
            assertWithin(naive, quotas, used, step.request.service);
            alike += assertSameChances(allocator, step.request, settlement.unmet);
            break;
          }
          case "adopt": {
            const used = quotas.map((one) => naive.used(one, step.request.service.split("/")[0] ?? ""));
            const { unmet } = allocator.adopt(step.request, step.recorded);
            assert.equal(reasonText(unmet), naive.adopt(step.request, step.recorded));
            assertAllowed(allocator, naive, pools, step.request, before.get(step.request.service) ?? []);
            assertWithin(naive, quotas, used, step.request.service);
            break;
          }
          case "restore":
            assert.equal(
              reasonText(allocator.restore(step.request, step.recorded).unmet),
              naive.restore(step.request, step.recorded),
            );
            break;
          case "release":
            allocator.release(step.service);
            naive.release(step.service);
            break;
          case "setNamespace":
            allocator.setNamespace(step.name, step.labels);
            naive.setNamespace(step.name, step.labels);
            break;
          case "setPools": {
            const isRefused = allocator.setPools(step.pools, step.quotas).length > 0;
            assert.equal(isRefused, naive.setPools(step.pools, step.quotas).length > 0);
            if (!isRefused) [pools, quotas] = [step.pools, step.quotas];
            // New rules move nobody.
            for (const service of tenants)
              assert.deepEqual((allocator.held(service)?.addresses ?? []).map(String), before.get(service));
            break;
          }
          default:
            step satisfies never;
        }
        for (const service of tenants) {
          assert.deepEqual(allocator.held(service)?.addresses.map(String) ?? [], naive.addresses(service).map(String), service);
          assert.deepEqual(allocator.held(service)?.pools ?? [], naive.pools(service));
        }
        assertConsistent(allocator, naive, pools);
        for (const { quota, namespace, resource, used } of allocator.quotaUsage()) {
          const one = quotas[Number(/\d+/.exec(quota)?.[0])];
          const member = namespace ?? ["p", "q", "r"].find((name) => one && naive.isUnder(one, name)) ?? "";
          assert.equal(used, one && naive.used(one, member)[resource], `${quota} of ${member}: ${resource}`);
        }
      }
    }),
    { numRuns: 500 },
  );
  assert.ok(alike > 100, `${alike} of the same chances`);
});

/** The new addresses have left no quota exceeded that was not exceeded before. */
function assertWithin(
  naive: Naive,
  quotas: readonly Quota[],
  before: readonly ReturnType<Naive["used"]>[],
  service: string,
): void {
  const namespace = service.split("/")[0] ?? "";
  for (const [index, quota] of quotas.entries()) {
    if (!naive.isUnder(quota, namespace)) continue;
    const used = naive.used(quota, namespace);
    for (const resource of ["ipv4", "ipv6", "services"] as const) {
      const most = Math.max(quota[resource] ?? Infinity, before[index]?.[resource] ?? 0);
      assert.ok(used[resource] <= most, `${service}: ${used[resource]} ${resource} of ${quota[resource]}`);
    }
  }
}

test("any requests, records, releases and changes of pools end as the plainly written rules say", () => {
  fc.assert(
    fc.property(steps, (steps) => {
      const allocator = new Allocator();
      const naive = new Naive();
      let pools = configurations[0] ?? [];
      allocator.setPools(pools);
      naive.setPools(pools);
      for (const step of steps) {
        switch (step.type) {
          case "settle":
            keep(allocator, naive, step.request);
            assertSameOutcome(allocator.settle(step.request), naive.settle(step.request), step.request);
            break;
          case "adopt":
            assert.equal(
              reasonText(allocator.adopt(step.request, step.recorded).unmet),
              naive.adopt(step.request, step.recorded),
            );
            break;
          case "release":
            allocator.release(step.service);
            naive.release(step.service);
            break;
          case "setPools": {
            const stranded = allocator.setPools(step.pools);
            assert.deepEqual(
              stranded.map(({ service, address, refusal }) => `${service} ${address} ${refusal.reason}`),
              naive.setPools(step.pools),
            );
            if (stranded.length === 0) pools = step.pools;
            break;
          }
          default:
            step satisfies never;
        }
        for (const service of ["s/1", "s/2", "s/3", "s/4", "s/5", "s/6", "s/7", "s/8"]) {
          assert.deepEqual(allocator.held(service)?.addresses.map(String) ?? [], naive.addresses(service).map(String), service);
          assert.deepEqual(allocator.held(service)?.pools ?? [], naive.pools(service));
        }
        assertConsistent(allocator, naive, pools);
      }
    }),
    { numRuns: 500 },
  );
});
