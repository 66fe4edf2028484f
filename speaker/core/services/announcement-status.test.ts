import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { service } from "#pkg/k8s/testing";
import { TimedLog } from "#pkg/log/testing";
import { parseAddress, parsePrefix } from "#pkg/net";
import { excludeLabel } from "#pkg/placement";
import { sentence } from "#pkg/verdict";
import { amongOthers, Bench, eth0, excluded, loser, nodes, owner, pools, ssd, x } from "../../testing/speaker-bench.ts";
import { type Obstacle, obstacleVerdict } from "../verdicts/refusals.ts";

const withdrawals: { reason: string; change: (bench: Bench) => void }[] = [
  { reason: "serviceDeleted", change: (bench) => bench.setService("default/web", undefined) },
  { reason: "notLoadBalancer", change: (bench) => bench.serve("default/web", [x], { type: "ClusterIP" }) },
  { reason: "noIPAllocated", change: (bench) => bench.serve("default/web", []) },
  { reason: "invalidIP", change: (bench) => bench.serve("default/web", ["nonsense"]) },
  {
    reason: "otherLoadBalancerClass",
    change: (bench) => bench.serve("default/web", [x], { isClaimed: false }),
  },
  { reason: "noReadyEndpoint", change: (bench) => bench.endpoints("default/web", { node1: false }) },
  {
    reason: "noReadyEndpointOnActiveNode",
    change: (bench) => bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { elsewhere: true }),
  },
  {
    reason: "notOwner",
    change: (bench) => bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [loser]: true }),
  },
  {
    reason: "notOwner",
    change: (bench) => {
      bench.membersChanged(nodes.filter((node) => node !== owner));
    },
  },
  { reason: "nodeExcluded", change: (bench) => bench.setNode(owner, excluded) },
  {
    reason: "nodeNotSelected",
    change: (bench) => {
      bench.setNode(loser, { disk: "ssd" });
      bench.setConfig(pools(ssd));
    },
  },
  { reason: "noNodeSelected", change: (bench) => bench.setConfig(pools(ssd)) },
  {
    reason: "ipNotAllowed",
    change: (bench) => bench.setConfig(pools("{name: other, protocol: layer2, addresses: [198.51.100.0/28]}")),
  },
  {
    reason: "noPeer",
    change: (bench) => bench.setConfig(pools("{name: lan, protocol: bgp, addresses: [192.0.2.0/28]}")),
  },
];
for (const { reason, change } of withdrawals) {
  test(`an address is withdrawn with the reason ${reason}`, () => {
    const bench = Bench.announcing();
    change(bench);
    bench.proceed();
    assert.deepEqual(bench.onWire, []);
    assert.equal(bench.state.status.announcements.size, 0);
    const line = `withdrawing service announcement {"event":"serviceWithdrawn","service":"default/web","ips":["${x}"],"protocol":"layer2","reason":"${reason}"}`;
    assert.ok(bench.reported.includes(line), bench.reported.join("\n"));
  });
}

test("of a status with addresses of two pools only those of the first one's pool are announced, as the controller judges", () => {
  const bench = Bench.announcing();
  bench.setConfig(
    pools(
      "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}, {name: other, protocol: layer2, addresses: [198.51.100.0/28]}",
    ),
  );
  bench.serve("default/web", ["198.51.100.1", x]);
  bench.proceed();
  assert.ok(!bench.onWire.includes(x), bench.onWire.join());
});

test("an address that a Service changes for another is withdrawn and the new one announced, and both are told", () => {
  const bench = Bench.announcing();
  bench.membersChanged([owner]);
  bench.serve("default/web", ["192.0.2.9"]);
  bench.proceed();
  assert.deepEqual(bench.onWire, ["192.0.2.9"]);
  assert.deepEqual(bench.reported, [
    `withdrawing service announcement {"event":"serviceWithdrawn","service":"default/web","ips":["${x}"],"protocol":"layer2","reason":"loadBalancerIPChanged"}`,
    'service has IP, announcing {"event":"serviceAnnounced","service":"default/web","ips":["192.0.2.9"],"pool":"lan","protocol":"layer2"}',
    "nodeAssigned default/web",
  ]);
});

test("one of two addresses that goes is told with its own reason, and the other is not told again", () => {
  const bench = new Bench(owner);
  bench.membersChanged([owner]);
  bench.setConfig(pools("{name: lan, protocol: layer2, addresses: [192.0.2.1-192.0.2.2]}"));
  bench.serve("default/web", [x, "192.0.2.2"]);
  bench.start();
  bench.proceed();
  bench.reported.length = 0;
  bench.setConfig(pools(`{name: renamed, protocol: layer2, addresses: [${x}/32]}`));
  bench.proceed();
  assert.deepEqual(bench.onWire, [x]);
  assert.deepEqual(bench.reported, [
    'withdrawing service announcement {"event":"serviceWithdrawn","service":"default/web","ips":["192.0.2.2"],"protocol":"layer2","reason":"ipNotAllowed"}',
  ]);
  assert.deepEqual(bench.state.status.announcements.get("default/web"), [
    { protocol: "layer2", pool: "renamed", addresses: [x] },
  ]);
});

test("an address is said to be announced once it is, and no longer when another host turns out to have it, unless the pool says report by then", () => {
  const bench = new Bench(owner);
  bench.membersChanged([owner]);
  const pool = (fields: string) => bench.setConfig(pools(`{name: lan, protocol: layer2, ${fields}addresses: [192.0.2.0/28]}`));
  pool("conflict-probe: strict, ");
  bench.start();
  bench.settle();
  bench.serve("default/web", [x]);
  bench.settle();
  const told = () => {
    bench.settle();
    const { announcements } = bench.state.status;
    return { announced: announcements.get("default/web")?.flatMap(({ addresses }) => addresses), told: bench.reported.splice(0) };
  };
  const sight = () => {
    const sighting = {
      address: parseAddress(x) ?? assert.fail(),
      mac: "02:00:00:00:00:42",
      kind: "uses",
      interface: "eth0",
      ownMac: eth0.mac,
    } as const;
    bench.runner.dispatch({ type: "sighting", sighting });
  };
  assert.deepEqual(told(), { announced: undefined, told: [] });
  bench.clock.advanceBy(1_000);
  const came = `service has IP, announcing {"event":"serviceAnnounced","service":"default/web","ips":["${x}"],"pool":"lan","protocol":"layer2"}`;
  assert.deepEqual(told(), { announced: [x], told: [came, "nodeAssigned default/web"] });
  bench.runner.dispatch({ type: "quarantine", data: { [x]: "" } });
  sight();
  const went = `withdrawing service announcement {"event":"serviceWithdrawn","service":"default/web","ips":["${x}"],"protocol":"layer2","reason":"addressOccupied"}`;
  const last = told();
  assert.deepEqual([last.announced, last.told.at(-1)], [undefined, went]);
  pool("");
  assert.deepEqual(told().announced, [x], "the pool is no longer strict");
});

test("that no node may announce a Service is said once, by one of the speakers, and again when it comes to that again", () => {
  const benches = nodes.map((node) => Bench.announcing(node));
  const said = () => benches.flatMap((bench) => bench.reported.filter((line) => / default\/web /.test(line)));
  const each = (change: (bench: Bench) => void) => {
    for (const bench of benches) {
      change(bench);
      bench.proceed();
    }
  };
  for (const node of nodes) each((bench) => bench.setNode(node, excluded));
  const message =
    `${x} of pool lan is announced by no node: every candidate has the label ${excludeLabel} (node1, node2, node3); ` +
    "kubectl label node node1 node.kubernetes.io/exclude-from-external-load-balancers-, or run the speakers with --ignore-exclude-lb (Helm: speaker.ignoreExcludeLB: true)";
  assert.deepEqual(said(), [`nodeExcluded default/web ${message}`]);
  each((bench) => bench.serve("default/web", [x], { resourceVersion: "2" }));
  each((bench) => {
    bench.membersChanged(nodes.slice(1));
  });
  assert.equal(said().length, 1);
  each((bench) => bench.setNode("node2", {}));
  each((bench) => bench.setNode("node2", excluded));
  assert.deepEqual(said().slice(1), [
    `nodeExcluded default/web ${message.replace("node1, ", "").replace("node node1", "node node2")}`,
  ]);
});

test("where no node has an interface of the pool one speaker says so, and the others wait for one", () => {
  const text = "{name: lan, protocol: layer2, interfaces: [eth1], addresses: [192.0.2.0/28]}";
  const told = nodes.map((node) => {
    const { bench } = amongOthers(node, text);
    bench.setConfig(pools()); // Said once more when it comes to that again.
    bench.proceed();
    bench.reported.length = 0;
    bench.setConfig(pools(text));
    bench.proceed();
    assert.deepEqual(bench.onWire, []);
    return bench.reported.filter((line) => line.startsWith("noInterface default/web"));
  });
  assert.equal(told.flat().length, 1, told.join("\n"));
});

test("a node that can answer nowhere, and has lost sight of the others, does not say that no node announces a Service", () => {
  const { bench } = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}");
  bench.setInterfaces({ ...eth0, running: false });
  bench.membersChanged([owner]);
  bench.proceed();
  assert.deepEqual(bench.onWire, []);
  assert.ok(!bench.reported.some((line) => line.startsWith("noInterface")), bench.reported.join("\n"));
});

const address = parseAddress("192.0.2.1");
assert.ok(address);
const subnet = parsePrefix("198.51.100.0/24");
assert.ok(subnet);
const placement = { address, pool: "lan", protocol: "layer2" } as const;
const seven = ["a", "b", "c", "d", "e", "f", "g"];
const cases: { name: string; obstacle: Obstacle; policy: "Cluster" | "Local"; want: string }[] = [
  {
    name: "all are excluded; of many the first are named",
    obstacle: { announced: false, reason: "nodeExcluded", nodes: seven },
    policy: "Cluster",
    want:
      "192.0.2.1 of pool lan is announced by no node: every candidate has the label " +
      "node.kubernetes.io/exclude-from-external-load-balancers (a, b, c, d, e, and 2 more); " +
      "kubectl label node a node.kubernetes.io/exclude-from-external-load-balancers-, or run the speakers with --ignore-exclude-lb (Helm: speaker.ignoreExcludeLB: true)",
  },
  {
    name: "none is selected",
    obstacle: { announced: false, reason: "noNodeSelected" },
    policy: "Cluster",
    want:
      "192.0.2.1 of pool lan is announced by no node: the pool's node-selectors match none that has a running speaker; " +
      "kubectl get nodes --show-labels, and change the node-selectors of the pool or the labels",
  },
  {
    name: "none is selected that has an endpoint, as Local wants",
    obstacle: { announced: false, reason: "noNodeSelected" },
    policy: "Local",
    want:
      "192.0.2.1 of pool lan is announced by no node: the pool's node-selectors match none that has a running speaker and, for " +
      "externalTrafficPolicy Local, a ready endpoint; kubectl get nodes --show-labels, and change the node-selectors of the pool or the labels",
  },
  {
    name: "none has an interface of the pool",
    obstacle: { announced: false, reason: "noInterface", nodes: ["a", "b"] },
    policy: "Cluster",
    want:
      "192.0.2.1 of pool lan is announced by no node: no candidate has an interface for the pool that is up and has a carrier " +
      "(a, b); check their cables, or change the pool's interfaces",
  },
  {
    name: "none is in its subnet",
    obstacle: {
      announced: false,
      reason: "notInSubnet",
      nodes: [
        { node: "a", subnets: [subnet] },
        { node: "b", subnets: [] },
      ],
    },
    policy: "Cluster",
    want:
      "192.0.2.1 of pool lan is announced by no node: the pool's l2-placement asks for a node with an address in the same subnet, and no " +
      "candidate has one (a: 198.51.100.0/24, b: none); use addresses of their subnets, or give a node an address in this one",
  },
];
for (const { name, obstacle, policy, want } of cases)
  test(`obstacleVerdict: ${name}`, () =>
    assert.equal(
      sentence(obstacleVerdict({ ...Bench.announcing().state, config: undefined }, placement, obstacle, policy)),
      want,
    ));

test("a tenant's edits write 1,000 lines to a speaker's log, and those of another tenant are all there", () => {
  const bench = Bench.announcing();
  const timed = new TimedLog();
  bench.log = timed.log;
  const settled = (change: () => void) => {
    change();
    bench.settle();
  };
  for (let i = 0; i < 1_200; i++) {
    settled(() => bench.serve("team-a/web", [x], { type: i % 2 === 0 ? "LoadBalancer" : "ClusterIP" }));
    if (i % 300 === 0) settled(() => bench.serve(`team-b/${i}`, [x]));
  }
  const lines = timed.take().map(({ service, event }) => `${service} ${event}`);
  assert.equal(lines.filter((line) => line.startsWith("team-a/")).length, 1_000);
  assert.deepEqual(
    lines.filter((line) => line.startsWith("team-b/") && line.endsWith("serviceAnnounced")),
    [0, 300, 600, 900].map((i) => `team-b/${i} serviceAnnounced`),
  );
});

test("property: each line of a speaker's log that edits of Services cause names a Service of those edited, whoever else has the address", () => {
  const edit = fc.record({
    name: fc.constantFrom("team-a/web", "team-a/api"),
    deleted: fc.boolean(),
    ingress: fc.constantFrom<string[]>([], [x], ["192.0.2.2"], [x, "192.0.2.2"], ["198.51.100.1"], ["nonsense"]),
    more: fc.record({
      type: fc.constantFrom("LoadBalancer", "LoadBalancer", "ClusterIP"),
      externalTrafficPolicy: fc.constantFrom("Cluster" as const, "Local" as const),
      isClaimed: fc.boolean(),
    }),
    ready: fc.dictionary(fc.constantFrom(...nodes), fc.boolean(), { maxKeys: 3 }),
  });
  fc.assert(
    fc.property(fc.constantFrom(...nodes), fc.array(edit, { maxLength: 20 }), (node, edits) => {
      const bench = Bench.announcing(node);
      const timed = new TimedLog();
      bench.log = timed.log;
      for (const { name, deleted, ingress, more, ready } of edits) {
        if (deleted) bench.setService(name, undefined);
        else bench.serve(name, ingress, more, ready);
        bench.settle();
        bench.clock.advanceBy(1_000);
      }
      const others = timed.take().filter(({ service }) => !`${service}`.startsWith("team-a/"));
      assert.deepEqual(others, []);
    }),
  );
});

/** How many entries each table of the state has, at any depth. */
function* sizesOf(value: unknown, path = ""): Generator<readonly [path: string, size: number]> {
  if (value instanceof Map || value instanceof Set) yield [path, value.size];
  else if (typeof value === "object" && value !== null)
    for (const [name, field] of Object.entries(value)) yield* sizesOf(field, `${path}.${name}`);
}

test("nothing is kept of Services that came and went, with an address, without one, or with one that they lost", () => {
  const bench = Bench.announcing();
  for (const [name, ...ingress] of [
    ["with", [x]],
    ["without", []],
    ["lost", [x], []],
  ] as const)
    for (let index = 0; index < 50; index++) {
      const key = `team/${name}${index}`;
      for (const addresses of ingress) {
        bench.setService(key, service(key, { ingress: addresses }));
        bench.settle();
      }
      bench.setService(key, undefined);
      bench.settle();
    }
  assert.deepEqual(
    [...sizesOf(bench.state)].filter(([, size]) => size >= 20),
    [],
  );
});
