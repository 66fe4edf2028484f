import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { SimulatedClock, seededRandom } from "#pkg/clock/testing";
import { ApiError, resources } from "#pkg/k8s";
import { silentLog } from "#pkg/log/testing";
import { chooseEndpoints } from "./endpoints.ts";

const away = new ApiError("Cannot look for EndpointSlices", 0, "Unreachable");

/** Asks an API that gives these answers, one after another. */
function choose(answers: (boolean | Error)[], disableSlices = false) {
  const clock = new SimulatedClock();
  const warnings: string[] = [];
  const hasEndpointSlices = async () => {
    const answer = answers.shift() ?? assert.fail("was asked again");
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
  const choice = chooseEndpoints({ cluster: { hasEndpointSlices }, disableSlices, log, clock, random: seededRandom(1) });
  return { choice, clock, warnings };
}

const cases = [
  { name: "EndpointSlices where the API has them", answers: [true], want: resources.endpointSlices },
  { name: "Endpoints where it has none", answers: [false], want: resources.endpoints },
  { name: "Endpoints where the flag says so, without asking", answers: [], disableSlices: true, want: resources.endpoints },
];
for (const { name, answers, disableSlices, want } of cases)
  test(`chooseEndpoints: ${name}`, async () => {
    assert.equal(await choose(answers, disableSlices).choice, want);
  });

test("chooseEndpoints: an API that is away is asked again until it answers, at growing intervals up to 15 s", async () => {
  const { choice, clock, warnings } = choose([...Array(8).fill(away), true]);
  const waits: number[] = [];
  for (let attempt = 0; attempt < 8; attempt++) {
    await setImmediate();
    const before = clock.now();
    assert.equal(clock.advanceToNext(), true);
    waits.push(clock.now() - before);
  }
  assert.equal(await choice, resources.endpointSlices);
  assert.equal(warnings.length, 8);
  for (const [attempt, wait] of waits.entries()) {
    const full = Math.min(15_000, 500 * 2 ** attempt);
    assert.ok(wait >= full / 2 && wait <= full, `attempt ${attempt}: ${wait} ms`);
  }
});

test("chooseEndpoints: a client that is closed is not asked again", async () => {
  const { choice, warnings } = choose([new ApiError("Cannot look for EndpointSlices", 0, "Closed")]);
  await assert.rejects(choice, { reason: "Closed" });
  assert.deepEqual(warnings, []);
});

test("chooseEndpoints: an error of the program is not taken for one of the API", async () => {
  await assert.rejects(choose([new TypeError("broken")]).choice, { message: "broken" });
});
