import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock, seededRandom } from "#pkg/clock";
import { ApiError, type OwnerReference } from "#pkg/k8s";
import { silentLog } from "#pkg/log";
import { MemberlistSecret } from "./memberlist-secret.ts";

const deployment: OwnerReference = { apiVersion: "apps/v1", kind: "Deployment", name: "controller", uid: "u" };

/** What is asked of the API, which refuses the first `refusals` requests, until it has been asked `times` for a Secret. */
async function run(options: { deployment: string; exists?: boolean; refusals?: number; times?: number }): Promise<unknown[]> {
  const { exists = false, times = 1 } = options;
  let { refusals = 0 } = options;
  const asked: unknown[] = [];
  const refuse = () => {
    if (refusals-- > 0) throw new ApiError("Cannot create Secret", 403, "Forbidden");
  };
  const clock = new SimulatedClock();
  await using secret = new MemberlistSecret({
    cluster: {
      async deploymentOwner(_namespace, name) {
        refuse();
        return name === deployment.name ? deployment : undefined;
      },
      async createSecret(...args) {
        refuse();
        asked.push(args);
        return exists ? "exists" : "created";
      },
    },
    namespace: "metallb-system",
    name: "memberlist",
    deployment: options.deployment,
    log: silentLog,
    clock,
    random: seededRandom(1),
    randomBytes: (count) => new Uint8Array(count).fill(255),
  });
  secret.start();
  do await setImmediate();
  while (asked.length < times && clock.advanceToNext());
  return asked;
}

const data = { secretkey: "/////////////////////w" }; // 16 octets of 255.

test("the Secret has 16 random bytes as base64 without padding, and goes with the Deployment", async () => {
  assert.deepEqual(await run({ deployment: "controller" }), [["metallb-system", "memberlist", data, deployment]]);
});

for (const name of ["", "gone"])
  test(`the Secret is made without an owner when the Deployment is "${name}"`, async () => {
    assert.deepEqual(await run({ deployment: name }), [["metallb-system", "memberlist", data, undefined]]);
  });

test("one that exists is enough", async () => {
  assert.equal((await run({ deployment: "controller", exists: true })).length, 1);
});

test("one that is deleted is made again", async () => {
  const made = await run({ deployment: "controller", times: 3 });
  assert.deepEqual(made, Array(3).fill(["metallb-system", "memberlist", data, deployment]));
});

test("what the API refuses is tried again until it works", async () => {
  assert.equal((await run({ deployment: "controller", refusals: 7 })).length, 1);
});
