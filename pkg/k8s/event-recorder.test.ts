import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock, slow } from "#pkg/clock/testing";
import { accessTo, advanceUntilRun, close, clusterAt, type Exchange, FakeApi, LogLines, until } from "#pkg/k8s/testing";
import { EventRecorder } from "./event-recorder.ts";
import type { ObjectReference } from "./objects.ts";

const limit = { timeout: 120_000 };

function about(name: string, namespace = "ns"): ObjectReference {
  return { apiVersion: "v1", kind: "Service", namespace, name, uid: `uid-${name}`, resourceVersion: "7" };
}

class Scene implements AsyncDisposable {
  readonly api: FakeApi;
  readonly clock = new SimulatedClock();
  readonly log = new LogLines();
  readonly recorder: EventRecorder;
  readonly #cluster;

  private constructor(api: FakeApi) {
    this.api = api;
    this.#cluster = clusterAt(accessTo(api.url), this.clock, this.log);
    const options = { component: "ingot", namespace: "lb", host: "n1", log: this.log, clock: this.clock };
    this.recorder = new EventRecorder(this.#cluster, options);
  }

  static async open(): Promise<Scene> {
    return new Scene(await FakeApi.start());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return close(this.#cluster, this.api, this.clock);
  }
}

function eventOf(exchange: Exchange): Record<string, unknown> {
  return exchange.body as Record<string, unknown>;
}

test("commands in an event are for the namespace in which controller and speakers run", limit, async () => {
  await using s = await Scene.open();
  s.recorder.record(about("web"), "Warning", "notAnnounced", "kubectl -n metallb-system get pods; of metallb-system/web");
  assert.equal(eventOf(await s.api.next()).message, "kubectl -n lb get pods; of metallb-system/web");
});

test("an event is created whole", limit, async () => {
  await using s = await Scene.open();
  s.recorder.record(about("web"), "Normal", "IPAllocated", 'Assigned IP ["192.0.2.1"]');
  const request = await s.api.next();
  assert.equal(`${request.method} ${request.path}`, "POST /api/v1/namespaces/ns/events");
  const { metadata, firstTimestamp, lastTimestamp, ...event } = eventOf(request);
  const { name } = metadata as { name: string };
  assert.match(name, /^web\.[0-9a-f]+$/);
  assert.deepEqual(metadata, { name, namespace: "ns" });
  assert.match(String(firstTimestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.equal(lastTimestamp, firstTimestamp);
  assert.deepEqual(event, {
    involvedObject: about("web"),
    type: "Normal",
    reason: "IPAllocated",
    message: 'Assigned IP ["192.0.2.1"]',
    count: 1,
    source: { component: "ingot", host: "n1" },
    reportingComponent: "ingot",
    reportingInstance: "n1",
  });
  request.reply(201, {});
});

test("the same again updates its event, in order, and makes it anew when the server forgot it", limit, async () => {
  await using s = await Scene.open();
  for (let times = 0; times < 3; times++) s.recorder.record(about("web"), "Warning", "AllocationFailed", "no address");
  const create = await s.api.next();
  const { name } = eventOf(create).metadata as { name: string };
  assert.equal(s.api.waiting, 0);
  create.reply(201, {});
  const update = await s.api.next();
  assert.equal(`${update.method} ${update.path}`, `PATCH /api/v1/namespaces/ns/events/${name}`);
  const { lastTimestamp, ...change } = eventOf(update);
  assert.deepEqual(change, { count: 2, message: "no address" });
  assert.ok(lastTimestamp);
  update.reply(200, {});
  (await s.api.next()).refuse(404, "NotFound");
  const again = await s.api.next();
  assert.equal(again.method, "POST");
  assert.equal(eventOf(again).count, 3);
  again.reply(201, {});
});

test("events of objects without a namespace go where Kubernetes keeps them", limit, async () => {
  await using s = await Scene.open();
  s.recorder.record(about("node", ""), "Normal", "ConfigLoaded", "m");
  const request = await s.api.next();
  assert.equal(request.path, "/api/v1/namespaces/default/events");
  request.reply(201, {});
});

test("a long message is cut to what the API takes", limit, async () => {
  await using s = await Scene.open();
  s.recorder.record(about("web"), "Normal", "ConfigStale", "x".repeat(5000));
  const request = await s.api.next();
  assert.equal(String(eventOf(request).message).length, 1024);
  request.reply(201, {});
});

test("events that are refused are dropped, which is said once, and so is the return", limit, async () => {
  await using s = await Scene.open();
  for (const name of ["a", "b", "c"]) s.recorder.record(about(name), "Normal", "ConfigLoaded", "m");
  (await s.api.next()).refuse(403, "Forbidden");
  (await s.api.next()).refuse(403, "Forbidden");
  await until(() => s.log.lines.length > 0);
  (await s.api.next()).reply(201, {});
  await until(() => s.log.lines.length > 1);
  assert.deepEqual(s.log.lines, ["warn events are dropped", "info events are written again"]);
  assert.deepEqual(s.log.fields[1], { dropped: 2 });
});

test("where events of one namespace are refused between those of others, the log says it once a minute", limit, async () => {
  await using s = await Scene.open();
  const write = async (name: string, isRefused: boolean) => {
    s.recorder.record(about(name), "Normal", "ConfigLoaded", "m");
    const request = await s.api.next();
    if (isRefused) request.refuse(403, "Forbidden");
    else request.reply(201, {});
  };
  for (let i = 0; i < 5; i++) for (const isRefused of [true, false]) await write(`a${i}${isRefused}`, isRefused);
  s.clock.advanceBy(60_000);
  for (const isRefused of [true, false]) await write(`b${isRefused}`, isRefused);
  await until(() => s.log.lines.length > 3);
  const pair = ["warn events are dropped", "info events are written again"];
  assert.deepEqual(s.log.lines, [...pair, ...pair]);
  assert.deepEqual([s.log.fields[1], s.log.fields[3]], [{ dropped: 1 }, { dropped: 5 }]);
});

test("an event whose creation was answered into the void is not an error", limit, async () => {
  await using s = await Scene.open();
  s.recorder.record(about("a"), "Normal", "ConfigLoaded", "m");
  (await s.api.next()).drop();
  await until(() => s.clock.pending().includes("api retry"));
  advanceUntilRun(s.clock, "api retry");
  (await s.api.next()).refuse(409, "AlreadyExists");
  await s.recorder[Symbol.asyncDispose]();
  assert.deepEqual(s.log.lines, []);
});

test(
  "eight are written at once, whichever objects they are about, and those of one object one after another",
  limit,
  async () => {
    await using s = await Scene.open();
    for (const message of ["a", "b"]) s.recorder.record(about("busy"), "Normal", "ConfigLoaded", message);
    for (let index = 0; index < 8; index++) s.recorder.record(about(`s${8 * index}`), "Normal", "ConfigLoaded", "m");
    await until(() => s.api.waiting === 8);
    const first = await s.api.next();
    assert.equal(eventOf(first).message, "a");
    const others = await Promise.all(Array.from({ length: 7 }, () => s.api.next()));
    assert.deepEqual(new Set(others.map((each) => eventOf(each).message)), new Set(["m"]));
    first.reply(201, {});
    const second = await s.api.next();
    assert.equal(eventOf(second).message, "b");
    for (const each of [...others, second]) each.reply(201, {});
    const last = await s.api.next();
    assert.equal(eventOf(last).message, "m");
    last.reply(201, {});
  },
);

test("without a server the queue stays bounded, and recording neither waits nor throws", limit, async () => {
  await using s = await Scene.open();
  for (let index = 0; index < 20_100; index++)
    s.recorder.record(about(`s${index}`, `team-${index % 2}`), "Normal", "ConfigLoaded", "m");
  assert.deepEqual(s.log.lines, ["warn events are dropped"]);
  await until(() => s.api.waiting === 8);
  s.recorder[Symbol.asyncDispose]();
});

test("of a tenant whose Services come and go in a loop some events are written, and those of other namespaces come between them", {
  ...limit,
  ...slow,
}, async () => {
  await using s = await Scene.open();
  for (let loop = 0; loop < 30; loop++)
    for (let index = 0; index < 1_000; index++) {
      const service = { ...about(`s${index}`, "tenant"), uid: `${loop} ${index}` };
      s.recorder.record(service, "Normal", "IPAllocated", "m");
    }
  const others = Array.from({ length: 20 }, (_, index) => `team-${index}`);
  for (const namespace of others) s.recorder.record(about(`web-of-${namespace}`, namespace), "Normal", "IPAllocated", "m");
  assert.deepEqual(s.log.lines, ["warn events are dropped"], "of the tenant");
  const written = new Set<string>();
  for (let taken = 0; taken < 50; taken++) {
    const request = await s.api.next();
    written.add(request.path.split("/")[4] ?? "");
    request.reply(201, {});
  }
  assert.deepEqual([...written].sort(), [...others, "tenant"].sort());
  s.recorder[Symbol.asyncDispose]();
});

test("at the end what waits is written, for two seconds at most", limit, async () => {
  await using s = await Scene.open();
  s.recorder.record(about("a"), "Normal", "ConfigLoaded", "m");
  s.recorder.record(about("a"), "Normal", "ConfigLoaded", "n");
  const written = s.recorder[Symbol.asyncDispose]();
  s.recorder.record(about("late"), "Normal", "ConfigLoaded", "m");
  (await s.api.next()).reply(201, {});
  await s.api.next();
  s.clock.advanceBy(2_000);
  await written;
  assert.equal(s.api.waiting, 0);
});

test("an event shows what others wrote without letting it steer a terminal, and at most 1 KiB of it", limit, async () => {
  await using s = await Scene.open();
  s.recorder.record(about("web"), "Warning", "AllocationFailed", `no pool \u202e\u009b2J${"x".repeat(2000)}`);
  const { message } = eventOf(await s.api.next());
  assert.match(String(message), /^no pool \\u202e\\u009b2Jx+$/);
  assert.equal(String(message).length, 1024);
});
