import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Service } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { address } from "#pkg/net/testing";
import { elect, type Labels } from "#pkg/placement";
import { amongOthers, Bench, eth0, excluded, loser, nodes, owner, pools, ssd, x } from "./testing/speaker-bench.ts";

const router = "{name: x, my-asn: 64512, peer-asn: 64513, peer-address: 203.0.113.1}";
const rack = "node-selectors: [{match-labels: {rack: a}}]";
const routed = "{name: lan, protocol: bgp, addresses: [192.0.2.0/28]}";

test("by BGP every node announces, whoever the owner would be, and no event tells of it", () => {
  const bench = Bench.announcing(loser);
  assert.deepEqual(bench.onWire, []);
  bench.speaker.setConfig(pools(routed, router));
  bench.speaker.reconcile();
  assert.deepEqual([...bench.routes], [[x, `${x}/32 203.0.113.1:179`]]);
  assert.deepEqual(bench.told, [
    `service has IP, announcing {"event":"serviceAnnounced","service":"default/web","ips":["${x}"],"pool":"lan","protocol":"bgp"}`,
  ]);
  assert.deepEqual([...bench.speaker.announcements], [["default/web", { protocol: "bgp", pool: "lan", addresses: [x] }]]);
  const here = () => [...bench.speaker.announced()].map(({ address, protocol }) => `${protocol} ${address}`);
  assert.deepEqual(here(), [`bgp ${x}`]);
  bench.endpoints("default/web", { node1: false });
  bench.speaker.reconcile();
  assert.deepEqual([[...bench.routes], here()], [[], []]);
  assert.match(bench.told.at(-1) ?? "", /"reason":"noReadyEndpoint"/);
});

test("routers are told after each part, and that it was the last one; also where there is nothing to announce", () => {
  const bench = new Bench(owner);
  for (let i = 0; i < 150; i++) bench.serve(`default/s${i}`, [`198.51.100.${i}`]);
  bench.speaker.setConfig(pools("{name: lan, protocol: bgp, addresses: [198.51.100.0/24]}", router));
  bench.speaker.reconcile();
  assert.deepEqual(bench.flushed, [], "not before everything has been seen");
  bench.speaker.start();
  bench.speaker.reconcile();
  bench.speaker.reconcile();
  assert.deepEqual(bench.flushed, [false, true]);
  const idle = new Bench(owner);
  idle.speaker.start();
  idle.speaker.setConfig(pools());
  assert.ok(idle.wakes > 0);
  idle.speaker.reconcile();
  assert.deepEqual(idle.flushed, [true]);
});

test("a change of the members is no work for addresses of bgp pools", () => {
  const bench = Bench.announcing();
  bench.speaker.setConfig(pools(routed, router));
  bench.speaker.reconcile();
  const { wakes } = bench;
  bench.speaker.membersChanged();
  assert.equal(bench.wakes, wakes);
});

test("a pool that changes its protocol leaves the one wire for the other", () => {
  const bench = Bench.announcing();
  bench.speaker.setConfig(pools(routed, router));
  bench.speaker.reconcile();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[], [x]]);
  bench.speaker.setConfig(pools());
  bench.speaker.reconcile();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[x], []]);
});

test("labels of this node decide which of its peers hear of an address", () => {
  const bench = Bench.announcing(loser);
  bench.speaker.setConfig(pools(routed, router.replace("}", `, ${rack}}`)));
  bench.speaker.reconcile();
  assert.deepEqual([...bench.routes], []);
  bench.speaker.setNode(owner, { rack: "a" });
  bench.speaker.reconcile();
  assert.deepEqual([...bench.routes], [], "another node's labels");
  bench.speaker.setNode(loser, { rack: "a" });
  bench.speaker.reconcile();
  assert.deepEqual([...bench.routes], [[x, `${x}/32 203.0.113.1:179`]]);
  const { wakes } = bench;
  bench.speaker.setNode(loser, { rack: "a", zone: "b" });
  assert.equal(bench.wakes, wakes, "a label that nothing asks for is no work");
  bench.speaker.setNode(loser, undefined);
  bench.speaker.reconcile();
  assert.deepEqual([...bench.routes], []);
});

test("a node that is excluded from load balancers announces nothing by BGP, and raises no alarm for others", () => {
  const bench = Bench.announcing(owner);
  bench.speaker.setConfig(pools(routed, router));
  bench.speaker.setNode(owner, excluded);
  bench.speaker.reconcile();
  assert.deepEqual([...bench.routes], []);
  assert.deepEqual(
    bench.told.filter((line) => line.startsWith("nodeExcluded")),
    [],
  );
});

test("the owner announces and says so once, the others are silent", () => {
  const bench = new Bench(owner);
  bench.speaker.setConfig(pools());
  bench.serve("default/web", [x]);
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [], "nothing is announced before the state is whole");
  bench.speaker.start();
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [x]);
  assert.deepEqual(bench.told, [
    `service has IP, announcing {"event":"serviceAnnounced","service":"default/web","ips":["${x}"],"pool":"lan","protocol":"layer2"}`,
    "nodeAssigned default/web",
  ]);
  bench.serve("default/web", [x], { resourceVersion: "2" });
  bench.speaker.reconcile();
  assert.equal(bench.told.length, 2);
  assert.deepEqual(Bench.announcing(loser).onWire, []);
});

test("nothing is announced before there is a configuration", () => {
  const bench = new Bench(owner);
  bench.serve("default/web", [x]);
  bench.speaker.start();
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, []);
  bench.speaker.setConfig(pools());
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [x]);
});

test("an owner that is gone is succeeded by the next, which announces when it learns", () => {
  const rest = nodes.filter((node) => node !== owner);
  const bench = Bench.announcing(elect(rest, address(x)));
  assert.deepEqual(bench.onWire, []);
  bench.active = rest;
  bench.speaker.membersChanged();
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [x]);
});

test("an owner that is excluded is succeeded by the next, and succeeds it when it no longer is", () => {
  const successor = elect(
    nodes.filter((node) => node !== owner),
    address(x),
  );
  const [before, after] = [Bench.announcing(owner), Bench.announcing(successor)];
  const label = (labels: Labels) => {
    for (const bench of [before, after]) {
      bench.speaker.setNode(owner, labels);
      bench.speaker.reconcile();
    }
  };
  label(excluded);
  assert.deepEqual([before.onWire, after.onWire], [[], [x]]);
  assert.equal(after.told.at(-1), "nodeAssigned default/web");
  label({});
  assert.deepEqual([before.onWire, after.onWire], [[x], []]);
});

test("where the label is ignored an excluded node goes on", () => {
  const bench = Bench.announcing(owner, true);
  bench.speaker.setNode(owner, excluded);
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [x]);
});

test("labels that no pool asks for, and those of nodes without a speaker, make nothing be looked at", () => {
  const bench = Bench.announcing();
  bench.wakes = 0;
  bench.speaker.setNode(owner, { "kubernetes.io/hostname": owner });
  bench.speaker.setNode("elsewhere", excluded);
  bench.speaker.setNode("elsewhere", undefined);
  assert.equal(bench.wakes, 0);
});

test("of two pools only the addresses of the one that asks for a label are placed again when it changes", () => {
  const bench = new Bench(owner);
  bench.active = [owner];
  bench.speaker.setConfig(pools(`${ssd}, {name: other, protocol: layer2, addresses: [198.51.100.0/28]}`));
  bench.serve("default/web", [x]);
  bench.serve("default/other", ["198.51.100.1"]);
  bench.speaker.start();
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, ["198.51.100.1"]);
  bench.wire.clear();
  bench.speaker.setNode(owner, { disk: "ssd" });
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [x], "what is placed again is announced again");
  assert.ok(
    bench.told.includes(`node may announce other pools than before {"event":"nodeChanged","node":"${owner}","pools":["lan"]}`),
  );
});

test("an address that stays here is announced on other interfaces when its pool asks for them", () => {
  const bench = Bench.announcing();
  assert.deepEqual([...bench.wire], [[x, ""]]);
  bench.speaker.setConfig(pools("{name: lan, protocol: layer2, addresses: [192.0.2.0/28], interfaces: [eth1, 'bond*']}"));
  bench.speaker.reconcile();
  assert.deepEqual([...bench.wire], [[x, "eth1,bond*"]]);
});

test("a shared address stays on the wire until its last Service goes", () => {
  const bench = Bench.announcing();
  bench.serve("default/dns", [x]);
  bench.speaker.reconcile();
  bench.speaker.setService("default/web", undefined);
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [x]);
  bench.speaker.setService("default/dns", undefined);
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, []);
});

test("changes of one turn wake once", () => {
  const bench = Bench.announcing();
  bench.wakes = 0;
  bench.endpoints("default/web", { node2: true });
  bench.endpoints("default/web", { node3: true });
  assert.equal(bench.wakes, 1);
  bench.speaker.reconcile();
  bench.endpoints("default/web", { node1: true });
  assert.equal(bench.wakes, 2);
});

test("thousands of addresses are placed over many turns, none of which is long, and then told of in as many", () => {
  const bench = new Bench("node1");
  bench.active = ["node1"];
  bench.speaker.setConfig(pools("{name: lan, protocol: layer2, addresses: [10.0.0.0/16]}"));
  for (let i = 0; i < 1000; i++) bench.serve(`default/web-${i}`, [`10.0.${i >> 8}.${i & 255}`]);
  bench.speaker.start();
  const told = () => bench.told.filter((line) => line.startsWith("nodeAssigned")).length;
  for (let turns = 1; told() < 1000; turns++) {
    assert.ok(bench.wakes > 0, `asleep with ${bench.wire.size} addresses on the wire, ${told()} told of`);
    bench.wakes = 0;
    const [before, toldBefore] = [bench.wire.size, told()];
    bench.speaker.reconcile();
    assert.ok(bench.wire.size - before <= 100, `${bench.wire.size - before} addresses in one turn`);
    assert.ok(told() - toldBefore <= 100, `${told() - toldBefore} told of in one turn`);
    assert.ok(told() === 0 || bench.wire.size === 1000, "told before all are on the wire");
    assert.ok(bench.wakes <= 1);
    assert.ok(turns <= 40, "too few in each turn");
  }
  assert.equal(bench.wakes, 0, "awake with nothing to do");
});

test("any order and repetition of events ends in the same place, with one owner for each address", () => {
  const keys = ["default/a", "default/b", "default/c"];
  const ips = [x, "192.0.2.2", "2001:db8::1", "203.0.113.9"];
  const event = fc.oneof(
    fc.record({
      type: fc.constant("service" as const),
      key: fc.constantFrom(...keys),
      ingress: fc.subarray(ips),
      local: fc.boolean(),
    }),
    fc.record({ type: fc.constant("gone" as const), key: fc.constantFrom(...keys) }),
    fc.record({ type: fc.constant("endpoints" as const), key: fc.constantFrom(...keys), on: fc.subarray(nodes) }),
    fc.record({ type: fc.constant("members" as const), active: fc.subarray(nodes) }),
    fc.record({
      type: fc.constant("node" as const),
      node: fc.constantFrom(...nodes),
      labels: fc.constantFrom(undefined, {}, excluded, { disk: "ssd" }, { disk: "ssd", ...excluded }),
    }),
    fc.record({ type: fc.constant("reconcile" as const) }),
  );
  const both = pools(
    `{name: lan, protocol: layer2, addresses: [192.0.2.1/32, 2001:db8::/120]}, ${ssd.replace("lan", "ssd").replace("0/28", "2/31")}`,
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 30 }), (events) => {
      const final = {
        services: new Map<string, Partial<Service> & { ingress: string[] }>(),
        on: new Map<string, string[]>(),
        active: nodes,
        labels: new Map<string, Labels | undefined>(),
      };
      const benches = nodes.map((node) => new Bench(node));
      for (const bench of benches) {
        bench.speaker.setConfig(both);
        bench.speaker.start();
      }
      for (const event of events) {
        if (event.type === "service")
          final.services.set(event.key, { ingress: event.ingress, externalTrafficPolicy: event.local ? "Local" : "Cluster" });
        else if (event.type === "gone") final.services.delete(event.key);
        else if (event.type === "endpoints") final.on.set(event.key, event.on);
        else if (event.type === "members") final.active = event.active;
        else if (event.type === "node") final.labels.set(event.node, event.labels);
        for (const bench of benches) apply(bench, event);
      }
      const wires = benches.map((bench) => {
        bench.speaker.reconcile();
        return bench.onWire;
      });
      const fresh = nodes.map((node) => {
        const bench = new Bench(node);
        bench.active = final.active;
        bench.speaker.setConfig(both);
        for (const [key, { ingress, ...more }] of final.services)
          bench.speaker.setService(key, service(key, { ingress, ...more }));
        for (const [node, labels] of final.labels) bench.speaker.setNode(node, labels);
        for (const [key, on] of final.on) bench.endpoints(key, Object.fromEntries(on.map((node) => [node, true])));
        bench.speaker.start();
        bench.speaker.reconcile();
        return bench.onWire;
      });
      assert.deepEqual(wires, fresh);
      const all = wires.flat();
      assert.equal(new Set(all).size, all.length, "an address has two owners");
    }),
  );

  type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;
  function apply(bench: Bench, event: Event): void {
    if (event.type === "service") {
      const externalTrafficPolicy = event.local ? "Local" : "Cluster";
      bench.speaker.setService(event.key, service(event.key, { ingress: event.ingress, externalTrafficPolicy }));
    } else if (event.type === "gone") bench.speaker.setService(event.key, undefined);
    else if (event.type === "endpoints") bench.endpoints(event.key, Object.fromEntries(event.on.map((node) => [node, true])));
    else if (event.type === "members") {
      bench.active = event.active;
      bench.speaker.membersChanged();
    } else if (event.type === "node") bench.speaker.setNode(event.node, event.labels);
    else bench.speaker.reconcile();
  }
});

test("only the first owner of an address since a Service got it is told so, and none of what was there before this process", () => {
  const [y, z] = ["192.0.2.2", "192.0.2.3"];
  const bench = Bench.announcing();
  bench.active = [owner]; // It owns all that comes.
  bench.speaker.membersChanged();
  bench.serve("default/new", [y]);
  bench.speaker.reconcile();
  assert.deepEqual(bench.firsts, [y]);
  bench.endpoints("default/new", {});
  bench.speaker.reconcile();
  bench.endpoints("default/new", { node1: true });
  bench.speaker.reconcile();
  assert.deepEqual(bench.firsts, [y], "it was announced before");
  bench.active = [loser];
  bench.speaker.membersChanged();
  bench.serve("default/others", [z]);
  bench.speaker.reconcile();
  bench.active = [owner];
  bench.speaker.membersChanged();
  bench.speaker.reconcile();
  assert.deepEqual([bench.onWire, bench.firsts], [[x, y, z], [y]], "another node announced the last before");
});

test("an owner whose interfaces lose their carrier withdraws, tells the others, and takes back when it is there again", () => {
  const { bench } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  assert.deepEqual(bench.onWire, [x]);
  bench.interfaces = [{ ...eth0, running: false }];
  bench.speaker.interfacesChanged();
  assert.equal(bench.gossip?.state.reachability(owner)?.answers, false);
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, []);
  assert.match(bench.told.join(), /"serviceWithdrawn".*"reason":"noInterface"/);
  bench.interfaces = [eth0];
  bench.speaker.interfacesChanged();
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [], "the kernel has to find the other nodes again first");
  assert.equal(bench.gossip?.state.reachability(owner)?.answers, false);
  bench.clock.advanceBy(1500);
  assert.equal(bench.gossip?.state.reachability(owner)?.answers, true);
  bench.speaker.reconcile();
  assert.deepEqual(bench.onWire, [x]);
});

test("a node that nobody can succeed announces as soon as its carrier is there again", () => {
  const { bench, others, hear } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  for (const { state } of others) {
    state.setReachability({ answers: false, interfaces: new Map() });
  }
  for (const changes of hear()) bench.speaker.gossipChanged(changes);
  for (const running of [false, true]) {
    bench.interfaces = [{ ...eth0, running }];
    bench.speaker.interfacesChanged();
    bench.speaker.reconcile();
    assert.deepEqual(bench.onWire, running ? [x] : []);
  }
});
