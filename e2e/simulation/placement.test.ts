// Long: simulated clusters, one with thousands of addresses.
// Scenario: it takes half a minute.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { InterfaceState } from "#pkg/layer2";
import "../../pkg/clock/testing/untracked-promises.ts";
import { firstConfig } from "./cluster/history.ts";
import { moved, nameFor, PlacementScene, type PlacementSceneOptions } from "./cluster/placement-scene.ts";

const config = (placement: string, protocol = "layer2") => `address-pools:
- name: lan
  protocol: ${protocol}
  l2-placement: ${placement}
  addresses: [192.0.2.0/25, "2001:db8::/112", 198.51.100.0/24]
`;
/** Services of one IPv4 address, of one IPv6 address, and of both. */
const services = Array.from(
  { length: 30 },
  (_, i) =>
    [[`192.0.2.${i}`], [`2001:db8::${(i + 1).toString(16)}`], [`198.51.100.${i}`, `2001:db8::f${i.toString(16)}`]][i % 3] ?? [],
);
const units = services.length;
const seeds = [1, 2];

function begin(nodes: number, seed: number, loss = 0, more: Partial<PlacementSceneOptions> = {}): Promise<PlacementScene> {
  return PlacementScene.begin({ nodes, seed, loss, config: config("sticky"), services, ...more });
}

/** How many addresses that are owned by themselves (not as the second of a Service) each node has. */
function shares(owner: ReadonlyMap<string, number>): Map<number, number> {
  const shares = new Map<number, number>();
  for (const [first = ""] of services) {
    const node = owner.get(first) ?? -1;
    shares.set(node, (shares.get(node) ?? 0) + 1);
  }
  return shares;
}

for (const loss of [0, 0.1])
  for (const seed of seeds) {
    const name = `seed ${seed}, ${loss * 100} % lost`;
    test(`sticky: each node has its share, a dual-stack Service one node; what a dead node had moves once, and nothing goes back (${name})`, async () => {
      const five = await begin(5, seed, loss);
      const before = five.owner();
      for (const [node, share] of shares(before)) assert.ok(share <= Math.ceil(units / 5), `node ${node} has ${share}`);
      for (const [first = "", second] of services) if (second !== undefined) assert.equal(before.get(second), before.get(first));
      const dead = before.get("192.0.2.0") ?? -1;
      five.forgetMoves();
      five.cluster.powerOff(dead);
      await five.pass(3_000);
      const after = five.owner();
      const orphans = [...before].filter(([, node]) => node === dead).map(([address]) => address);
      assert.deepEqual(moved(before, after).sort(), orphans.sort());
      if (loss === 0) assert.deepEqual(five.moves.map(({ address }) => address).sort(), orphans, "each once");
      for (const [node, share] of shares(after)) assert.ok(share <= Math.ceil(units / 4), `node ${node} has ${share}`);
      five.forgetMoves();
      five.cluster.startSpeaker(dead);
      await five.pass(18_000);
      assert.deepEqual([five.moves, moved(after, five.owner()), five.notParticipating()], [[], [], []]);
    });

    test(`sticky: when nodes have been the same for long none has more than its share and one, and no address is unanswered meanwhile (${name})`, async () => {
      const four = await begin(4, seed, loss, { maxTurnMs: seed === 1 ? 50 : 1 });
      four.cluster.powerOff(3);
      await four.pass(3_000);
      four.cluster.startSpeaker(3);
      await four.pass(3_000);
      const back = four.owner();
      assert.equal(shares(back).get(3), undefined);
      four.forgetMoves();
      await four.pass(11 * 60_000);
      const owner = four.owner();
      const most = Math.ceil(units / 4) + 1;
      const all = shares(owner);
      for (const [node, share] of all) assert.ok(share <= most, `node ${node} has ${share}`);
      const given = [...shares(back)].reduce((sum, [, share]) => sum + Math.max(0, share - most), 0);
      assert.equal(all.get(3), given, "no more than was too much");
      const gone = moved(back, owner);
      for (const address of gone) {
        const [taken, left, ...more] = four.moves.filter((move) => move.address === address);
        assert.deepEqual([taken?.on, taken?.node, left?.on, left?.node, more], [true, 3, false, back.get(address), []], address);
      }
      assert.equal(four.moves.length, 2 * gone.length, "nothing else moved");
      four.forgetMoves();
      await four.pass(6 * 60_000);
      assert.deepEqual(four.moves, []);
    });

    test(`sticky: a node that is cut off takes nothing from the others when it is back, and gets nothing back (${name})`, async () => {
      const five = await begin(5, seed, loss);
      five.cluster.ring.cutOff([2]);
      await five.pass(20_000);
      assert.equal(five.loads().get(2), five.owners().size, "it takes itself for the only one");
      const others = new Map([...five.owners()].map(([address, nodes]) => [address, nodes.find((node) => node !== 2) ?? -1]));
      five.cluster.ring.heal();
      await five.pass(10_000);
      assert.deepEqual(moved(others, five.owner()), []);
      await five.pass(15_000);
      assert.deepEqual([moved(others, five.owner()), five.notParticipating()], [[], []]);
    });

    test(`sticky: two halves agree when they are one again, and no address goes to a third (${name})`, async () => {
      const four = await begin(4, seed, loss);
      four.cluster.ring.cutOff([1, 3]);
      await four.pass(20_000);
      const halves = four.owners();
      for (const [address, nodes] of halves) assert.equal(nodes.length, 2, `${address} is at ${nodes}`);
      four.cluster.ring.heal();
      await four.pass(5_000);
      const owner = four.owner();
      for (const [address, node] of owner) assert.ok(halves.get(address)?.includes(node), `${address} went to ${node}`);
      await four.pass(15_000);
      assert.deepEqual(moved(owner, four.owner()), []);
    });

    test(`sticky: a process that stood still is succeeded, and gets nothing back; one that starts again at once leaves what it had (${name})`, async () => {
      const five = await begin(5, seed, loss);
      five.cluster.stallSpeaker(3, 4_000);
      await five.pass(3_500);
      const others = new Map([...five.owners()].map(([address, nodes]) => [address, nodes.find((node) => node !== 3) ?? -1]));
      await five.pass(10_000);
      const before = five.owner();
      assert.deepEqual(moved(others, before), []);
      five.cluster.killSpeaker(1);
      await five.pass(50);
      five.cluster.startSpeaker(1);
      await five.pass(6_000);
      for (const address of moved(before, five.owner())) assert.equal(before.get(address), 1, address);
    });
  }

for (const seed of seeds) {
  test(`sticky: a Service of both families whose addresses change their order keeps both, whenever speakers see that (seed ${seed})`, async () => {
    const four = await begin(4, seed, 0.1, { watchLagMs: 3_000 });
    const before = four.owner();
    for (const index of [0, 1]) four.cluster.killController(index); // Ours keeps the order.
    for (let round = 0; round < 3; round++) {
      for (const name of four.cluster.people.services.keys()) four.write(name, four.cluster.people.status(name).toReversed());
      await four.pass(2_000);
    }
    await four.pass(8_000);
    assert.deepEqual(moved(before, four.owner()), []);
    for (const [first = "", second] of services) {
      four.serveAt([first, second ?? []].flat(), [1, 2]);
      four.write(nameFor(first), [second ?? first]);
      await four.pass(300);
      four.serveAt([first, second ?? []].flat(), [2, 3]);
      four.write(nameFor(first), [second ?? [], first].flat());
    }
    await four.pass(10_000);
    for (const [address, node] of four.owner()) assert.ok(node === 2 || node === 3, address);
  });

  test(`sticky: a node that is back after the ring has forgotten it takes nothing back (seed ${seed})`, async () => {
    const five = await begin(5, seed, 0.1, { watchLagMs: 3_000 });
    five.cluster.powerOff(2);
    await five.pass(45_000);
    const without = five.owner();
    five.forgetMoves();
    five.cluster.startSpeaker(2);
    await five.pass(15_000);
    assert.deepEqual([moved(without, five.owner()), five.moves], [[], []]);
  });

  test(`sticky: three parts agree when they are one again (seed ${seed})`, async () => {
    const six = await begin(6, seed, 0.1, { watchLagMs: 3_000 });
    six.cluster.ring.cutOff([0, 1]);
    six.cluster.ring.cutOff([2]);
    await six.pass(25_000);
    six.cluster.ring.heal();
    await six.pass(6_000);
    const owner = six.owner();
    await six.pass(15_000);
    assert.deepEqual(moved(owner, six.owner()), []);
  });
}

for (const [maxTurnMs, protocol] of [
  [1, "layer2"],
  [100, "layer2"],
  [50, "interface, placement: lan"],
] as const)
  test(`hash: what a node had is answered for all the while when its speaker starts again, and those that start together take each their own (${protocol}, turns of ${maxTurnMs} ms)`, async () => {
    const ofNics = services.filter(([first = ""]) => first.startsWith("192.0.2.")); // They have its subnet.
    const text = config("hash", protocol.replace(", ", "\n  "));
    const three = await begin(3, 1, 0, { config: text, maxTurnMs, services: protocol === "layer2" ? services : ofNics });
    const end = async (nodes: readonly number[]) => {
      if (protocol !== "layer2") return three.stop(nodes); // Killed ones would leave addresses on NICs.
      for (const node of nodes) three.cluster.killSpeaker(node);
      await three.pass(3_000);
    };
    const before = three.owner();
    const away = before.get("192.0.2.0") ?? -1;
    await end([away]);
    const meanwhile = three.owner();
    three.forgetMoves();
    three.cluster.startSpeaker(away);
    await three.pass(10_000);
    assert.deepEqual(three.owner(), before);
    const back = moved(meanwhile, before);
    for (const address of back) {
      const [taken, left, ...more] = three.moves.filter((move) => move.address === address);
      assert.deepEqual(
        [taken?.on, taken?.node, left?.on, left?.node, more],
        [true, away, false, meanwhile.get(address), []],
        address,
      );
    }
    assert.equal(three.moves.length, 2 * back.length, "nothing else moved");
    if (protocol !== "layer2") return; // Speakers that start together first take what they have: each has to hear of the others' subnets.
    await end([0, 1, 2]);
    three.forgetMoves();
    for (const node of [0, 1, 2]) three.cluster.startSpeaker(node);
    await three.pass(10_000);
    const all = three.moves.map(({ address, on, node }) => `${address} ${on} ${node}`).sort();
    assert.deepEqual(all, [...before].map(([address, node]) => `${address} true ${node}`).sort(), "all start together");
  });

test("sticky: while a member sends no gossip addresses are placed by hash, and from then on they stay", async () => {
  const foreign = 3;
  const scenes = await Promise.all(["hash", "sticky"].map((placement) => begin(3, 1, 0, { config: config(placement) })));
  for (const { cluster } of scenes) {
    cluster.ring.start(foreign);
    cluster.ring.join(foreign, [0, 1, 2]);
    await cluster.pass(3_000);
  }
  const [hash, sticky] = scenes;
  assert.ok(hash && sticky);
  assert.deepEqual(sticky.owners(), hash.owners());
  assert.match(
    sticky.speaker(0).state.status.placementWarning ?? "",
    /addresses of lan may move whenever nodes come and go, .*: the speakers on node-3 are not of this release/,
  );
  const before = sticky.owners();
  sticky.cluster.ring.leave(foreign);
  await sticky.pass(3_000);
  const after = sticky.owner();
  for (const [address, nodes] of before) if (nodes.length > 0) assert.deepEqual([after.get(address)], nodes);
  assert.equal(sticky.speaker(0).state.status.placementWarning, undefined);
});

for (const placement of ["hash", "sticky"])
  test(`${placement}: a speaker that lost the API alone keeps what it has, and what it cannot know of is at others`, async () => {
    const four = await begin(4, 1, 0.1, { config: config(placement), watchLagMs: 1_000 });
    const everywhere = [0, 1, 2, 3];
    const local = services.slice(0, 9);
    for (const wanted of local) four.serveAt(wanted, everywhere);
    await four.pass(8_000);
    const before = four.owner();
    const isLocal = (address: string) => local.some((addresses) => addresses.includes(address));
    const add = (from: number) => {
      const added = Array.from({ length: 9 }, (_, i) => `192.0.2.${from + i}`);
      for (const address of added) four.serve([address], { endpoints: everywhere });
      return added;
    };
    const lost = four.speaker(1).connection;
    lost.isCut = true;
    await four.pass(9_000);
    const soon = add(50);
    await four.pass(5_000);
    for (const [address, node] of four.owner())
      if (soon.includes(address)) assert.notEqual(node, 1, address);
      else assert.equal(node, before.get(address), `${address}: nothing moves`);
    await four.pass(60_000);
    for (const [address, node] of before) {
      if (!isLocal(address) || node !== 1) assert.equal(four.owner().get(address), node, address);
      else if (placement === "hash") assert.notEqual(four.owner().get(address), 1, address);
    }
    const added = add(70);
    for (const wanted of local) four.serveAt(wanted, [0, 2]);
    await four.pass(12_000);
    for (const address of [...added, ...local.flat()]) assert.notEqual(four.owner().get(address), 1, address);
    lost.isCut = false;
    await four.pass(30_000);
    for (const [address, node] of four.owner()) if (isLocal(address)) assert.ok(node === 0 || node === 2, address);
  });

test("bgp: a speaker that lost the API alone leaves Local Services to those that announce them, and all keep theirs when it is lost to all", async () => {
  const [first, second, third] = ["198.51.100.1", "198.51.100.2", "198.51.100.3"] as const;
  const all = [[first], [second], [third]];
  const four = await PlacementScene.begin({
    nodes: 4,
    seed: 1,
    loss: 0.1,
    config: firstConfig,
    services: all,
    watchLagMs: 1_000,
  });
  const local = (nodes: readonly number[]) => {
    for (const ip of [first, second]) four.serveAt([ip], nodes);
  };
  const seen = () => [first, second, third].map((address) => four.routedAt(address));
  const cutApi = (node: number, isCut: boolean) => {
    four.speaker(node).connection.isCut = isCut;
  };
  local([1, 2]);
  four.serveAt([second], [1]);
  await four.pass(10_000);
  assert.deepEqual(seen(), ["12", "1", "0123"]);
  cutApi(1, true);
  await four.pass(55_000);
  assert.deepEqual(seen(), ["12", "1", "0123"], "it may be back");
  await four.pass(20_000);
  assert.deepEqual(seen(), ["2", "1", "0123"], "what nobody else announces stays");
  local([0, 3]);
  await four.pass(8_000);
  assert.deepEqual(seen(), ["03", "03", "0123"]);
  four.cluster.killSpeaker(0);
  four.cluster.killSpeaker(3);
  await four.pass(35_000);
  assert.deepEqual(seen(), ["1", "1", "12"], "no other route is left");
  cutApi(1, false);
  await four.pass(30_000);
  assert.deepEqual(seen(), ["", "", "12"]);
  local([1, 2]);
  await four.pass(5_000);
  for (const node of [1, 2]) cutApi(node, true);
  await four.pass(120_000);
  assert.deepEqual(seen(), ["12", "12", "12"]);
});

test("layer 2: a speaker that lost the API leaves a Local address for good to the node that has its endpoints now, until they are back", async () => {
  const [address] = ["192.0.2.1"] as const;
  const three = await PlacementScene.begin({ nodes: 3, seed: 1, loss: 0, config: firstConfig, services: [[address]] });
  const settles = async (node: number) => {
    three.serveAt([address], [node]);
    await three.pass(8_000);
    three.forgetMoves();
    await three.pass(20_000);
    assert.equal(three.owner().get(address), node);
    assert.deepEqual(three.moves, []);
  };
  const reports = () => three.speaker(1).state.members.gossip?.reportsAny;
  await settles(2);
  three.speaker(2).connection.isCut = true;
  await three.pass(5_000);
  await settles(1);
  assert.equal(reports(), true);
  await settles(2);
  await settles(1);
  three.speaker(2).connection.isCut = false;
  await three.pass(60_000);
  assert.equal(three.owner().get(address), 1);
  assert.equal(reports(), false);
});

const subnets = ["203.0.113.250/24", "198.51.100.250/24"];
const other = (node: number, running = true): InterfaceState[] => [
  { index: 3, name: "eth1", mac: `02:00:00:00:01:0${node}`, status: "answering", running, addresses: [subnets[node % 2] ?? ""] },
];

test("subnet: an address is at a node that has it in a subnet, and nowhere while there is none", async () => {
  for (const placement of ["subnet", "sticky-subnet"]) {
    const two = [...Array(20).keys()].map((i) => [`${i % 2 === 0 ? "198.51.100" : "203.0.113"}.${i}`]);
    const text = `address-pools:\n- {name: lan, protocol: layer2, l2-placement: ${placement}, addresses: [198.51.100.0/24, 203.0.113.0/24]}\n`;
    const four = await PlacementScene.begin({ nodes: 4, seed: 1, loss: 0.1, config: text, services: two }, ({ cluster }) => {
      for (const node of [0, 1, 2, 3]) cluster.machines.setOtherNics(node, other(node));
    });
    for (const [address, node] of four.owner())
      assert.equal(node % 2, address.startsWith("198") ? 1 : 0, `${address} is at ${node}`);
    four.cluster.machines.setOtherNics(1, other(1, false));
    await four.pass(500);
    for (const [address, node] of four.owner()) if (address.startsWith("198")) assert.equal(node, 3, address);
    four.cluster.machines.setOtherNics(3, other(3, false));
    await four.pass(500);
    for (const [address, nodes] of four.owners()) assert.equal(nodes.length, address.startsWith("198") ? 0 : 1, address);
  }
});

test("an owner whose interface loses its carrier hands over at once; by hash it takes back what it had, sticky it does not", async () => {
  for (const placement of ["hash", "sticky"]) {
    const three = await begin(3, 1, 0, { config: config(placement) });
    const before = three.owner();
    three.cluster.machines.setCarrier(1, false);
    await three.pass(200);
    const without = three.owner();
    for (const address of moved(before, without)) assert.equal(before.get(address), 1, address);
    assert.equal(three.loads().get(1), 0);
    three.cluster.machines.setCarrier(1, true);
    await three.pass(1_400);
    assert.deepEqual(moved(without, three.owner()), [], "not before its kernel has found the others again");
    await three.pass(1_500);
    assert.deepEqual(moved(placement === "hash" ? before : without, three.owner()), []);
  }
});

test("ten thousand sticky addresses: what nodes broadcast is small, and follows what changed", async (t) => {
  const many = Array.from({ length: 10_000 }, (_, i) => [`10.1.${i >> 8}.${i & 255}`]);
  const text = "address-pools:\n- {name: lan, protocol: layer2, l2-placement: sticky, addresses: [10.1.0.0/16]}\n";
  const five = await PlacementScene.begin({ nodes: 5, seed: 1, config: text, services: many }, (scene) => {
    for (const addresses of many) scene.write(nameFor(addresses[0] ?? ""), addresses); // As before the controllers started again.
  });
  const before = five.owner();
  assert.deepEqual([...five.loads().values()], Array(5).fill(2000));
  const state = five.speaker(0).gossip.length;
  t.diagnostic(`${state} octets of state`);
  assert.ok(state < 10_000, `${state} octets of state`);
  const broadcast = () => five.running.reduce((sum, [, { octetsBroadcast }]) => sum + octetsBroadcast, 0);
  five.cluster.powerOff(4);
  const earlier = broadcast();
  await five.pass(3_000);
  const octets = broadcast() - earlier;
  assert.equal(moved(before, five.owner()).length, 2000);
  assert.deepEqual([...five.loads().values()], Array(4).fill(2500));
  t.diagnostic(`${octets} octets broadcast by four nodes of 2,000 addresses that moved`);
  assert.ok(octets < 100_000, `${octets} octets`);
});
