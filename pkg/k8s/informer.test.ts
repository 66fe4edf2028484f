import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { SimulatedClock } from "#pkg/clock/testing";
import { accessTo, advanceUntilRun, close, clusterAt, type Exchange, FakeApi, LogLines, until } from "#pkg/k8s/testing";
import { classlessOnly } from "#pkg/service";
import type { Informer, Scope } from "./informers.ts";
import type { ConfigMap, Node, Service } from "./objects.ts";
import { nodesOf, type Resource, resources, servicesOf } from "./resources.ts";

const limit = { timeout: 120_000 };

function configMap(name: string, resourceVersion: string, value = "", uid = `uid-${name}`): object {
  return { metadata: { namespace: "ns", name, uid, resourceVersion }, data: { value } };
}

function listOf(resourceVersion: string, items: object[], more?: string): object {
  return { kind: "ConfigMapList", metadata: { resourceVersion, ...(more && { continue: more }) }, items };
}

/** An informer of ConfigMaps against a scripted server; `seen` has one line for each call of a handler. */
class Scene implements AsyncDisposable {
  readonly clock = new SimulatedClock();
  readonly log = new LogLines();
  readonly seen: string[] = [];
  readonly reached: (number | undefined)[] = []; // `lostSince` each time
  /** How often the server was said to refuse the objects. */
  forbidden = 0;
  onRestored: (() => void) | undefined;
  readonly api: FakeApi;
  readonly informer: Informer<ConfigMap>;
  readonly #cluster;

  private constructor(api: FakeApi, scope: Scope, resource: Resource<ConfigMap>) {
    this.api = api;
    this.#cluster = clusterAt(accessTo(api.url), this.clock, this.log);
    this.informer = this.#cluster.informer(resource, scope, {
      changed: (key, now, before) => {
        assert.equal(this.informer.get(key), now);
        this.seen.push(`${key} ${before?.resourceVersion ?? "-"}>${now?.resourceVersion ?? "-"}`);
      },
      synced: () => this.seen.push("synced"),
      relisted: () => this.seen.push("relisted"),
      reached: () => this.reached.push(this.informer.lostSince),
      forbidden: () => this.forbidden++,
      restored: () => this.onRestored?.(),
    });
    this.informer.start();
  }

  static async open(scope: Scope = {}, resource: Resource<ConfigMap> = resources.configMaps): Promise<Scene> {
    return new Scene(await FakeApi.start(), scope, resource);
  }

  /** Listed with these objects, and the watch that follows. */
  static async watching(items: object[] = [], resource?: Resource<ConfigMap>): Promise<[Scene, Exchange]> {
    const scene = await Scene.open({}, resource);
    (await scene.api.next()).reply(200, listOf("100", items));
    const watch = await scene.api.next();
    await until(() => scene.informer.synced);
    return [scene, watch];
  }

  /** The calls of the handlers since the last time. */
  async saw(...lines: string[]): Promise<void> {
    await until(() => this.seen.length >= lines.length);
    assert.deepEqual(this.seen.splice(0), lines);
  }

  /** Moves time to the next attempt. */
  async retry(): Promise<Exchange> {
    await until(() => this.clock.pending().includes("configmaps retry"));
    advanceUntilRun(this.clock, "configmaps retry");
    return this.api.next();
  }

  /** A watch after one that was cut short: it begins, and the question at which version the API is gets an answer. */
  async resumed(version = "1000000"): Promise<Exchange> {
    const watch = await this.retry();
    assert.equal(watch.query.watch, "true");
    watch.stream();
    const question = await this.api.next();
    assert.equal(question.query.limit, "1");
    question.reply(200, listOf(version, []));
    return watch;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return close(this.#cluster, this.api, this.clock);
  }
}

test("relist: the watch ends, all objects are listed again, and nothing counts as lost", limit, async () => {
  const [scene, watch] = await Scene.watching([configMap("a", "1", "x")]);
  await using _ = scene;
  await scene.saw("ns/a ->1", "synced");
  watch.stream();
  scene.informer.relist();
  scene.informer.relist();
  await until(() => scene.clock.pending().includes("configmaps retry") || scene.api.waiting > 0);
  if (scene.api.waiting === 0) advanceUntilRun(scene.clock, "configmaps retry");
  const list = await scene.api.next();
  assert.equal(list.query.watch, undefined);
  scene.informer.relist(); // More is asked for while the answer is on its way.
  list.reply(200, listOf("101", [configMap("a", "1", "y")]));
  const again = await scene.api.next();
  assert.equal(again.query.watch, undefined);
  again.reply(200, listOf("102", [configMap("a", "2", "y")]));
  await scene.saw("ns/a 1>1", "ns/a 1>2", "relisted");
  assert.equal((await scene.api.next()).query.resourceVersion, "102");
  assert.deepEqual(scene.reached, []);
});

test("a list is read page by page, then watched from its version", limit, async () => {
  await using scene = await Scene.open({ namespace: "ns", fieldSelector: "metadata.name!=x", labelSelector: "a in (b,c)" });
  const first = await scene.api.next();
  assert.equal(first.path, "/api/v1/namespaces/ns/configmaps");
  assert.deepEqual(first.query, { fieldSelector: "metadata.name!=x", labelSelector: "a in (b,c)", limit: "200" });
  assert.equal(first.headers["user-agent"], "test/1");
  first.reply(200, listOf("7", [configMap("a", "1")], "page 2"));
  const second = await scene.api.next();
  assert.equal(second.query.continue, "page 2");
  await scene.saw("ns/a ->1"); // Each page in a turn of its own.
  assert.equal(scene.informer.synced, false);
  second.reply(200, listOf("7", [configMap("b", "2")]));
  const watch = await scene.api.next();
  await scene.saw("ns/b ->2", "synced");
  const { timeoutSeconds, ...query } = watch.query;
  assert.deepEqual(query, {
    fieldSelector: "metadata.name!=x",
    labelSelector: "a in (b,c)",
    watch: "true",
    allowWatchBookmarks: "true",
    resourceVersion: "7",
  });
  assert.ok(Number(timeoutSeconds) >= 300 && Number(timeoutSeconds) <= 600);
  assert.equal(scene.informer.size, 2);
  assert.deepEqual(
    [...scene.informer.values()].map(({ key }) => key),
    ["ns/a", "ns/b"],
  );
});

for (const message of [
  'Unable to find "/v1, Resource=services" that match label selector "", field selector "spec.x=y": field label not supported: spec.x',
  '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"',
])
  test(`a server that does not know the field of an optional selector is asked for all objects: ${message}`, limit, async () => {
    await using scene = await Scene.open({ fieldSelector: "spec.x=y", isSelectorOptional: true, labelSelector: "a=b" });
    const first = await scene.api.next();
    assert.equal(first.query.fieldSelector, "spec.x=y");
    first.reply(400, { kind: "Status", message, reason: "BadRequest", code: 400 });
    const second = await scene.api.next();
    assert.deepEqual(second.query, { labelSelector: "a=b", limit: "200" });
    second.reply(200, listOf("7", [configMap("a", "1")]));
    const watch = await scene.api.next();
    assert.equal(watch.query.fieldSelector, undefined);
    await scene.saw("ns/a ->1", "synced");
  });

test("a page whose objects take long to read and to keep is seen in several turns", limit, async () => {
  const api = await FakeApi.start();
  const clock = new SimulatedClock();
  const cluster = clusterAt(accessTo(api.url), clock, new LogLines());
  await using _ = { [Symbol.asyncDispose]: () => close(cluster, api, clock) };
  const seen: string[] = [];
  const slow = {
    ...resources.configMaps,
    project: (...args: Parameters<typeof resources.configMaps.project>) => {
      clock.advanceBy(3);
      return resources.configMaps.project(...args);
    },
  };
  using informer = cluster.informer(slow, {}, { changed: (key) => seen.push(key) });
  informer.start();
  const items = ["a", "b", "c", "d", "e"].map((name) => configMap(name, "1"));
  (await api.next()).reply(200, listOf("7", items));
  for (const count of [2, 4, 5]) {
    await until(() => seen.length >= count);
    await setImmediate();
    assert.equal(seen.length, count);
    clock.advanceBy(0);
  }
  await until(() => informer.synced);
});

test("what was listed before the first list broke off, and is no more, goes before the list is complete", limit, async () => {
  await using scene = await Scene.open();
  (await scene.api.next()).reply(200, listOf("7", [configMap("a", "1"), configMap("b", "2"), configMap("c", "3")], "page 2"));
  (await scene.api.next()).reply(500, {});
  await scene.saw("ns/a ->1", "ns/b ->2", "ns/c ->3");
  (await scene.retry()).reply(200, listOf("9", [configMap("a", "1"), configMap("c", "8", "other")]));
  await scene.api.next();
  await scene.saw("ns/c 3>8", "ns/b 2>-", "synced");
  assert.deepEqual(
    [...scene.informer.values()].map(({ key }) => key),
    ["ns/a", "ns/c"],
  );
});

test("a page that is too large is asked for again in smaller ones, and later ones are larger again", limit, async () => {
  await using scene = await Scene.open();
  const huge = "x".repeat(1 << 20);
  const several = (first: number, count: number) =>
    Array.from({ length: count }, (_, i) => configMap(`c${first + i}`, `${first + i}`, huge));
  const asked: (string | undefined)[][] = [];
  const serve = async (...answer: Parameters<typeof listOf>) => {
    const exchange = await scene.api.next();
    asked.push([exchange.query.limit, exchange.query.continue]);
    exchange.reply(200, listOf(...answer));
  };
  await serve("7", several(0, 20), "a");
  await serve("7", several(0, 9), "a");
  await serve("7", several(0, 3), "a");
  await serve("7", several(3, 6), "b");
  await serve("7", several(9, 9), "c");
  await serve("7", several(9, 2), "c");
  await serve("7", several(11, 1));
  await until(() => scene.informer.synced);
  assert.equal(scene.informer.size, 12);
  assert.deepEqual(asked, [
    ["200", undefined],
    ["25", undefined],
    ["4", undefined],
    ["8", "a"],
    ["15", "b"],
    ["2", "b"],
    ["4", "c"],
  ]);
  assert.equal((await scene.api.next()).query.watch, "true");
});

test("a list may come compressed, and a watch may not", limit, async () => {
  await using scene = await Scene.open();
  const list = await scene.api.next();
  assert.equal(list.headers["accept-encoding"], "gzip");
  list.compressed(gzipSync(JSON.stringify(listOf("100", [configMap("a", "1", "x".repeat(500_000))]))));
  await scene.saw("ns/a ->1", "synced");
  assert.equal((await scene.api.next()).headers["accept-encoding"], undefined);
  assert.equal(scene.informer.get("ns/a")?.data.value?.length, 500_000);
});

const whole = gzipSync(JSON.stringify(listOf("100", [configMap("a", "1", "abcdef".repeat(50_000))])));
for (const [what, octets] of [
  ["is cut short", whole.subarray(0, -20)],
  ["has changed on its way", Buffer.from(whole).fill(0xff, 100, 200)],
  ["is not compressed", Buffer.from(JSON.stringify(listOf("100", [])))],
] as const)
  test(`a compressed list that ${what} is asked for again`, limit, async () => {
    await using scene = await Scene.open();
    (await scene.api.next()).compressed(octets);
    (await scene.retry()).compressed(whole);
    await scene.saw("ns/a ->1", "synced");
    assert.deepEqual(scene.log.lines.slice(0, 1), ["warn cannot watch the API, retrying"]);
  });

test("a small answer that is too large when decompressed is given up as one", limit, async () => {
  await using scene = await Scene.open();
  const list = await scene.api.next();
  list.compressed(gzipSync(Buffer.alloc(64 << 20, 0x20), { level: 1 }));
  assert.equal((await scene.api.next()).query.limit, "25"); // As of any page that is too large.
});

test("one object that is larger than a page is read all the same", limit, async () => {
  await using scene = await Scene.open();
  for (const limit of ["200", "25", "4", "1"]) {
    const exchange = await scene.api.next();
    assert.equal(exchange.query.limit, limit);
    exchange.reply(200, listOf("7", [configMap("c", "1", "x".repeat(9 << 20))]));
  }
  await until(() => scene.informer.synced);
  assert.equal(scene.informer.size, 1);
});

test("nothing is asked before the start, and starting twice is a mistake", limit, async () => {
  await using api = await FakeApi.start();
  await using cluster = clusterAt(accessTo(api.url));
  const informer = cluster.informer(resources.configMaps, {}, { changed: () => {} });
  assert.equal(informer.synced, false);
  assert.equal(api.waiting, 0);
  informer.start();
  assert.throws(() => informer.start(), /started before/);
  await api.next();
});

test("a list that expires between pages starts again in one piece, without what it had", limit, async () => {
  await using scene = await Scene.open();
  (await scene.api.next()).reply(200, listOf("7", [configMap("gone", "1")], "page 2"));
  (await scene.api.next()).refuse(410, "Expired");
  const again = await scene.api.next();
  assert.deepEqual(again.query, {});
  again.reply(200, listOf("9", [configMap("a", "8")]));
  await scene.saw("ns/gone ->1", "ns/a ->8", "ns/gone 1>-", "synced");
});

test("watch events change, add and remove objects", limit, async () => {
  const [scene, watch] = await Scene.watching([configMap("a", "1"), configMap("b", "2")]);
  await using _ = scene;
  await scene.saw("ns/a ->1", "ns/b ->2", "synced");
  watch.stream(
    { type: "MODIFIED", object: configMap("a", "101", "new") },
    { type: "ADDED", object: configMap("c", "102") },
    { type: "MODIFIED", object: configMap("c", "102") },
    { type: "DELETED", object: configMap("b", "103") },
    { type: "DELETED", object: configMap("unknown", "104") },
    { type: "MODIFIED", object: configMap("c", "105") },
  );
  await scene.saw("ns/a 1>101", "ns/c ->102", "ns/b 2>-", "ns/c 102>105");
  assert.equal(scene.informer.get("ns/a")?.data.value, "new");
  assert.equal(scene.informer.get("ns/b"), undefined);
});

for (const resource of [
  servicesOf(classlessOnly, { labels: new Set(), annotations: new Set(["example.com/med"]) }),
  nodesOf("web"),
])
  test(
    `annotations that are asked for are kept of ${resource.plural} with long ones, of a list as of a watch`,
    limit,
    async () => {
      await using api = await FakeApi.start();
      await using cluster = clusterAt(accessTo(api.url), new SimulatedClock(), new LogLines());
      const seen: (string | undefined)[] = [];
      const changed = (_: string, now?: Service | Node) => void seen.push(now?.annotations?.["example.com/med"]);
      const informer = cluster.informer<Service | Node>(resource, {}, { changed });
      informer.start();
      const object = (resourceVersion: string) => {
        const annotations = { "example.com/long": "x".repeat(100_000), "example.com/med": resourceVersion };
        return { metadata: { name: "web", uid: "u", resourceVersion, annotations } };
      };
      (await api.next()).reply(200, listOf("100", [object("50")]));
      const watch = await api.next();
      watch.stream({ type: "MODIFIED", object: object("101") });
      await until(() => seen.length === 2);
      assert.deepEqual(seen, ["50", "101"]);
    },
  );

test("of changes that come all at once no more than 64 are seen in a turn of the event loop, in their order", limit, async () => {
  const [scene, watch] = await Scene.watching();
  await using _ = scene;
  await scene.saw("synced");
  let most = 0;
  let before = 0;
  const turn = (): void => {
    most = Math.max(most, scene.seen.length - before);
    before = scene.seen.length;
    if (before < 1_000) globalThis.setImmediate(turn);
  };
  turn();
  const versions = Array.from({ length: 1_000 }, (_, i) => `${101 + i}`);
  watch.stream(...versions.map((version) => ({ type: "ADDED", object: configMap(`c${version}`, version) })));
  await until(() => scene.seen.length === 1_000);
  assert.deepEqual(
    scene.seen,
    versions.map((version) => `ns/c${version} ->${version}`),
  );
  assert.ok(most <= 64, `${most} in a turn`);
});

const resumptions = [
  { name: "the last event", events: [{ type: "ADDED", object: configMap("a", "101") }], from: "101" },
  {
    name: "a bookmark",
    events: [
      { type: "ADDED", object: configMap("a", "101") },
      { type: "BOOKMARK", object: { metadata: { resourceVersion: "150" } } },
    ],
    from: "150",
  },
  { name: "the list when nothing came", events: [], from: "100" },
  {
    name: "before a line that was cut short",
    events: [{ type: "ADDED", object: configMap("a", "101") }],
    cut: true,
    from: "101",
  },
];
for (const { name, events, cut, from } of resumptions)
  for (const how of ["drop", "end"] as const)
    test(`a watch that is over (${how}) resumes from ${name}`, limit, async () => {
      const [scene, watch] = await Scene.watching();
      await using _ = scene;
      watch.stream(...events);
      if (cut) watch.response.write('{"type":"ADDED","object":{"metadata":{"name":"b');
      await until(() => scene.informer.size === (events.length > 0 ? 1 : 0));
      watch[how]();
      const again = await scene.retry();
      assert.equal(again.query.watch, "true");
      assert.equal(again.query.resourceVersion, from);
    });

for (const how of ["status", "event"] as const)
  test(`410 as ${how} lists again and reports only the differences`, limit, async () => {
    const same = configMap("same", "1");
    const [scene, watch] = await Scene.watching([
      same,
      configMap("changed", "2"),
      configMap("gone", "3"),
      configMap("remade", "4"),
    ]);
    await using _ = scene;
    await scene.saw("ns/same ->1", "ns/changed ->2", "ns/gone ->3", "ns/remade ->4", "synced");
    if (how === "status") watch.refuse(410, "Expired");
    else watch.stream({ type: "ERROR", object: { kind: "Status", code: 410, reason: "Expired", message: "too old" } });
    const list = await scene.retry();
    assert.equal(list.query.watch, undefined);
    const remade = configMap("remade", "203", "", "another uid");
    list.reply(200, listOf("300", [same, configMap("changed", "201"), configMap("new", "202"), remade]));
    assert.equal((await scene.api.next()).query.resourceVersion, "300");
    await scene.saw("ns/gone 3>-", "ns/changed 2>201", "ns/new ->202", "ns/remade 4>203", "relisted");
    assert.deepEqual(scene.log.lines, []);
  });

test(
  "a server that answers every watch with 410 is asked ever later, and counts as out of reach from the second answer on",
  limit,
  async () => {
    const [scene, first] = await Scene.watching();
    await using _ = scene;
    first.refuse(410, "Expired");
    const waits: number[] = [];
    for (let attempt = 0; attempt < 6; attempt++) {
      await until(() => scene.clock.pending().includes("configmaps retry"));
      assert.equal(scene.informer.lostSince === undefined, attempt === 0);
      const before = scene.clock.now();
      (await scene.retry()).reply(200, listOf("100", []));
      waits.push(scene.clock.now() - before);
      (await scene.api.next()).refuse(410, "Expired");
    }
    assert.ok((waits.at(-1) ?? 0) > 4 * (waits[0] ?? 0), waits.join());
    assert.deepEqual([scene.reached.length, scene.log.lines], [1, ["warn cannot watch the API, retrying"]]);
  },
);

test("a watch without an answer, and one that falls silent, are given up and resumed", limit, async () => {
  const [scene, silent] = await Scene.watching();
  await using _ = scene;
  scene.clock.advanceBy(30_000);
  const next = await scene.resumed("100"); // Nothing has changed meanwhile.
  assert.deepEqual([silent.query.resourceVersion, next.query.resourceVersion], ["100", "100"]);
  next.send({ type: "ADDED", object: configMap("a", "101") });
  await until(() => scene.informer.size === 1);
  const started = scene.clock.now();
  await until(() => {
    scene.clock.advanceBy(1_000);
    return scene.clock.pending().includes("configmaps retry");
  });
  const lasted = (scene.clock.now() - started) / 1000;
  const asked = Number(next.query.timeoutSeconds);
  assert.ok(lasted >= asked && lasted <= 640, `${lasted} s, asked for ${asked} s`);
  assert.equal((await scene.retry()).query.resourceVersion, "101");
});

/** Moves time to when an attempt is due, in steps shorter than the wait for it. @returns how long that was, in seconds */
async function untilRetry(scene: Scene): Promise<number> {
  const started = scene.clock.now();
  while (!scene.clock.pending().includes("configmaps retry")) {
    scene.clock.advanceBy(50);
    await setImmediate();
  }
  return (scene.clock.now() - started) / 1000;
}

test(
  "where the server sends bookmarks, a watch without any for 150 s was of a version of the future: the state is listed again",
  limit,
  async () => {
    const [scene, first] = await Scene.watching([configMap("a", "99")]);
    await using _ = scene;
    first.stream({ type: "BOOKMARK", object: { metadata: { resourceVersion: "150" } } });
    await until(() => scene.clock.pending().includes("configmaps silence"));
    first.drop();
    // etcd is restored: its versions begin again at 50, and a watch from 150 is answered by nothing.
    const silent = await scene.resumed();
    assert.equal(silent.query.resourceVersion, "150");
    await until(() => scene.clock.pending().includes("configmaps healthy"));
    const lasted = await untilRetry(scene);
    assert.ok(lasted >= 150, `${lasted} s`);
    const list = await scene.retry();
    assert.equal(list.query.watch, undefined);
    list.reply(200, listOf("60", [configMap("a", "55", "restored")]));
    await scene.saw("ns/a ->99", "synced", "ns/a 99>55", "relisted");
    assert.equal((await scene.api.next()).query.resourceVersion, "60");
  },
);

test("where the API cannot say at which version it is, no watch is left open", limit, async () => {
  const [scene, first] = await Scene.watching();
  await using _ = scene;
  first.stream();
  first.drop();
  for (let attempt = 0; attempt < 3; attempt++) {
    const watch = await scene.retry();
    watch.stream();
    (await scene.api.next()).refuse(500, "InternalError"); // Watches are served from memory while etcd is away.
    await until(() => watch.socket.destroyed);
  }
});

test("a watch that gets bookmarks lives as long as it was asked for, and is resumed", limit, async () => {
  const [scene, watch] = await Scene.watching();
  await using _ = scene;
  const bookmark = { type: "BOOKMARK", object: { metadata: { resourceVersion: "150" } } };
  watch.stream(bookmark);
  for (let minute = 0; minute < 4; minute++) {
    await until(() => scene.clock.pending().includes("configmaps silence"));
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    scene.clock.advanceBy(60_000);
    watch.send(bookmark);
    for (let turn = 0; turn < 20; turn++) await setImmediate();
  }
  assert.deepEqual(scene.clock.pending().includes("configmaps retry"), false);
  watch.end();
  assert.equal((await scene.retry()).query.resourceVersion, "150");
});

test("where the server sends no bookmarks, a watch that was silent to its end is followed by a list", limit, async () => {
  const [scene, silent] = await Scene.watching();
  await using _ = scene;
  silent.stream();
  await until(() => scene.clock.pending().includes("configmaps healthy"));
  await untilRetry(scene);
  assert.equal((await scene.retry()).query.watch, undefined);
});

for (const [status, reason] of [
  [504, "Too large resource version"],
  [400, "BadRequest"],
] as const)
  test(`a server that refuses the version (${status}) is asked for a list`, limit, async () => {
    const [scene, watch] = await Scene.watching();
    await using _ = scene;
    watch.refuse(status, reason);
    assert.equal((await scene.retry()).query.watch, undefined);
  });

test(
  "an API that was restored from a backup is listed anew, and an object of the same version may be another one",
  limit,
  async () => {
    const [scene, watch] = await Scene.watching([configMap("a", "90"), configMap("b", "95", "was")]);
    await using _ = scene;
    await scene.saw("ns/a ->90", "ns/b ->95", "synced");
    watch.end();
    await scene.resumed("97");
    const list = await scene.retry();
    assert.equal(list.query.limit, "200");
    list.reply(200, listOf("97", [configMap("a", "90"), configMap("b", "95", "is")]));
    await scene.saw("ns/b 95>95", "relisted");
    assert.equal(scene.informer.get("ns/b")?.data.value, "is");
  },
);

const laterLists: readonly { name: string; items: object[]; version?: string; isRestored: boolean }[] = [
  { name: "new objects and later versions", items: [configMap("a", "121"), configMap("b", "122")], isRestored: false },
  { name: "none of what was there", items: [], isRestored: false },
  { name: "an object back in an earlier version", items: [configMap("a", "110"), configMap("back", "50")], isRestored: true },
  { name: "an object in the version before its last", items: [configMap("a", "1")], isRestored: true },
  { name: "none of what was there, in an earlier version", items: [], version: "90", isRestored: true },
  { name: "another object in the last version", items: [configMap("a", "110", "other")], isRestored: true },
];
for (const { name, items, version = "130", isRestored } of laterLists)
  test(`a later list with ${name} is ${isRestored ? "" : "not "}taken for that of an API that was restored`, limit, async () => {
    const [scene, watch] = await Scene.watching([configMap("a", "1")]);
    await using _ = scene;
    scene.onRestored = () => {
      scene.seen.push("restored");
      scene.informer[Symbol.dispose]();
    };
    watch.stream({ type: "MODIFIED", object: configMap("a", "110") });
    await scene.saw("ns/a ->1", "synced", "ns/a 1>110");
    const expired = { kind: "Status", code: 410, message: "too old" };
    watch.send({ type: "ERROR", object: expired });
    (await scene.retry()).reply(200, listOf(version, items));
    if (isRestored) await scene.saw("restored");
    else {
      await until(() => scene.seen.includes("relisted"));
      assert.ok(!scene.seen.includes("restored"));
    }
  });

for (const [what, uid, isRestored] of [
  ["another definition shows otherwise", "uid-a", false],
  ["is another object in the same version", "uid-other", true],
] as const)
  test(`a custom resource that ${what} is ${isRestored ? "a" : "no"} sign of an API that was restored`, limit, async () => {
    const [scene, watch] = await Scene.watching([configMap("a", "1")], { ...resources.configMaps, isCustom: true });
    await using _ = scene;
    scene.onRestored = () => scene.seen.push("restored");
    watch.stream({ type: "ERROR", object: { kind: "Status", code: 410, message: "too old" } });
    (await scene.retry()).reply(200, listOf("130", [configMap("a", "1", "with a default", uid)]));
    await scene.saw("ns/a ->1", "synced", ...(isRestored ? ["restored"] : []), "ns/a 1>1", "relisted");
  });

const eventsBack: readonly { name: string; event: object; isRestored: boolean }[] = [
  { name: "a bookmark", event: { type: "BOOKMARK", object: { metadata: { resourceVersion: "105" } } }, isRestored: true },
  { name: "a changed object", event: { type: "MODIFIED", object: configMap("a", "105", "old") }, isRestored: true },
  { name: "a new object", event: { type: "ADDED", object: configMap("b", "105") }, isRestored: true },
  { name: "a deleted object as it was before", event: { type: "DELETED", object: configMap("a", "105") }, isRestored: false },
];
for (const { name, event, isRestored } of eventsBack)
  test(
    `a watch that goes back by ${name} is ${isRestored ? "" : "not "}taken for that of an API that was restored`,
    limit,
    async () => {
      const [scene, watch] = await Scene.watching([configMap("a", "1")]);
      await using _ = scene;
      scene.onRestored = () => scene.seen.push("restored");
      watch.stream({ type: "MODIFIED", object: configMap("a", "110") }, event);
      if (isRestored) {
        (await scene.retry()).reply(200, listOf("106", [configMap("a", "105", "old")]));
        await scene.saw("ns/a ->1", "synced", "ns/a 1>110", "restored", "ns/a 110>105", "relisted");
        assert.equal((await scene.api.next()).query.resourceVersion, "106");
      } else {
        await scene.saw("ns/a ->1", "synced", "ns/a 1>110", "ns/a 110>-");
        watch.end();
        assert.equal((await scene.resumed()).query.resourceVersion, "110");
      }
    },
  );

test("an API that is restored again while it is listed anew is listed once more", limit, async () => {
  const [scene, watch] = await Scene.watching([configMap("a", "90")]);
  await using _ = scene;
  watch.end();
  await scene.resumed("97");
  (await scene.retry()).reply(200, listOf("97", [configMap("a", "95")]));
  const second = await scene.api.next();
  assert.equal(second.query.resourceVersion, "97");
  second.stream();
  (await scene.api.next()).reply(200, listOf("60", []));
  (await scene.retry()).reply(200, listOf("60", [configMap("a", "55")]));
  assert.equal((await scene.api.next()).query.resourceVersion, "60");
  await scene.saw("ns/a ->90", "synced", "ns/a 90>95", "relisted", "ns/a 95>55", "relisted");
});

test("an API that was out of reach for long is listed anew: it may have been restored and have caught up", limit, async () => {
  const [scene, watch] = await Scene.watching([configMap("a", "90")]);
  await using _ = scene;
  watch.end();
  (await scene.retry()).reply(503, {});
  const began = scene.clock.now();
  for (;;) {
    const exchange = await scene.retry();
    if (exchange.query.limit === "200") break;
    exchange.reply(503, {});
    assert.ok(scene.clock.now() - began < 200_000, "it is listed");
  }
  assert.ok(scene.clock.now() - began >= 60_000);
});

test("failures wait longer and longer, are logged once for each status, and so is the return", limit, async () => {
  await using scene = await Scene.open();
  let list = await scene.api.next();
  const waits: number[] = [];
  for (let attempt = 0; attempt < 10; attempt++) {
    list.refuse(attempt % 2 === 0 ? 500 : 403, "Broken");
    await until(() => scene.clock.pending().includes("configmaps retry"));
    const before = scene.clock.now();
    advanceUntilRun(scene.clock, "configmaps retry");
    waits.push(scene.clock.now() - before);
    list = await scene.api.next();
  }
  for (const [attempt, wait] of waits.entries()) {
    const full = Math.min(15_000, 200 * 2 ** attempt);
    assert.ok(wait >= full / 2 && wait <= full, `attempt ${attempt}: ${wait} ms`);
  }
  assert.deepEqual(scene.log.lines, ["warn cannot watch the API, retrying", "warn cannot watch the API, retrying"]);
  assert.match(String(scene.log.fields[0]?.error), /Cannot list configmaps: 500 .*Broken for the test/);
  assert.match(String(scene.log.fields[1]?.error), /Cannot list configmaps: 403 /);
  assert.equal(scene.forbidden, 5, "each 403 is told, and nothing else is");
  list.reply(200, listOf("1", []));
  const watch = await scene.api.next();
  assert.equal(scene.log.lines.length, 2);
  watch.stream({ type: "ADDED", object: configMap("a", "2") });
  await until(() => scene.log.lines.length === 3);
  assert.equal(scene.log.lines[2], "info watching the API again");
  watch.drop();
  const before = scene.clock.now();
  await scene.retry();
  assert.ok(scene.clock.now() - before <= 200, "the wait starts again from the shortest");
});

test("it is said since when changes are not seen, from the first failure to the next success", limit, async () => {
  const [scene, watch] = await Scene.watching();
  await using _ = scene;
  watch.stream();
  await until(() => scene.clock.pending().includes("configmaps healthy"));
  scene.clock.advanceBy(20_000);
  watch.drop();
  const lost = await scene.retry();
  assert.deepEqual(scene.reached, [], "connections break");
  const since = scene.clock.now();
  lost.refuse(503, "Unavailable");
  (await scene.retry()).refuse(503, "Unavailable");
  const back = await scene.resumed();
  assert.deepEqual(scene.reached, [since]);
  back.send({ type: "ADDED", object: configMap("a", "101") });
  await until(() => scene.reached.length === 2);
  assert.deepEqual([scene.reached, scene.informer.lostSince], [[since, undefined], undefined]);
});

test("a watch that is not answered within 2 s does not see what changes since it was asked for", limit, async () => {
  const [scene, watch] = await Scene.watching();
  await using _ = scene;
  const since = scene.clock.now();
  scene.clock.advanceBy(1_999);
  assert.deepEqual(scene.reached, []);
  scene.clock.advanceBy(1);
  assert.deepEqual(scene.reached, [since]);
  watch.stream();
  await until(() => scene.reached.length === 2);
  assert.equal(scene.informer.lostSince, undefined);
  scene.clock.advanceBy(2_000);
  assert.equal(scene.reached.length, 2);
});

test("a later list that is not answered within 2 s does not show what changes since it was asked for", limit, async () => {
  const [scene, watch] = await Scene.watching();
  await using _ = scene;
  watch.stream({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } });
  const list = await scene.retry();
  const since = scene.clock.now();
  scene.clock.advanceBy(2_000);
  assert.deepEqual(scene.reached, [since]);
  list.reply(200, listOf("200", []));
  (await scene.api.next()).stream();
  (await scene.api.next()).reply(200, listOf("200", [])); // It asks whether the API was restored meanwhile.
  await until(() => scene.clock.pending().includes("configmaps healthy"));
  scene.clock.advanceBy(5_000);
  assert.equal(scene.reached.length, 2);
  assert.equal(scene.informer.lostSince, undefined);
});

test("a watch that lives for a while without a word is a success too", limit, async () => {
  const [scene, watch] = await Scene.watching();
  await using _ = scene;
  watch.refuse(503, "Unavailable");
  await scene.resumed();
  await until(() => scene.clock.pending().includes("configmaps healthy"));
  scene.clock.advanceBy(5_000);
  assert.deepEqual(scene.log.lines, ["warn cannot watch the API, retrying", "info watching the API again"]);
});

test("a watch that always ends at once is not asked for in a loop", limit, async () => {
  const [scene, first] = await Scene.watching();
  await using _ = scene;
  first.stream();
  first.end();
  for (let attempt = 1; attempt < 8; attempt++) (await scene.resumed()).end();
  await scene.retry();
  assert.ok(scene.clock.now() > 10_000, `8 watches within ${scene.clock.now()} ms`);
  assert.deepEqual(scene.log.lines, ["warn cannot watch the API, retrying"]);
});

test("Retry-After is waited for", limit, async () => {
  await using scene = await Scene.open();
  (await scene.api.next()).refuse(429, "TooManyRequests", { "retry-after": "9" });
  await scene.retry();
  assert.equal(scene.clock.now(), 9_000);
});

const broken = [
  { name: "a line that is not JSON", line: "{]\n" },
  { name: "an unknown type", line: '{"type":"SURPRISE","object":{}}\n' },
  { name: "a JSON text", line: '"hello"\n' },
  { name: "an error other than 410", line: '{"type":"ERROR","object":{"code":500,"reason":"InternalError"}}\n' },
  { name: "a line longer than any object", line: "x".repeat(17 << 20) },
  { name: "an error without a status", line: '{"type":"ERROR"}\n' },
];
for (const { name, line } of broken)
  test(`after ${name} on the watch the state is listed again`, limit, async () => {
    const [scene, watch] = await Scene.watching();
    await using _ = scene;
    watch.stream();
    watch.response.write(line);
    assert.equal((await scene.retry()).query.watch, undefined);
    assert.deepEqual(scene.log.lines, ["warn cannot watch the API, retrying"]);
  });

const notLists = [
  "",
  "hello",
  "{}",
  "[]",
  '{"metadata":{"resourceVersion":"1"},"items":{}}',
  '{"metadata":{},"items":[]}',
  "null",
];
for (const body of notLists)
  test(`an answer that is not a list is refused, and nothing is believed to be deleted: ${body}`, limit, async () => {
    await using scene = await Scene.open();
    (await scene.api.next()).reply(200, body);
    await scene.retry();
    assert.equal(scene.informer.synced, false);
    assert.deepEqual(scene.seen, []);
  });

test("malformed objects are skipped, with a word in the log, and the others are kept", limit, async () => {
  const nameless = { metadata: { uid: "u", resourceVersion: "100" } };
  const [scene, watch] = await Scene.watching([nameless, configMap("a", "1"), { metadata: "x" }]);
  await using _ = scene;
  await scene.saw("ns/a ->1", "synced");
  watch.stream(
    { type: "ADDED", object: nameless },
    { type: "ADDED", object: null },
    { type: "ADDED", object: configMap("b", "101") },
  );
  await scene.saw("ns/b ->101");
  assert.deepEqual(scene.log.lines, Array(3).fill("warn malformed objects skipped"));
  assert.deepEqual(scene.log.fields, [{ objects: 2 }, { objects: 1 }, { objects: 1 }]);
});

test("big lines and split characters arrive whole", limit, async () => {
  const [scene, watch] = await Scene.watching();
  await using _ = scene;
  const value = "ä€😀".repeat(100_000);
  const bytes = Buffer.from(`${JSON.stringify({ type: "ADDED", object: configMap("a", "101", value) })}\n`);
  watch.stream();
  for (let start = 0; start < bytes.length; start += 9973) watch.response.write(bytes.subarray(start, start + 9973));
  await scene.saw("synced", "ns/a ->101");
  assert.equal(scene.informer.get("ns/a")?.data.value, value);
});

test("a disposed informer calls nobody, and asks for nothing more", limit, async () => {
  const [scene, watch] = await Scene.watching();
  await using _ = scene;
  await scene.saw("synced");
  watch.stream({ type: "ADDED", object: configMap("a", "101") });
  await scene.saw("ns/a ->101");
  scene.informer[Symbol.dispose]();
  const closed = new Promise((resolve) => watch.response.on("close", resolve));
  watch.send({ type: "ADDED", object: configMap("b", "102") });
  await closed;
  assert.deepEqual(scene.seen, []);
  assert.equal(scene.api.waiting, 0);
  assert.deepEqual(scene.clock.pending(), []);
  assert.deepEqual(scene.log.lines, []);
});

test("a handler that disposes its informer is not called again", limit, async () => {
  await using api = await FakeApi.start();
  await using cluster = clusterAt(accessTo(api.url));
  const seen: string[] = [];
  const informer = cluster.informer(
    resources.configMaps,
    {},
    {
      changed: (key) => {
        seen.push(key);
        informer[Symbol.dispose]();
      },
      synced: () => seen.push("synced"),
    },
  );
  informer.start();
  (await api.next()).reply(200, listOf("1", [configMap("a", "1"), configMap("b", "1")]));
  await until(() => seen.length > 0);
  assert.deepEqual(seen, ["ns/a"]);
});

test("arbitrary bytes on the watch never crash it, and it recovers", { timeout: 300_000 }, async () => {
  const fragment = fc.oneof(
    fc.uint8Array({ maxLength: 200, size: "max" }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((json) => Buffer.from(`${json}\n`)),
    fc
      .record({
        type: fc.constantFrom("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"),
        object: fc.oneof(fc.jsonValue(), fc.record({ metadata: fc.jsonValue(), data: fc.jsonValue() })),
      })
      .map((event) => Buffer.from(`${JSON.stringify(event)}\n`)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fragment, { maxLength: 8 }), async (fragments) => {
      const [scene, watch] = await Scene.watching();
      await using _ = scene;
      watch.stream();
      for (const bytes of fragments) watch.response.write(bytes);
      watch.end();
      let next = await scene.retry();
      if (next.query.watch === undefined) {
        next.reply(200, listOf("500", [configMap("after", "500")]));
        next = await scene.api.next();
      }
      next.stream({ type: "ADDED", object: configMap("recovered", "501") });
      (await scene.api.next()).reply(200, listOf("1000000", []));
      await until(() => scene.informer.get("ns/recovered") !== undefined);
    }),
    { numRuns: 60 },
  );
});
