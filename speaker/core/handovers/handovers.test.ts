import assert from "node:assert/strict";
import { test } from "node:test";
import { slow } from "#pkg/clock/testing";
import { GossipState, GossipStore } from "#pkg/gossip";
import { GossipNode } from "#pkg/gossip/testing";
import { families } from "#pkg/net";
import { address } from "#pkg/net/testing";
import { drainLabel } from "#pkg/placement";
import { amongOthers, Bench, eth0, excluded, gossipTo, loser, nodes, owner, pools, x } from "../../testing/speaker-bench.ts";
import { serviceView } from "../verdicts/address-verdict.ts";

const kept = "{name: lan, protocol: layer2, keep-connections: true, addresses: [192.0.2.0/28]}";
const here = { ...eth0, addresses: ["192.0.2.101/24", "fe80::1/64"] };
const mac = (node: string) => `02:00:00:00:01:0${node.at(-1)}`;
const own = (node: string) => `192.0.2.11${node.at(-1)}`;

/** A speaker whose LAN the others are on. */
function onLan(node: string, text = kept) {
  const ring = amongOthers(node, text);
  ring.bench.setInterfaces(here);
  for (const { name, state } of ring.others) state.setLinks([{ mac: mac(name), addresses: [address(own(name))] }]);
  for (const { name } of ring.others)
    ring.bench.runner.dispatch({ type: "member", change: "updated", node: name, incarnation: 0, life: 1, macs: [mac(name)] });
  ring.hear();
  ring.bench.settle();
  return ring;
}

/** The owner becomes, or is no longer, one that may not announce. */
function exclude(bench: Bench, node: string, isExcluded: boolean): void {
  bench.setNode(node, isExcluded ? excluded : {});
  bench.settle();
}

/** The kernel's rules as `address to former owner`, each with the one node that it takes packets from, and the way of the former owner's packets. */
function handedOver({ handovers }: Bench): string[] {
  return [...handovers].map(([key, { to, from, lingers, beyond }]) => {
    const senders = from === undefined ? "" : ` from ${[...from, ...(lingers ? ["clients"] : [])].join(" and ") || "nobody"}`;
    return `${key} to ${to}${senders}${beyond === undefined ? "" : `, from ${beyond.from} to ${beyond.to}`}`;
  });
}

/** The node that is the owner where `owner` may not be. */
function second(): string {
  for (const node of nodes) {
    if (node === owner) continue;
    const { bench } = onLan(node);
    exclude(bench, owner, true);
    if (bench.onWire.includes(x)) return node;
  }
  return assert.fail();
}

const next = second();
const third = nodes.find((node) => node !== owner && node !== next) ?? "";

test("the new owner hands to the former one, which lives", () => {
  const { bench } = onLan(next);
  assert.deepEqual(handedOver(bench), []);
  exclude(bench, owner, true);
  assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)}`]);
});

test("the verdict on the address says where connections go on, at both nodes", () => {
  const facts = ({ state }: Bench) =>
    serviceView(state, "default/web", new Map())?.addresses.flatMap(({ verdict }) =>
      verdict.evidence.flatMap(({ name, value }) => (/connections/.test(name) ? [`${name}: ${value}`] : [])),
    );
  const { bench } = onLan(next);
  exclude(bench, owner, true);
  assert.deepEqual(facts(bench), [`packets of unknown connections go to: ${owner}`]);
  const former = onLan(owner).bench;
  exclude(former, owner, true);
  assert.deepEqual(facts(former), [`connections kept by ${owner}: not counted yet`]);
  former.runner.dispatch({ type: "flows", counts: new Map([[x, 12]]) });
  assert.deepEqual(facts(former), [`connections kept by ${owner}: 12`]);
});

test("no pool, no handover", () => {
  const { bench } = onLan(next, kept.replace("keep-connections: true, ", ""));
  exclude(bench, owner, true);
  assert.deepEqual([bench.onWire, handedOver(bench)], [[x], []]);
});

test("it ends when the former owner reports no connections for 20 s, and not before", () => {
  const { bench, others, hear } = onLan(next);
  const former = others.find(({ name }) => name === owner) ?? assert.fail();
  exclude(bench, owner, true);
  former.state.setServing(address(x), true);
  hear();
  bench.clock.advanceBy(300_000);
  assert.equal(handedOver(bench).length, 1);
  former.state.setServing(address(x), false);
  hear();
  bench.clock.advanceBy(19_999);
  assert.equal(handedOver(bench).length, 1);
  bench.clock.advanceBy(1);
  assert.deepEqual(handedOver(bench), []);
});

test("whoever opens connections all the time, or lies about them, keeps it for ten minutes and no longer", () => {
  const { bench, others, hear } = onLan(next);
  exclude(bench, owner, true);
  others.find(({ name }) => name === owner)?.state.setServing(address(x), true);
  hear();
  bench.clock.advanceBy(599_999);
  assert.equal(handedOver(bench).length, 1);
  bench.clock.advanceBy(1);
  assert.deepEqual(handedOver(bench), []);
});

function fails(bench: Bench, node: string): void {
  bench.runner.dispatch({ type: "member", change: "failed", node, incarnation: 0, life: 1, macs: undefined });
  bench.membersChanged(bench.active.filter((one) => one !== node));
  bench.settle();
}

test("it ends 10 s after the former owner failed, whose kernel may go on", () => {
  for (const isBack of [false, true]) {
    const { bench } = onLan(next);
    exclude(bench, owner, true);
    fails(bench, owner);
    bench.clock.advanceBy(9_999);
    assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)}`]);
    if (isBack)
      bench.runner.dispatch({ type: "member", change: "joined", node: owner, incarnation: 1, life: 2, macs: [mac(owner)] });
    if (isBack) bench.membersChanged(nodes);
    bench.clock.advanceBy(1);
    assert.equal(handedOver(bench).length, isBack ? 1 : 0);
  }
});

function joins(bench: Bench, node: string): void {
  bench.runner.dispatch({ type: "member", change: "joined", node, incarnation: 1, life: 1, macs: [mac(node)] });
  bench.membersChanged(nodes);
}

test("packets wait a second for a failed owner, which may live; where it is back by then, and does not get its address back, it goes on", () => {
  for (const isBack of [true, false]) {
    const { bench, others, hear } = onLan(next);
    fails(bench, owner);
    bench.clock.advanceBy(999);
    assert.deepEqual([bench.onWire, handedOver(bench)], [[x], [`${x} to ${own(owner)}`]]);
    const former = others.find(({ name }) => name === owner) ?? assert.fail();
    bench.setNode(owner, excluded);
    if (isBack) joins(bench, owner);
    bench.clock.advanceBy(1);
    bench.settle();
    assert.equal(handedOver(bench).length, isBack ? 1 : 0);
    if (!isBack) joins(bench, owner);
    former.state.setIncarnation(1);
    former.state.setServing(address(x), true);
    hear();
    bench.clock.advanceBy(590_000);
    assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)}`], "it says that it has connections");
    bench.clock.advanceBy(10_000);
    assert.deepEqual(handedOver(bench), [], "ten minutes after the move at the latest");
    former.state.setServing(address(x), false);
    hear();
    former.state.setServing(address(x), true);
    hear();
    assert.deepEqual(handedOver(bench), [], "whoever lies about connections does not begin them again");
  }
});

test("an owner that others took for failed hands to the node that owned the address meanwhile, before it announces it again", () => {
  const { bench, others, hear } = onLan(owner);
  bench.clock.advanceBy(30_000);
  assert.deepEqual(handedOver(bench), []);
  bench.runner.dispatch({ type: "member", change: "refuted", node: owner, incarnation: 1, life: 1, macs: undefined });
  const turn: string[] = [];
  bench.runner.onStep = (_, effects) => turn.push(...effects.map(({ type }) => type));
  bench.clock.advanceBy(1);
  assert.ok(turn.indexOf("setHandover") < turn.indexOf("reannounce"), `${turn}`);
  assert.deepEqual(handedOver(bench), [`${x} to ${own(next)}`], "the one that the others elect without this node");
  others.find(({ name }) => name === third)?.state.setServing(address(x), true);
  hear();
  assert.deepEqual(handedOver(bench), [`${x} to ${own(third)}`], "the one that says so");
  others.find(({ name }) => name === third)?.state.setServing(address(x), false);
  hear();
  bench.clock.advanceBy(20_000);
  assert.deepEqual(handedOver(bench), []);
});

test("when the owner in the middle fails, the next one hands to the node that the connections go through", () => {
  const { bench, others, hear } = onLan(third);
  exclude(bench, owner, true);
  others.find(({ name }) => name === owner)?.state.setServing(address(x), true);
  hear();
  fails(bench, next);
  assert.deepEqual(bench.onWire, [x]);
  assert.match(handedOver(bench).join(), new RegExp(`^${x} to ${own(owner)}`));
});

test("when the owner after this node fails, this node passes on what the next one sends, too: to the node before it, over which the connections go", () => {
  const { bench, others, hear } = onLan(next);
  const fourth = new GossipNode("node4");
  const store = new GossipStore(next, 1);
  store.joined("node4", 1);
  fourth.state.participate();
  fourth.state.setReachability({ answers: true, hasKernelAccess: true, interfaces: new Map([["eth0", []]]) });
  fourth.state.setLinks([{ mac: mac("node4"), addresses: [address(own("node4"))] }]);
  bench.runner.dispatch({ type: "member", change: "joined", node: "node4", incarnation: 0, life: 1, macs: [mac("node4")] });
  bench.runner.dispatch({ type: "gossip", entries: store.merge(fourth.payload(), 0) });
  bench.membersChanged([...nodes, "node4"]);
  exclude(bench, owner, true);
  others.find(({ name }) => name === owner)?.state.setServing(address(x), true);
  hear();
  if (!bench.onWire.includes(x)) return assert.fail("another owner than without the fourth node");
  exclude(bench, next, true);
  const [first = "", last = ""] = [third, "node4"].sort((one) => (handedOver(bench).join().includes(mac(one)) ? -1 : 1));
  assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)} from ${mac(first)} and clients`]);
  bench.clock.advanceBy(1_000);
  fails(bench, first);
  assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)} from ${mac(first)} and ${mac(last)} and clients`]);
});

test("the kernel goes on while the thread that answers begins again, and the others are told of the same links", () => {
  const { bench } = onLan(next);
  exclude(bench, owner, true);
  const links = bench.gossip.links(next);
  bench.setInterfaces({ ...here, status: "failing", error: "the thread that answers died and is being restarted" });
  bench.settle();
  assert.deepEqual(
    [bench.onWire, handedOver(bench), bench.gossip.links(next)],
    [[], [`${x} to ${own(owner)} from ${mac(third)} and clients`], links],
  );
  bench.setInterfaces({ ...here, running: false });
  assert.deepEqual([handedOver(bench), bench.gossip.links(next)], [[], []]);
});

test("links that an earlier process told of hold until the next one knows its pools", () => {
  const other = new GossipState(owner);
  const lives = (life: number, text: string) => {
    const bench = new Bench(next, { hasRing: true });
    bench.onGossip = (entries) => other.merge(entries.map((entry) => ({ ...entry, node: next, life, version: 1 })));
    gossipTo(bench);
    bench.setInterfaces(here);
    bench.setConfig(pools(text));
    bench.start();
    bench.clock.advanceBy(1_000);
    return other.links(next).length;
  };
  assert.deepEqual([lives(1, kept), lives(2, kept.replace("keep-connections: true, ", ""))], [1, 1]);
});

test("connections go on over no node that cannot deliver, neither from the beginning nor when it fails later", () => {
  for (const isBrokenFirst of [true, false]) {
    const { bench, others, hear } = onLan(next);
    const former = others.find(({ name }) => name === owner) ?? assert.fail();
    if (isBrokenFirst) former.state.setUndelivered(families);
    else exclude(bench, owner, true);
    hear();
    bench.settle();
    assert.deepEqual([bench.onWire, handedOver(bench).length], [[x], isBrokenFirst ? 0 : 1]);
    former.state.setUndelivered(families);
    hear();
    bench.settle();
    assert.deepEqual([bench.onWire, handedOver(bench)], [[x], []]);
  }
});

test("a node that leaves the ring goes on with its connections for a minute: its speaker's Pod may be replaced", () => {
  for (const isBack of [true, false]) {
    const { bench } = onLan(next);
    bench.runner.dispatch({ type: "member", change: "left", node: owner, incarnation: 0, life: 1, macs: undefined });
    bench.membersChanged(nodes.filter((one) => one !== owner));
    bench.settle();
    assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)}`]);
    if (isBack) {
      exclude(bench, owner, true); // It does not take it back in this test.
      bench.runner.dispatch({ type: "member", change: "joined", node: owner, incarnation: 1, life: 2, macs: [mac(owner)] });
      bench.membersChanged(nodes);
      bench.gossip.servers(x);
    }
    bench.clock.advanceBy(isBack ? 19_000 : 59_999);
    assert.equal(handedOver(bench).length, 1);
    bench.clock.advanceBy(1_001);
    assert.equal(handedOver(bench).length, 0, isBack ? "it reports no connection" : "it is not back");
  }
});

test("three owners in a row: the one in the middle passes on what its successor sends, and nothing else", () => {
  const { bench } = onLan(next);
  exclude(bench, owner, true);
  exclude(bench, next, true);
  assert.deepEqual(bench.onWire, []);
  assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)} from ${mac(third)} and clients`]);
  bench.clock.advanceBy(9_999);
  assert.match(handedOver(bench).join(), / and clients$/);
  bench.clock.advanceBy(1); // By then clients have heard of the owner.
  assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)} from ${mac(third)}`]);
});

test("to and fro: the owner that has it again hands to the one in between, and serves itself no more once all know it", () => {
  const { bench } = onLan(owner);
  const counted = () => [...bench.counted];
  bench.clock.advanceBy(30_000); // By then it is known that nobody had the address before.
  exclude(bench, owner, true);
  assert.deepEqual([handedOver(bench), counted(), bench.gossip.servers(x)], [[], [x], [owner]]);
  exclude(bench, owner, false);
  assert.deepEqual([handedOver(bench), counted(), bench.gossip.servers(x)], [[`${x} to ${own(next)}`], [x], [owner]]);
  bench.clock.advanceBy(1_000);
  assert.deepEqual([handedOver(bench), counted(), bench.gossip.servers(x)], [[`${x} to ${own(next)}`], [], []]);
});

test("the next owner is silent until the one before it says that it passes packets on, for 300 ms at most", () => {
  for (const says of [true, false]) {
    const { bench, others, hear } = onLan(third);
    const serves = (node: string) => others.find(({ name }) => name === node)?.state.setServing(address(x), true);
    exclude(bench, owner, true);
    serves(owner);
    hear();
    exclude(bench, next, true);
    assert.deepEqual(bench.onWire, []);
    if (says) serves(next);
    if (says) hear();
    bench.clock.advanceBy(says ? 1 : 299);
    bench.settle();
    assert.equal(bench.onWire.length, says ? 1 : 0);
    bench.clock.advanceBy(1);
    bench.settle();
    assert.deepEqual(bench.onWire, [x]);
  }
});

test("the next owner is silent, too, where the owner before that one is away, and cannot say that it has connections", () => {
  for (const isAway of [true, false]) {
    const { bench, others, hear } = onLan(third);
    exclude(bench, owner, true);
    if (isAway) {
      bench.runner.dispatch({ type: "member", change: "left", node: owner, incarnation: 0, life: 1, macs: undefined });
      bench.membersChanged(nodes.filter((one) => one !== owner));
      bench.settle();
    }
    exclude(bench, next, true);
    assert.deepEqual(bench.onWire, isAway ? [] : [x]);
    others.find(({ name }) => name === next)?.state.setServing(address(x), true);
    hear();
    bench.settle();
    assert.deepEqual(bench.onWire, [x]);
  }
});

test("an owner that has it back from a third node: what the two would hand to and fro goes on to the node that served before them", () => {
  const before = (node: string) => {
    const ring = onLan(node);
    const former = ring.others.find(({ name }) => name === owner) ?? assert.fail();
    exclude(ring.bench, owner, true);
    former.state.setServing(address(x), true);
    ring.hear();
    exclude(ring.bench, next, true);
    exclude(ring.bench, next, false);
    return { ...ring, former };
  };
  const again = before(next);
  const asBefore = [`${x} to ${own(owner)} from ${mac(third)} and clients`];
  assert.deepEqual(handedOver(again.bench), asBefore, "clients that send here already have heard of no other owner");
  again.bench.clock.advanceBy(300);
  assert.deepEqual(handedOver(again.bench), [`${x} to ${own(third)}, from ${mac(third)} to ${own(owner)}`]);
  const between = before(third);
  assert.deepEqual(handedOver(between.bench), [`${x} to ${own(next)} from clients, from ${mac(next)} to ${own(owner)}`]);
  between.bench.clock.advanceBy(60_000);
  assert.deepEqual(handedOver(between.bench), [`${x} to ${own(next)} from nobody, from ${mac(next)} to ${own(owner)}`]);
  between.former.state.setServing(address(x), false);
  between.hear();
  between.bench.clock.advanceBy(20_000);
  assert.deepEqual(handedOver(between.bench), [], "nobody is left beyond the two");
  for (const isHeardFirst of [true, false]) {
    const back = before(third);
    const late = handedOver(back.bench);
    if (isHeardFirst) exclude(back.bench, owner, false);
    back.former.state.setServing(address(x), false);
    back.hear();
    if (!isHeardFirst) exclude(back.bench, owner, false);
    assert.deepEqual(handedOver(back.bench), late, "it has the address again, and clients may not have heard of it");
  }
});

test("a node between two owners hears late that the second has the address again, and hands on for as long as the first serves it", () => {
  const { bench, others, hear } = onLan(third);
  const serves = (node: string, isServing: boolean) => {
    others.find(({ name }) => name === node)?.state.setServing(address(x), isServing);
    hear();
  };
  exclude(bench, owner, true);
  serves(owner, true);
  exclude(bench, next, true);
  serves(next, true);
  serves(next, false);
  exclude(bench, next, false);
  bench.clock.advanceBy(60_000);
  assert.deepEqual(handedOver(bench), [`${x} to ${own(next)} from nobody, from ${mac(next)} to ${own(owner)}`]);
});

test("a former owner says so until its connections are gone", () => {
  const { bench } = onLan(owner);
  bench.clock.advanceBy(30_000);
  exclude(bench, owner, true);
  const flows = (count: number) => bench.runner.dispatch({ type: "flows", counts: new Map([[x, count]]) });
  flows(3);
  assert.deepEqual([bench.gossip.servers(x), bench.view.servedConnections], [[owner], 3]);
  flows(0);
  assert.deepEqual(
    [bench.gossip.servers(x), [...bench.counted]],
    [[owner], [x]],
    "clients that have not heard of the next owner open some",
  );
  bench.clock.advanceBy(10_000);
  flows(1);
  assert.deepEqual(bench.gossip.servers(x), [owner]);
  flows(0);
  assert.deepEqual([bench.gossip.servers(x), [...bench.counted]], [[], []]);
});

test("a process that begins counts connections of an earlier one, and tells the others of them only when there are some", () => {
  const { bench } = onLan(loser);
  assert.deepEqual([[...bench.counted], bench.gossip.servers(x)], [[x], []]);
  bench.runner.dispatch({ type: "flows", counts: new Map([[x, 2]]) });
  assert.deepEqual(bench.gossip.servers(x), [loser]);
  bench.clock.advanceBy(60_000);
  bench.serve("default/later", ["192.0.2.2"]);
  bench.settle();
  assert.deepEqual([...bench.counted], [x], "what comes later it never had");
});

test("a former owner that moves to another address of its own, or is not on the link, is followed", () => {
  const { bench, others, hear } = onLan(next);
  exclude(bench, owner, true);
  const former = others.find(({ name }) => name === owner) ?? assert.fail();
  former.state.setLinks([{ mac: mac(owner), addresses: [address("192.0.2.200")] }]);
  hear();
  assert.deepEqual(handedOver(bench), [`${x} to 192.0.2.200`]);
  former.state.setLinks([{ mac: mac(owner), addresses: [address("198.51.100.1")] }]);
  hear();
  assert.deepEqual(handedOver(bench), []);
});

test("the others are told by which addresses they reach this node, of its own alone", () => {
  const { bench } = onLan(next);
  assert.deepEqual(
    bench.gossip.links(next).map((link) => [link.mac, ...link.addresses.map(String)]),
    [[here.mac, "192.0.2.101", "fe80::1"]],
  );
});

test("the kernel knows the MAC addresses of all other speakers", () => {
  const { bench } = onLan(next);
  assert.deepEqual(bench.speakers, nodes.filter((node) => node !== next).map(mac));
});

test("a pool that no longer keeps connections hands over none, and counts none", () => {
  const { bench } = onLan(next);
  exclude(bench, owner, true);
  bench.setConfig(pools(kept.replace("keep-connections: true, ", "")));
  bench.settle();
  assert.deepEqual([bench.onWire, handedOver(bench), [...bench.counted]], [[x], [], []]);
});

test("of 400 addresses that move together, each is handed over for as long as if it were alone", () => {
  const { bench } = onLan(next, kept.replace("192.0.2.0/28", "10.0.0.0/16, 192.0.2.0/28"));
  for (let i = 0; i < 400; i++)
    bench.serve(`default/${i}`, [`10.0.${i >> 8}.${i & 255}`], {}, { node1: true, node2: true, node3: true });
  bench.settle();
  exclude(bench, owner, true);
  const { length } = handedOver(bench);
  assert.ok(length > 50, `${length}`);
  bench.clock.advanceBy(599_999);
  assert.equal(handedOver(bench).length, length);
  bench.clock.advanceBy(1);
  assert.equal(handedOver(bench).length, 0);
});

test("when its Service goes, so does all about an address", () => {
  const { bench } = onLan(next);
  exclude(bench, owner, true);
  bench.setService("default/web", undefined);
  bench.settle();
  assert.deepEqual([handedOver(bench), [...bench.counted]], [[], []]);
});

test("a speaker that begins guesses who owned an address before it, until that node says so", () => {
  const { bench, others, hear } = onLan(owner);
  assert.deepEqual(handedOver(bench), [`${x} to ${own(next)}`], "the one that the others elect without this node");
  const say = (node: string) => {
    others.find(({ name }) => name === node)?.state.setServing(address(x), true);
    hear();
    bench.settle();
    return handedOver(bench);
  };
  assert.deepEqual(say(third), [`${x} to ${own(third)}`]);
  const later = onLan(owner);
  assert.deepEqual(say(next), [`${x} to ${own(next)}`]);
  const serves = (node: string) => later.others.find(({ name }) => name === node)?.state.setServing(address(x), true);
  serves(third);
  later.hear();
  exclude(later.bench, owner, true);
  serves(next);
  later.hear();
  const toThird = [`${x} to ${own(third)} from ${mac(next)} and clients`];
  assert.deepEqual(handedOver(later.bench), toThird, "an owner after this node serves it too");
});

test("a node that says it serves an address some seconds later is not the former owner: its speaker begins again", () => {
  const { bench, others, hear } = onLan(owner);
  const say = (node: string) => {
    others.find(({ name }) => name === node)?.state.setServing(address(x), true);
    hear();
    bench.settle();
    return handedOver(bench);
  };
  say(third);
  bench.clock.advanceBy(3_000);
  assert.deepEqual(say(next), [`${x} to ${own(third)}`]);
});

/** The speaker of the owner before it begins. An earlier process passed packets on, as the kernel still does. */
function beginning() {
  const bench = new Bench(owner, { hasRing: true });
  const { others, hear } = gossipTo(bench);
  for (const { name, state } of others) state.setLinks([{ mac: mac(name), addresses: [address(own(name))] }]);
  hear();
  bench.setInterfaces(here);
  bench.setConfig(pools(kept));
  bench.runner.dispatch({ type: "inherited", inherited: { addresses: [address(x)], unfinished: [] } });
  bench.serve("default/web", [x]);
  return { bench, others, hear };
}

test("a speaker that guesses who owned an address before it hands nothing beyond that node: where the guess is wrong, packets would go round", () => {
  const { bench, others, hear } = beginning();
  for (const { state } of others) state.setServing(address(x), true);
  hear();
  bench.start();
  for (const ms of [1_000, 300]) {
    bench.clock.advanceBy(ms);
    bench.settle();
  }
  assert.deepEqual(handedOver(bench), [`${x} to ${own(next)}`]);
});

test("a speaker that guesses who owned an address before it is silent for 300 ms where a third node serves it: the former owner is to pass packets on, and until then the kernel passes on what it did", () => {
  const { bench, others, hear } = beginning();
  for (const { name, state } of others) if (name === third) state.setServing(address(x), true);
  hear();
  bench.start();
  for (const ms of [1_000, 299]) {
    bench.clock.advanceBy(ms);
    bench.settle();
  }
  assert.deepEqual([bench.onWire, handedOver(bench)], [[], []]);
  bench.clock.advanceBy(1);
  bench.settle();
  assert.deepEqual([bench.onWire, handedOver(bench)], [[x], [`${x} to ${own(next)}`]]);
});

test("what the kernel passes on for an earlier process ends with the wait, also where the former owner fails or the address goes on meanwhile", () => {
  for (const fault of ["fails", "is excluded"] as const) {
    const { bench, others, hear } = beginning();
    for (const { name, state } of others) if (name === third) state.setServing(address(x), true);
    hear();
    bench.start();
    bench.clock.advanceBy(1_000);
    bench.settle();
    const told: string[] = [];
    bench.runner.onStep = (_, effects) =>
      told.push(...effects.flatMap((one) => (one.type === "setHandover" ? `${one.address}` : [])));
    if (fault === "fails") bench.membersChanged([owner]);
    else exclude(bench, owner, true);
    bench.settle();
    bench.clock.advanceBy(300);
    bench.settle();
    assert.deepEqual(
      [bench.onWire, new Set(told), bench.state.handovers.inherited.size],
      [fault === "fails" ? [x] : [], new Set([x]), 0],
      fault,
    );
  }
});

test("a speaker that guesses a drained former owner is silent for 300 ms, in which the elected one may say that it was the last", () => {
  for (const isTold of [true, false]) {
    const bench = new Bench(next, { hasRing: true });
    const { others, hear } = gossipTo(bench);
    for (const { name, state } of others) state.setLinks([{ mac: mac(name), addresses: [address(own(name))] }]);
    const serve = (node: string) => {
      others.find(({ name }) => name === node)?.state.setServing(address(x), true);
      hear();
      bench.settle();
    };
    serve(owner);
    bench.setInterfaces(here);
    bench.setNode(owner, { [drainLabel]: "true" });
    bench.setConfig(pools(kept));
    bench.serve("default/web", [x]);
    bench.start();
    bench.clock.advanceBy(1_000);
    bench.settle();
    bench.clock.advanceBy(299);
    assert.deepEqual(bench.onWire, []);
    if (isTold) serve(third);
    bench.clock.advanceBy(1);
    bench.settle();
    assert.deepEqual([bench.onWire, handedOver(bench)], [[x], [`${x} to ${own(isTold ? third : owner)}`]]);
  }
});

test("a speaker that leaves the ring has its kernel pass on what its successor sends, and answers until it ends", () => {
  const { bench } = onLan(next);
  exclude(bench, owner, true);
  bench.runner.dispatch({ type: "leaving" });
  assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)} from ${mac(third)} and clients`]);
  exclude(bench, owner, false);
  assert.deepEqual(bench.onWire, [x], "it sees no longer who is there");
});

test("a node that begins to serve as this one has it back took itself for the owner, too: no packets go to it beyond the former owner", () => {
  for (const waitMs of [100, 4_000]) {
    const { bench, others, hear } = onLan(owner);
    const say = (node: string) => {
      others.find(({ name }) => name === node)?.state.setServing(address(x), true);
      hear();
      bench.settle();
    };
    exclude(bench, owner, true);
    exclude(bench, owner, false);
    bench.clock.advanceBy(waitMs);
    say(next);
    assert.deepEqual(handedOver(bench), [`${x} to ${own(next)}`]);
    say(third);
    const served = waitMs < 3_000 ? "" : `, from ${mac(next)} to ${own(third)}`;
    assert.deepEqual(handedOver(bench), [`${x} to ${own(next)}${served}`]);
  }
});

test("where its successor is the node before it, a speaker that leaves has its kernel pass on to the node before the two", () => {
  const { bench, others, hear } = onLan(next);
  exclude(bench, next, true);
  exclude(bench, owner, true);
  others.find(({ name }) => name === owner)?.state.setServing(address(x), true);
  hear();
  exclude(bench, next, false);
  bench.runner.dispatch({ type: "leaving" });
  assert.deepEqual(handedOver(bench), [`${x} to ${own(third)} from clients, from ${mac(third)} to ${own(owner)}`]);
});

test("where all others are drained, the kernel of a sticky owner that leaves passes on what one of them sends: it takes over as a last resort", () => {
  const { bench, others, hear } = onLan(next, kept.replace("name: lan", "name: lan, l2-placement: sticky"));
  const former = others.find(({ name }) => name === owner) ?? assert.fail();
  bench.gossip.setViewUncertainty(1); // So that the other keeps it.
  bench.gossip.setIncarnation(2);
  former.state.own(address(x));
  hear();
  bench.settle();
  former.state.release(address(x));
  former.state.setServing(address(x), true);
  hear();
  exclude(bench, owner, true);
  assert.deepEqual([bench.onWire, handedOver(bench)], [[x], [`${x} to ${own(owner)}`]]);
  for (const node of [owner, third]) bench.setNode(node, node === owner ? excluded : { [drainLabel]: "" });
  bench.settle();
  bench.runner.dispatch({ type: "leaving" });
  assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)} from ${mac(third)} and clients`]);
});

/** A speaker on two LANs, whose Services are announced on the second. */
function onTwoLans(node: string, advertisement: string) {
  const apart = `${kept.slice(0, -1)}, layer2-advertisements: [{interfaces: [eth1]${advertisement}}]}`;
  const ring = amongOthers(node, apart);
  for (const { name, state } of ring.others) {
    const interfaces = new Map(["eth0", "eth1"].map((each) => [each, []] as const));
    state.setReachability({ answers: true, hasKernelAccess: true, interfaces });
    const second = { mac: mac(name).replace("02:", "06:"), addresses: [address(own(name).replace("192.0.2", "203.0.113"))] };
    state.setLinks([{ mac: mac(name), addresses: [address(own(name))] }, second]);
  }
  ring.bench.setInterfaces(here, { ...here, index: 3, name: "eth1", addresses: ["203.0.113.101/24"] });
  ring.hear();
  ring.bench.settle();
  return ring;
}

test("packets go on by the interface that the advertisement names, also when it is looked at again", () => {
  const { bench, others, hear } = onTwoLans(next, "");
  exclude(bench, owner, true);
  const way = [`${x} to ${own(owner).replace("192.0.2", "203.0.113")}`];
  assert.deepEqual(handedOver(bench), way);
  others.find(({ name }) => name === owner)?.state.setServing(address(x), true);
  hear();
  bench.membersChanged();
  assert.deepEqual(handedOver(bench), way);
});

test("a speaker that leaves has its kernel pass on what the node sends that the advertisement prefers", () => {
  const edges = "{weight: 2, match-labels: {edge: first}}, {weight: 1, match-labels: {edge: second}}";
  const { bench } = onTwoLans(next, `, preferred-nodes: [${edges}]`);
  exclude(bench, owner, true);
  bench.setNode(next, { edge: "first" });
  bench.setNode(third, { edge: "second" });
  exclude(bench, owner, false);
  bench.runner.dispatch({ type: "leaving" });
  const [former, heir] = [own(owner).replace("192.0.2", "203.0.113"), mac(third)];
  assert.deepEqual(handedOver(bench), [`${x} to ${former} from ${heir} and ${heir.replace("02:", "06:")} and clients`]);
});

test("a speaker that guessed the former owner hands to it again where nobody could own the address in between", () => {
  const { bench } = onLan(owner);
  const before = handedOver(bench);
  for (const node of [next, third]) bench.setNode(node, excluded);
  exclude(bench, owner, true);
  assert.deepEqual(bench.onWire, []);
  exclude(bench, owner, false);
  assert.deepEqual([bench.onWire, handedOver(bench)], [[x], before]);
});

test("what an earlier process passed on counts as served, until the node owns the address again", () => {
  const { bench } = onLan(third);
  bench.runner.dispatch({ type: "inherited", inherited: { addresses: [address(x)], unfinished: [] } });
  assert.deepEqual([[...bench.counted], bench.gossip.servers(x)], [[x], [third]]);
  bench.runner.dispatch({ type: "flows", counts: new Map([[x, 0]]) });
  assert.deepEqual(bench.gossip.servers(x), [third], "others have connections that come by way of this node");
  for (const node of [owner, next]) exclude(bench, node, true);
  assert.deepEqual([bench.onWire, bench.gossip.servers(x)], [[x], [third]], "others may not know the owner yet");
  bench.clock.advanceBy(1_000);
  assert.deepEqual(bench.gossip.servers(x), []);
});

test("a speaker that is back before the others notice hands to the node that has the connections, and not to the elected one", () => {
  for (const [isUnfinished, canDeliver] of [
    [true, true],
    [true, false],
    [false, true],
  ]) {
    const bench = new Bench(next, { hasRing: true });
    const { others, hear } = gossipTo(bench);
    for (const { name, state } of others) state.setLinks([{ mac: mac(name), addresses: [address(own(name))] }]);
    const server = others.find(({ name }) => name === owner) ?? assert.fail();
    server.state.setServing(address(x), true);
    if (canDeliver === false) server.state.setUndelivered(families);
    hear();
    bench.setInterfaces(here);
    bench.setNode(owner, excluded);
    bench.setConfig(pools(kept));
    bench.runner.dispatch({
      type: "inherited",
      inherited: { addresses: [], unfinished: isUnfinished === true ? [{ address: address(x), to: address(own(owner)) }] : [] },
    });
    bench.serve("default/web", [x]);
    bench.start();
    bench.clock.advanceBy(1_000);
    bench.settle();
    bench.clock.advanceBy(300);
    bench.settle();
    assert.deepEqual(bench.onWire, [x]);
    assert.deepEqual(handedOver(bench), [`${x} to ${own(isUnfinished === true && canDeliver === true ? owner : third)}`]);
  }
});

test("of several nodes that serve an address a speaker that is back goes on with the one that its kernel hands to", () => {
  for (const former of [owner, third]) {
    const bench = new Bench(next, { hasRing: true });
    const { others, hear } = gossipTo(bench);
    for (const { name, state } of others) {
      state.setLinks([{ mac: mac(name), addresses: [address(own(name))] }]);
      state.setServing(address(x), true);
      bench.setNode(name, excluded);
    }
    hear();
    bench.setInterfaces(here);
    bench.setConfig(pools(kept));
    bench.runner.dispatch({
      type: "inherited",
      inherited: { addresses: [], unfinished: [{ address: address(x), to: address(own(former)) }] },
    });
    bench.serve("default/web", [x]);
    bench.start();
    bench.clock.advanceBy(1_000);
    bench.settle();
    bench.clock.advanceBy(300);
    bench.settle();
    assert.deepEqual([bench.onWire, handedOver(bench)], [[x], [`${x} to ${own(former)}`]]);
  }
});

test("the kernel ends what an earlier process began where nobody has the connections, or nothing is to be kept", () => {
  for (const isKept of [true, false]) {
    const bench = new Bench(owner, { hasRing: true, active: [owner] });
    const ended: string[] = [];
    bench.runner.onStep = (_, effects) =>
      ended.push(...effects.flatMap((effect) => (effect.type === "setHandover" && !effect.handover ? `${effect.address}` : [])));
    bench.setInterfaces(here);
    bench.setConfig(pools(isKept ? kept : kept.replace("keep-connections: true, ", "")));
    bench.runner.dispatch({
      type: "inherited",
      inherited: { addresses: [], unfinished: [{ address: address(x), to: address(own(next)) }] },
    });
    assert.deepEqual(ended, []);
    bench.serve("default/web", [x]);
    bench.start();
    bench.settle();
    assert.deepEqual(ended, [x]);
  }
});

test("a node that takes over from one that failed passes that one's packets on, from when it is back, and says that it has served", () => {
  const { bench, others, hear } = onLan(third);
  exclude(bench, owner, true);
  others.find(({ name }) => name === owner)?.state.setServing(address(x), true);
  hear();
  fails(bench, next);
  assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)}, from ${mac(next)} to ${own(owner)}`]);
  assert.ok(bench.gossip.servers(x).includes(third));
  bench.clock.advanceBy(600_000);
  assert.ok(!bench.gossip.servers(x).includes(third));
});

test("a node that takes over from one that failed follows the node before the two, which says only then that it serves", () => {
  const { bench, others, hear } = onLan(third);
  bench.clock.advanceBy(30_000);
  exclude(bench, owner, true);
  fails(bench, next);
  const way = [`${x} to ${own(owner)}, from ${mac(next)} to ${own(owner)}`];
  assert.deepEqual(handedOver(bench), way);
  others.find(({ name }) => name === owner)?.state.setServing(address(x), true);
  hear();
  bench.settle();
  assert.deepEqual(handedOver(bench), way);
});

test("what a failed owner passes on to the one that had the address before goes to no node that it may come from: it would go round", () => {
  for (const isAgain of [true, false]) {
    const { bench, others, hear } = onLan(owner);
    bench.clock.advanceBy(30_000);
    for (const node of isAgain ? [owner, next] : []) exclude(bench, node, true);
    exclude(bench, owner, !isAgain);
    assert.deepEqual(handedOver(bench), isAgain ? [`${x} to ${own(third)}`] : []);
    others.find(({ name }) => name === third)?.state.setServing(address(x), true);
    hear();
    exclude(bench, owner, true);
    exclude(bench, next, false);
    bench.setNode(owner, {});
    bench.setNode(third, excluded);
    fails(bench, next);
    const passed = `${x} to ${own(third)}`;
    assert.deepEqual(handedOver(bench), [isAgain ? passed : `${passed}, from ${mac(next)} to ${own(third)}`]);
  }
});

test("a node that served an address, and takes it over from one that failed, goes on saying so", () => {
  const { bench, others, hear } = onLan(owner);
  bench.clock.advanceBy(30_000);
  exclude(bench, owner, true);
  others.find(({ name }) => name === third)?.state.setServing(address(x), true);
  hear();
  bench.setNode(third, excluded);
  bench.setNode(owner, {});
  fails(bench, next);
  assert.match(handedOver(bench).join(), new RegExp(`^${x} to ${own(third)}, from ${mac(next)} to ${own(third)}`));
  bench.clock.advanceBy(9_000);
  assert.ok(bench.gossip.servers(x).includes(owner));
});

test("a node hands nothing to an address that it has itself by now", () => {
  const { bench } = onLan(next);
  exclude(bench, owner, true);
  bench.setInterfaces({ ...here, addresses: [...here.addresses, `${own(owner)}/24`] });
  bench.settle();
  assert.deepEqual(handedOver(bench), []);
});

test("where thousands of addresses get another way, a turn changes some hundreds, and the last follow at once", slow, () => {
  const count = 4_000;
  const { bench, others, hear } = onLan(next, kept.replace("192.0.2.0/28", "192.0.2.0/28, 10.0.0.0/16"));
  const numbered = (i: number) => `10.0.${i >> 8}.${i & 255}`;
  for (let i = 0; i < count; i++) bench.serve(`default/service-${i}`, [numbered(i)]);
  bench.settle();
  exclude(bench, owner, true);
  const former = own(owner);
  const to = (where: string) => [...bench.handovers.values()].filter((one) => one.to.toString() === where).length;
  const all = to(former);
  assert.ok(all > 600, `${all} of them were the former owner's`);
  const turns: number[] = [];
  bench.runner.onStep = (_, effects) =>
    turns.push(effects.filter(({ type }) => type === "setHandover" || type === "countFlows").length);
  others.find(({ name }) => name === owner)?.state.setLinks([{ mac: mac(owner), addresses: [address("192.0.2.99")] }]);
  hear();
  assert.ok(to("192.0.2.99") < all);
  bench.clock.advanceBy(10);
  assert.equal(to("192.0.2.99"), all);
  exclude(bench, next, true);
  const counted = bench.counted.size;
  assert.ok(counted > all);
  bench.clock.advanceBy(60_000); // All hand-overs end, so that nothing comes by way of this node.
  bench.runner.dispatch({ type: "flows", counts: new Map([...bench.counted].map((key) => [key, 0])) });
  bench.clock.advanceBy(10);
  assert.equal(bench.counted.size, 0);
  assert.ok(Math.max(...turns) <= 1_000, `a turn changed ${Math.max(...turns)}`);
});
