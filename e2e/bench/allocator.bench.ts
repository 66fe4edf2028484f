/**
 * What giving and freeing an address costs with 900,000 of a /12 in use, in microseconds and in bytes, each as a ratio to a
 * plain `Map` that sets and deletes the same keys in the same run. Run it with `node e2e/bench/allocator.bench.ts`.
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Allocator } from "#pkg/allocator";
import { seededRandom } from "#pkg/clock";
import type { Pool } from "#pkg/config";
import { AddressRange, parsePrefix } from "#pkg/net";
import type { AddressRequest } from "#pkg/service";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const held = 900_000;
const churned = 100_000;

function request(service: string, sharingKey = "", port = 80): AddressRequest {
  const ports = [{ protocol: "TCP", port }];
  return { service, families: ["IPv4"], ports, sharingKey, backendKey: "", requestedAddresses: [], requestedPool: undefined };
}

function pool(cidr: string, avoidBuggyIPs: boolean): Pool {
  const prefix = parsePrefix(cidr);
  if (prefix === undefined) throw new Error(`Cannot read prefix: ${cidr}`);
  const ranges = [AddressRange.ofPrefix(prefix)];
  const layer2 = {
    nodeSelectors: [],
    interfaces: [],
    l2Placement: { subnet: false, sticky: false },
    conflictProbe: "report" as const,
  };
  const plain = { autoAssign: true, advertisements: [], ...layer2 };
  return { name: cidr, protocol: "layer2", ranges, cidrs: [prefix], avoidBuggyIPs, ...plain };
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

/** Fills the subject, then frees a random part of what it holds and gives it again. */
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
  const pools = [pool("10.0.0.0/12", avoidBuggyIPs)];
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

const few = 10_000;
const manyPools = new Allocator();
manyPools.setPools(Array.from({ length: few }, (_, i) => pool(`10.${i >> 8}.${i & 255}.0/32`, false)));
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
  allocator.setPools([pool("10.0.0.0/12", false)]);
  const time = timed(() => {
    for (let i = 0; i < few; i++) allocator.settle(request(`s/${i}`, "key", portOf(i)));
  });
  console.log(`${few} Services with ${name}: ${[...allocator.usage()][0]?.inUse} addresses`);
  report("  give", (time * 1000) / few, "µs", bound.fill);
}
