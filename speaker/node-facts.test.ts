import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { PoolIndex, parseConfig } from "#pkg/config";
import { endpointSlice, service } from "#pkg/k8s/testing";
import type { Item } from "#pkg/kernel";
import { silentLog } from "#pkg/log/testing";
import type { Address } from "#pkg/net";
import { address, prefix } from "#pkg/net/testing";
import type { AddressPlacement, Holder, PlacementResult } from "#pkg/placement";
import { setService, setSlice } from "./core/services/services.ts";
import { createState } from "./core/state.ts";
import { SpeakerView } from "./core/view.ts";
import { createChecks, keptBy } from "./node-facts.ts";

const x = address("192.0.2.1");
const announced: PlacementResult = { announced: true };

function placement(of: Address, verdict: PlacementResult = announced): AddressPlacement {
  const election = { electionAddress: of, contenders: ["node1"], candidates: ["node1"], owner: "node1" };
  return {
    ...election,
    isOwned: true,
    address: of,
    pool: "lan",
    protocol: "layer2",
    verdicts: new Map([["default/web", verdict]]),
  };
}

function holder(more: Partial<Holder> = {}): Holder {
  const endpoints = [{ nodeName: "node2", ready: 1, draining: 0 }];
  const fixed = { created: 0, backendKey: "", externalTrafficPolicy: "Cluster" } as const;
  return { service: "default/web", goesWith: x, isAllowed: true, ...fixed, endpoints, ...more };
}

/** Node1, which has placed these addresses. */
function speaker(owned: readonly AddressPlacement[], holders: readonly Holder[]): SpeakerView {
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false });
  for (const each of owned) state.placements.set(each.address.toString(), [each]);
  for (const { service: key, externalTrafficPolicy, endpoints } of holders) {
    const ingress = owned.map(({ address }) => address.toString());
    setService(state.services, key, service(key, { ingress, externalTrafficPolicy }));
    const slice = endpointSlice(key, {});
    setSlice(state.services, slice.key, { ...slice, endpoints }, undefined);
  }
  return new SpeakerView(state);
}

const endpoint = { nodeName: "node1", ready: 1, draining: 0 };
const cases = [
  { name: "a ready endpoint on another node", holder: holder(), want: "default/web" },
  { name: "endpoints on this node alone", holder: holder({ endpoints: [endpoint] }), want: undefined },
  {
    name: "an endpoint on another node that is not ready",
    holder: holder({ endpoints: [endpoint, { nodeName: "node2", ready: 0, draining: 1 }] }),
    want: undefined,
  },
  {
    name: "an endpoint on no known node, as one written by hand",
    holder: holder({ endpoints: [{ nodeName: undefined, ready: 1, draining: 0 }] }),
    want: "default/web",
  },
  { name: "policy Local", holder: holder({ externalTrafficPolicy: "Local" }), want: undefined },
  { name: "an address of the other family", holder: holder(), address: address("2001:db8::1"), want: undefined },
  {
    name: "a Service that is not announced under its address",
    holder: holder(),
    verdict: { announced: false, reason: "noReadyEndpointOnOwner" } as const,
    want: undefined,
  },
];
for (const { name, holder, address: of = x, verdict, want } of cases) {
  test(`servedElsewhere: ${name}`, () => {
    const search = speaker([placement(of, verdict)], [holder]).servedElsewhere("IPv4");
    assert.deepEqual(search.next(), { value: undefined, done: false }, "so that whoever asks can pause");
    assert.deepEqual(search.next(), { value: want, done: true });
  });
}

test("announcedAsOwner: addresses that this node owns, with their pools", () => {
  const routed: AddressPlacement = { ...placement(address("192.0.2.2")), isOwned: false, protocol: "bgp" };
  assert.deepEqual([...speaker([placement(x), routed], []).announcedAsOwner()], [{ address: x, pool: "lan" }, undefined]);
});

test("of interfaces on which something is kept: whether they are made for it, have subnets, and how often something was put back there; what somebody else has put there is not ours", () => {
  const status = (item: Item, restored: number, place: "placed" | "held" = "placed") =>
    ({ item, restored, place, by: undefined, since: 0, error: undefined }) as const;
  const on = (name: string, prefixLength: number): Item => {
    const traits = { protocol: 248, lifetimeSeconds: Infinity, isOnLan: name === "eth0" } as const;
    return { type: "address", interface: name, address: x, prefixLength, ...traits };
  };
  const route: Item = { type: "route", interface: "lb1", prefix: prefix("192.0.2.0/24"), table: 198, protocol: 248 };
  const dummies = ["kube-lb0", "lb1"].map((name) => ({ name, kind: "dummy", error: undefined }));
  const kernel = {
    interfaces: () => dummies,
    status: () => [
      ...[status(on("kube-lb0", 32), 2), status(on("kube-lb0", 24), 3), status(on("eth0", 32), 1), status(route, 0)],
      ...[status(on("eth0", 24), 0, "held"), status(on("eth1", 24), 0, "held")],
    ],
  };
  assert.deepEqual(keptBy(kernel), [
    { name: "kube-lb0", isDummy: true, hasSubnets: true, restored: 5 },
    { name: "eth0", isDummy: false, hasSubnets: false, restored: 1 },
    { name: "lb1", isDummy: true, hasSubnets: false, restored: 0 },
  ]);
});

test("an interface that a pool names by what it leads to is the one that this node knows, and is missed where it knows none", () => {
  const { config } = parseConfig(
    `address-pools: [{name: lan, protocol: layer2, interfaces: ["can_reach:203.0.113.9"], addresses: [192.0.2.0/24]}]`,
  );
  assert.ok(config);
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false });
  state.config = { config, pools: new PoolIndex(config.pools) };
  state.placements.set(x.toString(), [placement(x)]);
  const eth0 = { index: 2, name: "eth0", mac: "02:00:00:00:00:01", status: "answering", running: true } as const;
  const missed = (routes: readonly [string, string][]) => {
    state.carriers.routes = new Map(routes);
    const clock = new SimulatedClock();
    using checks = createChecks({
      view: new SpeakerView(state),
      layer2: { interfaces: () => [{ ...eth0, addresses: ["192.0.2.100/24"] }] },
      kernel: { interfaces: () => [], status: () => [] },
      clock,
      log: silentLog,
    });
    checks.start();
    clock.advanceBy(1_000);
    return checks.findings.flatMap((one) => (one.check === "noInterface" ? one.wanted : []));
  };
  assert.deepEqual(missed([["203.0.113.9", "eth0"]]), []);
  assert.deepEqual(missed([["203.0.113.9", "eth1"]]), ["eth1"]);
  assert.deepEqual(missed([]), ["can_reach:203.0.113.9"]);
});
