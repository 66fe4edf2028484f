import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, textOf } from "#pkg/http/testing";
import { controllerApi } from "../../controller/api.ts";
import { World } from "../../controller/testing/world.ts";
import type { Processes, Target } from "../cluster/processes.ts";
import { ingotctl } from "../testing/ingotctl.ts";
import { configuration, smallCluster } from "../testing/small-cluster.ts";

/** A small cluster with this many controllers; the first one leads. */
async function withControllers(count: number): Promise<ReturnType<typeof smallCluster>> {
  const { api, processes } = smallCluster();
  const routes = new Map<string, ReturnType<typeof controllerApi>>();
  for (let index = 0; index < count; index++) {
    const world = new World({ isStandby: index > 0 });
    world.config(configuration);
    world.lastGood(configuration);
    world.controller.start();
    await world.settle();
    const { controller, recorder, clock } = world;
    routes.set(`controller-${index}`, controllerApi({ terms: { controller }, recorder, clock }));
  }
  const speakers = processes.targets.filter(({ program }) => program === "speaker");
  const controllers = Array.from(
    routes.keys(),
    (pod): Target => ({ program: "controller", pod, node: "n1", notRunning: undefined }),
  );
  const both: Processes = {
    targets: [...controllers, ...speakers],
    async get(target, path) {
      const [name = "", query = ""] = path.split("?");
      const route = routes.get(target.pod)?.[name];
      return route === undefined ? processes.get(target, path) : JSON.parse(textOf(await route(asked(query))));
    },
    async [Symbol.asyncDispose]() {},
  };
  return { api, processes: both };
}

test("a controller that stands by is nothing that is wrong, to doctor and status", async () => {
  for (const [args, lists] of Object.entries({ doctor: ["findings"], status: ["problems", "lagging"] })) {
    const alone = await ingotctl(`${args} -o json`, await withControllers(1));
    const three = await ingotctl(`${args} -o json`, await withControllers(3));
    assert.equal(three.status, alone.status);
    const listed = JSON.parse(three.out);
    for (const list of lists)
      assert.deepEqual(
        listed[list].filter(({ where }: { where?: string }) => where !== "versions"),
        [],
      );
  }
});
