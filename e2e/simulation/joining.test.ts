// Long: many simulated speakers that join one after another.
// Scenario: minutes of simulated time.
import assert from "node:assert/strict";
import { test } from "node:test";
import "../../pkg/clock/testing/untracked-promises.ts";
import { PlacementScene } from "./cluster/placement-scene.ts";

// How long one that waits takes to find that it can reach the others again: an attempt under way, a pause, and half a second to see who stays.
const joinAgainMs = 22_000;
const services = Array.from({ length: 12 }, (_, i) => [`192.0.2.${i + 1}`]);
const nodes = [0, 1, 2, 3, 4];

/** A cluster whose five nodes have owned all addresses for a while. */
function five(seed: number, placement: string): Promise<PlacementScene> {
  const config = `address-pools:\n- {name: lan, protocol: layer2, l2-placement: ${placement}, addresses: [192.0.2.0/25]}\n`;
  return PlacementScene.begin({ nodes: nodes.length, seed, loss: 0.05, config, services });
}

function kill(scene: PlacementScene, killed: readonly number[]): void {
  for (const node of killed) scene.cluster.killSpeaker(node);
}

function start(scene: PlacementScene, started: readonly number[]): Promise<void> {
  for (const node of started) scene.cluster.startSpeaker(node);
  return scene.pass(3_000);
}

/** Time passes, and no address ever has two owners, or none. */
async function passWithOneOwner(scene: PlacementScene, duration: number): Promise<void> {
  for (let passed = 0; passed < duration; passed += 500) {
    await scene.pass(500);
    scene.owner();
  }
}

for (const placement of ["hash", "sticky"])
  for (const seed of [1, 2]) {
    const name = `${placement}, seed ${seed}`;

    for (const restarted of [[4], [3, 4], [2, 3, 4]])
      test(`${restarted.length} of five that start again behind a closed port announce nothing, and take part when it is open (${name})`, async () => {
        const scene = await five(seed, placement);
        kill(scene, restarted);
        await scene.pass(6_000);
        scene.cluster.ring.cutOff(restarted);
        await start(scene, restarted);
        await passWithOneOwner(scene, 60_000);
        assert.deepEqual(scene.waiting(), restarted);
        for (const node of restarted)
          assert.match(scene.speaker(node).ringProblem ?? "", /^none of those that are Ready .*node-0 .*TCP and UDP port 7946/);
        scene.cluster.ring.heal();
        await scene.pass(joinAgainMs);
        assert.deepEqual([scene.waiting(), scene.notParticipating()], [[], []]);
        await passWithOneOwner(scene, 20_000);
      });

    test(`five that start at once, although their Pods are Ready, do not wait for one another (${name})`, async () => {
      const scene = await five(seed, placement);
      kill(scene, nodes);
      await start(scene, nodes);
      assert.deepEqual(scene.waiting(), []);
      await passWithOneOwner(scene, 20_000);
    });

    test(`four that start at once wait for a dead node's Pod until that is not Ready any more, and no longer (${name})`, async () => {
      const scene = await five(seed, placement);
      for (const node of nodes) scene.cluster.powerOff(node);
      await start(scene, nodes.slice(1));
      await scene.pass(30_000);
      for (const owners of scene.owners().values()) assert.deepEqual(owners, []);
      await scene.pass(10_000); // The API has the dead node's Pod as not Ready after 40 s.
      await passWithOneOwner(scene, 20_000);
    });

    test(`one that meets the others, and loses them before it counts on them, announces nothing (${name})`, async () => {
      const scene = await five(seed, placement);
      const { ring } = scene.cluster;
      kill(scene, [4]);
      await scene.pass(6_000);
      ring.cutOff([4]);
      await start(scene, [4]);
      ring.heal();
      const isMet = () => scene.speaker(4).state.members.active.length > 1;
      for (let passed = 0; passed < joinAgainMs && !isMet(); passed += 10) await scene.pass(10);
      assert.ok(isMet());
      ring.cutOff([4]);
      await passWithOneOwner(scene, 30_000);
      assert.deepEqual(scene.waiting(), [4]);
      ring.heal();
      await scene.pass(joinAgainMs);
      assert.deepEqual(scene.waiting(), []);
      await passWithOneOwner(scene, 20_000);
    });

    test(`in a cluster cut into three those that start again find the owners of their part, or wait where there are none (${name})`, async () => {
      const scene = await five(seed, placement);
      scene.cluster.ring.cutOff([2, 3]);
      scene.cluster.ring.cutOff([4]);
      await scene.pass(10_000);
      for (const node of [3, 4]) {
        kill(scene, [node]);
        await start(scene, [node]);
      }
      await scene.pass(30_000);
      assert.deepEqual(scene.waiting(), [4]);
      kill(scene, [2, 3]);
      await start(scene, [2, 3]);
      await passWithOneOwner(scene, 30_000);
      assert.deepEqual(scene.waiting(), [2, 3, 4]);
      scene.cluster.ring.heal();
      await scene.pass(joinAgainMs);
      assert.deepEqual(scene.waiting(), []);
      await passWithOneOwner(scene, 20_000);
    });
  }
