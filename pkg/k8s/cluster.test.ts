import assert from "node:assert/strict";
import dns from "node:dns";
import { Socket } from "node:net";
import { test } from "node:test";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { SimulatedClock } from "#pkg/clock/testing";
import { accessTo, advanceThrough, close, clusterAt, type Exchange, FakeApi, service, until } from "#pkg/k8s/testing";
import { ApiError } from "./errors.ts";
import { resources } from "./resources.ts";

const limit = { timeout: 120_000 };

const web = service("ns/web", { resourceVersion: "7" });

async function scene() {
  const api = await FakeApi.start();
  const clock = new SimulatedClock();
  const cluster = clusterAt(accessTo(api.url), clock);
  return { api, clock, cluster, [Symbol.asyncDispose]: () => close(cluster, api, clock) };
}

test("an address is written by a patch that only this version of this Service takes", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.writeIngress(web, ["192.0.2.1", "2001:db8::1"]);
  const request = await s.api.next();
  assert.equal(request.method, "PATCH");
  assert.equal(request.path, "/api/v1/namespaces/ns/services/web/status");
  assert.equal(request.headers["content-type"], "application/merge-patch+json");
  assert.deepEqual(request.body, {
    metadata: { uid: "uid-web", resourceVersion: "7" },
    status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }, { ip: "2001:db8::1" }] } },
  });
  request.reply(200, {});
  assert.equal(await writing, "written");
});

test("what a status has besides about an address that stays is kept", limit, async () => {
  await using s = await scene();
  const details = { ipMode: "Proxy", ports: [{ port: 80, protocol: "TCP" }] };
  const ingressDetails = { "192.0.2.1": details, "192.0.2.9": { ports: [] } };
  const writing = s.cluster.writeIngress({ ...web, ingressDetails }, ["192.0.2.1", "192.0.2.2"]);
  const request = await s.api.next();
  const ingress = [{ ip: "192.0.2.1", ...details }, { ip: "192.0.2.2" }];
  assert.deepEqual((request.body as { status: object }).status, { loadBalancer: { ingress } });
  request.reply(200, {});
  await writing;
});

for (const how of ["breaks off", "never ends"] as const)
  test(`a refusal whose words the server ${how} is one all the same`, limit, async () => {
    await using s = await scene();
    const reviewing = s.cluster.reviewToken("t");
    const refused = assert.rejects(reviewing, { status: 429, retryAfterMs: 7_000 });
    const { response } = await s.api.next();
    response.writeHead(429, { "content-length": "1000", "retry-after": "7" }).write('{"kind":');
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    if (how === "breaks off") response.destroy();
    else s.clock.advanceBy(60_000);
    await refused;
  });

test("an API server of several addresses that cannot be reached at any is an error with the reason", limit, async (t) => {
  const both = [
    { address: "127.0.0.1", family: 4 },
    { address: "::1", family: 6 },
  ];
  t.mock.method(dns, "lookup", (_: string, __: object, found: (error: null, addresses: typeof both) => void) =>
    found(null, both),
  );
  await using cluster = clusterAt(accessTo("http://localhost:1"), new SimulatedClock());
  await assert.rejects(cluster.reviewToken("t"), (error: ApiError) => /ECONNREFUSED 127/.test(String(error.cause)));
});

test("no address clears the status", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.writeIngress(web, []);
  const request = await s.api.next();
  assert.deepEqual((request.body as { status: object }).status, { loadBalancer: { ingress: null } });
  request.reply(200, {});
  await writing;
});

for (const [what, metadata, want] of [
  ["the server names the rest", { continue: "more", remainingItemCount: 4_999 }, 5_000],
  ["there is no more", {}, 1],
  ["the server does not name the rest", { continue: "more" }, undefined],
] as const)
  test(`objects are counted by a page of one of them: ${what}`, limit, async () => {
    await using s = await scene();
    const counting = s.cluster.count(resources.nodes);
    const request = await s.api.next();
    assert.deepEqual([request.path, request.query], ["/api/v1/nodes", { limit: "1" }]);
    request.reply(200, { metadata, items: [{ metadata: { name: "node1" } }] });
    assert.equal(await counting, want);
  });

test("Pods are asked for as rows of a table, as old as the server has them", limit, async () => {
  await using s = await scene();
  const asking = s.cluster.podRows("metallb-system", "app=metallb,component=speaker");
  const request = await s.api.next();
  const query = { labelSelector: "app=metallb,component=speaker", resourceVersion: "0", includeObject: "None" };
  assert.deepEqual([request.path, request.query], ["/api/v1/namespaces/metallb-system/pods", query]);
  assert.match(request.headers.accept ?? "", /as=Table.*,application\/json$/);
  const columnDefinitions = ["Name", "Ready", "Status", "IP", "Node"].map((name) => ({ name }));
  const rows = [{ cells: ["speaker-x7k2p", "1/1", "Running", "10.0.0.7", "node7"] }];
  request.reply(200, { kind: "Table", columnDefinitions, rows });
  assert.deepEqual(await asking, [{ nodeName: "node7", podIPs: ["10.0.0.7"], hostIP: undefined, ready: true }]);
});

const outcomes = [
  { status: 409, reason: "Conflict", want: "conflict" },
  { status: 404, reason: "NotFound", want: "gone" },
];
for (const { status, reason, want } of outcomes)
  test(`a refusal with ${status} is the outcome ${want}`, limit, async () => {
    await using s = await scene();
    const writing = s.cluster.writeIngress(web, []);
    (await s.api.next()).refuse(status, reason);
    assert.equal(await writing, want);
  });

test("any other refusal is an error with what the server said, and is not repeated", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.writeIngress(web, []);
  (await s.api.next()).refuse(403, "Forbidden");
  await assert.rejects(writing, (error) => {
    assert.ok(error instanceof ApiError);
    assert.equal(error.status, 403);
    assert.equal(error.reason, "Forbidden");
    assert.match(error.message, /Cannot write the status of service ns\/web: 403 Forbidden: Forbidden for the test/);
    return true;
  });
});

test("a write by one that may lose the lead is one attempt, and keeps no place while it waits for the next", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.fenced(() => true).writeIngress(web, []);
  (await s.api.next()).refuse(500, "InternalError");
  await assert.rejects(writing, (error) => error instanceof ApiError && error.status === 500);
  assert.deepEqual(s.clock.pending(), []);
});

test("who may not write any more sends nothing, neither a status nor a ConfigMap, also halfway through", limit, async () => {
  await using s = await scene();
  const refused = (error: unknown) => error instanceof ApiError && error.reason === "NotLeader";
  const never = s.cluster.fenced(() => false);
  await assert.rejects(never.writeIngress(web, []), refused);
  await assert.rejects(never.writeConfigMap("ns", "name", { key: "value" }), refused);
  let isLeader = true;
  const halfway = s.cluster.fenced(() => isLeader).writeConfigMap("ns", "name", { key: "value" });
  const patch = await s.api.next();
  isLeader = false;
  patch.refuse(404, "NotFound"); // So that it would have to be made.
  await assert.rejects(halfway, refused);
  // Nothing else has come in between.
  const last = s.cluster.writeIngress(web, []);
  const request = await s.api.next();
  assert.match(request.path, /\/services\/web\/status$/);
  request.reply(200, {});
  await last;
});

test("a write that may take so long and no longer is given up then", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.fenced(() => true).writeIngress(web, [], { answerWithin: 5_000 });
  await s.api.next();
  s.clock.advanceBy(5_000);
  await assert.rejects(writing, (error) => error instanceof ApiError && /no answer within 5 s/.test(`${error.cause}`));
});

test("the object that a write is answered with is not read, and a page in its place is no success", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.writeIngress(web, []);
  (await s.api.next()).reply(200, `{"metadata":${"[".repeat(100_000)}`, { "content-type": "application/json" });
  assert.equal(await writing, "written");
  const intercepted = s.cluster.writeIngress(web, [], { attempts: 1 });
  (await s.api.next()).reply(200, "<html>", { "content-type": "text/html" });
  await assert.rejects(intercepted, (error) => error instanceof ApiError && error.reason === "Malformed");
});

test("a page in place of a Status is quoted, but not at length", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.writeIngress(web, []);
  (await s.api.next()).reply(400, `<html>${"x".repeat(100_000)}`);
  await assert.rejects(writing, (error) => error instanceof ApiError && error.reason === "" && error.message.length < 400);
});

const passing: { name: string; fail: (exchange: Exchange) => void }[] = [
  { name: "429", fail: (exchange) => exchange.refuse(429, "TooManyRequests") },
  { name: "500", fail: (exchange) => exchange.refuse(500, "InternalError") },
  { name: "503", fail: (exchange) => exchange.refuse(503, "ServiceUnavailable") },
  { name: "a dropped connection", fail: (exchange) => exchange.drop() },
  {
    name: "an answer that breaks off",
    fail: (exchange) => {
      exchange.response.writeHead(200, { "content-length": "100" });
      exchange.response.write("{", () => exchange.drop());
    },
  },
];
for (const { name, fail } of passing) {
  test(`a write is repeated after ${name}`, limit, async () => {
    await using s = await scene();
    const writing = s.cluster.writeIngress(web, []);
    fail(await s.api.next());
    const done = advanceThrough(s.clock, "api retry", writing);
    (await s.api.next()).reply(200, {});
    assert.equal(await done, "written");
  });

  test(`a write gives up when ${name} does not end`, limit, async () => {
    await using s = await scene();
    let requests = 0;
    const done = advanceThrough(s.clock, "api retry", s.cluster.writeIngress(web, []));
    let ended = false;
    const end = (): void => {
      ended = true;
    };
    done.then(end, end);
    while (!ended) {
      if (s.api.waiting > 0) {
        requests++;
        fail(await s.api.next());
      }
      await setImmediate();
    }
    await assert.rejects(done, ApiError);
    assert.equal(requests, 8);
    assert.ok(s.clock.now() > 5_000 && s.clock.now() < 15_000, `gave up after ${s.clock.now()} ms`);
  });
}

for (const { header, least } of [
  { header: "7", least: 7_000 },
  { header: "86400", least: 30_000 },
  { header: "Fri, 01 Jan 2100 00:00:00 GMT", least: 30_000 },
])
  test(`Retry-After: ${header} is kept to, within reason`, limit, async () => {
    await using s = await scene();
    const writing = s.cluster.writeIngress(web, []);
    (await s.api.next()).refuse(429, "TooManyRequests", { "retry-after": header });
    const done = advanceThrough(s.clock, "api retry", writing);
    (await s.api.next()).reply(200, {});
    await done;
    assert.equal(s.clock.now(), least);
  });

test("a server that does not answer is given up", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.writeIngress(web, []);
  const silent = await s.api.next();
  const dropped = new Promise((resolve) => silent.response.on("close", resolve));
  s.clock.advanceBy(30_000);
  await dropped;
  const done = advanceThrough(s.clock, "api retry", writing);
  (await s.api.next()).reply(200, {});
  assert.equal(await done, "written");
});

test("a kept connection that the server closed is replaced without a wait", limit, async () => {
  await using s = await scene();
  const first = s.cluster.writeIngress(web, []);
  (await s.api.next()).reply(200, {});
  await first;
  const second = s.cluster.writeIngress(web, []);
  (await s.api.next()).drop();
  (await s.api.next()).reply(200, {});
  assert.equal(await second, "written");
  assert.equal(s.clock.now(), 0);
});

test("a connection is looked after by the kernel from when it is opened, however many requests it carries", limit, async (t) => {
  await using s = await scene();
  const { mock } = t.mock.method(Socket.prototype, "setKeepAlive");
  for (let count = 0; count < 3; count++) {
    const writing = s.cluster.writeIngress(web, []);
    (await s.api.next()).reply(200, {});
    await writing;
  }
  const settings = mock.calls.map((call) => call.arguments);
  assert.deepEqual(settings, [[{ enable: true, initialDelay: 2_000, interval: 1_000, count: 3 }]]);
});

test("no more than 32 writes are under way, and each that ends lets the next one go", limit, async () => {
  await using s = await scene();
  const writes = Array.from({ length: 40 }, (_, index) => s.cluster.writeIngress(service(`ns/s${index}`), []));
  await until(() => s.api.waiting === 32);
  const first = await s.api.next();
  assert.equal(first.path, "/api/v1/namespaces/ns/services/s0/status");
  for (let turn = 0; turn < 20; turn++) await setImmediate();
  assert.equal(s.api.waiting, 31);
  first.reply(200, {});
  for (let left = 39; left > 0; left--) (await s.api.next()).reply(200, {});
  assert.deepEqual(new Set(await Promise.all(writes)), new Set(["written"]));
});

test("disposal lets a write end, and refuses new ones", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.writeIngress(web, []);
  const request = await s.api.next();
  const disposed = s.cluster[Symbol.asyncDispose]();
  await assert.rejects(s.cluster.writeIngress(web, []), { name: "ApiError", reason: "Closed" });
  request.reply(200, {});
  assert.equal(await writing, "written");
  await disposed;
});

test("disposal waits 5 s for a server that does not answer", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.writeIngress(web, []);
  await s.api.next();
  const disposed = s.cluster[Symbol.asyncDispose]();
  const failed = assert.rejects(writing, ApiError);
  s.clock.advanceBy(5_000);
  await Promise.all([disposed, failed]);
});

test("disposal waits for no read", limit, async () => {
  await using s = await scene();
  const asking = assert.rejects(s.cluster.hasEndpointSlices(), { name: "ApiError", reason: "Closed" });
  await s.api.next();
  await s.cluster[Symbol.asyncDispose]();
  await asking;
  assert.equal(s.clock.now(), 0);
});

test("EndpointSlices are looked for in their API group", limit, async () => {
  await using s = await scene();
  const ask = async (status: number, body: unknown): Promise<boolean> => {
    const asked = s.cluster.hasEndpointSlices();
    const request = await s.api.next();
    assert.equal(request.path, "/apis/discovery.k8s.io/v1");
    request.reply(status, body);
    return asked;
  };
  assert.equal(await ask(200, { resources: [{ name: "endpointslices" }] }), true);
  assert.equal(await ask(200, { resources: [null, { name: "other" }] }), false);
  assert.equal(await ask(404, { reason: "NotFound" }), false);
  await assert.rejects(ask(403, { reason: "Forbidden" }), ApiError);
});

test("a ConfigMap is merged into", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.writeConfigMap("ns", "status", { a: "1" });
  const request = await s.api.next();
  assert.equal(`${request.method} ${request.path}`, "PATCH /api/v1/namespaces/ns/configmaps/status");
  assert.deepEqual(request.body, { data: { a: "1" } });
  request.reply(200, { data: { a: "1", b: "2", odd: 3 } });
  assert.deepEqual({ ...(await writing) }, { a: "1", b: "2" });
});

test("a ConfigMap that is missing is made, and merged into when somebody else makes it at the same moment", limit, async () => {
  await using s = await scene();
  const writing = s.cluster.writeConfigMap("ns", "status", { a: "1", gone: null });
  (await s.api.next()).refuse(404, "NotFound");
  const create = await s.api.next();
  assert.equal(`${create.method} ${create.path}`, "POST /api/v1/namespaces/ns/configmaps");
  assert.deepEqual(create.body, { metadata: { name: "status" }, data: { a: "1" } });
  create.refuse(409, "AlreadyExists");
  const again = await s.api.next();
  assert.equal(again.method, "PATCH");
  again.reply(200, {});
  await writing;
});

const held = { holder: "me", durationSeconds: 4, transitions: 2, acquires: false };
const forbidden = { kind: "Status", status: "Failure", reason: "Forbidden", message: "not yours", code: 403 };

test(
  "a Lease that may be updated and not patched is written whole, with all that others set in it, if it has not changed",
  limit,
  async () => {
    await using s = await scene();
    const write = (version: string) => s.cluster.leases.write("ns", "lock", held, version, 3_000);
    const metadata = { namespace: "ns", name: "lock", uid: "1", resourceVersion: "8", labels: { team: "edge" } };
    const there = { kind: "Lease", metadata, spec: { holderIdentity: "other", preferredHolder: "third", acquireTime: "then" } };
    const next = async (method: string) => {
      const request = await s.api.next();
      assert.deepEqual([request.method, request.path], [method, "/apis/coordination.k8s.io/v1/namespaces/ns/leases/lock"]);
      return request;
    };
    const read = async () => (await next("GET")).reply(200, there);

    const first = write("7");
    (await next("PATCH")).reply(403, forbidden);
    await read();
    const stale = await next("PUT");
    assert.equal((stale.body as typeof there).metadata.resourceVersion, "7", "the one that was seen, so that it is refused");
    stale.reply(409, {});
    assert.equal(await first, "conflict");

    const second = write("8");
    await read(); // It has been told that it may not patch.
    const update = await next("PUT");
    const { spec, ...rest } = update.body as typeof there & { spec: Record<string, unknown> };
    assert.deepEqual(rest, { kind: "Lease", metadata });
    const { renewTime, ...others } = spec;
    assert.match(String(renewTime), /^\d{4}-.*Z$/);
    assert.deepEqual(others, {
      holderIdentity: "me",
      leaseDurationSeconds: 4,
      leaseTransitions: 2,
      preferredHolder: "third",
      acquireTime: "then",
    });
    update.reply(200, { ...there, metadata: { ...metadata, resourceVersion: "9" }, spec });
    const written = await second;
    assert.deepEqual(written !== "conflict" && [written.holder, written.resourceVersion], ["me", "9"]);
  },
);

test(
  "a Lease that may be neither patched nor updated is refused, and each way is tried again as rights change",
  limit,
  async () => {
    await using s = await scene();
    const there = { metadata: { namespace: "ns", name: "lock", uid: "1", resourceVersion: "8" }, spec: {} };
    for (const order of [
      ["PATCH", "GET", "PUT"],
      ["GET", "PUT", "PATCH"],
    ]) {
      const writing = s.cluster.leases.write("ns", "lock", held, "8", 3_000);
      for (const method of order) {
        const request = await s.api.next();
        assert.equal(request.method, method);
        if (method === "GET") request.reply(200, there);
        else request.reply(403, forbidden);
      }
      await assert.rejects(writing, (error) => error instanceof ApiError && error.status === 403);
    }
    const byUpdate = s.cluster.leases.write("ns", "lock", held, "8", 3_000);
    (await s.api.next()).reply(403, forbidden);
    (await s.api.next()).reply(200, there);
    (await s.api.next()).reply(200, there);
    await byUpdate;
    const byPatch = s.cluster.leases.write("ns", "lock", held, "8", 3_000);
    (await s.api.next()).reply(200, there);
    (await s.api.next()).reply(403, forbidden);
    const patch = await s.api.next();
    assert.equal(patch.method, "PATCH");
    patch.reply(200, there);
    await byPatch;
  },
);

test("a Secret without data is filled, and one with data stays as it is", limit, async () => {
  await using s = await scene();
  const fill = async (status: number): Promise<string> => {
    const filling = s.cluster.fillSecret("ns", "memberlist", { secretkey: "k" });
    const request = await s.api.next();
    assert.equal(`${request.method} ${request.path}`, "PATCH /api/v1/namespaces/ns/secrets/memberlist");
    assert.deepEqual(request.body, [
      { op: "test", path: "/data", value: null },
      { op: "add", path: "/data", value: { secretkey: "aw==" } },
    ]);
    request.reply(status, {});
    return filling;
  };
  assert.equal(await fill(200), "filled");
  assert.equal(await fill(422), "hasData");
  await assert.rejects(fill(404), { status: 404 });
});

test("of a kind without a definition no object is left to delete", limit, async () => {
  await using s = await scene();
  const kind = { api: "/apis/frrk8s.metallb.io/v1beta1", plural: "bgpsessionstates", kind: "BGPSessionState" };
  for (const deleting of [
    s.cluster.deleteObjects(kind, "ns", "a=b"),
    s.cluster.deleteObject(kind, { namespace: "ns", name: "a" }),
  ]) {
    const request = await s.api.next();
    assert.equal(request.method, "DELETE");
    request.refuse(404, "NotFound");
    await deleting;
  }
});

test("the API may live below a path", limit, async () => {
  await using api = await FakeApi.start();
  await using cluster = clusterAt(accessTo(`${api.url}/k8s/clusters/c-1/`));
  const asked = cluster.hasEndpointSlices();
  const request = await api.next();
  assert.equal(request.path, "/k8s/clusters/c-1/apis/discovery.k8s.io/v1");
  request.reply(404, {});
  await asked;
});

test("of an informer that was disposed of nothing is kept", limit, async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  await using s = await scene();
  const informerOf = () => s.cluster.informer(resources.services, {}, { changed: () => {} });
  const begun = () => {
    const informer = informerOf();
    informer.start();
    informer[Symbol.dispose]();
    return new WeakRef(informer);
  };
  const [kept, gone] = [new WeakRef(informerOf()), begun()];
  for (let turn = 0; turn < 2_000 && gone.deref() !== undefined; turn++) {
    await sleep(10);
    collect();
  }
  assert.equal(gone.deref(), undefined);
  assert.ok(kept.deref(), "one that was not is");
});
