import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, textOf } from "#pkg/http/testing";
import { verdict } from "#pkg/verdict";
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

const silences = [
  { why: "no answer within 2 s", says: /^No controller answers: if none works, no Service gets an address\.$/m },
  { why: "you may not forward its port", says: /^Services: /m },
  { why: "it has no /v1/configuration", says: /^Services: /m },
];
for (const { why, says } of silences)
  test(`status says that no controller answers where each hangs, and not for: ${why}`, async () => {
    const { api, processes } = await withControllers(2);
    const silent: Processes = {
      targets: processes.targets,
      async get(target, path) {
        if (target.program === "controller") throw new Error(why);
        return processes.get(target, path);
      },
      async [Symbol.asyncDispose]() {},
    };
    const { out, err } = await ingotctl("status", { api, processes: silent });
    assert.match(out, says);
    assert.equal(out.includes("No controller"), why.startsWith("no answer"), out);
    assert.match(err, new RegExp(`controller-1 on n1 is not among these: ${why}`));
  });

test("a Deployment that is scaled to 0 is the one cause of all that waits, with the command that ends it", async () => {
  const { api, processes } = smallCluster();
  const waiting = {
    service: "default/late",
    addresses: [],
    verdict: { ...verdict("service", "noIPAllocated"), since: "2026-01-02T03:01:00.000Z" },
  };
  const speakers = processes.targets.filter(({ program }) => program === "speaker");
  const alone: Processes = {
    targets: speakers,
    async get(target, path) {
      if (!path.startsWith("/v1/services")) return processes.get(target, path);
      return { node: target.node, services: [waiting] };
    },
    async [Symbol.asyncDispose]() {},
  };
  const deployment = (replicas: number) => [
    { metadata: { name: "controller", labels: { app: "metallb", component: "controller" } }, spec: { replicas } },
  ];
  const path = "/apis/apps/v1/namespaces/metallb-system/deployments";
  const of = async (args: string, stored: object | Error) => {
    api.stored[path] = stored;
    return (await ingotctl(args, { api, processes: alone })).out;
  };
  for (const command of ["doctor", "check"]) {
    const out = await of(command, deployment(0));
    assert.match(out, /error: controller: no controller runs, because Deployment controller is scaled to 0 replicas/);
    assert.match(
      out,
      /1 cause, 1 Service: default\/late\n\s+-> kubectl -n metallb-system scale deployment controller --replicas=1\n/,
    );
    assert.match(out, /^1 error, /m);
  }
  for (const stored of [deployment(1), new Error("403 deployments is forbidden")])
    assert.match(await of("doctor", stored), /there is no Pod of a controller .*\n.*\n\s+-> .* --replicas=1 where it asks for 0/);
  assert.match(await of("status", deployment(0)), /^No controller runs: no Service gets an address\.$/m);
  assert.match(await of("explain svc/late", deployment(0)), /no controller gives it an address: there is none/);
});
