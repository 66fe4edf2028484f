import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { ApiError } from "#pkg/k8s";
import { silentLog } from "#pkg/log/testing";
import { MemberlistSecret } from "./memberlist-secret.ts";

/**
 * Requests to the API, which gives each request the next of these answers until the last one, and goes on with it until there were `times`
 * requests.
 */
async function run(answers: readonly ("filled" | "hasData" | number)[], times = 1) {
  const asked: unknown[] = [];
  const logged: string[] = [];
  const write = (level: string) => (message: string) => logged.push(`${level} ${message}`);
  const log = { ...silentLog, info: write("info"), warn: write("warn"), error: write("error"), with: () => log };
  const clock = new SimulatedClock();
  await using secret = new MemberlistSecret({
    cluster: {
      async fillSecret(...args) {
        const answer = answers[Math.min(asked.length, answers.length - 1)] ?? "filled";
        asked.push(args);
        if (typeof answer === "number") throw new ApiError("Cannot fill Secret", answer, "Refused");
        return answer;
      },
    },
    namespace: "metallb-system",
    name: "memberlist",
    log,
    clock,
    random: seededRandom(1),
    randomBytes: (count) => new Uint8Array(count).fill(255),
  });
  secret.start();
  do await setImmediate();
  while (asked.length < times && clock.advanceToNext());
  return { asked, logged };
}

const data = { secretkey: "/////////////////////w" }; // 16 octets of 255.

test("the Secret gets 16 random bytes as base64 without padding, where it is empty", async () => {
  const { asked, logged } = await run(["filled", "hasData"], 4);
  assert.deepEqual(asked, Array(4).fill(["metallb-system", "memberlist", data]));
  assert.deepEqual(logged, ["info key of the speakers' ring made"]);
});

for (const status of [403, 404])
  test(`where the API answers ${status}, that is said once, and tried again`, async () => {
    const { asked, logged } = await run([status, status, status, "filled", status], 5);
    assert.equal(asked.length, 5);
    const warning = "warn cannot make the key of the speakers' ring";
    assert.deepEqual(logged, [warning, "info key of the speakers' ring made", warning]);
  });

test("what the API refuses is tried again until it works", async () => {
  const { logged } = await run([...Array(7).fill(500), "filled"], 8);
  assert.equal(logged.at(-1), "info key of the speakers' ring made");
});
