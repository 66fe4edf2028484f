import assert from "node:assert/strict";
import { test } from "node:test";
import { address } from "#pkg/net/testing";
import { amongOthers, type Bench, eth0, excluded, loser, nodes, owner, x } from "../../testing/speaker-bench.ts";
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

/** What the kernel is to do, as `address to former owner`, with the one node that it takes packets from. */
function handedOver({ handovers }: Bench): string[] {
  return [...handovers].map(([key, { to, from, lingers }]) => {
    const also = lingers ? " and clients" : "";
    return `${key} to ${to}${from === undefined ? "" : ` from ${from}${also}`}`;
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

test("it ends at once when the former owner fails; there is none for an address of a node that failed", () => {
  const { bench } = onLan(next);
  exclude(bench, owner, true);
  const fails = (node: string) => {
    bench.runner.dispatch({ type: "member", change: "failed", node, incarnation: 0, life: 1, macs: undefined });
    bench.membersChanged(bench.active.filter((one) => one !== node));
    bench.settle();
  };
  fails(owner);
  assert.deepEqual(handedOver(bench), []);
  const other = onLan(next).bench;
  other.runner.dispatch({ type: "member", change: "failed", node: owner, incarnation: 0, life: 1, macs: undefined });
  other.membersChanged(nodes.filter((one) => one !== owner));
  other.settle();
  assert.deepEqual([other.onWire, handedOver(other)], [[x], []]);
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
  bench.clock.advanceBy(10_000); // By then clients have heard of the owner.
  assert.deepEqual(handedOver(bench), [`${x} to ${own(owner)} from ${mac(third)}`]);
});

test("to and fro: the owner that has it again hands to the one in between, and serves itself no more", () => {
  const { bench } = onLan(owner);
  const counted = () => [...bench.counted];
  exclude(bench, owner, true);
  assert.deepEqual([handedOver(bench), counted(), bench.gossip.servers(x)], [[], [x], [owner]]);
  exclude(bench, owner, false);
  assert.deepEqual([handedOver(bench), counted(), bench.gossip.servers(x)], [[`${x} to ${own(next)}`], [], []]);
});

test("a former owner says so until its connections are gone", () => {
  const { bench } = onLan(owner);
  exclude(bench, owner, true);
  const flows = (count: number) => bench.runner.dispatch({ type: "flows", counts: new Map([[x, count]]) });
  flows(3);
  assert.deepEqual([bench.gossip.servers(x), bench.view.servedConnections], [[owner], 3]);
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

test("when its Service goes, so does all about an address", () => {
  const { bench } = onLan(next);
  exclude(bench, owner, true);
  bench.setService("default/web", undefined);
  bench.settle();
  assert.deepEqual([handedOver(bench), [...bench.counted]], [[], []]);
});
