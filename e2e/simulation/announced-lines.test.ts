// Scenario: minutes of simulated time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { announcedConfigMaps } from "#pkg/announced";
import { namespace } from "./cluster/api/objects.ts";
import { firstConfig } from "./cluster/history.ts";
import { Scene, spec } from "./cluster/judge/scene.ts";
import { linesOf } from "./cluster/judge/told.ts";

// No node is preferred.
const config = firstConfig.replaceAll(/ {2}preferred-nodes.*\n/g, "");
const services = ["a", "b", "c", "d", "e", "f"];

/** Each of the two nodes has some of these. */
async function atRest(): Promise<Scene> {
  const scene = await Scene.atRest(config);
  for (const service of services) scene.cluster.people.setService(service, spec);
  await scene.pass(10_000);
  assert.equal(new Set([...scene.cluster.owners().values()].map(String)).size, 2);
  return scene;
}

/** Compares it with who answers for the addresses. */
function compare(scene: Scene): void {
  const owners = scene.cluster.owners();
  for (const service of services) {
    const [address = ""] = scene.cluster.people.status(service);
    const line = linesOf(scene.cluster).get(`default/${service}`)?.message ?? "no line";
    assert.match(line, new RegExp(`is announced by node-${owners.get(address)?.join()}$`), `${service}: ${line}`);
  }
}

for (const cutMs of [20_000, 300_000])
  test(`after a ring that was cut for ${cutMs / 1_000} s has healed, the lines name the present owners within a minute`, async () => {
    const scene = await atRest();
    compare(scene);
    for (let round = 0; round < 3; round++) {
      scene.cluster.ring.cutOff([round % 2]);
      scene.cluster.lan.isWhole = false;
      await scene.pass(cutMs);
      scene.cluster.ring.heal();
      await scene.pass(75_000);
      compare(scene);
    }
  });

test("lines that a node wrote while it was cut off, after all lines had been written anew, are put right within a minute, too", async () => {
  const scene = await atRest();
  for (let round = 0; round < 4; round++) {
    scene.cluster.ring.cutOff([1]);
    scene.cluster.lan.isWhole = false;
    await scene.pass(130_000 + round * 25_000);
    const pool = round % 2 === 0 ? "sticky" : "lan";
    for (const service of services) scene.cluster.people.setService(service, { ...spec, pool });
    await scene.pass(10_000);
    scene.cluster.ring.heal();
    await scene.pass(75_000);
    compare(scene);
  }
});

test("lines that somebody took away come again", async () => {
  const scene = await atRest();
  await scene.pass(70_000);
  for (const name of announcedConfigMaps) scene.cluster.api.patch("configmaps", `${namespace}/${name}`, { data: null });
  assert.equal(linesOf(scene.cluster).size, 0);
  await scene.pass(130_000);
  compare(scene);
});
