/**
 * Measures the cost of giving and freeing an address with 900,000 of a /12 in use, in microseconds and in bytes, each as a
 * ratio to a plain `Map` that sets and deletes the same keys in the same run. Run it with `node
 * e2e/bench/allocator.bench.ts`.
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Allocator } from "#pkg/allocator";
import { port, request } from "#pkg/allocator/testing";
import { seededRandom } from "#pkg/clock/testing";
import type { Pool, Quota } from "#pkg/config";
import { pool } from "#pkg/config/testing";
import type { AddressRequest } from "#pkg/service";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const held = 900_000;
const churned = 100_000;

function cidrPool(cidr: string): Pool {
  return pool(cidr, [cidr]);
}

function sharing(service: string, number: number): AddressRequest {
  return request(service, { sharingKey: "key", ports: [port(`${number}/TCP`)] });
}

/** Milliseconds that `work` takes. */
function timed(work: () => void): number {
  const start = performance.now();
  work();
  return performance.now() - start;
}

interface Subject {
  give(request: AddressRequest): void;
  free(service: string): void;
}

interface Cost {
  readonly fill: number; // Microseconds for each, as the next two.
  readonly free: number;
  readonly give: number;
  readonly bytes: number;
}

/** Fills the subject, then frees a random part of its addresses and gives them again. */
function measure(subject: Subject, requests: readonly AddressRequest[], shuffled: readonly AddressRequest[]): Cost {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const fill = timed(() => {
    for (const request of requests) subject.give(request);
  });
  collectGarbage();
  const bytes = (process.memoryUsage().heapUsed - before) / requests.length;
  const free = timed(() => {
    for (const { service } of shuffled) subject.free(service);
  });
  const give = timed(() => {
    for (const request of shuffled) subject.give(request);
  });
  const each = (milliseconds: number, count: number) => (milliseconds * 1000) / count;
  return { fill: each(fill, requests.length), free: each(free, shuffled.length), give: each(give, shuffled.length), bytes };
}

function report(name: string, figure: number, unit: string, bound: number): void {
  console.log(
    `${name.padEnd(44)} ${figure.toFixed(2).padStart(9)} ${unit.padEnd(6)} ${(figure / bound).toFixed(1).padStart(6)} × Map`,
  );
}

const random = seededRandom(1);
const requests = Array.from({ length: held }, (_, i) => request(`namespace-${i % 1000}/service-${i}`));
const shuffled = Array.from({ length: churned }, (_, i) => requests[i + Math.floor(random() * (held - i))] as AddressRequest);
const distinct = [...new Set(shuffled)];

const map = new Map<string, AddressRequest>();
const bound = measure(
  { give: (request) => map.set(request.service, request), free: (service) => map.delete(service) },
  requests,
  distinct,
);
map.clear();

for (const avoidBuggyIPs of [false, true]) {
  const allocator = new Allocator();
  const pools = [pool("all", ["10.0.0.0/12"], { avoidBuggyIPs })];
  allocator.setPools(pools);
  const subject = {
    give: (request: AddressRequest) => allocator.settle(request),
    free: (service: string) => allocator.release(service),
  };
  const cost = measure(subject, requests, distinct);
  assert.equal([...allocator.usage()][0]?.inUse, held);
  console.log(`${held} of 10.0.0.0/12 in use${avoidBuggyIPs ? ", avoid-buggy-ips" : ""}`);
  report("  give, lowest first", cost.fill, "µs", bound.fill);
  report("  free, at random", cost.free, "µs", bound.free);
  report("  give, into the holes", cost.give, "µs", bound.give);
  report("  memory of one allocation", cost.bytes, "bytes", bound.bytes);
  const same = timed(() => assert.deepEqual(allocator.setPools(pools), []));
  report("  new pools, for each allocation", (same * 1000) / held, "µs", bound.fill);
}

// The same addresses in many pools, without the rules on who may have them and with them.
const namespaceCount = 1_000;
const open = { namespaces: [], namespaceSelectors: [], serviceSelectors: [] };
const fenced = (index: number) => ({ fence: { ...open, namespaces: [`namespace-${index}`] } });
const thousand = Array.from({ length: namespaceCount }, (_, i) => cidrPool(`10.${i >> 6}.${(i & 63) << 2}.0/22`));
const fences = thousand.map((each, i) => (i % 2 === 0 ? { ...each, ...fenced(i / 2) } : each));
const perNamespace = { ...open, pools: [], together: false, ipv4: held / namespaceCount, ipv6: undefined, services: undefined };
const rows: { name: string; pools: Pool[]; quotas: Quota[] }[] = [
  { name: "1,000 pools", pools: thousand, quotas: [] },
  { name: "1,000 pools, half of them fenced, 1,000 namespaces", pools: fences, quotas: [] },
  { name: "the same with a quota for each namespace", pools: fences, quotas: [perNamespace] },
];
let plain: Cost | undefined;
for (const { name, pools, quotas } of rows) {
  const allocator = new Allocator();
  allocator.setPools(pools, quotas);
  const subject = {
    give: (request: AddressRequest) => allocator.settle(request),
    free: (service: string) => allocator.release(service),
  };
  const cost = measure(subject, requests, distinct);
  plain ??= cost;
  assert.equal(
    [...allocator.usage()].reduce((sum, { inUse }) => sum + inUse, 0),
    held,
  );
  console.log(`${held} addresses in use of ${name}`);
  const figures = [
    ["  give, lowest first", "fill", "µs"],
    ["  free, at random", "free", "µs"],
    ["  give, into the holes", "give", "µs"],
    ["  memory of one allocation", "bytes", "bytes"],
  ] as const;
  for (const [what, figure, unit] of figures)
    console.log(
      `${what.padEnd(44)} ${cost[figure].toFixed(2).padStart(9)} ${unit.padEnd(6)} ${(cost[figure] / plain[figure]).toFixed(2).padStart(6)} × 1,000 pools`,
    );
}

const few = 10_000;
const manyPools = new Allocator();
manyPools.setPools(Array.from({ length: few }, (_, i) => cidrPool(`10.${i >> 8}.${i & 255}.0/32`)));
const poolByPool = timed(() => {
  for (const request of requests.slice(0, few)) manyPools.settle(request);
});
console.log(`${few} pools of one address`);
report("  give the only free one", (poolByPool * 1000) / few, "µs", bound.fill);

const sharings = [
  { name: "one sharing key and one port", portOf: () => 80 },
  { name: "one sharing key and ports of their own", portOf: (i: number) => i + 1 },
];
for (const { name, portOf } of sharings) {
  const allocator = new Allocator();
  allocator.setPools([pool("all", ["10.0.0.0/12"])]);
  const time = timed(() => {
    for (let i = 0; i < few; i++) allocator.settle(sharing(`s/${i}`, portOf(i)));
  });
  console.log(`${few} Services with ${name}: ${[...allocator.usage()][0]?.inUse} addresses`);
  report("  give", (time * 1000) / few, "µs", bound.fill);
}
