// Long: simulated speakers with thousands of addresses.
import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "#pkg/clock";
import "../pkg/clock/testing/untracked-promises.ts";
import { ethernet, PlacementCluster } from "./testing/placement-cluster.ts";

const pools = (placement: string, more = "") => `- name: lan
  protocol: layer2
  l2-placement: ${placement}
  addresses: [192.0.2.0/24, "2001:db8::/112", 198.51.100.0/24]
${more}`;
/** Services of one IPv4 address, of one IPv6 address, and of both. */
const services = Array.from(
  { length: 30 },
  (_, i) => [[`192.0.2.${i}`], [`2001:db8::${i.toString(16)}`], [`198.51.100.${i}`, `2001:db8::f${i.toString(16)}`]][i % 3] ?? [],
);
const units = services.length;
const seeds = [1, 2, 3];

function cluster(seed: number, loss = 0, placement = "sticky", maxTurn = 1): PlacementCluster {
  return new PlacementCluster({ seed, loss, pools: pools(placement), services, maxTurn });
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

function moved(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): string[] {
  return [...before].filter(([address, node]) => after.get(address) !== node).map(([address]) => address);
}

for (const loss of [0, 0.1])
  for (const seed of seeds) {
    const name = `seed ${seed}, ${loss * 100} % lost`;
    test(`sticky: at the start each node has its share, and a dual-stack Service one node (${name})`, async () => {
      const five = cluster(seed, loss);
      await five.start(0, 1, 2, 3, 4);
      const owner = five.owner();
      for (const [node, share] of shares(owner)) assert.ok(share <= Math.ceil(units / 5), `node ${node} has ${share}`);
      for (const [first = "", second] of services) if (second !== undefined) assert.equal(owner.get(second), owner.get(first));
    });

    test(`sticky: what a dead node had moves once, nothing else does, and nothing goes back (${name})`, async () => {
      const five = cluster(seed, loss);
      await five.start(0, 1, 2, 3, 4);
      const before = five.owner();
      const dead = before.get("192.0.2.0") ?? -1;
      five.moves.length = 0;
      five.kill(dead);
      await five.pass(3000);
      const after = five.owner();
      const orphans = [...before].filter(([, node]) => node === dead).map(([address]) => address);
      assert.deepEqual(moved(before, after).sort(), orphans.sort());
      if (loss === 0) assert.deepEqual(five.moves.map(({ address }) => address).sort(), orphans, "each once");
      for (const [node, share] of shares(after)) assert.ok(share <= Math.ceil(units / 4), `node ${node} has ${share}`);
      five.moves.length = 0;
      await five.start(dead);
      await five.pass(15_000);
      assert.deepEqual([five.moves, moved(after, five.owner()), five.notParticipating()], [[], [], []]);
    });

    for (const maxTurn of [1, 50])
      test(`sticky: when nodes have been the same for long none has more than its share and one, and no address is unanswered meanwhile (${name}, turns of ${maxTurn} ms)`, async () => {
        const four = cluster(seed, loss, "sticky", maxTurn);
        await four.start(0, 1, 2, 3);
        four.kill(3);
        await four.pass(3000);
        await four.start(3);
        const back = four.owner();
        assert.equal(shares(back).get(3), undefined);
        four.moves.length = 0;
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
          assert.deepEqual(
            [taken?.on, taken?.node, left?.on, left?.node, more],
            [true, 3, false, back.get(address), []],
            address,
          );
        }
        assert.equal(four.moves.length, 2 * gone.length, "nothing else moved");
        four.moves.length = 0;
        await four.pass(11 * 60_000);
        assert.deepEqual(four.moves, []);
      });

    test(`sticky: a node that is cut off takes nothing from the others when it is back, and gets nothing back (${name})`, async () => {
      const five = cluster(seed, loss);
      await five.start(0, 1, 2, 3, 4);
      five.simulation.cutOff([2]);
      await five.pass(20_000);
      assert.equal(five.loads().get(2), five.owners().size, "it takes itself for the only one");
      const others = new Map([...five.owners()].map(([address, nodes]) => [address, nodes.find((node) => node !== 2) ?? -1]));
      five.simulation.heal();
      await five.pass(10_000);
      assert.deepEqual(moved(others, five.owner()), []);
      await five.pass(15_000);
      assert.deepEqual([moved(others, five.owner()), five.notParticipating()], [[], []]);
    });

    test(`sticky: two halves agree when they are one again, and no address goes to a third (${name})`, async () => {
      const four = cluster(seed, loss);
      await four.start(0, 1, 2, 3);
      four.simulation.cutOff([1, 3]);
      await four.pass(20_000);
      const halves = four.owners();
      for (const [address, nodes] of halves) assert.equal(nodes.length, 2, `${address} is at ${nodes}`);
      four.simulation.heal();
      await four.pass(5000);
      const owner = four.owner();
      for (const [address, node] of owner) assert.ok(halves.get(address)?.includes(node), `${address} went to ${node}`);
      await four.pass(15_000);
      assert.deepEqual(moved(owner, four.owner()), []);
    });

    test(`sticky: a process that stood still is succeeded, and gets nothing back (${name})`, async () => {
      const five = cluster(seed, loss);
      await five.start(0, 1, 2, 3, 4);
      five.stall(3, 4000);
      await five.pass(3500);
      const others = new Map([...five.owners()].map(([address, nodes]) => [address, nodes.find((node) => node !== 3) ?? -1]));
      await five.pass(10_000);
      assert.deepEqual(moved(others, five.owner()), []);
    });

    test(`sticky: a process that is started again at once leaves what it had (${name})`, async () => {
      const three = cluster(seed, loss);
      await three.start(0, 1, 2);
      const before = three.owner();
      three.kill(1);
      await three.pass(50);
      await three.start(1);
      await three.pass(3000);
      const after = three.owner();
      for (const address of moved(before, after)) assert.equal(before.get(address), 1, address);
    });
  }

for (const seed of seeds) {
  const lag = (loss: number) => new PlacementCluster({ seed, loss, pools: pools("sticky"), services, apiLag: 3000 });

  test(`sticky: a Service of both families whose addresses change their order keeps both, whenever speakers see that (seed ${seed})`, async () => {
    const four = lag(0.1);
    await four.start(0, 1, 2, 3);
    const before = four.owner();
    for (let round = 0; round < 3; round++) {
      for (const [name, { ingress }] of four.services()) four.setService(name, { ingress: ingress.toReversed() });
      await four.pass(2000);
    }
    await four.pass(8000);
    assert.deepEqual(moved(before, four.owner()), []);
    for (const [first = "", second] of services) {
      four.setService(first, { ingress: [second ?? first], localTo: [1, 2] });
      await four.pass(300);
      four.setService(first, { ingress: second === undefined ? [first] : [second, first], localTo: [2, 3] });
    }
    await four.pass(8000);
    for (const [address, node] of four.owner()) assert.ok(node === 2 || node === 3, address);
  });

  test(`sticky: a node that is back after the ring has forgotten it takes nothing back (seed ${seed})`, async () => {
    const five = lag(0.1);
    await five.start(0, 1, 2, 3, 4);
    five.kill(2);
    await five.pass(40_000);
    const without = five.owner();
    five.moves.length = 0;
    await five.start(2);
    await five.pass(10_000);
    assert.deepEqual([moved(without, five.owner()), five.moves], [[], []]);
  });

  test(`sticky: three parts agree when they are one again (seed ${seed})`, async () => {
    const six = lag(0.1);
    await six.start(0, 1, 2, 3, 4, 5);
    six.simulation.cutOff([0, 1]);
    six.simulation.cutOff([2]);
    await six.pass(25_000);
    six.simulation.heal();
    await six.pass(6000);
    const owner = six.owner();
    await six.pass(15_000);
    assert.deepEqual(moved(owner, six.owner()), []);
  });
}

test("sticky: whatever happens, there is one owner of each address when it is quiet, and it stays", async (t) => {
  for (const seed of [11, 12, 13, 14]) {
    const random = seededRandom(seed);
    const pick = (limit: number) => Math.floor(random() * limit);
    const six = cluster(seed, random() * 0.15);
    await six.start(0, 1, 2, 3, 4, 5);
    const down = new Set<number>();
    const done: string[] = [];
    for (let round = 0; round < 12; round++) {
      const node = pick(6);
      const act = down.has(node) ? "start" : (["kill", "stop", "cut", "stall", "restart"] as const)[pick(5)];
      done.push(`${act} ${node}`);
      if (act === "start") {
        down.delete(node);
        await six.start(node);
      } else if (act === "cut") {
        six.simulation.cutOff([node, pick(6)]);
        await six.pass(200 + pick(5000));
        six.simulation.heal();
      } else if (act === "stall") six.stall(node, 100 + pick(4000));
      else if (act === "restart") {
        six.kill(node);
        await six.start(node);
      } else if (down.size < 4) {
        down.add(node);
        if (act === "kill") six.kill(node);
        else await six.stop(node);
      }
      await six.pass(pick(3) === 0 ? 500 : 12_000);
    }
    await six.pass(15_000);
    t.diagnostic(
      `seed ${seed}: ${done.join(", ")}; ${[...shares(six.owner())].map(([node, share]) => `${node}: ${share}`).join(", ")}`,
    );
    const owner = six.owner();
    six.moves.length = 0;
    await six.pass(30_000);
    assert.deepEqual([six.moves, moved(owner, six.owner()), six.notParticipating()], [[], [], []]);
  }
});

test("sticky: while a member sends no gossip addresses are placed by hash, and from then on they stay", async () => {
  const hash = cluster(1, 0, "hash");
  const sticky = cluster(1);
  for (const one of [hash, sticky]) {
    await one.start(0, 1, 2);
    one.startForeign(3);
    await one.pass(3000);
  }
  assert.deepEqual(sticky.owners(), hash.owners());
  assert.match(
    sticky.state(0).status.placementWarning ?? "",
    /addresses of lan may move whenever nodes come and go, .*: the speakers on node-3 are not of this release/,
  );
  const before = sticky.owners();
  sticky.simulation.leave(3);
  await sticky.pass(3000);
  const after = sticky.owner();
  for (const [address, nodes] of before) if (nodes.length > 0) assert.deepEqual([after.get(address)], nodes);
  assert.equal(sticky.state(0).status.placementWarning, undefined);
});

for (const placement of ["hash", "sticky"])
  test(`${placement}: a speaker that lost the API alone keeps what it has, and what it cannot know of is at others`, async () => {
    const four = new PlacementCluster({ seed: 1, loss: 0.1, pools: pools(placement), services, apiLag: 1000 });
    for (const [first = ""] of services.slice(0, 9)) four.setService(first, { ingress: [first], localTo: [0, 1, 2, 3] });
    await four.start(0, 1, 2, 3);
    const before = four.owner();
    four.takeApi(1);
    await four.pass(4_000);
    const soon = Array.from({ length: 9 }, (_, i) => `192.0.2.${100 + i}`);
    for (const address of soon) four.setService(address, { ingress: [address] });
    await four.pass(2_000);
    for (const [address, node] of four.owner())
      if (soon.includes(address)) assert.notEqual(node, 1, address);
      else assert.equal(node, before.get(address), `${address}: nothing moves`);
    await four.pass(60_000);
    const local = new Set(services.slice(0, 9).map(([first]) => first));
    for (const [address, node] of before)
      if (!local.has(address) || node !== 1) assert.equal(four.owner().get(address), node, address);
    for (const address of local) if (placement === "hash") assert.notEqual(four.owner().get(address ?? ""), 1, address);
    const added = Array.from({ length: 9 }, (_, i) => `192.0.2.${200 + i}`);
    for (const address of added) four.setService(address, { ingress: [address] });
    for (const address of local) four.setService(address ?? "", { ingress: [address ?? ""], localTo: [0, 2] });
    await four.pass(9_000);
    for (const address of [...added, ...local]) assert.notEqual(four.owner().get(address ?? ""), 1, address);
    four.giveApi(1);
    await four.pass(15_000);
    for (const [address, node] of four.owner()) if (local.has(address)) assert.ok(node === 0 || node === 2, address);
  });

test("bgp: a speaker that lost the API alone leaves Local Services to those that announce them, and all keep theirs when it is lost to all", async () => {
  const [first, second, third] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"] as const;
  const routed = `- {name: routed, protocol: bgp, addresses: [192.0.2.0/24]}
peers: [{peer-address: 192.0.2.254, peer-asn: 64512, my-asn: 64512}]
`;
  const four = new PlacementCluster({ seed: 1, loss: 0.1, pools: routed, services: [[first], [second], [third]], apiLag: 1000 });
  const local = (nodes: readonly number[]) => {
    for (const ip of [first, second]) four.setService(ip, { ingress: [ip], localTo: nodes });
  };
  const seen = () => [first, second, third].map((address) => four.routedAt(address).join(""));
  local([1, 2]);
  four.setService(second, { ingress: [second], localTo: [1] });
  await four.start(0, 1, 2, 3);
  assert.deepEqual(seen(), ["12", "1", "0123"]);
  four.takeApi(1);
  await four.pass(55_000);
  assert.deepEqual(seen(), ["12", "1", "0123"], "it may be back");
  await four.pass(10_000);
  assert.deepEqual(seen(), ["2", "1", "0123"], "what nobody else announces stays");
  local([0, 3]);
  await four.pass(5_000);
  assert.deepEqual(seen(), ["03", "03", "0123"]);
  four.kill(0);
  four.kill(3);
  await four.pass(5_000);
  assert.deepEqual(seen(), ["1", "1", "12"], "no other route is left");
  four.giveApi(1);
  await four.pass(3_000);
  assert.deepEqual(seen(), ["", "", "12"]);
  local([1, 2]);
  await four.pass(2_000);
  for (const node of [1, 2]) four.takeApi(node);
  await four.pass(120_000);
  assert.deepEqual(seen(), ["12", "12", "12"]);
});

const wired = (node: number, running = true) => [
  ethernet("eth0", [`10.0.0.${node + 1}/24`, "fe80::1/64"]),
  ethernet("eth1", node % 2 === 0 ? ["192.0.2.250/24", "2001:db8::fa/64"] : ["198.51.100.250/24"], running),
];

test("subnet: an address is at a node that has it in a subnet, and nowhere while there is none", async () => {
  for (const placement of ["subnet", "sticky-subnet"]) {
    const four = cluster(1, 0.1, placement);
    for (const node of [0, 1, 2, 3]) four.setInterfaces(node, wired(node));
    await four.start(0, 1, 2, 3);
    for (const [address, node] of four.owner())
      assert.equal(node % 2, address.startsWith("198") ? 1 : 0, `${address} is at ${node}`);
    four.setInterfaces(1, wired(1, false));
    await four.pass(500);
    for (const [address, node] of four.owner()) if (address.startsWith("198")) assert.equal(node, 3, address);
    four.setInterfaces(3, wired(3, false));
    await four.pass(500);
    for (const [address, nodes] of four.owners()) assert.equal(nodes.length, address.startsWith("198") ? 0 : 1, address);
  }
});

test("an owner whose interface loses its carrier hands over at once; by hash it takes back what it had, sticky it does not", async () => {
  for (const placement of ["hash", "sticky"]) {
    const text = pools(placement, "  interfaces: [eth1]\n");
    const three = new PlacementCluster({ seed: 1, pools: text, services });
    for (const node of [0, 1, 2]) three.setInterfaces(node, wired(node));
    await three.start(0, 1, 2);
    const before = three.owner();
    three.setInterfaces(1, wired(1, false));
    await three.pass(200);
    const without = three.owner();
    for (const address of moved(before, without)) assert.equal(before.get(address), 1, address);
    assert.equal(three.loads().get(1), 0);
    three.setInterfaces(1, wired(1));
    await three.pass(1400);
    assert.deepEqual(moved(without, three.owner()), [], "not before its kernel has found the others again");
    await three.pass(1000);
    assert.deepEqual(moved(placement === "hash" ? before : without, three.owner()), []);
  }
});

test("ten thousand sticky addresses: what nodes broadcast is small, and follows what changed", async (t) => {
  const many = Array.from({ length: 10_000 }, (_, i) => [`10.1.${i >> 8}.${i & 255}`]);
  const text = "- {name: lan, protocol: layer2, l2-placement: sticky, addresses: [10.1.0.0/16]}\n";
  const five = new PlacementCluster({ seed: 1, pools: text, services: many });
  await five.start(0, 1, 2, 3, 4);
  await five.pass(3000);
  const before = five.owner();
  assert.deepEqual([...five.loads().values()], Array(5).fill(2000));
  const state = five.gossip(0).length;
  t.diagnostic(`${state} octets of state`);
  assert.ok(state < 10_000, `${state} octets of state`);
  five.octetsBroadcast = 0;
  five.kill(4);
  await five.pass(3000);
  const after = five.owner();
  assert.equal(moved(before, after).length, 2000);
  assert.deepEqual([...five.loads().values()], Array(4).fill(2500));
  t.diagnostic(`${five.octetsBroadcast} octets broadcast by four nodes of 2,000 addresses that moved`);
  assert.ok(five.octetsBroadcast < 100_000, `${five.octetsBroadcast} octets`);
});
