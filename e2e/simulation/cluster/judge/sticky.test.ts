import assert from "node:assert/strict";
import { test } from "node:test";
import type { Millis } from "#pkg/clock";
import { fairWeather, stickyConfig } from "../history.ts";
import { SimulatedCluster } from "../simulated-cluster.ts";
import { StickyOwnership } from "./sticky.ts";

const address = "192.0.2.32";

/** Three nodes and one Service with a sticky address, which the judge watches. */
class StickyScene {
  readonly judge = new StickyOwnership();
  readonly cluster: SimulatedCluster;

  private constructor() {
    this.cluster = new SimulatedCluster({
      seed: 1,
      nodes: 3,
      loss: 0,
      withoutNetAdmin: [],
      weather: { ...fairWeather },
      config: stickyConfig,
      onChange: (change) => {
        if (this.cluster !== undefined) this.judge.changed(this.cluster, change);
      },
    });
    const spec = { pool: "sticky", isDual: false, wanted: address, sharing: undefined, port: 80, isLocal: false };
    this.cluster.people.setService("a", { ...spec, endpoints: [0, 1, 2] });
  }

  static async atRest(): Promise<StickyScene> {
    const scene = new StickyScene();
    await scene.pass(20_000);
    assert.equal(scene.judge.checkAtRest(scene.cluster), undefined);
    return scene;
  }

  async pass(duration: Millis): Promise<void> {
    for (let passed = 0; passed < duration; passed += 100) {
      await this.cluster.pass(100);
      this.judge.check(this.cluster);
    }
  }

  get owner(): number {
    const [owner, ...more] = this.cluster.owners().get(address) ?? [];
    assert.deepEqual([typeof owner, more], ["number", []]);
    return owner ?? -1;
  }

  speaker(node: number) {
    const speaker = this.cluster.speakers.get(node);
    assert.ok(speaker);
    return speaker;
  }

  answers(node: number) {
    return this.speaker(node).announced;
  }

  /** Another node begins to announce the address, so it looks. */
  move(): void {
    this.cluster.moves.push({ at: this.cluster.now, node: this.owner, address, on: true });
  }
}

test("an address that two nodes answer for in a calm cluster is found after five seconds, and not before", async () => {
  const scene = await StickyScene.atRest();
  const { owner } = scene;
  const other = (owner + 1) % 3;
  scene.answers(other).add(address);
  await scene.pass(4_000);
  assert.equal(scene.judge.problem, undefined);
  await scene.pass(2_000);
  assert.match(scene.judge.problem ?? "", /^at \d+ ms: 192\.0\.2\.32 is at \d,\d of 0,1,2 since \d+ ms\nnode-0 /);
});

test("an address that nobody answers for is found, and one that is at a node without an endpoint", async () => {
  const nobody = await StickyScene.atRest();
  const owners = nobody.cluster.owners();
  nobody.cluster.owners = () => new Map([...owners].filter(([each]) => each !== address));
  await nobody.pass(6_000);
  assert.match(nobody.judge.problem ?? "", /192\.0\.2\.32 is at nobody of 0,1,2 since/);

  const wrong = await StickyScene.atRest();
  const before = wrong.cluster.owners();
  const spec = wrong.cluster.people.services.get("a");
  assert.ok(spec);
  wrong.cluster.people.setService("a", { ...spec, isLocal: true, endpoints: [(wrong.owner + 1) % 3] });
  wrong.cluster.owners = () => before;
  await wrong.pass(6_500);
  assert.match(wrong.judge.problem ?? "", /192\.0\.2\.32 is at (\d) of (?!\1)\d since/);
});

test("a speaker that says it owns an address, and does not announce it, is found at once", async () => {
  const scene = await StickyScene.atRest();
  const { owner } = scene;
  scene.answers(owner).delete(address);
  const spec = scene.cluster.people.services.get("a");
  assert.ok(spec);
  scene.cluster.people.setService("b", { ...spec, wanted: "192.0.2.33", isLocal: true, endpoints: [owner] }); // The owner broadcasts that it owns it.
  await scene.pass(3_000);
  assert.match(
    scene.judge.problem ?? "",
    new RegExp(`node-${owner} reports that it owns 192\\.0\\.2\\.32, and does not announce it$`),
  );
});

test("a move in a calm cluster is found", async () => {
  const scene = await StickyScene.atRest();
  scene.move();
  await scene.pass(200);
  assert.match(scene.judge.problem ?? "", /192\.0\.2\.32 moved at \d+ ms, while nothing happened\nnode-0 /);
});

test("an address may go to a node with room once nodes have been the same for minutes, also after a watch of the API began again", async () => {
  const scene = await StickyScene.atRest();
  await scene.pass(240_000);
  scene.speaker(0).connection.breakWatches();
  await scene.pass(12_000);
  for (let moves = 0; moves < 2; moves++) scene.move();
  await scene.pass(200);
  assert.equal(scene.judge.problem, undefined);
  scene.move();
  await scene.pass(200);
  assert.match(scene.judge.problem ?? "", /192\.0\.2\.32 moved at \d+ ms/, "it goes to and fro");
});

test("in a cluster that is cut nothing is judged, and it is not at rest before seven seconds have passed in peace", async () => {
  const scene = await StickyScene.atRest();
  scene.cluster.ring.cutOff([scene.owner]);
  await scene.pass(30_000);
  const both = scene.cluster.owners().get(address) ?? [];
  assert.equal(both.length, 2, `${both}`);
  assert.equal(scene.judge.problem, undefined);
  assert.match(scene.judge.checkAtRest(scene.cluster) ?? "", /^the cluster does not come to rest: /);
  scene.cluster.ring.heal();
  await scene.pass(30_000);
  assert.equal(scene.judge.checkAtRest(scene.cluster), undefined);
});
