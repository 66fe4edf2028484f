import assert from "node:assert/strict";
import { test } from "node:test";
import { endpointSlice, service } from "#pkg/k8s/testing";
import type { Address } from "#pkg/net";
import { address } from "#pkg/net/testing";
import type { AddressPlacement, Holder, Verdict } from "#pkg/placement";
import { setService, setSlice } from "./core/services.ts";
import { createState, type SpeakerState } from "./core/state.ts";
import { announcedByLayer2, servedElsewhere } from "./node-facts.ts";

const x = address("192.0.2.1");
const announced: Verdict = { announced: true };

function placement(of: Address, verdict: Verdict = announced): AddressPlacement {
  const election = { electionAddress: of, candidates: ["node1"], owner: "node1" };
  return { ...election, address: of, pool: "lan", protocol: "layer2", verdicts: new Map([["default/web", verdict]]) };
}

function holder(more: Partial<Holder> = {}): Holder {
  const endpoints = [{ nodeName: "node2", ready: true }];
  return { service: "default/web", addresses: [x], isAllowed: true, externalTrafficPolicy: "Cluster", endpoints, ...more };
}

/** Node1, which has placed these addresses. */
function speaker(owned: readonly AddressPlacement[], holders: readonly Holder[]): SpeakerState {
  const state = createState({ node: "node1", ignoreExcludeLabel: false, hasRing: false });
  for (const each of owned) state.placements.set(each.address.toString(), each);
  for (const { service: key, externalTrafficPolicy, endpoints } of holders) {
    const ingress = owned.map(({ address }) => address.toString());
    setService(state.services, key, service(key, { ingress, externalTrafficPolicy }));
    const slice = endpointSlice(key, {});
    setSlice(state.services, slice.key, { ...slice, endpoints }, undefined);
  }
  return state;
}

const endpoint = { nodeName: "node1", ready: true };
const cases = [
  { name: "a ready endpoint on another node", holder: holder(), want: "default/web" },
  { name: "endpoints on this node alone", holder: holder({ endpoints: [endpoint] }), want: undefined },
  {
    name: "an endpoint on another node that is not ready",
    holder: holder({ endpoints: [endpoint, { nodeName: "node2", ready: false }] }),
    want: undefined,
  },
  {
    name: "an endpoint on no known node, as one written by hand",
    holder: holder({ endpoints: [{ nodeName: undefined, ready: true }] }),
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
    assert.equal(servedElsewhere(speaker([placement(of, verdict)], [holder]), "IPv4"), want);
  });
}

test("announcedByLayer2: addresses of layer 2 with their pools", () => {
  const routed: AddressPlacement = { ...placement(address("192.0.2.2")), protocol: "bgp" };
  assert.deepEqual([...announcedByLayer2(speaker([placement(x), routed], []))], [{ address: x, pool: "lan" }]);
});
