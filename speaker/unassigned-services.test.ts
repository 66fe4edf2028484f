import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock } from "#pkg/clock/testing";
import { ApiError, type Lease, type Service } from "#pkg/k8s";
import { UnassignedServices } from "./unassigned-services.ts";

/** A speaker that looks at these Services and this Lease, which a test changes. */
function looking() {
  const clock = new SimulatedClock();
  const recorded: string[] = [];
  const world = { waiting: [] as string[], lease: leaseOf(1) as Lease | undefined | ApiError, reads: 0 };
  const read = async () => {
    world.reads++;
    if (world.lease instanceof ApiError) throw world.lease;
    return world.lease;
  };
  const unassigned = new UnassignedServices({
    view: {
      get unassigned() {
        return world.waiting.map((name) => ({ key: `default/${name}`, namespace: "default", name, uid: name }) as Service);
      },
    },
    cluster: { leases: { read } },
    namespace: "lb",
    lease: "ingot-controller",
    events: { record: ({ name }, kind, reason, message) => recorded.push(`${name}: ${kind} ${reason}: ${message}`) },
    clock,
  });
  unassigned.start();
  /** Seconds go by, in which a controller renews the Lease or nobody does. */
  const pass = async (seconds: number, isRenewed = false) => {
    for (let second = 0; second < seconds; second++) {
      if (isRenewed) world.lease = leaseOf(clock.now());
      clock.advanceBy(1_000);
      for (let turn = 0; turn < 5; turn++) await setImmediate();
    }
  };
  return { world, pass, recorded, unassigned, clock };
}

function leaseOf(version: number, durationSeconds = 4): Lease {
  const meta = { key: "lb/ingot-controller", namespace: "lb", name: "ingot-controller", uid: "1" };
  return { ...meta, resourceVersion: `${version}`, holder: "a", durationSeconds, transitions: 1 };
}

test("a Service that waits while nobody renews the Lease gets one Event after 30 s, with the remedy, and none while it is renewed", async () => {
  const { world, pass, recorded } = looking();
  world.waiting = ["web"];
  await pass(300, true);
  assert.equal(recorded.length, 0, "a controller works");
  await pass(25);
  assert.equal(recorded.length, 0, "as long as a rollout");
  await pass(25);
  assert.equal(recorded.length, 1);
  assert.match(
    recorded[0] ?? "",
    /^web: Warning noController: no controller of Ingot works, which would give the Service an address: /,
  );
  assert.match(recorded[0] ?? "", /nobody renews Lease lb\/ingot-controller; .*kubectl -n lb scale deployment NAME --replicas=1/);
  // A controller with --leader-elect=false works, and renews no Lease.
  assert.match(
    recorded[0] ?? "",
    /kubectl -n lb delete lease ingot-controller where the controller runs with --leader-elect=false/,
  );
  world.waiting = ["web", "late"];
  await pass(25);
  assert.equal(recorded.length, 1);
  await pass(600);
  assert.deepEqual(
    recorded.map((line) => line.split(":")[0]),
    ["web", "late"],
    "each once, after it has waited",
  );
  // It got its address, and waits again.
  world.waiting = [];
  await pass(20, true);
  world.waiting = ["web"];
  await pass(60);
  assert.equal(recorded.length, 3);
});

test("nothing is said where the Lease tells nothing, and the API is asked only while a Service waits", async () => {
  const { world, pass, recorded } = looking();
  await pass(120);
  assert.equal(world.reads, 0);
  world.waiting = ["web"];
  for (const lease of [undefined, new ApiError("Cannot read the Lease: forbidden", 403, "Forbidden")]) {
    world.lease = lease;
    await pass(120);
  }
  assert.equal(world.reads, 24);
  // After an outage of the API the age of the Lease counts from the first answer.
  world.lease = leaseOf(1);
  await pass(15);
  world.lease = new ApiError("Cannot read the Lease: no answer", 0, "Unreachable");
  await pass(60);
  world.lease = leaseOf(1);
  await pass(25);
  assert.equal(recorded.length, 0);
  await pass(20);
  assert.equal(recorded.length, 1);
});

test("a Lease of a longer duration is waited for as long as a standby waits", async () => {
  const { world, pass, recorded } = looking();
  world.waiting = ["web"];
  world.lease = leaseOf(1, 60);
  await pass(120);
  assert.equal(recorded.length, 0);
  await pass(30);
  assert.equal(recorded.length, 1);
});

test("of thousands that wait 500 are told, and none once it is disposed", async () => {
  const { world, pass, recorded, unassigned, clock } = looking();
  world.waiting = Array.from({ length: 3_000 }, (_, index) => `web-${index}`);
  await pass(600);
  assert.equal(recorded.length, 500);
  assert.equal(new Set(recorded.map((line) => line.split(":")[0])).size, 500);
  unassigned[Symbol.dispose]();
  await pass(60);
  assert.equal(recorded.length, 500);
  assert.deepEqual(clock.pending(), []);
});
