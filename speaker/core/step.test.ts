import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Service } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { address } from "#pkg/net/testing";
import { elect, type Labels, outOfServiceTaint } from "#pkg/placement";
import { amongOthers, Bench, eth0, excluded, loser, nodes, owner, pools, ssd, x } from "../testing/speaker-bench.ts";
import { announcedHere } from "./placement/placements.ts";
import { nextDeadline, step } from "./step.ts";

const router = "{name: x, my-asn: 64512, peer-asn: 64513, peer-address: 203.0.113.1}";
const rack = "node-selectors: [{match-labels: {rack: a}}]";
const routed = "{name: lan, protocol: bgp, addresses: [192.0.2.0/28]}";

test("by BGP every node announces, whoever the owner would be, and no event tells of it", () => {
  const bench = Bench.announcing(loser);
  assert.deepEqual(bench.onWire, []);
  bench.setConfig(pools(routed, router));
  bench.proceed();
  assert.deepEqual([...bench.routes], [[x, `${x}/32 203.0.113.1:179`]]);
  assert.deepEqual(bench.reported, [
    `service has IP, announcing {"event":"serviceAnnounced","service":"default/web","ips":["${x}"],"pool":"lan","protocol":"bgp"}`,
  ]);
  assert.deepEqual([...bench.state.status.announcements], [["default/web", [{ protocol: "bgp", pool: "lan", addresses: [x] }]]]);
  const here = () => [...announcedHere(bench.state)].map(({ address, protocol }) => `${protocol} ${address}`);
  assert.deepEqual(here(), [`bgp ${x}`]);
  bench.endpoints("default/web", { node1: false });
  bench.proceed();
  assert.deepEqual([[...bench.routes], here()], [[], []]);
  assert.match(bench.reported.at(-1) ?? "", /"reason":"noReadyEndpoint"/);
});

test("routers are told after each part, and that it was the last one; also where there is nothing to announce", () => {
  const bench = new Bench(owner);
  for (let i = 0; i < 150; i++) bench.serve(`default/s${i}`, [`198.51.100.${i}`]);
  bench.setConfig(pools("{name: lan, protocol: bgp, addresses: [198.51.100.0/24]}", router));
  bench.proceed();
  assert.deepEqual(bench.flushed, [], "not before everything has been seen");
  bench.start();
  bench.proceed();
  bench.proceed();
  assert.deepEqual(bench.flushed, [false, true]);
  const idle = new Bench(owner);
  idle.start();
  idle.setConfig(pools());
  assert.ok(idle.wakes > 0);
  idle.proceed();
  assert.deepEqual(idle.flushed, [true]);
});

test("a change of the members is no work for addresses of bgp pools", () => {
  const bench = Bench.announcing();
  bench.setConfig(pools(routed, router));
  bench.proceed();
  const { wakes } = bench;
  bench.membersChanged();
  assert.equal(bench.wakes, wakes);
});

test("a pool that changes its protocol leaves the one wire for the other", () => {
  const bench = Bench.announcing();
  bench.setConfig(pools(routed, router));
  bench.proceed();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[], [x]]);
  bench.setConfig(pools());
  bench.proceed();
  assert.deepEqual([bench.onWire, [...bench.routes.keys()]], [[x], []]);
});

test("labels of this node decide which of its peers hear of an address", () => {
  const bench = Bench.announcing(loser);
  bench.setConfig(pools(routed, router.replace("}", `, ${rack}}`)));
  bench.proceed();
  assert.deepEqual([...bench.routes], []);
  bench.setNode(owner, { rack: "a" });
  bench.proceed();
  assert.deepEqual([...bench.routes], [], "another node's labels");
  bench.setNode(loser, { rack: "a" });
  bench.proceed();
  assert.deepEqual([...bench.routes], [[x, `${x}/32 203.0.113.1:179`]]);
  const { wakes } = bench;
  bench.setNode(loser, { rack: "a", zone: "b" });
  assert.equal(bench.wakes, wakes, "a label that nothing asks for is no work");
  bench.setNode(loser, undefined);
  bench.proceed();
  assert.deepEqual([...bench.routes], []);
});

test("a node that is excluded from load balancers announces nothing by BGP, and raises no alarm for others", () => {
  const bench = Bench.announcing(owner);
  bench.setConfig(pools(routed, router));
  bench.setNode(owner, excluded);
  bench.clock.advanceBy(2_000); // Until then they are marked with GRACEFUL_SHUTDOWN.
  bench.settle();
  assert.deepEqual([...bench.routes], []);
  assert.deepEqual(
    bench.reported.filter((line) => line.startsWith("nodeExcluded")),
    [],
  );
});

test("the owner announces and says so once, the others are silent", () => {
  const bench = new Bench(owner);
  bench.setConfig(pools());
  bench.serve("default/web", [x]);
  bench.proceed();
  assert.deepEqual(bench.onWire, [], "nothing is announced before the state is whole");
  bench.start();
  bench.proceed();
  assert.deepEqual(bench.onWire, [x]);
  assert.deepEqual(bench.reported, [
    `service has IP, announcing {"event":"serviceAnnounced","service":"default/web","ips":["${x}"],"pool":"lan","protocol":"layer2"}`,
    "nodeAssigned default/web",
  ]);
  bench.serve("default/web", [x], { resourceVersion: "2" });
  bench.proceed();
  assert.equal(bench.reported.length, 2);
  assert.deepEqual(Bench.announcing(loser).onWire, []);
});

test("nothing is announced before there is a configuration", () => {
  const bench = new Bench(owner);
  bench.serve("default/web", [x]);
  bench.start();
  bench.proceed();
  assert.deepEqual(bench.onWire, []);
  bench.setConfig(pools());
  bench.proceed();
  assert.deepEqual(bench.onWire, [x]);
});

test("an owner that is gone is succeeded by the next, which announces when it learns", () => {
  const rest = nodes.filter((node) => node !== owner);
  const bench = Bench.announcing(elect(rest, address(x)));
  assert.deepEqual(bench.onWire, []);
  bench.membersChanged(rest);
  bench.proceed();
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
      bench.setNode(owner, labels);
      bench.proceed();
    }
  };
  label(excluded);
  assert.deepEqual([before.onWire, after.onWire], [[], [x]]);
  assert.equal(after.reported.at(-1), "nodeAssigned default/web");
  label({});
  assert.deepEqual([before.onWire, after.onWire], [[x], []]);
});

test("an owner that is out of service is succeeded by the next, though it is still a member of the ring", () => {
  const successor = elect(
    nodes.filter((node) => node !== owner),
    address(x),
  );
  const benches = [Bench.announcing(owner), Bench.announcing(successor)];
  const onWire = (taints: readonly string[]) =>
    benches.map((bench) => {
      bench.setNode(owner, {}, taints);
      bench.proceed();
      return bench.onWire;
    });
  assert.deepEqual(onWire([outOfServiceTaint]), [[], [x]]);
  assert.deepEqual(onWire([]), [[x], []]);
});

test("a node that is out of service announces nothing by BGP", () => {
  const bench = Bench.announcing(owner);
  bench.setConfig(pools(routed, router));
  bench.proceed();
  assert.equal(bench.routes.size, 1);
  bench.setNode(owner, {}, [outOfServiceTaint]);
  bench.proceed();
  assert.deepEqual([...bench.routes], []);
});

test("where the label is ignored an excluded node goes on", () => {
  const bench = Bench.announcing(owner, true);
  bench.setNode(owner, excluded);
  bench.proceed();
  assert.deepEqual(bench.onWire, [x]);
});

test("labels that no pool asks for, and those of nodes without a speaker, make nothing be looked at", () => {
  const bench = Bench.announcing();
  bench.wakes = 0;
  bench.setNode(owner, { "kubernetes.io/hostname": owner });
  bench.setNode("elsewhere", excluded);
  bench.setNode("elsewhere", undefined);
  assert.equal(bench.wakes, 0);
});

test("of two pools only the addresses of the one that asks for a label are placed again when it changes", () => {
  const bench = new Bench(owner);
  bench.membersChanged([owner]);
  bench.setConfig(pools(`${ssd}, {name: other, protocol: layer2, addresses: [198.51.100.0/28]}`));
  bench.serve("default/web", [x]);
  bench.serve("default/other", ["198.51.100.1"]);
  bench.start();
  bench.proceed();
  assert.deepEqual(bench.onWire, ["198.51.100.1"]);
  bench.wire.clear();
  bench.setNode(owner, { disk: "ssd" });
  bench.proceed();
  assert.deepEqual(bench.onWire, [x], "what is placed again is reannounced");
  assert.ok(
    bench.reported.includes(
      `pools that a node may announce have changed {"event":"nodeChanged","node":"${owner}","pools":["lan"]}`,
    ),
  );
});

test("an address that stays here is announced on other interfaces when its pool asks for them", () => {
  const bench = Bench.announcing();
  assert.deepEqual([...bench.wire], [[x, ""]]);
  bench.setConfig(pools("{name: lan, protocol: layer2, addresses: [192.0.2.0/28], interfaces: [eth1, 'bond*']}"));
  bench.proceed();
  assert.deepEqual([...bench.wire], [[x, "eth1,bond*"]]);
});

test("a shared address stays on the wire until its last Service goes", () => {
  const bench = Bench.announcing();
  bench.serve("default/dns", [x]);
  bench.proceed();
  bench.setService("default/web", undefined);
  bench.proceed();
  assert.deepEqual(bench.onWire, [x]);
  bench.setService("default/dns", undefined);
  bench.proceed();
  assert.deepEqual(bench.onWire, []);
});

test("changes of one turn wake once", () => {
  const bench = Bench.announcing();
  bench.wakes = 0;
  bench.endpoints("default/web", { node2: true });
  bench.endpoints("default/web", { node3: true });
  assert.equal(bench.wakes, 1);
  bench.proceed();
  bench.endpoints("default/web", { node1: true });
  assert.equal(bench.wakes, 2);
});

test("thousands of addresses are placed over many turns, none of which is long, and then told of in as many", () => {
  const bench = new Bench("node1");
  bench.membersChanged(["node1"]);
  bench.setConfig(pools("{name: lan, protocol: layer2, addresses: [10.0.0.0/16]}"));
  for (let i = 0; i < 1000; i++) bench.serve(`default/web-${i}`, [`10.0.${i >> 8}.${i & 255}`]);
  bench.start();
  const told = () => bench.reported.filter((line) => line.startsWith("nodeAssigned")).length;
  for (let turns = 1; told() < 1000; turns++) {
    assert.ok(bench.wakes > 0, `asleep with ${bench.wire.size} addresses on the wire, ${told()} told of`);
    bench.wakes = 0;
    const [before, toldBefore] = [bench.wire.size, told()];
    bench.proceed();
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
        bench.setConfig(both);
        bench.start();
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
        bench.proceed();
        return bench.onWire;
      });
      const fresh = nodes.map((node) => {
        const bench = new Bench(node);
        bench.membersChanged(final.active);
        bench.setConfig(both);
        for (const [key, { ingress, ...more }] of final.services) bench.setService(key, service(key, { ingress, ...more }));
        for (const [node, labels] of final.labels) bench.setNode(node, labels);
        for (const [key, on] of final.on) bench.endpoints(key, Object.fromEntries(on.map((node) => [node, true])));
        bench.start();
        bench.proceed();
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
      bench.setService(event.key, service(event.key, { ingress: event.ingress, externalTrafficPolicy }));
    } else if (event.type === "gone") bench.setService(event.key, undefined);
    else if (event.type === "endpoints") bench.endpoints(event.key, Object.fromEntries(event.on.map((node) => [node, true])));
    else if (event.type === "members") {
      bench.membersChanged(event.active);
    } else if (event.type === "node") bench.setNode(event.node, event.labels);
    else bench.proceed();
  }
});

test("only the first owner of an address since a Service got it is told so, and none of what was there before this process", () => {
  const [y, z] = ["192.0.2.2", "192.0.2.3"];
  const bench = Bench.announcing();
  bench.membersChanged([owner]); // It owns all that comes.
  bench.serve("default/new", [y]);
  bench.proceed();
  assert.deepEqual(bench.firsts, [y]);
  bench.endpoints("default/new", {});
  bench.proceed();
  bench.endpoints("default/new", { node1: true });
  bench.proceed();
  assert.deepEqual(bench.firsts, [y], "it was announced before");
  bench.membersChanged([loser]);
  bench.serve("default/others", [z]);
  bench.proceed();
  bench.membersChanged([owner]);
  bench.proceed();
  assert.deepEqual([bench.onWire, bench.firsts], [[x, y, z], [y]], "another node announced the last before");
});

test("an owner whose interfaces lose their carrier withdraws, tells the others, and takes back when it is there again", () => {
  const { bench } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  assert.deepEqual(bench.onWire, [x]);
  bench.setInterfaces({ ...eth0, running: false });
  assert.equal(bench.gossip.reachability(owner)?.answers, false);
  bench.proceed();
  assert.deepEqual(bench.onWire, []);
  assert.match(bench.reported.join(), /"serviceWithdrawn".*"reason":"noInterface"/);
  bench.setInterfaces(eth0);
  bench.proceed();
  assert.deepEqual(bench.onWire, [], "the kernel has to find the other nodes again first");
  assert.equal(bench.gossip.reachability(owner)?.answers, false);
  bench.clock.advanceBy(1500);
  assert.equal(bench.gossip.reachability(owner)?.answers, true);
  bench.proceed();
  assert.deepEqual(bench.onWire, [x]);
});

test("a node that nobody can succeed announces as soon as its carrier is there again", () => {
  const { bench, others, hear } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  for (const { state } of others) {
    state.setReachability({ answers: false, hasKernelAccess: true, interfaces: new Map() });
  }
  hear();
  for (const running of [false, true]) {
    bench.setInterfaces({ ...eth0, running });
    bench.proceed();
    assert.deepEqual(bench.onWire, running ? [x] : []);
  }
});

test("a timer that comes early or twice does nothing, and one that comes late does what was due", () => {
  const { bench } = amongOthers(owner, "{name: lan, protocol: layer2, l2-placement: sticky, addresses: [192.0.2.0/28]}");
  bench.settle();
  bench.setInterfaces({ ...eth0, running: false });
  bench.setInterfaces(eth0);
  bench.settle();
  const due = nextDeadline(bench.state);
  assert.ok(Number.isFinite(due) && due > bench.clock.now());
  for (let i = 0; i < 10; i++) {
    const effects = step(bench.state, { type: "timer", chance: 0.5 }, bench.clock.now());
    assert.deepEqual([effects, nextDeadline(bench.state)], [[], due]);
  }
  assert.equal(bench.gossip.reachability(owner)?.answers, false);
  step(bench.state, { type: "timer", chance: 0.5 }, due + 60_000);
  assert.equal(bench.gossip.reachability(owner)?.answers, true);
  assert.ok(nextDeadline(bench.state) > due);
});
