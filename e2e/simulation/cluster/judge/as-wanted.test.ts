import assert from "node:assert/strict";
import { test } from "node:test";
import { firstConfig } from "../history.ts";
import { AsWanted } from "./as-wanted.ts";
import { Scene, spec } from "./scene.ts";

/** The judge's finding within so long. */
async function found(act: (scene: Scene) => void, seconds: number): Promise<string> {
  const scene = await Scene.atRest(firstConfig, new AsWanted());
  act(scene);
  await scene.pass(seconds * 1000);
  return scene.invariants.problem ?? "";
}

test("an address at a node that may not have it, as the API says, and one of no Service are found", async () => {
  const isLocal = ({ cluster: { people } }: Scene) => void people.services.set("a", { ...spec, isLocal: true, endpoints: [0] });
  assert.match(await found(isLocal, 9), /192\.0\.2\.\d is at node-1, of node-0 among node-0 and node-1, since/);
  const ofNone = (scene: Scene) => void scene.speaker(0).announced.add("192.0.2.9");
  assert.match(await found(ofNone, 9), /192\.0\.2\.9 of no Service is at node-0, since/);
});

test("an address that moves is found where nothing happened but that a node lost the API, and none where people move it", async () => {
  const moves = async (isDrained: boolean) => {
    const scene = await Scene.atRest(firstConfig, new AsWanted());
    const [address = ""] = scene.cluster.people.status("a");
    scene.speaker(1).connection.isCut = true;
    if (isDrained) scene.cluster.nodes.setDrained(1, true);
    await scene.pass(1_000);
    scene.cluster.moves.push({ at: scene.cluster.now, node: 1, address, on: false });
    await scene.pass(100);
    return scene.invariants.problem ?? "";
  };
  assert.match(await moves(false), /node-1 gives 192\.0\.2\.\d up, which it may have, although nothing happened since/);
  assert.equal(await moves(true), "");
});

test("a route through a node without the endpoints of a Local Service is found", async () => {
  const moved = ({ cluster: { people } }: Scene) =>
    void people.services.set("r", { ...spec, pool: "routed", isLocal: true, endpoints: [0] });
  assert.match(await found(moved, 21), /the router has a route to 198\.51\.100\.0\/32 through node-1, of 0 among 0,1, since/);
});

test("a Service that has not what it asks for is found while a controller runs, and not while none does", async () => {
  const asks = ({ cluster: { people } }: Scene) => void people.services.set("a", { ...spec, pool: "sticky" });
  assert.match(await found(asks, 41), /a asks for pool sticky and has 192\.0\.2\.\d, while controller-\d runs/);
  const alone = (scene: Scene) => {
    for (const one of [0, 1]) scene.cluster.killController(one);
    asks(scene);
  };
  assert.equal(await found(alone, 41), "");
});
