import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Config, parseConfig } from "#pkg/config";
import { type Address, parseAddress } from "#pkg/net";
import {
  type AddressPlacement,
  type Holder,
  heeded,
  nodePeers,
  place,
  placeBgp,
  poolAdvertisements,
  poolNodes,
} from "#pkg/placement";
import { placeOnInterface } from "./interface.ts";

// A Service that comes to an address of another namespace's Service may not change anything for that one.
const nodes = ["node1", "node2", "node3"];
const ip = (text: string) => parseAddress(text) ?? assert.fail(text);
const addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(ip);
const [address] = addresses as [Address];
const { pools, peers } = parseConfig(`{peers: [{my-asn: 1, peer-asn: 2, peer-address: 192.0.2.99}], address-pools: [
  {name: a, protocol: [layer2, bgp], addresses: [192.0.2.0/24, 2001:db8::/64]},
  {name: b, protocol: interface, addresses: [198.51.100.0/24], aggregation-length: 24}]}`).config as Config;

const endpoints = fc.subarray(nodes).map((names) => names.map((nodeName) => ({ nodeName, ready: 1, draining: 0 })));
const holder = (service: string, created: number) =>
  fc
    .record({
      goesWith: fc.constantFrom(...addresses),
      isAllowed: fc.constantFrom(true, true, true, false),
      selector: fc.constantFrom("app=web", "app=api", ""),
      externalTrafficPolicy: fc.constantFrom("Cluster" as const, "Local" as const),
      endpoints,
    })
    .map(({ selector, ...rest }): Holder => {
      const backendKey = rest.externalTrafficPolicy === "Local" ? `${service.split("/")[0]}/${selector}` : "";
      return { service, created, backendKey, ...rest };
    });

/** The address by each protocol: on layer 2, then by BGP and in the kernel of each node. */
function placements(all: readonly Holder[]): readonly AddressPlacement[] {
  const [main, kernel] = pools;
  assert.ok(main && kernel);
  const holders = heeded(all);
  const among = poolNodes(
    main,
    nodes,
    () => "eligible",
    () => "notReported",
    () => "current",
    () => [],
    () => 0,
    () => false,
  );
  const ofNodes = nodes.flatMap((node) => {
    const advertisements = poolAdvertisements({
      pool: main,
      order: 0,
      node,
      labels: {},
      eligibility: "eligible",
      peers: nodePeers(peers, {}),
    });
    return [
      placeBgp(address, holders, advertisements),
      placeOnInterface(address, holders, { pool: kernel, node, eligibility: "eligible" }),
    ];
  });
  return [place(address, holders, among), ...ofNodes];
}

const there = fc
  .array(fc.constant(0), { minLength: 1, maxLength: 3 })
  .chain((some) => fc.tuple(...some.map((_, i) => holder(`shop/s${i}`, 100 + i))));

test("property: a Service of another namespace that comes to an address later changes nothing for those that were there", () => {
  fc.assert(
    fc.property(
      there,
      fc.constantFrom("evil/a", "zoo/z"),
      fc.integer({ min: 200, max: 210 }),
      fc.gen(),
      (before, name, created, draw) => {
        fc.pre(before.some(({ isAllowed }) => isAllowed));
        const newcomer = draw(holder, name, created);
        const now = placements([...before, newcomer]);
        for (const [index, was] of placements(before).entries()) {
          const is = now[index];
          assert.ok(is);
          for (const [service, verdict] of was.verdicts) assert.deepEqual(is.verdicts.get(service), verdict);
          if (was.owner !== undefined) assert.deepEqual([is.owner, is.electionAddress], [was.owner, was.electionAddress]);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test("where Services on an address disagree, the oldest that may hold it decides, in whatever order they come", () => {
  const [a, b, c] =
    fc.sample(fc.tuple(holder("shop/a", 7), holder("evil/b", 9), holder("old/c", 3)), { numRuns: 1, seed: 1 })[0] ??
    assert.fail();
  const all = [
    { ...a, backendKey: "shop/app=web", isAllowed: true },
    { ...b, backendKey: "evil/app=web", isAllowed: true },
    { ...c, backendKey: "old/app=web", isAllowed: false },
  ];
  for (const order of [all, all.toReversed()])
    assert.deepEqual(
      heeded(order)
        .filter(({ isAllowed }) => isAllowed)
        .map(({ service }) => service),
      ["shop/a"],
    );
});
