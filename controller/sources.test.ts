import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { FakeCluster, service } from "#pkg/k8s/testing";
import { silentLog } from "#pkg/log/testing";
import { classlessOnly } from "#pkg/service";
import type { ControllerEvent } from "./core/index.ts";
import { maxSeenAtOnce, Sources } from "./sources.ts";

/** Sources that have begun. A portion that is seen takes the core so long, and each change 1 ms. */
function slowly(portionMs: number) {
  const clock = new SimulatedClock();
  const cluster = new FakeCluster();
  const events: ControllerEvent[] = [];
  let spent = 0;
  const dispatch = (event: ControllerEvent): void => {
    events.push(event);
    if (event.type === "services") spent += portionMs;
    if (event.type === "service") spent++;
  };
  const sources = new Sources({
    cluster,
    namespace: "ns",
    configMap: "config",
    classes: classlessOnly,
    restored: () => {},
    configSource: "configmap",
    runner: { dispatch },
    clock: { now: () => clock.now() + spent, schedule: (name, at, fn) => clock.schedule(name, at - spent, fn) },
    random: seededRandom(1),
    log: silentLog,
  });
  sources.start();
  const seen = () => events.flatMap((event) => (event.type === "services" ? [event.changed] : []));
  const counted = () => events.flatMap((event) => (event.type === "service" ? [event.key] : []));
  const turn = async () => {
    await setImmediate();
    clock.advanceBy(0);
  };
  return { sources, cluster, events, seen, counted, turn };
}

test("Services that change while the core sees others are all seen, and count", async () => {
  const { sources, cluster, seen, counted, turn } = slowly(6);
  using _ = sources;
  const keys = Array.from({ length: 10 }, (_, index) => `default/s${index}`);
  for (const key of keys) {
    cluster.put("services", service(key));
    cluster.deliver(); // Each alone.
  }
  for (let turns = 0; turns < 100; turns++) await turn();
  const namesSeen = seen().flatMap((changed) => changed.map(({ key }) => key));
  assert.deepEqual([[...new Set(namesSeen)], [...new Set(counted())]], [keys, keys]);
});

test("a list of thousands of Services is seen in several turns, and only then its changes come to count, in several more", async () => {
  const { sources, cluster, events, seen, counted, turn } = slowly(3);
  using _ = sources;
  const keys = Array.from({ length: 2.5 * maxSeenAtOnce }, (_, index) => `default/s${index}`);
  for (const key of keys) cluster.put("services", service(key));
  cluster.deliver();
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
