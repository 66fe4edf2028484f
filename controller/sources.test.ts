import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { seededRandom } from "#pkg/clock";
import { SimulatedClock } from "#pkg/clock/testing";
import { FakeCluster, service } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log/testing";
import { classlessOnly } from "#pkg/service";
import type { ControllerEvent } from "./core/index.ts";
import { Sources } from "./sources.ts";

test("a list of thousands of Services is seen at once, and its changes come to count in several turns", async () => {
  const clock = new SimulatedClock();
  const cluster = new FakeCluster();
  const events: ControllerEvent[] = [];
  let spent = 0; // Each change takes 1 ms.
  const dispatch = (event: ControllerEvent): void => {
    events.push(event);
    if (event.type === "service") spent++;
  };
  using sources = new Sources({
    cluster,
    namespace: "ns",
    configMap: "config",
    classes: classlessOnly,
    configSource: "configmap",
    runner: { dispatch },
    clock: { now: () => clock.now() + spent, schedule: (name, at, fn) => clock.schedule(name, at - spent, fn) },
    random: seededRandom(1),
    log: silentLog,
  });
  sources.start();
  const keys = Array.from({ length: 50 }, (_, index) => `default/s${index}`);
  for (const key of keys) cluster.put("services", service(key));
  cluster.deliver();
  const counted = () => events.flatMap((event) => (event.type === "service" ? [event.key] : []));
  assert.equal(events.find((event) => event.type === "services")?.changed.length, keys.length);
  assert.equal(counted().length, 5);
  for (let turns = 0; turns < 20; turns++) {
    await setImmediate();
    clock.advanceBy(0);
  }
  assert.deepEqual(counted(), keys);
});
