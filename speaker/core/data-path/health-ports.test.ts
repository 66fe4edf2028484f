import assert from "node:assert/strict";
import { test } from "node:test";
import { healthPortBit } from "#pkg/gossip";
import { service } from "#pkg/k8s/testing";
import { type Family, parseAddress } from "#pkg/net";
import { elect } from "#pkg/placement";
import { annotations } from "#pkg/service";
import { amongOthers, loser, nodes, owner, x } from "../../testing/speaker-bench.ts";
import type { HealthAnswer } from "./data-path-state.ts";

const lan = "{name: lan, protocol: layer2, addresses: [192.0.2.0/28]}";
const routed = "{name: lan, protocol: bgp, addresses: [192.0.2.0/28]}";
const peer = "{peer-address: 10.0.0.1, peer-asn: 65002, my-asn: 65001}";
const everywhere = Object.fromEntries(nodes.map((node) => [node, true]));
const local = { externalTrafficPolicy: "Local", healthCheckNodePort: 30_000 } as const;

type Among = ReturnType<typeof amongOthers>;

function serving(text = lan, peers = "", node = owner, ready: Record<string, boolean> = everywhere): Among {
  const one = amongOthers(node, text, peers);
  one.bench.serve("default/web", [x], local, ready);
  one.bench.settle();
  return one;
}

/** Another address that the owner of this one has. */
function ownOf(address: string): string {
  const all = Array.from({ length: 16 }, (_, index) => `192.0.2.${index}`);
  return all.find((ip) => ip !== address && elect(nodes, parseAddress(ip) ?? assert.fail()) === owner) ?? assert.fail();
}

/** Asks each second as the driver does. @returns the Services that were asked */
function ask({ bench }: Among, seconds: number, answer: HealthAnswer): string[] {
  const asked: string[] = [];
  for (let i = 0; i < seconds; i++) {
    const { ports } = bench.view.nextHealthPorts(0, bench.clock.now());
    asked.push(...ports.map(({ key }) => key));
    const answers = new Map(ports.map(({ key }) => [key, answer]));
    bench.runner.dispatch({ type: "healthPorts", answers });
    bench.clock.advanceBy(1_000);
    bench.settle();
  }
  return asked;
}

test("a node whose kube-proxy has no Pod of a Local Service for 5 s, although the API has one there, leaves the address to others, and has it again after 30 s", () => {
  const one = serving();
  ask(one, 3, "serves");
  ask(one, 5, "serves none");
  assert.deepEqual(one.bench.onWire, [x], "it may be about to hear of it");
  ask(one, 2, "serves none");
  assert.deepEqual(one.bench.onWire, []);
  assert.match(one.bench.reported.join(), /cannotDeliver.*default\/web/);
  const [worst] = one.bench.view.nodeVerdicts({
    missing: [],
    failed: undefined,
    findings: [],
    bfdWarnings: [],
    lossy: [],
    pathProblems: [],
    refusedWrites: [],
    viewAge: 0,
  });
  assert.equal(worst?.cause, "cannotDeliver");
  ask(one, 30, "serves");
  assert.deepEqual(one.bench.onWire, []);
  ask(one, 10, "serves");
  assert.deepEqual(one.bench.onWire, [x]);
  ask(one, 7, "serves none");
  ask(one, 60, "serves");
  assert.deepEqual(one.bench.onWire, [], "it waits twice as long");
  ask(one, 10, "serves");
  assert.deepEqual(one.bench.onWire, [x]);
});

test("a speaker that begins leaves at once what kube-proxy does not serve, where kube-proxy is known to say so, by this node or most others", () => {
  const y = ownOf(x);
  for (const [seenBy, answer, isLeft] of [
    [0, "serves none", false],
    [1, "serves none", false],
    [2, "serves none", true],
    ["here", "serves none", true],
    [2, "silent", false],
    [2, "serves", false],
  ] as const) {
    const one = amongOthers(owner, lan, "", (bench, { others, hear }) => {
      for (const { state } of others.slice(0, Number(seenBy) || 0)) state.setSeenWithout(healthPortBit);
      hear();
      bench.serve("default/local", [y], local, everywhere);
      bench.serve("default/served", ["192.0.2.14"], local, everywhere);
      const { ports } = bench.view.nextHealthPorts(0, 0);
      assert.deepEqual(
        ports.map(({ key }) => key),
        ["default/local", "default/served"],
      );
      const served = seenBy === "here" ? "serves" : "silent";
      const answers = new Map([
        ["default/local", answer],
        ["default/served", served],
      ] as const);
      bench.runner.dispatch({ type: "healthPorts", answers });
    });
    one.bench.settle();
    assert.equal(one.bench.onWire.includes(y), !isLeft, `${seenBy}, ${answer}`);
    if (isLeft) assert.ok(!one.bench.lines.some((line) => line.startsWith(`announce ${y}`)), "not for a moment");
  }
});

test("of a Service in two pools a node leaves the addresses of that which asks for it, whichever is the first", () => {
  const [alive, y] = ["198.51.100.1", ownOf(x)];
  const two = `${lan}, {name: always, protocol: layer2, addresses: [198.51.100.0/28], announce-when: alive}`;
  const several = { ...local, annotations: { [annotations.pool]: "always,lan" } };
  for (const ingress of [
    [alive, y],
    [y, alive],
  ]) {
    const one = amongOthers(owner, two);
    one.bench.setService("default/web", undefined);
    one.bench.serve("default/web", ingress, several, everywhere);
    one.bench.settle();
    const before = one.bench.onWire;
    assert.ok(before.includes(y));
    ask(one, 3, "serves");
    ask(one, 10, "serves none");
    assert.deepEqual(
      one.bench.onWire,
      before.filter((address) => address !== y),
    );
  }
});

test("a node reports that kube-proxy answers for Services", () => {
  const one = serving();
  assert.equal(one.bench.gossip.seenWithout(owner) & healthPortBit, 0);
  ask(one, 1, "serves");
  assert.equal(one.bench.gossip.seenWithout(owner) & healthPortBit, healthPortBit);
});

test("kube-proxy that is silent, or has never had a Pod, says nothing", () => {
  const one = serving();
  ask(one, 60, "serves none");
  assert.deepEqual(one.bench.onWire, [x], "another one does its work, perhaps");
  ask(one, 1, "serves");
  ask(one, 60, "silent");
  assert.deepEqual(one.bench.onWire, [x]);
});

test("where no other node has a ready Pod, or none has it served, the address stays", () => {
  const alone = serving(lan, "", owner, { [owner]: true });
  ask(alone, 1, "serves");
  ask(alone, 20, "serves none");
  assert.deepEqual(alone.bench.onWire, [x]);
  const all = serving();
  ask(all, 1, "serves");
  for (const { state } of all.others) state.setUndeliveredAt(address(all), true);
  all.hear();
  ask(all, 20, "serves none");
  const left = () => all.bench.gossip.undeliveringAt([owner], address(all));
  assert.deepEqual([all.bench.onWire, left()], [[x], [owner]]);
  ask(all, 6, "serves");
  assert.deepEqual([all.bench.onWire, left()], [[x], []], "nobody else serves it meanwhile");
});

const address = ({ bench }: Among) => bench.state.placements.get(x)?.[0]?.address ?? assert.fail();

test("others take the address over when they hear of it, and beside a member that does not know of it all is as before", () => {
  const successor = nodes.find((node) => {
    const one = serving();
    ask(one, 1, "serves");
    ask(one, 8, "serves none");
    return one.bench.state.placements.get(x)?.[0]?.owner === node;
  });
  const one = serving(lan, "", successor);
  const other = one.others.find(({ name }) => name === owner);
  other?.state.setUndeliveredAt(address(one), true);
  one.hear();
  one.bench.settle();
  assert.deepEqual(one.bench.onWire, [x]);
  one.bench.membersChanged([...nodes], [loser === successor ? owner : loser]);
  one.bench.settle();
  assert.deepEqual(one.bench.onWire, []);
});

test("other addresses of the node stay, and it takes this one again when its Pod or the Service goes", () => {
  const one = serving();
  one.bench.serve("default/other", ["192.0.2.9"], {}, everywhere);
  one.bench.settle();
  const before = one.bench.onWire.filter((each) => each !== x);
  ask(one, 1, "serves");
  ask(one, 8, "serves none");
  assert.deepEqual(one.bench.onWire, before);
  one.bench.serve("default/web", [x], {}, everywhere);
  ask(one, 1, "silent");
  assert.deepEqual(one.bench.onWire.toSorted(), [x, ...before].toSorted(), "any node serves it now");
});

test("a node that loses sight of the API keeps away from what its kube-proxy does not serve", () => {
  const one = serving();
  ask(one, 1, "serves");
  ask(one, 8, "serves none");
  assert.deepEqual(one.bench.onWire, []);
  one.bench.runner.dispatch({ type: "apiLost", since: one.bench.clock.now() });
  assert.deepEqual(ask(one, 90, "silent"), [], "the Pod may have gone");
  assert.deepEqual(one.bench.onWire, []);
  one.bench.runner.dispatch({ type: "apiLost", since: Infinity });
  ask(one, 1, "serves none");
  assert.deepEqual(one.bench.onWire, []);
  ask(one, 40, "serves");
  assert.deepEqual(one.bench.onWire, [x]);
});

test("what a Service is given while it is left to others is left to them too, and what it gives up is not", () => {
  const one = serving();
  ask(one, 1, "serves");
  ask(one, 8, "serves none");
  const given = ownOf(x);
  one.bench.setService("default/web", service("default/web", { ...local, ingress: [given] }));
  one.bench.serve("default/other", [x], {}, everywhere);
  one.bench.settle();
  ask(one, 1, "serves none");
  assert.deepEqual(one.bench.onWire, [x]);
});

test("by BGP the route goes from the node where another one carries it", () => {
  const one = serving(routed, peer);
  ask(one, 1, "serves");
  ask(one, 8, "serves none");
  assert.equal(one.bench.routes.size, 1, "no other node has a session");
  one.others[0]?.state.setDeliveries(new Map([["lan", { IPv4: "carried", IPv6: "noPeer" } as const]]));
  one.hear();
  one.bench.settle();
  ask(one, 1, "serves none");
  assert.equal(one.bench.routes.size, 0);
});

test("of thousands of Services four ports are asked in a second, and first those that were not served", () => {
  const one = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.0.0/16]}");
  for (let i = 0; i < 2_000; i++) one.bench.serve(`n/s${i}`, [`192.0.${i >> 8}.${i & 255}`], local, everywhere);
  one.bench.settle();
  const first = one.bench.view.nextHealthPorts(0, 0);
  assert.deepEqual([first.ports.length, first.scan, first.isQuiet], [4, 5, false], "one Service is not Local");
  one.bench.runner.dispatch({ type: "healthPorts", answers: new Map(first.ports.map(({ key }) => [key, "serves"])) });
  assert.equal(one.bench.view.nextHealthPorts(first.scan, 0).isQuiet, true);
  for (let i = 0; i < 400; i++)
    one.bench.runner.dispatch({ type: "healthPorts", answers: new Map([[`n/s${1_000 + i}`, "serves none"]]) });
  assert.equal(one.bench.state.healthPorts.unserved.size, 256);
  const { ports } = one.bench.view.nextHealthPorts(0, 0);
  assert.deepEqual(
    ports.map(({ key }) => Number(key.slice(3)) >= 1_000),
    [true, true, true, false],
  );
});

test("a node whose kube-proxy serves none of many Local Services leaves all of them to others, however long it takes to ask for each", () => {
  const count = 120;
  const one = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.0.0/16]}");
  for (let i = 0; i < count; i++) one.bench.serve(`n/s${i}`, [`192.0.1.${i}`], local, everywhere);
  one.bench.settle();
  one.bench.runner.dispatch({ type: "healthPorts", answers: new Map([["n/s0", "serves"]]) });
  let scan = 0;
  for (let second = 0; second < 2 * count; second++) {
    const next = one.bench.view.nextHealthPorts(scan, one.bench.clock.now());
    scan = next.scan;
    one.bench.runner.dispatch({ type: "healthPorts", answers: new Map(next.ports.map(({ key }) => [key, "serves none"])) });
    one.bench.clock.advanceBy(1_000);
  }
  const { unserved } = one.bench.state.healthPorts;
  assert.deepEqual([unserved.size, [...unserved.values()].filter(({ isLeft }) => !isLeft).length], [count, 0]);
});

test("Services whose ports do not answer keep no other one from being asked", () => {
  const silent = ["n/s0", "n/s1", "n/s2"];
  const one = amongOthers(owner, "{name: lan, protocol: layer2, addresses: [192.0.0.0/16]}");
  for (let i = 0; i < 4; i++) one.bench.serve(`n/s${i}`, [`192.0.1.${i}`], local, everywhere);
  one.bench.settle();
  const told = (answers: readonly (readonly [string, HealthAnswer])[]) =>
    one.bench.runner.dispatch({ type: "healthPorts", answers: new Map(answers) });
  told([["n/s3", "serves"]]);
  told([...silent, "n/s3"].map((key) => [key, "serves none"]));
  for (let second = 0; second < 20; second++) {
    one.bench.clock.advanceBy(1_000);
    const { ports } = one.bench.view.nextHealthPorts(0, one.bench.clock.now());
    told(ports.map(({ key }) => [key, silent.includes(key) ? "silent" : "serves none"]));
  }
  assert.deepEqual(
    [...one.bench.state.healthPorts.unserved].flatMap(([key, { isLeft }]) => (isLeft ? [key] : [])),
    ["n/s3"],
  );
});

test("the port of a Service with two families says nothing on a node that has a Pod of one of them", () => {
  const both = { ...local, clusterIPs: ["10.96.0.1", "fd00::1"] };
  const asked = (IPv4: readonly string[], IPv6: readonly string[]) => {
    const one = amongOthers(owner, lan);
    one.bench.setService("default/web", service("default/web", { ...both, ingress: [x] }));
    for (const [family, on] of Object.entries({ IPv4, IPv6 }) as [Family, readonly string[]][])
      if (on.length > 0) one.bench.endpoints("default/web", Object.fromEntries(on.map((node) => [node, true])), family);
    one.bench.settle();
    return ask(one, 1, "serves").length;
  };
  assert.equal(asked(nodes, nodes), 1);
  assert.equal(asked(nodes, [loser]), 0);
  assert.equal(asked([loser], nodes), 0);
  assert.equal(asked(nodes, []), 0, "it may be that of the family without Pods");
});
