import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { SimulatedClock } from "#pkg/clock/testing";
import { accessTo, advanceUntilRun, close, clusterAt, type Exchange, FakeApi, LogLines, until } from "#pkg/k8s/testing";
import type { Informer, Scope } from "./informers.ts";
import type { EndpointSlice } from "./objects.ts";
import { slicesOf } from "./part.ts";
import { resources } from "./resources.ts";

const limit = { timeout: 120_000 };
const serviceName = "kubernetes.io/service-name";

/** As the API server writes it, in this order. */
function slice(name: string, service: string, resourceVersion: string, node = "node1"): object {
  return {
    kind: "EndpointSlice",
    apiVersion: "discovery.k8s.io/v1",
    metadata: {
      name,
      generateName: `${service}-`,
      namespace: "ns",
      uid: `uid-${name}`,
      resourceVersion,
      generation: 2,
      creationTimestamp: "2026-01-01T00:00:00Z",
      labels: { "endpointslice.kubernetes.io/managed-by": "test", [serviceName]: service },
      managedFields: [{ fieldsV1: { "f:metadata": { "f:labels": { [`f:${serviceName}`]: {} } } } }],
    },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.0.0.1"], nodeName: node, conditions: { ready: true } }],
  };
}

const event = (type: "ADDED" | "MODIFIED" | "DELETED", object: object) => ({ type, object });

const bookmark = (resourceVersion: string, isEnd = true) => {
  const annotations = isEnd ? { "k8s.io/initial-events-end": "true" } : {};
  return { type: "BOOKMARK", object: { kind: "EndpointSlice", metadata: { resourceVersion, annotations } } };
};

const listOf = (resourceVersion: string, ...items: object[]) => ({ metadata: { resourceVersion }, items });

/** An informer of slices against a scripted server; `seen` has one line for each call of a handler. */
class Scene implements AsyncDisposable {
  readonly clock = new SimulatedClock();
  readonly seen: string[] = [];
  /** Services whose slices are wanted. */
  readonly wanted = new Set<string>(["ns/web"]);
  readonly informer: Informer<EndpointSlice>;
  readonly api: FakeApi;
  readonly #cluster;

  private constructor(api: FakeApi, scope: Scope) {
    this.api = api;
    this.#cluster = clusterAt(accessTo(api.url), this.clock, new LogLines());
    const part = slicesOf((service) => this.wanted.has(service));
    this.informer = this.#cluster.informer(
      resources.endpointSlices,
      { isForMany: true, part, ...scope },
      {
        changed: (key, now, before) => this.seen.push(`${key} ${before?.resourceVersion ?? "-"}>${now?.resourceVersion ?? "-"}`),
        synced: () => this.seen.push("synced"),
        relisted: () => this.seen.push("relisted"),
      },
    );
    this.informer.start();
  }

  static async open(scope: Scope = {}): Promise<Scene> {
    return new Scene(await FakeApi.start(), scope);
  }

  /** With what the first watch sent. */
  static async watching(...events: object[]): Promise<[Scene, Exchange]> {
    const scene = await Scene.open();
    const watch = await scene.api.next();
    watch.stream(...events, bookmark("100"));
    await until(() => scene.informer.synced);
    return [scene, watch];
  }

  /** The calls of the handlers since the last time. */
  async saw(...lines: string[]): Promise<void> {
    await until(() => this.seen.length >= lines.length);
    assert.deepEqual(this.seen.splice(0), lines);
  }

  /** Moves time to the next attempt. */
  async retry(what = "endpointslices retry"): Promise<Exchange> {
    await until(() => this.clock.pending().includes(what));
    advanceUntilRun(this.clock, what);
    return this.api.next();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return close(this.#cluster, this.api, this.clock);
  }
}

test("a slice of no Service is dropped, whether it came so or is so by now", limit, async () => {
  const stray = (resourceVersion: string) => {
    const { metadata, ...rest } = slice("stray", "web", resourceVersion) as { readonly metadata: object };
    return { ...rest, metadata: { ...metadata, labels: {} } };
  };
  const [scene, watch] = await Scene.watching(event("ADDED", stray("1")), event("ADDED", slice("web-1", "web", "2")));
  await using _ = scene;
  watch.send(event("ADDED", slice("stray", "web", "103")), event("MODIFIED", stray("104")), event("MODIFIED", stray("105")));
  await scene.saw("ns/web-1 ->2", "synced", "ns/stray ->103", "ns/stray 103>-");
});

test("one watch sends all objects, as any member of the API has them, and then what changes", limit, async () => {
  await using scene = await Scene.open({ labelSelector: "!headless" });
  const watch = await scene.api.next();
  const { timeoutSeconds, ...query } = watch.query;
  assert.ok(Number(timeoutSeconds) >= 300);
  assert.deepEqual(query, {
    labelSelector: "!headless",
    watch: "true",
    allowWatchBookmarks: "true",
    sendInitialEvents: "true",
    resourceVersionMatch: "NotOlderThan",
    resourceVersion: "0",
  });
  watch.stream(event("ADDED", slice("a", "web", "1")));
  await scene.saw("ns/a ->1");
  assert.equal(scene.informer.synced, false);
  watch.send(event("ADDED", slice("b", "web", "2")), bookmark("7"));
  await scene.saw("ns/b ->2", "synced");
  watch.send(event("MODIFIED", slice("a", "web", "8")));
  await scene.saw("ns/a 1>8");
  watch.end();
  assert.equal((await scene.retry()).query.resourceVersion, "8");
});

test("a later list is of what etcd has, and takes away what is gone", limit, async () => {
  const [scene, watch] = await Scene.watching(event("ADDED", slice("a", "web", "1")), event("ADDED", slice("b", "web", "2")));
  await using _ = scene;
  await scene.saw("ns/a ->1", "ns/b ->2", "synced");
  watch.send({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } });
  const again = await scene.retry();
  assert.equal(again.query.sendInitialEvents, "true");
  assert.equal(again.query.resourceVersion, undefined);
  again.stream(event("ADDED", slice("b", "web", "200")), bookmark("200"));
  await scene.saw("ns/a 1>-", "ns/b 2>200", "relisted");
});

for (const isFirst of [true, false])
  test(
    `what changes while the server sends ${isFirst ? "the first" : "a later"} list is as it is at its end`,
    limit,
    async () => {
      const [scene, before] = isFirst ? [await Scene.open()] : await Scene.watching(event("ADDED", slice("a", "web", "1")));
      await using _ = scene;
      before?.send({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } });
      const watch = await (isFirst ? scene.api.next() : scene.retry());
      const all = ["a", "b", "c"].map((name) => event("ADDED", slice(name, "web", "2")));
      const changes = [event("DELETED", slice("a", "web", "3")), event("MODIFIED", slice("b", "web", "4"))];
      const again = [event("DELETED", slice("c", "web", "5")), event("ADDED", slice("c", "web", "6"))];
      watch.stream(...all, ...changes, ...again, bookmark("6"));
      await until(() => scene.seen.includes(isFirst ? "synced" : "relisted"));
      const held = [...scene.informer.values()].map(({ name, resourceVersion }) => `${name} ${resourceVersion}`);
      assert.deepEqual(held.sort(), ["b 4", "c 6"]);
    },
  );

test("a server that has sent lists, and is slow once, is asked for them again", limit, async () => {
  const [scene, watch] = await Scene.watching(event("ADDED", slice("a", "web", "1")));
  await using _ = scene;
  watch.send({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } });
  (await scene.retry()).stream(event("ADDED", slice("a", "web", "1")));
  await until(() => scene.clock.pending().includes("endpointslices silence"));
  advanceUntilRun(scene.clock, "endpointslices silence");
  const again = await scene.retry();
  assert.equal(again.query.sendInitialEvents, "true");
  again.stream(event("ADDED", slice("a", "web", "1")), bookmark("200"));
  await until(() => scene.seen.includes("relisted"));
});

test("a server that has sent lists, and refuses to since it was upgraded, is asked for pages", limit, async () => {
  const [scene, watch] = await Scene.watching(event("ADDED", slice("a", "web", "1")));
  await using _ = scene;
  watch.send({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } });
  const message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
  (await scene.retry()).reply(422, { kind: "Status", message, reason: "Invalid", code: 422 });
  await until(() => scene.api.waiting > 0 || scene.clock.pending().includes("endpointslices retry"));
  assert.equal(scene.api.waiting, 1, "the watch is tried again");
  const list = await scene.api.next();
  assert.equal(list.query.limit, "200");
  list.reply(200, listOf("200", slice("b", "web", "150")));
  await scene.saw("ns/a ->1", "synced", "ns/a 1>-", "ns/b ->150", "relisted");
});

test("a list that breaks off begins again from its start", limit, async () => {
  await using scene = await Scene.open();
  const first = await scene.api.next();
  first.stream(event("ADDED", slice("a", "web", "1")), event("ADDED", slice("b", "web", "2")));
  await scene.saw("ns/a ->1", "ns/b ->2");
  first.drop();
  const second = await scene.retry();
  assert.equal(second.query.sendInitialEvents, "true");
  second.stream(event("ADDED", slice("b", "web", "2")), bookmark("9"));
  await scene.saw("ns/a 1>-", "synced");
});

test("a list that is asked for while the first one arrives takes its place, and whoever asked hears of it", limit, async () => {
  await using scene = await Scene.open();
  const first = await scene.api.next();
  first.stream(event("ADDED", slice("a", "web", "1")));
  await scene.saw("ns/a ->1");
  scene.informer.relist();
  const second = await scene.api.next();
  second.stream(event("ADDED", slice("a", "web", "1")), bookmark("9"));
  await scene.saw("synced", "relisted");
});

for (const [status, message] of [
  [
    422,
    'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
  ],
  [422, 'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch'],
] as const)
  test(`a server that refuses is asked for pages, and remembered: ${message.slice(30, 80)}`, limit, async () => {
    await using scene = await Scene.open();
    (await scene.api.next()).reply(status, { kind: "Status", message, reason: "Invalid", code: status });
    (await scene.api.next()).reply(200, listOf("7", slice("a", "web", "1"), slice("x", "other", "2")));
    const watch = await scene.api.next();
    await scene.saw("ns/a ->1", "synced");
    assert.equal(watch.query.resourceVersion, "7");
    watch.stream({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } });
    assert.equal((await scene.retry()).query.limit, "200");
  });

test("without the right to watch, objects are listed, and again when that has lasted for a minute", limit, async () => {
  await using scene = await Scene.open();
  const refuse = (watch: Exchange) => {
    assert.equal(watch.query.watch, "true");
    watch.reply(403, { kind: "Status", message: "cannot watch", reason: "Forbidden", code: 403 });
  };
  refuse(await scene.api.next());
  (await scene.api.next()).reply(200, listOf("7", slice("a", "web", "1")));
  await scene.saw("ns/a ->1", "synced");
  const begin = scene.clock.now();
  let request = await scene.api.next();
  while (request.query.watch === "true") {
    refuse(request);
    request = await scene.retry();
  }
  assert.ok(scene.clock.now() >= begin + 60_000);
  request.reply(200, listOf("8", slice("a", "web", "1"), slice("b", "web", "1")));
  await until(() => scene.seen.length > 0);
  assert.equal(scene.seen[0], "ns/b ->1");
});

test("once a refused watch is allowed, lists are streamed again", limit, async () => {
  await using scene = await Scene.open();
  (await scene.api.next()).reply(403, { kind: "Status", message: "cannot watch", reason: "Forbidden", code: 403 });
  (await scene.api.next()).reply(200, listOf("7", slice("a", "web", "1")));
  const watch = await scene.api.next();
  assert.equal(watch.query.resourceVersion, "7");
  watch.stream(event("MODIFIED", slice("a", "web", "8")));
  (await scene.api.next()).reply(200, listOf("8")); // It asks whether the API was restored meanwhile.
  await scene.saw("ns/a ->1", "synced", "ns/a 1>8");
  watch.send({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } });
  assert.equal((await scene.retry()).query.sendInitialEvents, "true");
});

for (const [what, events] of [
  ["sends nothing more", [event("ADDED", slice("a", "web", "1"))]],
  ["sends another bookmark", [event("ADDED", slice("a", "web", "1")), bookmark("5", false)]],
  ["sends nothing at all", []],
] as const)
  test(`a server that does not say where the list ends, and ${what}, is asked for pages`, limit, async () => {
    await using scene = await Scene.open();
    const watch = await scene.api.next();
    watch.stream(...events);
    if (events.length < 2) {
      if (events.length > 0) await scene.saw("ns/a ->1");
      await until(() => scene.clock.pending().includes("endpointslices silence"));
      scene.clock.advanceBy(10_000);
    }
    const list = await scene.api.next();
    assert.equal(list.query.limit, "200");
    list.reply(200, listOf("7", slice("a", "web", "1")));
    await until(() => scene.informer.synced);
  });

test("slices of a Service that is not wanted are dropped, until it is: then they are asked for", limit, async () => {
  const [scene, watch] = await Scene.watching(event("ADDED", slice("a", "web", "1")), event("ADDED", slice("x", "other", "2")));
  await using _ = scene;
  await scene.saw("ns/a ->1", "synced");
  watch.send(event("MODIFIED", slice("x", "other", "110")), event("MODIFIED", slice("a", "web", "111")));
  await scene.saw("ns/a 1>111");
  scene.informer.want("ns/web"); // Nothing of it was left out.
  scene.wanted.add("ns/other");
  scene.informer.want("ns/other");
  const list = await scene.api.next();
  assert.equal(list.path, "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices");
  assert.deepEqual(list.query, { labelSelector: `${serviceName}=other` });
  watch.send(event("ADDED", slice("y", "other", "121")));
  await scene.saw("ns/y ->121");
  list.reply(200, listOf("120", slice("x", "other", "110"), slice("y", "other", "119")));
  await scene.saw("ns/x ->110"); // The later version of the other one stays.
  scene.informer.want("ns/other");
  await setImmediate();
  assert.equal(scene.api.waiting, 0);
});

test("an answer that is not a list does not say that a Service has no slices", limit, async () => {
  const [scene] = await Scene.watching(event("ADDED", slice("x", "other", "2")));
  await using _ = scene;
  await scene.saw("synced");
  scene.wanted.add("ns/other");
  scene.informer.want("ns/other");
  (await scene.api.next()).reply(200, '{"message":"upstream is away"}');
  const again = await scene.retry("endpointslices of an owner");
  again.reply(200, listOf("120", slice("x", "other", "2")));
  await scene.saw("ns/x ->2");
});

test("a slice that is removed while those of its Service are asked for stays away", limit, async () => {
  const [scene, watch] = await Scene.watching(event("ADDED", slice("w", "other", "1")), event("ADDED", slice("x", "other", "2")));
  await using _ = scene;
  await scene.saw("synced");
  scene.wanted.add("ns/other");
  scene.informer.want("ns/other");
  const list = await scene.api.next();
  watch.send(event("DELETED", slice("x", "other", "122")), event("ADDED", slice("y", "other", "123")));
  await scene.saw("ns/y ->123");
  list.reply(200, listOf("120", slice("x", "other", "2"), slice("w", "other", "1")));
  await scene.saw("ns/w ->1");
  assert.equal(scene.informer.size, 2);
});

test("a slice that a later list has no more is not brought back by the answer to an earlier question", limit, async () => {
  const [scene, watch] = await Scene.watching(event("ADDED", slice("x", "other", "2")), event("ADDED", slice("y", "third", "3")));
  await using _ = scene;
  scene.wanted.add("ns/other");
  scene.informer.want("ns/other");
  const question = await scene.api.next();
  watch.send({ type: "ERROR", object: { code: 410, reason: "Expired", message: "too old" } });
  const again = await scene.retry();
  again.stream(event("ADDED", slice("y", "third", "3")), bookmark("200"));
  await until(() => scene.seen.includes("relisted"));
  question.reply(200, listOf("100", slice("x", "other", "2")));
  scene.wanted.add("ns/third");
  scene.informer.want("ns/third");
  const later = await scene.api.next(); // By the connection of the first question, or beside it.
  later.reply(200, listOf("201", slice("y", "third", "3")));
  await until(() => scene.informer.get("ns/y") !== undefined);
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  assert.equal(scene.informer.get("ns/x"), undefined);
});

test("a slice that is removed while its Service is not wanted for a moment stays away", limit, async () => {
  const [scene, watch] = await Scene.watching(event("ADDED", slice("x", "other", "2")));
  await using _ = scene;
  scene.wanted.add("ns/other");
  scene.informer.want("ns/other");
  const first = await scene.api.next();
  scene.wanted.delete("ns/other");
  watch.send(event("DELETED", slice("x", "other", "122")), event("ADDED", slice("a", "web", "123")));
  await until(() => scene.informer.size === 1);
  scene.wanted.add("ns/other");
  scene.informer.want("ns/other");
  const second = await scene.api.next();
  first.reply(200, listOf("120", slice("x", "other", "2"), slice("w", "other", "1")));
  await until(() => scene.informer.get("ns/w") !== undefined);
  second.reply(200, listOf("124", slice("w", "other", "1")));
  assert.equal(scene.informer.get("ns/x"), undefined);
});

test("a slice that was followed goes with the next event once its Service is not wanted", limit, async () => {
  const [scene, watch] = await Scene.watching(event("ADDED", slice("a", "web", "1")));
  await using _ = scene;
  await scene.saw("ns/a ->1", "synced");
  scene.wanted.clear();
  watch.send(event("MODIFIED", slice("a", "web", "102")));
  await scene.saw("ns/a 1>-");
  scene.wanted.add("ns/web");
  scene.informer.want("ns/web");
  (await scene.api.next()).reply(503, {});
  (await scene.retry("endpointslices of an owner")).reply(200, listOf("103", slice("a", "web", "102")));
  await scene.saw("ns/a ->102");
});

test("what was asked for stays where a list of before ends meanwhile", limit, async () => {
  await using scene = await Scene.open();
  const watch = await scene.api.next();
  watch.stream(event("ADDED", slice("x", "other", "1")), event("ADDED", slice("a", "web", "2")));
  await scene.saw("ns/a ->2");
  scene.wanted.add("ns/other");
  scene.informer.want("ns/other");
  (await scene.api.next()).reply(200, listOf("3", slice("x", "other", "1")));
  await scene.saw("ns/x ->1");
  watch.send(bookmark("3"));
  await scene.saw("synced");
  assert.equal(scene.informer.size, 2);
});

test("after more than a minute without the API the watch goes on, and all objects are listed again later", limit, async () => {
  const [scene, watch] = await Scene.watching(
    ...Array.from({ length: 50 }, (_, i) => event("ADDED", slice(`a${i}`, "web", "1"))),
  );
  await using _ = scene;
  watch.drop();
  (await scene.retry()).reply(503, {});
  await until(() => scene.informer.lostSince !== undefined);
  scene.clock.advanceBy(70_000);
  let again = await scene.api.next();
  while (again.query.watch === undefined) again = await scene.api.next();
  assert.equal(again.query.resourceVersion, "100");
  again.stream();
  const question = await scene.api.next();
  assert.equal(question.query.limit, "1");
  question.reply(200, listOf("200"));
  again.send(event("MODIFIED", slice("a0", "web", "201")));
  await until(() => scene.clock.pending().includes("endpointslices relist"));
  scene.clock.advanceBy(1_000);
  const list = scene.api.waiting > 0 ? await scene.api.next() : await scene.retry();
  assert.equal(list.query.sendInitialEvents, "true");
});

test("the beginning of a line tells whose slice it is as the whole object does, or nothing", () => {
  const part = slicesOf(() => true);
  const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/);
  const tricky = fc.constantFrom("{", "}", '"', "\\", `"${serviceName}":"evil"`, `\\"labels\\":{`, '"labels":{', "x");
  const text = fc.array(fc.oneof(tricky, fc.string()), { maxLength: 4 }).map((pieces) => pieces.join(""));
  const labels = fc.dictionary(fc.oneof(name, fc.constant(serviceName), text), fc.oneof(name, text), { maxKeys: 4 });
  const metadata = fc.record(
    {
      name,
      generateName: text,
      namespace: name,
      uid: name,
      resourceVersion: name,
      generation: fc.nat(),
      creationTimestamp: text,
      deletionTimestamp: text,
      labels,
      annotations: labels,
    },
    { requiredKeys: ["name", "namespace", "uid", "resourceVersion"] },
  );
  let peeked = 0;
  fc.assert(
    fc.property(metadata, fc.constantFrom("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR"), (metadata, type) => {
      const object = { kind: "EndpointSlice", apiVersion: "discovery.k8s.io/v1", metadata, endpoints: [] };
      const found = part.peek(JSON.stringify({ type, object }));
      if (found === undefined) return;
      peeked++;
      assert.equal(found.type, type);
      assert.equal(found.owner, part.ownerOf(object));
      const { name, namespace, uid, resourceVersion } = metadata;
      assert.deepEqual(found.object, { metadata: { name, namespace, uid, resourceVersion } });
    }),
    { numRuns: 4_000 }, // Of which some 60 are told.
  );
  assert.ok(peeked > 20, `${peeked}`);
});
