import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { FakeCluster, service } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log/testing";
import { classlessOnly } from "#pkg/service";
import type { ControllerEvent } from "./core/index.ts";
import { maxSeenAtOnce, Sources } from "./sources.ts";

test("a list of thousands of Services is seen in several turns, and only then its changes come to count, in several more", async () => {
  const clock = new SimulatedClock();
  const cluster = new FakeCluster();
  const events: ControllerEvent[] = [];
  let spent = 0; // A portion that is seen takes 3 ms, and each change 1 ms.
  const dispatch = (event: ControllerEvent): void => {
    events.push(event);
    if (event.type === "services") spent += 3;
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
  const keys = Array.from({ length: 2.5 * maxSeenAtOnce }, (_, index) => `default/s${index}`);
  for (const key of keys) cluster.put("services", service(key));
  cluster.deliver();
  const seen = () => events.flatMap((event) => (event.type === "services" ? [event.changed] : []));
  const counted = () => events.flatMap((event) => (event.type === "service" ? [event.key] : []));
  const turn = async () => {
    await setImmediate();
    clock.advanceBy(0);
  };
  assert.deepEqual(
    seen().map(({ length }) => length),
    [maxSeenAtOnce, maxSeenAtOnce],
    "one turn",
  );
  // A change that the API tells of meanwhile is seen after the list, which has the Service as it was.
  cluster.put("services", service(keys.at(-1) ?? "", { ingress: ["192.0.2.1"] }));
  cluster.deliver();
  assert.equal(seen().length, 2);
  await turn();
  assert.deepEqual(
    seen().map(({ length }) => length),
    [maxSeenAtOnce, maxSeenAtOnce, 0.5 * maxSeenAtOnce + 1],
  );
  assert.deepEqual(seen().flat().at(-1)?.now?.ingress, ["192.0.2.1"]);
  assert.ok(
    events.indexOf(events.find(({ type }) => type === "service") ?? assert.fail()) >
      events.findLastIndex(({ type }) => type === "services"),
  );
  assert.ok(counted().length < 10);
  for (let turns = 0; turns < keys.length; turns++) await turn();
  assert.deepEqual([...new Set(counted())], keys);
});
