import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseBirdProtocols, parseBirdRoutes } from "./bird-dialect.ts";
import { parseFrrNeighbors, parseFrrRoutes } from "./frr-dialect.ts";
import { parseGobgpNeighbors, parseGobgpRoutes } from "./gobgp-dialect.ts";
import { parseKernelRoutes } from "./kernel-routes.ts";
import { parseOpenbgpdNeighbors, parseOpenbgpdRoutes } from "./openbgpd-dialect.ts";
import type { Route } from "./router.ts";

const read = (name: string): string => readFileSync(new URL(`testdata/${name}`, import.meta.url), "utf8");

/** BIRD names the protocol instead of the neighbor, and marks no route as stale. */
const birdRoutes = (text: string): Route[] =>
  parseBirdRoutes(text).map(({ protocol, ...route }) => ({ ...route, from: protocol, stale: false }));

const ibgp: Route = {
  prefix: "192.0.2.1/32",
  from: "10.0.0.9",
  nextHops: ["10.0.0.9"],
  asPath: [65010],
  origin: "igp",
  med: 0,
  localPref: 200,
  communities: ["65009:1", "65535:0"],
  largeCommunities: ["65009:2:3"],
  linkBandwidth: 125e6,
  best: true,
  stale: false,
};
const tables = [
  { name: "FRR", routes: parseFrrRoutes(read("frr-ibgp.json")), want: ibgp },
  { name: "BIRD", routes: birdRoutes(read("bird-ibgp.txt")).slice(0, 1), want: { ...ibgp, from: "neighbour1" } },
  { name: "GoBGP", routes: parseGobgpRoutes(read("gobgp-ibgp.json")), want: ibgp },
  {
    name: "OpenBGPD, which reports neither MED 0 from none nor link bandwidths,",
    routes: parseOpenbgpdRoutes(read("openbgpd-ibgp.json")).slice(0, 1),
    want: { ...ibgp, med: undefined, linkBandwidth: undefined },
  },
];
for (const { name, routes, want } of tables)
  test(`${name} reports all attributes of a route, and nothing of its own network`, () => assert.deepEqual(routes, [want]));

const stale = [
  { name: "FRR", routes: parseFrrRoutes(read("frr-stale.json")) },
  { name: "GoBGP", routes: parseGobgpRoutes(read("gobgp-stale.json")) },
  {
    name: "OpenBGPD",
    routes: parseOpenbgpdRoutes(read("openbgpd-stale.json")).filter(({ prefix }) => prefix.startsWith("192.0.2.")),
  },
];
for (const { name, routes } of stale)
  test(`${name} reports which routes it keeps for a neighbor that is away`, () => {
    const found = routes.map((route) => `${route.prefix} ${route.from} ${route.stale}`).sort();
    assert.deepEqual(found, [
      "192.0.2.1/32 10.0.0.8 false",
      "192.0.2.1/32 10.0.0.9 true",
      "192.0.2.2/32 10.0.0.8 false",
      "192.0.2.2/32 10.0.0.9 true",
    ]);
    assert.ok(routes.every(({ med, prefix }) => med === (prefix === "192.0.2.1/32" ? 50 : undefined)));
  });

test("BIRD's further routes to a prefix, which it does not repeat, belong to it", () => {
  const routes = parseBirdRoutes(read("bird-ebgp.txt"));
  assert.deepEqual(
    routes.map(({ prefix, protocol, best, asPath, nextHops }) => ({ prefix, protocol, best, asPath, nextHops })),
    [
      { prefix: "192.0.2.2/32", protocol: "neighbour3", best: true, asPath: [65008], nextHops: ["10.0.0.8"] },
      { prefix: "192.0.2.2/32", protocol: "neighbour1", best: false, asPath: [65009], nextHops: ["10.0.0.9"] },
      { prefix: "192.0.2.1/32", protocol: "neighbour3", best: true, asPath: [65008, 65009], nextHops: ["10.0.0.8"] },
      { prefix: "192.0.2.1/32", protocol: "neighbour1", best: false, asPath: [65009, 65009], nextHops: ["10.0.0.9"] },
      {
        prefix: "2001:db8::1/128",
        protocol: "neighbour2",
        best: true,
        asPath: [65009],
        nextHops: ["fd00::9", "fe80::ff:fe00:1"],
      },
    ],
  );
});

test("IPv6 routes have their global next hop, and the link-local one where the router reports it", () => {
  const of = (routes: Route[]): readonly string[] => routes.find(({ from }) => from === "10.0.0.9")?.nextHops ?? [];
  assert.deepEqual(of(parseFrrRoutes(read("frr-ibgp6.json"))), ["fd00::9", "fe80::ff:fe00:1"]);
  assert.deepEqual(of(parseGobgpRoutes(read("gobgp-ibgp6.json"))), ["fd00::9"]);
});

test("each router reports the state of its neighbors", () => {
  const one = { address: "10.0.0.8", state: "established", prefixes: 2 };
  const away = { ...one, address: "10.0.0.9", state: "idle" };
  const never = { address: "10.0.0.77", state: "active", prefixes: 0 };
  const pick = (found: readonly { address: string; state: string; prefixes: number }[]) =>
    [one, away, never].map(({ address }) => {
      const { state, prefixes } = found.find((each) => each.address === address) ?? {};
      return { address, state, prefixes };
    });
  const frr = parseFrrNeighbors(read("frr-neighbors.json"));
  assert.deepEqual(pick(frr), [one, away, never]);
  assert.equal(frr.find(({ address }) => address === "10.0.0.9")?.lastError, "NSF peer closed the session");
  assert.deepEqual(pick(parseOpenbgpdNeighbors(read("openbgpd-neighbor.json"))), [one, { ...away, state: "active" }, never]);
  const gobgp = parseGobgpNeighbors(read("gobgp-neighbor.json"), 1795172568);
  assert.deepEqual(pick(gobgp), [one, away, never]);
  assert.equal(gobgp.find(({ address }) => address === "10.0.0.8")?.seconds, 10);
});

test("BIRD reports the state of its BGP protocols, and which neighbors are to come back", () => {
  const found = parseBirdProtocols(read("bird-protocols.txt"));
  assert.deepEqual(
    found.map(({ name, state, prefixes, restarting, lastError }) => [name, state, prefixes, restarting, lastError]),
    [
      ["neighbour1", "active", 2, true, "Socket: Connection refused"],
      ["neighbour2", "active", 1, true, "Socket: Connection closed"],
      ["neighbour3", "established", 2, false, undefined],
      ["neighbour4", "active", 0, false, undefined],
    ],
  );
});

test("the kernel's next hops are read from single, multipath and next hop group routes, in order", () => {
  const hop = (address: string) => ({ address, interfaceName: "eth0", weight: 1 });
  const both = { nextHops: [hop("10.0.0.8"), hop("10.0.0.9")] };
  assert.deepEqual(parseKernelRoutes(read("kernel-nexthop-group.json")), both);
  assert.deepEqual(parseKernelRoutes(read("kernel-multipath.json")), both);
  assert.deepEqual(parseKernelRoutes(read("kernel-one.json")), { nextHops: [hop("fe80::ff:fe00:1")] });
  assert.equal(parseKernelRoutes("[]"), undefined);
});
