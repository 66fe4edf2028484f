import assert from "node:assert/strict";
import { test } from "node:test";
import { ApiError } from "#e2e/apiserver";
import { Invariants } from "./invariants.ts";
import { Scene } from "./scene.ts";

test("two controllers that may write are found, as when none may use the Lease for long; afterwards one leads", async () => {
  const scene = await Scene.atRest();
  scene.weather.forbidden = "leases";
  await scene.pass(28_000);
  assert.equal(scene.invariants.problem, undefined);
  await scene.pass(12_000);
  assert.match(scene.found ?? "", /controller-0 and controller-1 may both write/);
  scene.weather.forbidden = undefined;
  await scene.pass(20_000);
  const after = new Invariants();
  after.check(scene.cluster);
  assert.equal(after.problem ?? after.checkAtRest(scene.cluster), undefined);
});

test("a controller that ends in order gives the Lease back, and another one has it at once; where it does not, that is found", async () => {
  const end = async (refuses: (holder: string) => boolean) => {
    const scene = await Scene.atRest();
    const { api, controllers } = scene.cluster;
    const leader = [...controllers.keys()].find((index) => controllers.get(index)?.isLeader) ?? -1;
    await scene.pass(5_000);
    const answer = api.answer.bind(api);
    api.answer = (request) => {
      const { holderIdentity } = (request.body as { readonly spec?: { readonly holderIdentity?: string } })?.spec ?? {};
      if (holderIdentity !== undefined && refuses(holderIdentity)) throw new ApiError(500, "", "refused");
      return answer(request);
    };
    scene.cluster.stopController(leader);
    await scene.pass(1_500);
    const follows = controllers.get(1 - leader)?.mayWrite;
    await scene.pass(10_000);
    return { follows, problem: scene.invariants.problem };
  };
  assert.deepEqual(await end(() => false), { follows: true, problem: undefined });
  assert.match((await end((holder) => holder === "")).problem ?? "", /controller-\d has ended in order and kept the Lease/);
  assert.match(
    (await end((holder) => holder !== "")).problem ?? "",
    /the Lease is given back since \d+ ms, and controller-\d has not taken it/,
  );
});
