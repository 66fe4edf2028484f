import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Item } from "#pkg/kernel";
import { parsePrefix } from "#pkg/net";
import { amongOthers, Bench, eth0, loser, nodes, owner, pools, x } from "../../testing/speaker-bench.ts";
import { announcedHere } from "../placement/placements.ts";
import { serviceView } from "../verdicts/address-verdict.ts";
import { poolVerdict } from "../verdicts/pool-verdict.ts";

const pool = (rest = "", placement = "lan") =>
  `{name: nics, protocol: interface, placement: ${placement}, addresses: [192.0.2.0/28]${rest}}`;
const subnet = parsePrefix("192.0.2.0/25") ?? assert.fail();
const nic = { ...eth0, addresses: ["192.0.2.100/25", "fe80::1/64"] };

/** A speaker on a ring, on a NIC in the subnet; so are the others, unless told otherwise. */
function onRing(node = owner, text = pool(), othersIn: readonly string[] = nodes) {
  const ring = amongOthers(node, text);
  const { bench, others, hear } = ring;
  for (const { name, state } of others)
    state.setReachability({
      answers: true,
      hasKernelAccess: true,
      interfaces: new Map([["eth0", othersIn.includes(name) ? [subnet] : []]]),
    });
  hear();
  bench.setInterfaces(nic);
  bench.settle();
  return ring;
}

function text(item: Item): string {
  if (item.type === "route") return `route ${item.prefix}`;
  return `${item.address}/${item.prefixLength} ${item.interface} ${item.lifetimeSeconds ?? "short"} ${item.isOnLan ? "lan" : "routed"}`;
}
const kernel = ({ kernel: found }: Bench) => [...found.values()].flat().map(text);
const onNic = `${x}/32 eth0 short lan`;
const onDummy = `${x}/32 kube-lb0 Infinity routed`;

suite("placement lan", () => {
  test("the owner that layer 2 would have has the address on its NIC with its own length, and announces it there; no other node does", () => {
    const [here, elsewhere] = [onRing(owner).bench, onRing(loser).bench];
    assert.deepEqual([kernel(here), [...here.wire]], [[onNic], [[x, "eth0"]]]);
    assert.deepEqual([kernel(elsewhere), [...elsewhere.wire]], [[], []]);
    assert.ok(here.kernelAnswers.has(x));
    const announced = ({ state }: Bench) =>
      announcedHere(state)
        .toArray()
        .map(({ address }) => address.toString());
    assert.deepEqual([announced(here), announced(elsewhere)], [[x], []]);
  });

  test("it moves with the members, and is taken off when another node is the owner again", () => {
    const { bench } = onRing(loser);
    bench.membersChanged([loser]);
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire], [[onNic], [x]]);
    bench.membersChanged(nodes);
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire], [[], []]);
  });

  test("a node without the subnet does not stand for election", () => {
    const { bench } = onRing(loser, pool(), [loser]);
    assert.deepEqual(kernel(bench), [onNic]);
    bench.setInterfaces({ ...nic, addresses: ["203.0.113.1/24"] });
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire], [[], []]);
    const { verdict } = serviceView(bench.state, "default/web", new Map()) ?? assert.fail();
    assert.equal(verdict.cause, "notInSubnet");
    bench.setInterfaces(nic); // It comes late.
    bench.settle();
    assert.deepEqual(kernel(bench), [onNic]);
  });

  test("addresses of Services on a NIC do not make the node a host of their subnet", () => {
    const { bench } = onRing(loser, pool(), [loser]);
    const published: (readonly string[])[] = []; // To the ring, which follows the node's addresses.
    bench.runner.onStep = (_, effects) => {
      for (const effect of effects)
        if (effect.type === "publishInterfaces") published.push(effect.interfaces.flatMap(({ addresses }) => addresses));
    };
    bench.setInterfaces({ ...nic, addresses: [...nic.addresses, `${x}/25`] });
    bench.settle();
    assert.deepEqual(kernel(bench), [onNic]);
    bench.setInterfaces({ ...nic, addresses: [`${x}/25`] });
    bench.settle();
    assert.deepEqual(kernel(bench), []);
    assert.deepEqual(published, [nic.addresses, []]);
  });

  test("an address of the node that another controller wrote into a Service's status, as k3s does, stays the node's own", () => {
    const { bench } = onRing(loser, pool(), [loser]);
    bench.serve("default/other", ["192.0.2.100"]);
    let published: readonly string[] = [];
    bench.runner.onStep = (_, effects) => {
      for (const effect of effects)
        if (effect.type === "publishInterfaces") published = effect.interfaces.flatMap(({ addresses }) => addresses);
    };
    bench.setInterfaces({ ...nic, running: false });
    bench.setInterfaces(nic);
    bench.clock.advanceBy(2_000);
    bench.settle();
    assert.deepEqual([kernel(bench), published], [[onNic], nic.addresses]);
  });

  test("while no pool is known, no address of a Service makes the node a host, such as one that an earlier process left", () => {
    const bench = new Bench(loser);
    const published: (readonly string[])[] = [];
    bench.runner.onStep = (_, effects) => {
      for (const effect of effects)
        if (effect.type === "publishInterfaces") published.push(effect.interfaces.flatMap(({ addresses }) => addresses));
    };
    bench.start();
    bench.serve("default/web", [x]);
    bench.setInterfaces({ ...nic, addresses: [...nic.addresses, `${x}/32`] });
    bench.settle();
    assert.deepEqual(published.at(-1), nic.addresses);
  });

  test("another NIC with the longest subnet and a lost carrier are followed", () => {
    const { bench } = onRing(loser, pool(), [loser]);
    bench.setInterfaces({ ...nic, name: "eth7", addresses: ["192.0.2.100/24"] });
    bench.settle();
    assert.deepEqual(kernel(bench), [`${x}/32 eth7 short lan`]);
    const twice = { ...nic, index: 3, name: "eth8", addresses: ["192.0.2.101/25"] };
    bench.setInterfaces({ ...nic, name: "eth7", addresses: ["192.0.2.100/24"] }, twice);
    bench.settle();
    assert.deepEqual([kernel(bench), [...bench.wire]], [[`${x}/32 eth8 short lan`], [[x, "eth8"]]], "the longest subnet");
    bench.setInterfaces({ ...twice, running: false });
    bench.settle();
    assert.deepEqual(kernel(bench), []);
  });

  test("interfaces are those that the pool names", () => {
    const { bench } = onRing(loser, pool(", interfaces: [bond*]"), []);
    assert.deepEqual(kernel(bench), []);
    bench.setInterfaces(nic, { ...nic, index: 9, name: "bond0" });
    bench.settle();
    assert.deepEqual(kernel(bench), [`${x}/32 bond0 short lan`]);
  });

  test("an interface that is named by its second name is followed, and told to the others under that name", () => {
    const { bench } = onRing(loser, pool(', interfaces: ["second0"]'), []);
    assert.deepEqual([kernel(bench), bench.followedNames], [[], ["second0"]]);
    bench.runner.dispatch({ type: "routes", interfaces: new Map([["second0", "eth0"]]) });
    bench.settle();
    assert.deepEqual([kernel(bench), [...bench.wire]], [[`${x}/32 eth0 short lan`], [[x, "eth0"]]]);
    assert.ok(bench.gossip.reachability(loser)?.interfaces.has("second0"));
    bench.runner.dispatch({ type: "routes", interfaces: new Map() });
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire], [[], []]);
  });

  test("an interface that is named by what it leads to is followed, and told to the others under that name", () => {
    const text = pool(', interfaces: ["can_reach:203.0.113.9"]');
    const { bench } = onRing(loser, text, []);
    assert.deepEqual([kernel(bench), bench.followed], [[], ["203.0.113.9"]]);
    const twice = { ...nic, index: 9, name: "eth9" };
    const reached = (name: string) => bench.runner.dispatch({ type: "routes", interfaces: new Map([["203.0.113.9", name]]) });
    bench.setInterfaces(nic, twice);
    bench.settle();
    assert.deepEqual(kernel(bench), []);
    for (const name of ["eth0", "eth9"]) {
      reached(name);
      bench.settle();
      assert.deepEqual([kernel(bench), [...bench.wire]], [[`${x}/32 ${name} short lan`], [[x, name]]]);
    }
    assert.ok(bench.gossip.reachability(loser)?.interfaces.has("can_reach:203.0.113.9"));
    bench.runner.dispatch({ type: "routes", interfaces: new Map() });
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire], [[], []]);
    bench.setConfig(pools(pool()));
    bench.settle();
    assert.deepEqual([kernel(bench), bench.followed], [[onNic], []]);
  });

  test("with conflict-probe strict nothing is in the kernel before nobody has answered", () => {
    const { bench } = onRing(owner, pool(", conflict-probe: strict"));
    bench.setService("default/web", undefined);
    bench.settle();
    assert.deepEqual(kernel(bench), []);
    bench.serve("default/new", [x]);
    bench.settle();
    assert.deepEqual([kernel(bench), bench.firsts.length > 0], [[], true]);
    bench.clock.advanceBy(5_000);
    bench.settle();
    assert.deepEqual(kernel(bench), [onNic]);
  });

  test("under Local only nodes with an endpoint stand for election", () => {
    const { bench } = onRing(loser);
    bench.serve("default/web", [x], { externalTrafficPolicy: "Local" }, { [loser]: true });
    bench.settle();
    assert.deepEqual(kernel(bench), [onNic]);
    bench.endpoints("default/web", { [owner]: true });
    bench.settle();
    assert.deepEqual(kernel(bench), []);
  });

  test("a node whose speaker may not change its kernel tells the others, and leaves the address to one that may", () => {
    const { bench } = onRing(owner);
    assert.equal(bench.gossip.reachability(owner)?.hasKernelAccess, true);
    bench.runner.dispatch({ type: "kernel", failure: "no capability", problems: new Map() });
    bench.settle();
    assert.equal(bench.gossip.reachability(owner)?.hasKernelAccess, false);
    assert.deepEqual([kernel(bench), bench.onWire], [[], []]);
    const { verdict } = serviceView(bench.state, "default/web", new Map()) ?? assert.fail();
    const own = verdict.evidence.find(({ name }) => name === owner);
    assert.match(`${verdict.cause}: ${own?.value}`, /^notOwner: .*NET_ADMIN/);
    bench.runner.dispatch({ type: "kernel", failure: undefined, problems: new Map() });
    bench.settle();
    assert.deepEqual(kernel(bench), [onNic]);
  });

  test("nodes that may not change their kernels do not stand for election, and where none may the verdict says so", () => {
    const { bench, others, hear } = onRing(loser);
    const tell = (hasKernelAccess: boolean) => {
      for (const { state } of others)
        state.setReachability({ answers: true, hasKernelAccess, interfaces: new Map([["eth0", [subnet]]]) });
      hear();
      bench.settle();
    };
    tell(false);
    assert.deepEqual(kernel(bench), [onNic]);
    bench.reported.length = 0;
    bench.runner.dispatch({ type: "kernel", failure: "no capability", problems: new Map() });
    bench.settle();
    const { verdict } = serviceView(bench.state, "default/web", new Map()) ?? assert.fail();
    assert.match(
      verdict.message,
      /announced by no node: the speaker of no candidate may put it on a NIC \(node1, node2, node3\)$/,
    );
    const [one] = bench.state.config?.config.pools ?? [];
    const causes = [verdict.cause, poolVerdict(bench.state, one ?? assert.fail()).cause];
    assert.deepEqual(causes, ["noKernelAccess", "noKernelAccess"]);
    tell(true);
    assert.equal(serviceView(bench.state, "default/web", new Map())?.verdict.cause, "notOwner");
  });

  test("from layer 2 to a NIC and back the node goes on announcing, and the kernel has what it is to have", () => {
    const { bench } = onRing(owner, pool());
    bench.setConfig(pools("{name: nics, protocol: layer2, addresses: [192.0.2.0/28]}"));
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire, bench.kernelAnswers.has(x)], [[], [x], false]);
    bench.setConfig(pools(pool()));
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire, bench.kernelAnswers.has(x)], [[onNic], [x], true]);
    bench.setConfig(pools(pool("", "routed")));
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire], [[onDummy], []]);
    bench.setConfig(pools(pool()));
    bench.settle();
    assert.deepEqual(kernel(bench), [onNic]);
  });

  test("without a ring the owner has it where it is in the subnet, and says so where it is not", () => {
    const bench = new Bench(owner);
    bench.setConfig(pools(pool()));
    bench.serve("default/web", [x]);
    bench.setInterfaces(nic);
    bench.start();
    bench.settle();
    assert.deepEqual(kernel(bench), [onNic]);
    bench.setInterfaces(eth0);
    bench.settle();
    assert.deepEqual(kernel(bench), []);
    const found = () => serviceView(bench.state, "default/web", new Map())?.verdict ?? assert.fail();
    assert.match(`${found().cause}: ${found().message}`, /^notInKernel: .*no interface is in its subnet$/);
    bench.setInterfaces(nic);
    bench.runner.dispatch({ type: "kernel", failure: "no capability", problems: new Map() });
    bench.settle();
    assert.match(`${found().cause}: ${found().message}`, /^notInKernel: .*no capability$/);
    const [one] = bench.state.config?.config.pools ?? [];
    assert.equal(poolVerdict(bench.state, one ?? assert.fail()).cause, "noKernelAccess");
  });

  test("verdicts and events say where it is", () => {
    const { bench } = onRing(owner);
    const { verdict } = serviceView(bench.state, "default/web", new Map()) ?? assert.fail();
    assert.equal(verdict.message, `${owner} has ${x} of pool nics in its kernel (interface eth0)`);
    const [one] = bench.state.config?.config.pools ?? [];
    assert.match(
      poolVerdict(bench.state, one ?? assert.fail()).message,
      /^3 nodes may announce pool nics with its addresses on NICs/,
    );
    assert.deepEqual(bench.reported.at(-1), "nodeAssigned default/web");
    const failure = "the process needs the capability NET_ADMIN";
    bench.runner.dispatch({ type: "kernel", failure, problems: new Map() });
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire], [[], []], "nobody would answer");
    const { state } = onRing(loser).bench;
    const view = serviceView(state, "default/web", new Map()) ?? assert.fail();
    assert.equal(view.verdict.message, `${owner} announces ${x}`);
  });
});

suite("placement auto", () => {
  test("where a node is in the subnet its owner has it, and no other node; else every node has it", () => {
    const { bench, others, hear } = onRing(loser, pool("", "auto"));
    assert.deepEqual(kernel(bench), []);
    for (const { state } of others)
      state.setReachability({ answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", []]]) });
    hear();
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire], [[onNic], [x]], "it is the only one in the subnet");
    bench.setInterfaces({ ...nic, addresses: ["203.0.113.1/24"] });
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire], [[onDummy], []]);
    bench.setInterfaces(nic);
    bench.settle();
    assert.deepEqual([kernel(bench), bench.onWire], [[onNic], [x]]);
  });

  test("a node of the subnet that may not change its kernel makes nobody wait for it", () => {
    const { bench, others, hear } = onRing(loser, pool("", "auto"), []);
    bench.runner.dispatch({ type: "kernel", failure: "no capability", problems: new Map() });
    bench.settle();
    assert.deepEqual(kernel(bench), [onDummy], "asked for, though this node cannot have it: no other node leaves it to this one");
    bench.runner.dispatch({ type: "kernel", failure: undefined, problems: new Map() });
    bench.setInterfaces({ ...nic, addresses: ["203.0.113.1/24"] });
    const [other] = others;
    for (const hasKernelAccess of [true, false]) {
      other?.state.setReachability({ answers: true, hasKernelAccess, interfaces: new Map([["eth0", [subnet]]]) });
      hear();
      bench.settle();
      assert.deepEqual(kernel(bench), hasKernelAccess ? [] : [onDummy]);
    }
  });

  test("a node outside has nothing while one in the subnet lives, and has it routed when that is gone", () => {
    const { bench } = onRing(loser, pool("", "auto"), [owner]);
    bench.setInterfaces({ ...nic, addresses: ["203.0.113.1/24"] });
    bench.settle();
    assert.deepEqual(kernel(bench), []);
    bench.membersChanged(nodes.filter((node) => node !== owner));
    bench.settle();
    assert.deepEqual(kernel(bench), [onDummy]);
    bench.membersChanged(nodes);
    bench.settle();
    assert.deepEqual(kernel(bench), []);
  });
});
