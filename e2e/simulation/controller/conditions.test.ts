// Scenario: many seeds.
import assert from "node:assert/strict";
import { poolsOf } from "#pkg/allocator";
import { seededRandom } from "#pkg/clock/testing";
import { poolAnnotations } from "#pkg/service";
import { World } from "../../../controller/testing/world.ts";
import { forSeeds } from "./seeds.ts";
import { block, type Configuration, keys, Story, yaml } from "./story.ts";

const main = { name: "main", addresses: block(0, 2, 2) };
const configurations: readonly Configuration[] = [
  { pools: [main, { name: "gold", addresses: block(1, 2) }], quotas: [] },
  { pools: [{ ...main, isStrict: true }], quotas: [{ namespaces: ["default"], together: false, pools: ["main"], ipv4: 1 }] },
];
// Conditions that people replace again and again are written again after ten minutes at the latest.
const [seconds, minutes] = [30, 11];

/** Faults of the conditions and annotations of a Service, beside no speaker. */
function faultsOf(world: World, key: string): readonly string[] {
  const service = world.cluster.service(key);
  const held = world.controller.view.held(key);
  if (service === undefined) return [];
  const { ingress, conditions, isClaimed, type, annotations } = service;
  const isOurs = isClaimed && type === "LoadBalancer";
  const cause = [...world.statuses(key)][0]?.verdict.cause ?? "";
  const [isHere, pool] = [ingress.length > 0, held && poolsOf(held).join()];
  // Time that passes has nothing written: that others overwrote a status is said until something changes.
  const isSaid = ({ reason }: { readonly reason: string }) =>
    reason === "StatusOverwritten" || reason.toLowerCase() === cause.toLowerCase();
  const statusOf = (of: string) => conditions.find((one) => one.type === `ingot.dev/${of}`)?.status;
  const assigned = conditions.find((one) => one.type === "ingot.dev/Assigned");
  // Another load balancer may have written the annotations of its Services.
  const named = poolAnnotations.map((name) => (type !== "LoadBalancer" || isClaimed ? annotations[name] : undefined));
  const said = [statusOf("Assigned"), statusOf("Announced"), ...named];
  const is = !isOurs ? [] : isHere ? ["True", undefined, pool, pool] : ["False", "False"];
  const isRight = said.every((one, index) => one === is[index]) && (assigned === undefined || isSaid(assigned));
  return isRight ? [] : [`${key} (${ingress}, ${cause}) says ${said} (${assigned?.reason})`];
}

forSeeds("conditions say in the end how it stands with each Service, whatever people ask for", 40, async (seed) => {
  const [first = { pools: [], quotas: [] }] = configurations;
  const world = new World({ hasConditions: true, hasPoolAnnotations: true });
  world.config(yaml(first));
  world.controller.start();
  await world.settle();
  const story = new Story(seededRandom(seed), world, { configurations, first, occupiable: main.addresses, isUntroubled: true });
  for (let step = 0; step < 40; step++) {
    await story.step();
    if (step % 4 > 0) continue;
    for (let time = 0; time < seconds + minutes; time++) {
      world.clock.advanceBy(time < seconds ? 1_000 : 61_000);
      await world.settle();
    }
    assert.deepEqual(
      keys.flatMap((key) => faultsOf(world, key)),
      [],
    );
  }
});
