import assert from "node:assert/strict";
import { test } from "node:test";
import { type Prefix, parsePrefix } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { compareRank } from "#pkg/placement";
import { amongOthers, Bench, eth0, owner, pools, x } from "../../testing/speaker-bench.ts";
import { poolAt } from "../state.ts";
import { slotPaths } from "./slots.ts";

const router = "{name: x, my-asn: 64512, peer-asn: 64513, peer-address: 10.0.0.254}";
const routed = "{name: routed, protocol: bgp, addresses: [192.0.2.0/28], next-hop-slots: 10.0.0.224/28}";

const prefix = (text: string): Prefix => parsePrefix(text) ?? assert.fail(text);

test("a node that is alone answers for all slots of a pool, whose routes have a path to each", () => {
  const bench = new Bench("node1");
  bench.membersChanged(["node1"]);
  bench.setConfig(pools(routed, router));
  bench.serve("default/web", ["192.0.2.1"]);
  bench.start();
  bench.settle();
  assert.equal(bench.onWire.length, 16);
  const [placement] = bench.state.placements.get("192.0.2.1") ?? [];
  const [route] = placement !== undefined && "routes" in placement ? (placement.routes as never[]) : [];
  const { via } = (route ?? assert.fail("no route")) as { via: { slots: ReadonlyMap<string, readonly { path: number }[]> } };
  assert.deepEqual(
    via.slots.get("IPv4")?.map(({ path }) => path),
    Array.from({ length: 16 }, (_, i) => i + 1),
  );
  bench.serve("default/web", ["192.0.2.1"], { externalTrafficPolicy: "Local" });
  bench.settle();
  assert.deepEqual(bench.state.placements.get("192.0.2.1")?.[0]?.verdicts.get("default/web"), {
    announced: false,
    reason: "localBySlots",
  });
  bench.setConfig(pools("{name: routed, protocol: bgp, addresses: [192.0.2.0/28]}", router));
  bench.settle();
  assert.deepEqual(bench.onWire, []);
});

test("a node that others took for dead leaves it to the keeper of each slot to announce it again, as that of a sticky address", () => {
  const kept = routed.replace("bgp", "[layer2, bgp], keep-connections: true");
  const { bench } = amongOthers(owner, kept, router);
  bench.setInterfaces({ ...eth0, addresses: ["10.0.0.101/24"] });
  bench.settle();
  const slots = bench.onWire.filter((ip) => ip.startsWith("10."));
  assert.equal(slots.length, 16);
  bench.take();
  bench.runner.dispatch({ type: "member", change: "refuted", node: owner, incarnation: 1, life: 1, macs: undefined });
  bench.clock.advanceBy(1);
  assert.deepEqual(
    bench.take().filter((line) => line.startsWith("reannounce")),
    ["reannounce 192.0.2.1"],
  );
  bench.setInterfaces({ ...eth0, addresses: [] });
  bench.settle();
  assert.deepEqual([bench.onWire.length, [...bench.counted]], [1, []], "no client has a connection to a slot");
});

test("a node that loses sight of the API keeps its slots, and one that sees it leaves those of another to that", () => {
  const inSubnet = { answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", [prefix("10.0.0.0/24")]]]) };
  const { bench, others, hear } = amongOthers(owner, routed, router);
  const [{ name, state } = assert.fail()] = others;
  for (const other of others) other.state.setReachability(inSubnet);
  state.own(address("10.0.0.230"));
  hear();
  bench.setInterfaces({ ...eth0, addresses: ["10.0.0.101/24"] });
  bench.clock.advanceBy(10_000);
  bench.settle();
  const slots = bench.onWire;
  assert.equal(slots.length, 5);
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  bench.clock.advanceBy(70_000);
  bench.settle();
  assert.deepEqual(bench.onWire, slots);
  bench.runner.dispatch({ type: "apiLost", since: Infinity });
  state.setView("behind");
  state.setAnnounced(address("10.0.0.230"), true);
  hear();
  bench.settle();
  assert.equal(bench.state.placements.get("10.0.0.230")?.[0]?.owner, name);
});

test("where no other node sees the API, one that does not is the second with the path to a slot", () => {
  const inSubnet = { answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", [prefix("10.0.0.0/24")]]]) };
  const { bench, others, hear } = amongOthers(owner, routed, router);
  const [seeing = assert.fail(), blind = assert.fail()] = others;
  for (const other of others) other.state.setReachability(inSubnet);
  const slots = Array.from({ length: 16 }, (_, index) => `10.0.0.${224 + index}`);
  for (const slot of slots) {
    seeing.state.own(address(slot));
    seeing.state.setAnnounced(address(slot), true);
  }
  blind.state.setView("behind");
  hear();
  bench.setInterfaces({ ...eth0, addresses: ["10.0.0.101/24"] });
  bench.runner.dispatch({ type: "apiLost", since: bench.clock.now() });
  bench.clock.advanceBy(70_000);
  bench.settle();
  const pool = poolAt(bench.state, address(x)) ?? assert.fail();
  const paths = slotPaths(bench.state, pool).get("IPv4") ?? [];
  assert.deepEqual(
    paths.map(({ nextHop, isOwn }) => `${nextHop} ${isOwn}`),
    slots.filter((slot) => compareRank(slot, bench.state.node, blind.name) < 0).map((slot) => `${slot} false`),
  );
});
