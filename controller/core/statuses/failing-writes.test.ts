// Long: thousands of Services whose writes fail.
import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { type Millis, sleep } from "#pkg/clock";
import { ApiError } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { causes } from "#pkg/verdict";
import { configText, startWorld, type World } from "../../testing/world.ts";

type Failure = (key: string) => ApiError | "unanswered" | undefined;

/** A cluster in which writes of statuses fail as the test says, and what they cost. */
class Scene {
  readonly world: World;
  fails: Failure = () => undefined;
  attempts = 0;
  /** Unanswered writes that are under way, and how many there were at most since it was set to 0 last. */
  unanswered = 0;
  mostUnanswered = 0;

  constructor(world: World) {
    this.world = world;
    world.cluster.beforeStatus = (key, within) => this.#write(key, within);
  }

  add(...keys: string[]): void {
    for (const key of keys) this.world.cluster.put("services", service(key));
  }

  async pass(ms: Millis): Promise<void> {
    const { clock } = this.world;
    for (const end = clock.now() + ms; clock.now() < end; clock.advanceBy(100)) await this.#settle();
  }

  /** How long it takes until all of these have an address; Infinity for more than two minutes. */
  async longest(...keys: string[]): Promise<Millis> {
    const { clock, cluster } = this.world;
    const begunAt = clock.now();
    for (; clock.now() - begunAt < 120_000; clock.advanceBy(100)) {
      await this.#settle();
      if (keys.every((key) => cluster.service(key)?.ingress.length === 1)) return clock.now() - begunAt;
    }
    return Infinity;
  }

  events(): string[] {
    return this.world.cluster.transcript.filter((line) => line.includes("StatusUpdateFailed"));
  }

  async #settle(): Promise<void> {
    for (let turn = 0; turn < 6; turn++) {
      this.world.cluster.deliver();
      this.world.clock.advanceBy(0);
      await setImmediate();
    }
  }

  async #write(key: string, within: Millis): Promise<void> {
    const failure = this.fails(key);
    this.attempts++;
    if (failure === undefined) return;
    if (failure !== "unanswered") throw failure;
    this.mostUnanswered = Math.max(this.mostUnanswered, ++this.unanswered);
    await sleep(this.world.clock, "answer", within);
    this.unanswered--;
    throw new ApiError("Cannot write", 0, "Unreachable", { cause: new Error(`no answer within ${within / 1000} s`) });
  }
}

async function startScene(): Promise<Scene> {
  return new Scene(await startWorld(configText("main 10.0.0.0-10.0.15.255")));
}

function keysOf(count: number, name: string): string[] {
  return Array.from({ length: count }, (_, i) => `${name}${i}`);
}

const denied = 'Cannot write: 503 Service Unavailable: admission webhook "policy.example" denied the request: not now';
const failures: readonly { name: string; failure: ApiError | "unanswered"; most: Millis }[] = [
  { name: "503", failure: new ApiError("Cannot write: 503", 503, "ServiceUnavailable"), most: 2_000 },
  { name: "429", failure: new ApiError("Cannot write: 429", 429, "TooManyRequests"), most: 2_000 },
  { name: "504", failure: new ApiError("Cannot write: 504", 504, "Timeout"), most: 2_000 },
  {
    name: "what a webhook answers, with Retry-After",
    failure: new ApiError(denied, 503, "ServiceUnavailable", { retryAfterMs: 30_000 }),
    most: 300, // 16 of the 200 are written in each turn.
  },
  { name: "nothing at all", failure: "unanswered", most: 6_000 },
];
test("Services whose writes fail keep others waiting for no longer than it takes to try another one", async () => {
  for (const { name, failure, most } of failures)
    for (const count of [1, 5, 20, 200])
      for (const before of [0, 1_000, 20_000])
        for (const [namespace, isApart] of [["default"], ["other"], ["default", "each in a namespace of its own"]] as const) {
          const scene = await startScene();
          scene.fails = (key) => (key.endsWith("/bad") || key.startsWith("default/bad") ? failure : undefined);
          scene.add(...keysOf(count, isApart ? "ns" : "default/bad").map((key) => (isApart ? `${key}/bad` : key)));
          await scene.pass(before);
          const good = keysOf(10, `${namespace}/good`);
          scene.add(...good);
          const longest = await scene.longest(...good);
          // Until each of many namespaces has had its first turn, which the writes that are not answered draw out.
          const isDrawnOut = isApart !== undefined && failure === "unanswered";
          const seen = `${name} to ${count}, ${isApart}: ${longest} ms in ${namespace} after ${before} ms`;
          assert.ok(longest <= (isDrawnOut ? 35_000 : most), seen);
        }
});

test("one or a few Services whose writes fail cost the others nothing", async () => {
  const scene = await startScene();
  scene.fails = (key) => (key.includes("bad") ? new ApiError("Cannot write: 503", 503, "") : undefined);
  scene.add(...keysOf(4, "default/bad"));
  await scene.pass(60_000);
  for (const key of keysOf(20, "default/good")) {
    scene.add(key);
    assert.equal(await scene.longest(key), 0);
    await scene.pass(500);
  }
});

test("writes that are not answered hold few places once it is known of them, and those of many namespaces hold all for 5 s at most", async () => {
  for (const bad of [keysOf(200, "default/bad"), keysOf(200, "ns").map((name) => `${name}/bad`)]) {
    const scene = await startScene();
    scene.fails = (key) => (key.includes("bad") ? "unanswered" : undefined);
    scene.add(...bad, "default/a");
    assert.ok((await scene.longest("default/a")) <= 10_000);
    for (let round = 0; round < 60; round++) {
      scene.add(`default/good${round}`);
      assert.ok((await scene.longest(`default/good${round}`)) <= 6_000, `${round}`);
      await scene.pass(5_000);
    }
    scene.mostUnanswered = 0;
    await scene.pass(60_000);
    assert.ok(scene.mostUnanswered <= 4, `${scene.mostUnanswered}`);
    scene.fails = () => undefined;
    assert.ok((await scene.longest(...bad)) <= 60_000);
  }
});

test("writes that take 20 s to be answered are waited for, also where it is all of them", async () => {
  const scene = await startScene();
  scene.world.cluster.beforeStatus = async (_key, within) => {
    await sleep(scene.world.clock, "answer", Math.min(within, 20_000));
    if (within < 20_000) throw new ApiError("Cannot write", 0, "Unreachable");
  };
  scene.add("default/slow");
  assert.ok((await scene.longest("default/slow")) <= 26_000);
  const keys = keysOf(60, "default/web");
  scene.add(...keys);
  assert.ok((await scene.longest(...keys)) <= 100_000);
});

const outages: readonly { name: string; failure: ApiError | "unanswered"; attempts: number; back: Millis }[] = [
  { name: "the API server is away", failure: new ApiError("Cannot write", 0, "Unreachable"), attempts: 200, back: 6_000 },
  { name: "it answers 503", failure: new ApiError("Cannot write: 503", 503, ""), attempts: 200, back: 6_000 },
  { name: "it answers nothing", failure: "unanswered", attempts: 200, back: 30_000 }, // Some were asked just before it is back.
  {
    name: "it is overloaded, and asks for 20 s of quiet",
    failure: new ApiError("Cannot write: 429", 429, "", { retryAfterMs: 20_000 }),
    attempts: 40,
    back: 26_000,
  },
];
for (const { name, failure, attempts, back } of outages)
  for (const count of [1, 3, 20, 1_000])
    test(`while ${name} ${count} Services cost it few attempts in a minute, and have their addresses soon when it is back`, async () => {
      const scene = await startScene();
      scene.fails = () => failure;
      const keys = keysOf(count, "default/web");
      scene.add(...keys);
      await scene.pass(60_000);
      assert.ok(scene.attempts <= attempts, `${scene.attempts} attempts`);
      scene.fails = () => undefined;
      const longest = await scene.longest(...keys);
      assert.ok(longest <= (count < 5 ? 30_000 : back), `${longest} ms`);
    });

test("in an outage all Services are tried in turn, those of all namespaces", async () => {
  const scene = await startScene();
  const tried: string[] = [];
  scene.fails = (key) => {
    tried.push(key);
    return new ApiError("Cannot write: 503", 503, "");
  };
  const keys = ["a", "b", "c"].flatMap((namespace) => keysOf(4, `${namespace}/web`));
  scene.add(...keys);
  await scene.pass(10_000);
  tried.length = 0;
  await scene.pass(120_000);
  const times = keys.map((key) => tried.filter((each) => each === key).length);
  assert.ok(Math.min(...times) >= 2 && Math.max(...times) - Math.min(...times) <= 1, `${times}`);
});

test("a Service whose write failed is Pending from then on, with what was answered and where to look, and without an event", async () => {
  for (const { name, failure } of failures.filter(({ name }) => !name.includes("webhook"))) {
    const scene = await startScene();
    scene.fails = () => failure;
    scene.add("default/web");
    await scene.pass(failure === "unanswered" ? 6_000 : 100);
    const verdictOn = () => [...scene.world.statuses("default/web")][0]?.verdict;
    assert.equal(verdictOn()?.state, "Pending", name);
    assert.match(verdictOn()?.message ?? "", failure === "unanswered" ? /does not answer/ : new RegExp(`refuses .*${name}`));
    assert.match(verdictOn()?.next ?? "", /see whether the API server is up/);
    await scene.pass(20_000);
    assert.equal(verdictOn()?.state, "Pending", name);
    assert.deepEqual(scene.events(), []);
    scene.fails = () => undefined;
    await scene.longest("default/web");
    await scene.pass(1_000);
    assert.equal(verdictOn()?.state, "Assigned", name);
  }
});

test("of a Service whose writes fail again and again an event says what was answered, once others are written, or after a minute", async () => {
  const { next } = causes.service.statusRefused;
  const whereDown =
    "see whether the API server is up and has time; if it is, change the policy, the webhook or the rights that the message names; the controller keeps trying to write the status";
  for (const [failure, text] of [
    [
      new ApiError("Cannot write: 503 busy", 503, ""),
      `refuses the status with the assigned addresses: Cannot write: 503 busy; ${whereDown}`,
    ],
    [
      new ApiError("Cannot write: 500 calling webhook", 500, ""),
      `refuses the status with the assigned addresses: Cannot write: 500 calling webhook; ${next}`,
    ],
    [
      "unanswered",
      `does not answer to the write of the status with the assigned addresses: Cannot write: no answer within 30 s; ${whereDown}`,
    ],
  ] as const)
    for (const others of [true, false]) {
      const scene = await startScene();
      scene.fails = (key) => (key === "default/bad" ? failure : undefined);
      scene.add("default/bad");
      await scene.pass(100);
      if (others) scene.add("default/good");
      await scene.pass(others && failure !== "unanswered" ? 2_000 : 10_000);
      assert.deepEqual(scene.events().length, others && failure !== "unanswered" ? 1 : 0);
      await scene.pass(120_000);
      assert.deepEqual(scene.events(), [`default/bad: Warning StatusUpdateFailed: The API server ${text}`]);
      const [found] = scene.world.statuses("default/bad");
      assert.equal(found?.verdict.cause, "statusRefused");
    }
});

test("of a Service that is made again while its status is being written the first refusal is told, and none of the one before", async () => {
  const scene = await startScene();
  const { cluster, clock } = scene.world;
  const told: string[] = [];
  cluster.record = ({ uid }, _type, reason) => void told.push(`${uid} ${reason}`);
  cluster.beforeStatus = async () => {
    await sleep(clock, "answer", 1_000);
    throw new ApiError("Cannot write: it is invalid", 422, "Invalid");
  };
  for (const uid of ["1", "2"]) {
    cluster.put("services", service("default/web", { uid }));
    await scene.pass(500);
  }
  await scene.pass(5_000);
  assert.deepEqual(told, ["2 StatusUpdateFailed"]);
});
