import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { ApiError, type CustomResource, type ObjectMeta } from "#pkg/k8s";
import { FakeInformer } from "#pkg/k8s/testing";
import { statusConfigMap } from "#pkg/live-config";
import type { ControllerOptions } from "../controller.ts";
import { configText, namespace, World } from "../testing/world.ts";

type StatusObject = NonNullable<ControllerOptions["statusObject"]>;
type Status = Readonly<Record<string, unknown>>;
interface Written {
  readonly labels?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly object[];
  readonly status?: Status;
}

/** The API's ConfigurationStates. */
class States {
  readonly stored = new Map<string, Written>(); // name -> object
  readonly requests: string[] = [];
  readonly informers: FakeInformer<ObjectMeta>[] = [];
  #version = 0;
  readonly cluster: StatusObject["cluster"] = {
    informer: (resource, scope, handlers) => {
      const informer = new FakeInformer(resource, scope, handlers);
      this.informers.push(informer as unknown as FakeInformer<ObjectMeta>);
      return informer;
    },
    applyObject: async ({ kind }: CustomResource, { name, ...metadata }, status) => {
      this.requests.push(`${kind} ${name}${status === undefined ? "" : " status"}`);
      this.stored.set(name, { ...this.stored.get(name), ...(status === undefined ? metadata : { status: { ...status } }) });
    },
    deleteObject: async (_, { name }) => {
      this.requests.push(`delete ${name}`);
      this.stored.delete(name);
    },
  };

  async pass(world: World, seconds: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      for (const informer of this.informers.filter(({ started, disposed }) => started && !disposed)) {
        for (const [name, { status, ...metadata }] of this.stored) {
          const meta = { key: `${namespace}/${name}`, namespace, name, uid: name, resourceVersion: `${++this.#version}` };
          informer.see(informer.resource.project({ metadata, status } as never, meta as never));
        }
        if (!informer.synced) informer.sync();
      }
      world.clock.advanceBy(1_000);
      await world.settle();
      for (let turn = 0; turn < 5; turn++) await setImmediate();
    }
  }
}

test("the controller that works has a ConfigurationState as MetalLB's, with the refusal of a configuration; one that stands by writes none", async () => {
  const states = new States();
  const status = (): Status => states.stored.get("controller")?.status ?? {};
  const statusObject = { cluster: states.cluster, owner: { name: "controller-1", uid: "1" } };
  const world = new World({ statusObject: { statusObject } });
  world.config(configText("main 10.0.0.0-10.0.0.1"));
  world.controller.start();
  await states.pass(world, 30);
  const valid = states.stored.get("controller");
  assert.deepEqual(valid?.labels, { "metallb.io/component-type": "controller" });
  assert.deepEqual(valid?.ownerReferences, [{ apiVersion: "v1", kind: "Pod", ...statusObject.owner }]);
  const condition = (status: Status) => {
    const [{ lastTransitionTime = "", ...rest } = {}] = (status.conditions ?? []) as Record<string, string>[];
    assert.match(lastTransitionTime, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    return rest;
  };
  assert.equal(status().result, "Valid");
  assert.deepEqual(condition(status()), { type: "poolReconcilerValid", status: "True", reason: "Reconciled", message: "" });
  states.requests.length = 0;
  world.config("address-pools: x");
  await states.pass(world, 30);
  assert.deepEqual(states.requests, ["ConfigurationState controller status"]);
  const { result, errorSummary, ...rest } = status();
  assert.equal(result, "Invalid");
  assert.match(`${errorSummary}`, /address-pools/);
  const refused = { type: "poolReconcilerValid", status: "False", reason: "ConfigurationError", message: errorSummary };
  assert.deepEqual(condition(rest), refused);
  const standby = world.startStandby();
  states.requests.length = 0;
  await states.pass(world, 30);
  assert.deepEqual(states.requests, [], "nor does one that works write what is there");
  await world.controller[Symbol.asyncDispose]();
  states.stored.clear();
  await states.pass(world, 30);
  assert.deepEqual(states.requests, []);
  standby.lead();
  await states.pass(world, 30);
  assert.deepEqual(states.requests, ["ConfigurationState controller", "ConfigurationState controller status"]);
  await standby[Symbol.asyncDispose]();
});

test("a configuration that is in force, and that the API refuses to save, is valid for MetalLB's tools", async () => {
  const states = new States();
  const world = new World({
    statusObject: { statusObject: { cluster: states.cluster, owner: { name: "controller-1", uid: "1" } } },
  });
  const name = `${namespace}/${statusConfigMap}`;
  world.cluster.refused.set(name, new ApiError(`Cannot write ConfigMap ${name}: 422: field is immutable`, 422, "Invalid"));
  world.config(configText("main 10.0.0.0-10.0.0.1"));
  world.controller.start();
  await states.pass(world, 60);
  assert.equal(world.controller.view.configuration.verdict.cause, "notSaved");
  assert.equal(states.stored.get("controller")?.status?.result, "Valid");
});
