import assert from "node:assert/strict";
import { suite, test } from "node:test";
import "../../../pkg/clock/testing/untracked-promises.ts";
import { World } from "./world.ts";

const configuration = `address-pools:
- {name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.209]}
- {name: one, protocol: layer2, auto-assign: false, addresses: [172.30.0.212/32]}
`;
const fromOne = { annotations: { "metallb.universe.tf/address-pool": "one" } };

/** A cluster with three Services: `web` is well, `first` has the only address of a pool, and `second` waits for it. */
async function started(nodes = 3): Promise<World> {
  const world = await World.start(configuration, { nodes });
  world.expose("web", [0]);
  world.expose("first", [0], fromOne);
  await world.assigned("web");
  await world.assigned("first");
  world.expose("second", [0], fromOne);
  await world.event("second", "AllocationFailed", /no free IPv4 address/);
  await world.cluster.pass(20_000); // Until the condition says so, too.
  return world;
}

function stopControllers({ cluster }: World): void {
  for (const index of cluster.controllers.keys()) cluster.killController(index);
}

const told = (world: World, name: string) => world.events(name, "noController").length;

suite("kubectl describe of a Service that waits names a controller that does not work", () => {
  test("once, by one speaker, beside a full pool and nodes without the API; the address is the end", async () => {
    const world = await started();
    stopControllers(world);
    const cut = world.cluster.speakers.get(0) ?? assert.fail();
    cut.connection.isCut = true;
    world.expose("late", [1]);
    world.expose("later", [1]);
    await world.cluster.pass(20_000);
    assert.equal(told(world, "late"), 0, "not before it lasts");
    await world.cluster.pass(600_000);
    for (const name of ["late", "later"]) assert.equal(told(world, name), 1, name);
    for (const name of ["web", "first", "second"]) assert.equal(told(world, name), 0, `${name}: a controller has spoken of it`);
    for (const index of world.cluster.controllers.keys()) world.cluster.startController(index);
    await world.assigned("late");
    await world.event("late", "IPAllocated", /172\.30\.0\.20\d/);
    await world.cluster.pass(120_000);
    assert.equal(told(world, "late"), 1);
  });

  test("never while controllers are replaced one after the other, the leader hangs, or the API is away", async () => {
    const world = await started();
    const { cluster, weather } = world;
    for (let round = 0; round < 6; round++) {
      const index = round % 2;
      cluster.killController(index);
      world.expose(`during-${round}`, [1]);
      await cluster.pass(4_000);
      cluster.startController(index);
      await world.assigned(`during-${round}`);
    }
    const [leader] = [...cluster.controllers].find(([, { isLeader }]) => isLeader) ?? assert.fail();
    cluster.controllers.get(leader)?.process.stall(120_000);
    world.expose("hung", [1]);
    await world.assigned("hung");
    await cluster.pass(120_000);
    weather.refusals = 1;
    world.expose("outage", [1]);
    await cluster.pass(120_000);
    weather.refusals = 0;
    await world.assigned("outage");
    await cluster.pass(60_000);
    assert.deepEqual(
      cluster.lines.filter((line) => line.includes("noController")),
      [],
    );
  });
});
