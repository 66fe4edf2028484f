import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clash, Naive, pool, port, request } from "#pkg/allocator/testing";
import type { Pool } from "#pkg/config";
import type { Address } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { AddressRequest } from "#pkg/service";
import { Allocator, type Refusal } from "./index.ts";

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
    sharingKey: fc.constantFrom("", "k", "k", "k", "l"),
    backendKey: often("", fc.constant("app=web")),
    requestedAddresses: often<Address[]>([], requestable),
    requestedPool: often<string | undefined>(undefined, fc.constantFrom("a", "b", "c", "m", "x", "y", "z", "nope")),
  })
  .map(({ service, ports, ...rest }) => request(service, { ...rest, ports: ports.map(port) }));

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
  return `noPoolFits: ${refusal.pools.map(({ reason }) => reason).join(" ")}`;
}

/** Books and gauges agree with what the plain rules say, and nobody is on an address with someone they may not share with. */
function assertConsistent(allocator: Allocator, naive: Naive, pools: readonly Pool[]): void {
  const inUse = new Map(pools.map(({ name }) => [name, new Set<string>()]));
  for (const address of universe) {
    const requests = naive.requests(address);
    assert.deepEqual([...allocator.holders(address)].sort(), requests.map(({ service }) => service).sort());
    for (const a of requests) {
      inUse.get(allocator.held(a.service)?.pool ?? "")?.add(String(address));
      for (const b of requests) assert.equal(clash(a, b), undefined, `${a.service} and ${b.service} on ${address}`);
    }
  }
  const counted = [...allocator.usage()].map((usage) => [usage.pool, usage.inUse]);
  assert.deepEqual(
    counted,
    [...inUse].map(([name, addresses]) => [name, addresses.size]),
  );
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
            assert.equal(reasonText(allocator.settle(step.request).unmet), naive.settle(step.request));
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
          assert.equal(allocator.held(service)?.pool, naive.pool(service));
        }
        assertConsistent(allocator, naive, pools);
      }
    }),
    { numRuns: 500 },
  );
});
