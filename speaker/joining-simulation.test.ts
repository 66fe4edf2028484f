// Long: many simulated speakers that join one after another.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PlacementCluster } from "./testing/placement-cluster.ts";

// How long one that waits takes to find that it can reach the others again: an attempt under way, a pause, and half a second to see who stays.
const joinAgainMs = 22_000;
const services = Array.from({ length: 12 }, (_, i) => [`192.0.2.${i + 1}`]);
const nodes = [0, 1, 2, 3, 4];

/** A cluster whose five nodes have owned all addresses for a while. */
async function five(seed: number, placement: string): Promise<PlacementCluster> {
  const pools = `- {name: lan, protocol: layer2, l2-placement: ${placement}, addresses: [192.0.2.0/24]}\n`;
  const cluster = new PlacementCluster({ seed, loss: 0.05, pools, services });
  await cluster.start(...nodes);
  await cluster.pass(3_000);
  return cluster;
}

function waiting(cluster: PlacementCluster): number[] {
  return nodes.filter((node) => !cluster.state(node).members.isSynced);
}

/** Time passes, and no address ever has two owners, or none. */
async function passWithOneOwner(cluster: PlacementCluster, duration: number): Promise<void> {
  for (let passed = 0; passed < duration; passed += 500) {
    await cluster.pass(500);
    cluster.owner();
  }
}

for (const placement of ["hash", "sticky"])
  for (const seed of [1, 2]) {
    const name = `${placement}, seed ${seed}`;

    for (const restarted of [[4], [3, 4], [2, 3, 4]])
      test(`${restarted.length} of five that start again behind a closed port announce nothing, and take part when it is open (${name})`, async () => {
        const cluster = await five(seed, placement);
        for (const node of restarted) cluster.kill(node);
        await cluster.pass(6_000);
        cluster.simulation.cutOff(restarted);
        await cluster.start(...restarted);
        await passWithOneOwner(cluster, 60_000);
        assert.deepEqual(waiting(cluster), restarted);
        for (const node of restarted)
          assert.match(cluster.problem(node) ?? "", /^none of those that are Ready .*node-0 .*TCP and UDP port 7946/);
        cluster.simulation.heal();
        await cluster.pass(joinAgainMs);
        assert.deepEqual([waiting(cluster), cluster.notParticipating()], [[], []]);
        await passWithOneOwner(cluster, 20_000);
      });

    test(`five that start at once, although their Pods are Ready, do not wait for one another (${name})`, async () => {
      const cluster = await five(seed, placement);
      for (const node of nodes) cluster.kill(node);
      await cluster.start(...nodes);
      assert.deepEqual(waiting(cluster), []);
      await passWithOneOwner(cluster, 20_000);
    });

    test(`four that start at once wait for a dead node's Pod until that is not Ready any more, and no longer (${name})`, async () => {
      const cluster = await five(seed, placement);
      for (const node of nodes) cluster.kill(node);
      cluster.setReady(0, true);
      const rest = nodes.slice(1);
      await cluster.start(...rest);
      await cluster.pass(40_000);
      for (const owners of cluster.owners().values()) assert.deepEqual(owners, []);
      cluster.setReady(0, false);
      await cluster.pass(3_000);
      await passWithOneOwner(cluster, 20_000);
    });

    test(`one that meets the others, and loses them before it counts on them, announces nothing (${name})`, async () => {
      const cluster = await five(seed, placement);
      cluster.kill(4);
      await cluster.pass(6_000);
      cluster.simulation.cutOff([4]);
      await cluster.start(4);
      cluster.simulation.heal();
      const isMet = () => cluster.state(4).members.active.length > 1;
      for (let passed = 0; passed < joinAgainMs && !isMet(); passed += 10) await cluster.pass(10);
      assert.ok(isMet());
      cluster.simulation.cutOff([4]);
      await passWithOneOwner(cluster, 30_000);
      assert.deepEqual(waiting(cluster), [4]);
      cluster.simulation.heal();
      await cluster.pass(joinAgainMs);
      assert.deepEqual(waiting(cluster), []);
      await passWithOneOwner(cluster, 20_000);
    });

    test(`in a cluster cut into three those that start again find the owners of their part, or wait where there are none (${name})`, async () => {
      const cluster = await five(seed, placement);
      cluster.simulation.cutOff([2, 3]);
      cluster.simulation.cutOff([4]);
      await cluster.pass(10_000);
      for (const node of [3, 4]) {
        cluster.kill(node);
        await cluster.start(node);
      }
      await cluster.pass(30_000);
      assert.deepEqual(waiting(cluster), [4]);
      cluster.kill(2);
      cluster.kill(3);
      await cluster.start(2, 3);
      await passWithOneOwner(cluster, 30_000);
      assert.deepEqual(waiting(cluster), [2, 3, 4]);
      cluster.simulation.heal();
      await cluster.pass(joinAgainMs);
      assert.deepEqual(waiting(cluster), []);
      await passWithOneOwner(cluster, 20_000);
    });
  }
