import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { SimulatedClock } from "#pkg/clock/testing";
import { at, type Json, type JsonObject } from "./json.ts";
import { ApiServer, type ApiServerOptions, type RequestRecord } from "./server.ts";
import { TestClient } from "./test-client.ts";

const services = "/api/v1/namespaces/default/services";
const configMaps = "/api/v1/namespaces/default/configmaps";

async function start(options: ApiServerOptions = {}): Promise<{ server: ApiServer; client: TestClient } & AsyncDisposable> {
  const server = new ApiServer(options);
  await server.start();
  const client = new TestClient(server);
  return {
    server,
    client,
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

function service(name: string, spec: JsonObject = {}): JsonObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name },
    spec: { type: "LoadBalancer", ports: [{ port: 80 }], ...spec },
  };
}

function configMap(name: string, metadata: JsonObject = {}) {
  return { apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace: "default", ...metadata }, data: { a: "b" } };
}

function names(list: Json | undefined): unknown[] {
  return (at(list, "items") as Json[]).map((item) => at(item, "metadata", "name"));
}

test("a created Service gets the defaults, the addresses and the node port that the real API gives", async () => {
  await using started = await start();
  const { code, body } = await started.client.post(services, service("web", { selector: { app: "web" } }));
  assert.equal(code, 201);
  assert.deepEqual(body.spec, {
    ports: [{ protocol: "TCP", port: 80, targetPort: 80, nodePort: 30000 }],
    selector: { app: "web" },
    clusterIP: "10.96.0.10",
    clusterIPs: ["10.96.0.10"],
    type: "LoadBalancer",
    sessionAffinity: "None",
    externalTrafficPolicy: "Cluster",
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
    allocateLoadBalancerNodePorts: true,
    internalTrafficPolicy: "Cluster",
  });
  assert.deepEqual(body.status, { loadBalancer: {} });
});

test("status is written by its subresource alone, and by nothing else", async () => {
  await using started = await start();
  const { client } = started;
  await client.post(services, { ...service("web"), status: { loadBalancer: { ingress: [{ ip: "192.0.2.9" }] } } });
  const created = await client.get(`${services}/web`);
  assert.deepEqual(created.body.status, { loadBalancer: {} }, "creation ignores a status");
  const ingress = { status: { loadBalancer: { ingress: [{ ip: "192.0.2.1" }] } }, spec: { type: "NodePort" } };
  const byStatus = await client.put(`${services}/web/status`, { ...created.body, status: ingress.status });
  assert.deepEqual(at(byStatus.body, "status", "loadBalancer", "ingress"), [{ ip: "192.0.2.1", ipMode: "VIP" }]);
  const patched = await client.patch(`${services}/web/status`, "merge", { spec: { sessionAffinity: "ClientIP" } });
  assert.equal(at(patched.body, "spec", "sessionAffinity"), "None", "the status subresource ignores the spec");
  const main = await client.patch(`${services}/web`, "merge", { status: { loadBalancer: { ingress: null } } });
  assert.deepEqual(main.body.status, byStatus.body.status, "the main resource ignores the status");
});

test("a Node keeps the status that it is created with, as kubelets rely on", async () => {
  await using started = await start();
  const status = { addresses: [{ type: "InternalIP", address: "192.0.2.1" }] };
  const { body } = await started.client.post("/api/v1/nodes", { metadata: { name: "n" }, status });
  assert.deepEqual(body.status, status);
});

test("a write of nothing new keeps the resource version and wakes no watch", async () => {
  await using started = await start();
  const { client } = started;
  const created = await client.post(services, service("web"));
  const same = await client.patch(`${services}/web`, "merge", { spec: { type: "LoadBalancer" } });
  assert.equal(at(same.body, "metadata", "resourceVersion"), at(created.body, "metadata", "resourceVersion"));
});

test("an update from an old resource version is a conflict", async () => {
  await using started = await start();
  const { client } = started;
  const { body: old } = await client.post(configMaps, configMap("a"));
  await client.patch(`${configMaps}/a`, "merge", { data: { a: "c" } });
  const { code, body } = await client.put(`${configMaps}/a`, { ...old, data: { a: "d" } });
  assert.equal(code, 409);
  assert.equal(body.reason, "Conflict");
  assert.match(
    String(body.message),
    /^Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes/,
  );
});

test("a change of what was deleted and made anew is a conflict, of its version or of its identity", async () => {
  await using started = await start();
  const { server, client } = started;
  const { metadata: old } = server.create(configMap("a"));
  server.delete(configMap("a"));
  server.create(configMap("a"));
  const { uid = "", resourceVersion = "" } = old;
  assert.equal((await client.patch(`${configMaps}/a`, "merge", { metadata: { uid, resourceVersion } })).code, 409);
  assert.equal((await client.put(`${configMaps}/a`, configMap("a", { uid }))).code, 409);
  assert.equal((await client.patch(`${configMaps}/a`, "merge", { metadata: { uid } })).code, 422);
});

test("what only the server writes is not taken from a client", async () => {
  await using started = await start();
  const { client } = started;
  const forged = {
    creationTimestamp: "2000-01-01T00:00:00Z",
    deletionTimestamp: "2000-01-01T00:00:00Z",
    generation: 9,
    managedFields: [{}],
  };
  const { code, body } = await client.post(configMaps, configMap("a", { uid: "forged", ...forged }));
  assert.equal(code, 201);
  const { uid, creationTimestamp, resourceVersion, ...rest } = body.metadata as JsonObject;
  assert.deepEqual(rest, { name: "a", namespace: "default" });
  assert.notEqual(uid, "forged");
  assert.notEqual(creationTimestamp, forged.creationTimestamp);
  const same = await client.patch(`${configMaps}/a`, "merge", { metadata: forged });
  assert.deepEqual(same.body.metadata, { ...rest, uid, creationTimestamp, resourceVersion });
});

const refused: { name: string; method: "post" | "put" | "delete"; path: string; body: Json; code: number; message: RegExp }[] = [
  {
    name: "a name that is no DNS label",
    method: "post",
    path: services,
    body: service("A_"),
    code: 422,
    message: /^Service "A_" is invalid: metadata.name: Invalid value: "A_": a DNS-1035 label/,
  },
  {
    name: "a name that is taken",
    method: "post",
    path: services,
    body: service("kubernetes"),
    code: 409,
    message: /^services "kubernetes" already exists$/,
  },
  {
    name: "a namespace that does not exist",
    method: "post",
    path: "/api/v1/namespaces/nope/services",
    body: service("a"),
    code: 404,
    message: /^namespaces "nope" not found$/,
  },
  {
    name: "another kind than the path's",
    method: "post",
    path: services,
    body: { ...service("a"), kind: "Pod" },
    code: 400,
    message: /^Pod in version "v1" cannot be handled as a Service/,
  },
  {
    name: "another namespace than the path's",
    method: "post",
    path: services,
    body: { metadata: { name: "a", namespace: "other" } },
    code: 400,
    message: /namespace of the provided object does not match/,
  },
  { name: "no object at all", method: "post", path: services, body: "x", code: 400, message: /cannot be handled as a Service/ },
  {
    name: "a list where there should be an object",
    method: "post",
    path: services,
    body: { metadata: { name: "a" }, spec: [] },
    code: 400,
    message: /cannot unmarshal array into spec/,
  },
  {
    name: "ports that are no list",
    method: "post",
    path: services,
    body: service("a", { ports: "x" }),
    code: 400,
    message: /cannot unmarshal string into field Service.spec.ports/,
  },
  {
    name: "an update of what does not exist",
    method: "put",
    path: `${configMaps}/a`,
    body: configMap("a"),
    code: 404,
    message: /^configmaps "a" not found$/,
  },
  {
    name: "an update under another name",
    method: "put",
    path: `${services}/kubernetes`,
    body: service("a"),
    code: 400,
    message: /^the name of the object \(a\) does not match the name on the URL \(kubernetes\)$/,
  },
  {
    name: "a deletion of another incarnation",
    method: "delete",
    path: `${services}/kubernetes`,
    body: { preconditions: { uid: "x" } },
    code: 409,
    message: /UID in the precondition \(x\) does not match/,
  },
  {
    name: "the deletion of the namespace default",
    method: "delete",
    path: "/api/v1/namespaces/default",
    body: {},
    code: 403,
    message: /may not be deleted/,
  },
];
for (const { name, method, path, body, code, message } of refused) {
  test(`refused with ${code}: ${name}`, async () => {
    await using started = await start();
    const answer = await started.client[method](path, body);
    assert.equal(answer.code, code);
    assert.equal(answer.body.kind, "Status");
    assert.match(String(answer.body.message), message);
  });
}

test("paths and methods that are not served get the answers of the real API", async () => {
  await using started = await start();
  const { client } = started;
  assert.equal(
    (await client.get("/api/v1/namespaces/default/podtemplates")).body.message,
    "the server could not find the requested resource",
  );
  assert.equal((await client.get("/apis/example.com/v1")).code, 404);
  assert.equal((await client.post("/api/v1/services", {})).code, 405);
  assert.equal((await client.put(services, {})).code, 405);
  assert.equal((await client.get("//%zz/?%")).code, 404);
  assert.equal((await client.send("PATCH", `${services}/kubernetes`, {}, { "content-type": "text/plain" })).code, 415);
  started.server.create({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p", namespace: "default" },
    spec: { containers: [{ name: "c", image: "i" }] },
  });
  const logs = await client.get("/api/v1/namespaces/default/pods/p/log");
  assert.equal(logs.code, 501);
  assert.match(String(logs.body.message), /^pods\/log is not supported/);
  assert.equal((await client.get(services, { accept: "application/vnd.kubernetes.protobuf" })).code, 406);
});

test("generateName makes names that are free", async () => {
  await using started = await start();
  const made = await Promise.all(
    Array.from({ length: 5 }, () => started.client.post(configMaps, { metadata: { generateName: "x-" } })),
  );
  const all = made.map(({ body }) => String(at(body, "metadata", "name")));
  assert.equal(new Set(all).size, 5);
  for (const name of all) assert.match(name, /^x-[a-z0-9]{5}$/);
});

test("pages of a list show the state that the first page saw", async () => {
  await using started = await start();
  const { server, client } = started;
  for (const name of ["a", "b", "c", "d", "e"]) server.create(configMap(name));
  const first = await client.get(`${configMaps}?limit=2`);
  assert.deepEqual(names(first.body), ["a", "b"]);
  assert.equal(at(first.body, "metadata", "remainingItemCount"), 3);
  server.delete(configMap("c"));
  server.create(configMap("bb"));
  const token = String(at(first.body, "metadata", "continue"));
  const second = await client.get(`${configMaps}?limit=2&continue=${token}`);
  assert.deepEqual(names(second.body), ["c", "d"]);
  assert.equal(at(second.body, "metadata", "resourceVersion"), at(first.body, "metadata", "resourceVersion"));
  const last = await client.get(`${configMaps}?limit=2&continue=${String(at(second.body, "metadata", "continue"))}`);
  assert.deepEqual(names(last.body), ["e"]);
  assert.equal(at(last.body, "metadata", "continue"), undefined);

  server.compact();
  const expired = await client.get(`${configMaps}?limit=2&continue=${token}`);
  assert.equal(expired.code, 410);
  assert.equal(expired.body.reason, "Expired");
  assert.equal((await client.get(`${configMaps}?limit=2&continue=nonsense`)).code, 400);
});

test("lists select by label, by field and by namespace", async () => {
  await using started = await start();
  const { server, client } = started;
  server.create(configMap("a", { labels: { app: "x" } }));
  server.create(configMap("b", { labels: { app: "y" } }));
  server.create({ ...configMap("c"), metadata: { name: "c", namespace: "kube-system", labels: { app: "x" } } });
  assert.deepEqual(names((await client.get("/api/v1/configmaps?labelSelector=app%3Dx")).body), ["a", "c"]);
  assert.deepEqual(names((await client.get(`${configMaps}?labelSelector=app`)).body), ["a", "b"]);
  assert.deepEqual(names((await client.get("/api/v1/configmaps?fieldSelector=metadata.name%3Dc")).body), ["c"]);
  assert.equal((await client.get("/api/v1/configmaps?fieldSelector=data.a%3Db")).code, 400);
});

test("a watch goes on from a list without a gap", async () => {
  await using started = await start();
  const { server, client } = started;
  server.create(configMap("before"));
  const list = await client.get(configMaps);
  server.create(configMap("between"));
  using watch = await client.watch(
    `${configMaps}?watch=1&resourceVersion=${String(at(list.body, "metadata", "resourceVersion"))}`,
  );
  server.patch(configMap("before"), { data: { a: "c" } });
  server.delete(configMap("before"));
  assert.deepEqual(await watch.take(3), ["ADDED between", "MODIFIED before", "DELETED before"]);
});

test("a watch without a version begins with what there is, and marks its end on request", async () => {
  await using started = await start();
  const { server, client } = started;
  server.create(configMap("a"));
  using plain = await client.watch(`${configMaps}?watch=true`);
  assert.deepEqual(await plain.take(1), ["ADDED a"]);
  using streamed = await client.watch(
    `${configMaps}?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan`,
  );
  assert.deepEqual(await streamed.take(1), ["ADDED a"]);
  const mark = await streamed.next();
  assert.equal(mark?.type, "BOOKMARK");
  assert.deepEqual(at(mark?.object, "metadata"), {
    name: "",
    resourceVersion: server.resourceVersion,
    annotations: { "k8s.io/initial-events-end": "true" },
  });
});

test("an object that begins or ceases to match a selector is added or deleted for the watch", async () => {
  await using started = await start();
  const { server, client } = started;
  using watch = await client.watch(`${configMaps}?watch=1&labelSelector=app%3Dx&resourceVersion=${server.resourceVersion}`);
  server.create(configMap("a"));
  server.patch(configMap("a"), { metadata: { labels: { app: "x" } } });
  server.patch(configMap("a"), { data: { b: "c" } });
  server.patch(configMap("a"), { metadata: { labels: { app: "y" } } });
  server.delete(configMap("a"));
  server.create(configMap("last", { labels: { app: "x" } }));
  assert.deepEqual(await watch.take(4), ["ADDED a", "MODIFIED a", "DELETED a", "ADDED last"]);
});

test("a watch from before the history gets a 410, whether by age or by compaction", async () => {
  await using started = await start({ historySize: 2 });
  const { server, client } = started;
  const version = server.resourceVersion;
  for (const name of ["a", "b"]) server.create(configMap(name));
  using inside = await client.watch(`${configMaps}?watch=1&resourceVersion=${version}`);
  assert.deepEqual(await inside.take(2), ["ADDED a", "ADDED b"]);
  server.create(configMap("c"));
  using outside = await client.watch(`${configMaps}?watch=1&resourceVersion=${version}`);
  const error = await outside.next();
  assert.equal(error?.type, "ERROR");
  assert.equal(error?.object.code, 410);
  assert.equal(error?.object.reason, "Expired");
  assert.equal(await outside.next(), undefined, "the stream ends");

  const newest = server.resourceVersion;
  server.compact();
  using compacted = await client.watch(`${configMaps}?watch=1&resourceVersion=${newest}`);
  assert.equal((await compacted.next())?.object.code, 410);
});

test("a watch or list from the future has to wait", async () => {
  await using started = await start();
  const answer = await started.client.get(`${configMaps}?resourceVersion=99999`);
  assert.equal(answer.code, 504);
  assert.match(String(answer.body.message), /Too large resource version: 99999/);
});

test("watches get bookmarks at their interval and end at their timeout", async () => {
  const clock = new SimulatedClock();
  await using started = await start({ clock, bookmarkInterval: 1000 });
  const { server, client } = started;
  const query = `watch=1&resourceVersion=${server.resourceVersion}&timeoutSeconds=5`;
  using watch = await client.watch(`${configMaps}?${query}&allowWatchBookmarks=true`);
  using without = await client.watch(`${configMaps}?${query}`);
  clock.advanceBy(1000);
  assert.deepEqual(await watch.take(1), ["BOOKMARK"]);
  server.create(configMap("a"));
  assert.deepEqual(await watch.take(1), ["ADDED a"]);
  assert.deepEqual(await without.take(1), ["ADDED a"], "no bookmark for those who did not ask");
  clock.advanceBy(4000);
  assert.equal(await without.next(), undefined);
});

test("dropped watches end, and others can be opened", async () => {
  await using started = await start();
  const { server, client } = started;
  using watch = await client.watch(`${configMaps}?watch=1&resourceVersion=${server.resourceVersion}`);
  server.dropWatches();
  assert.equal(await watch.next(), undefined);
  using again = await client.watch(`${configMaps}?watch=1&resourceVersion=${server.resourceVersion}`);
  server.create(configMap("a"));
  assert.deepEqual(await again.take(1), ["ADDED a"]);
});

test("a paused server is unreachable, and comes back on its port with its state", async () => {
  await using started = await start();
  const { server, client } = started;
  server.create(configMap("a"));
  const { url } = server;
  using watch = await client.watch(`${configMaps}?watch=1&resourceVersion=${server.resourceVersion}`);
  await server.pause();
  assert.equal(await watch.next().catch(() => undefined), undefined);
  await assert.rejects(client.get(configMaps), { code: "ECONNREFUSED" });
  server.create(configMap("meanwhile"));
  await server.resume();
  assert.equal(server.url, url);
  assert.deepEqual(names((await client.get(configMaps)).body), ["a", "meanwhile"]);
});

test("injected faults befall the requests they match, as often as asked for", async () => {
  const clock = new SimulatedClock();
  await using started = await start({ clock });
  const { server, client } = started;
  server.inject({
    times: 2,
    matches: ({ target }) => target.type === "resource" && target.plural === "configmaps",
    effect: { type: "answer", code: 429, retryAfterSeconds: 3 },
  });
  assert.equal((await client.get(services)).code, 200);
  const limited = await client.get(configMaps);
  assert.equal(limited.code, 429);
  assert.equal(limited.headers["retry-after"], "3");
  assert.equal(limited.body.reason, "TooManyRequests");
  assert.equal((await client.get(configMaps)).code, 429);
  assert.equal((await client.get(configMaps)).code, 200);

  server.inject({ times: 1, effect: { type: "disconnect" } });
  await assert.rejects(client.get(configMaps), { code: "ECONNRESET" });
  const arrived = Promise.withResolvers<void>();
  server.inject({
    times: 1,
    matches: () => {
      arrived.resolve();
      return true;
    },
    effect: { type: "delay", for: 500 },
  });
  let answered = false;
  const late = client.get(configMaps).finally(() => {
    answered = true;
  });
  await arrived.promise;
  assert.equal(answered, false);
  clock.advanceBy(500);
  assert.equal((await late).code, 200);

  const unused = server.inject({ times: 1, effect: { type: "answer", code: 500 } });
  unused[Symbol.dispose]();
  assert.equal((await client.get(configMaps)).code, 200);
});

test("finalizers hold a deleted object until they are gone", async () => {
  await using started = await start();
  const { server, client } = started;
  server.create(configMap("a", { finalizers: ["example.com/x"] }));
  const deleted = await client.delete(`${configMaps}/a`);
  assert.notEqual(at(deleted.body, "metadata", "deletionTimestamp"), undefined);
  assert.equal((await client.get(`${configMaps}/a`)).code, 200);
  await client.patch(`${configMaps}/a`, "merge", { metadata: { finalizers: null } });
  assert.equal((await client.get(`${configMaps}/a`)).code, 404);
});

test("a deleted namespace takes its content with it, and waits for finalizers", async () => {
  await using started = await start();
  const { server, client } = started;
  const held = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "held", namespace: "n", finalizers: ["example.com/x"] } };
  server.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: "n" } });
  server.create({ ...configMap("a"), metadata: { name: "a", namespace: "n" } });
  server.create(held);
  const { body } = await client.delete("/api/v1/namespaces/n");
  assert.equal(at(body, "status", "phase"), "Terminating");
  assert.deepEqual(
    server.list("v1", "ConfigMap", "n").map(({ metadata }) => metadata.name),
    ["held"],
  );
  const late = await client.post("/api/v1/namespaces/n/configmaps", { metadata: { name: "b" } });
  assert.equal(late.code, 403);
  assert.match(String(late.body.message), /unable to create new content in namespace n because it is being terminated/);
  server.patch(held, { metadata: { finalizers: null } });
  assert.equal((await client.get("/api/v1/namespaces/n")).code, 404);
});

test("a dry run answers as if, and changes nothing", async () => {
  await using started = await start();
  const { server, client } = started;
  const version = server.resourceVersion;
  assert.equal((await client.post(`${services}?dryRun=All`, service("web"))).code, 201);
  assert.equal((await client.delete(`${services}/kubernetes?dryRun=All`)).code, 200);
  assert.equal(
    (await client.patch(`${services}/kubernetes?dryRun=All`, "merge", { metadata: { labels: { a: "b" } } })).code,
    200,
  );
  assert.equal(server.resourceVersion, version);
});

test("a collection is deleted by selector", async () => {
  await using started = await start();
  const { server, client } = started;
  server.create(configMap("a", { labels: { app: "x" } }));
  server.create(configMap("b"));
  assert.deepEqual(names((await client.delete(`${configMaps}?labelSelector=app%3Dx`)).body), ["a"]);
  assert.deepEqual(names((await client.get(configMaps)).body), ["b"]);
});

test("events are the same objects in both of their APIs", async () => {
  await using started = await start();
  const { client } = started;
  const core = "/api/v1/namespaces/default/events";
  const modern = "/apis/events.k8s.io/v1/namespaces/default/events";
  await client.post(modern, {
    metadata: { name: "e" },
    regarding: { kind: "Service", name: "web", namespace: "default" },
    note: "Assigned IP",
    reason: "IPAllocated",
    type: "Normal",
    reportingController: "ingot",
  });
  const event = (await client.get(`${core}?fieldSelector=involvedObject.name%3Dweb,type%3DNormal`)).body;
  assert.deepEqual(names(event), ["e"]);
  const { body } = await client.get(`${core}/e`);
  assert.equal(body.message, "Assigned IP");
  assert.equal(body.apiVersion, "v1");
  await client.patch(`${modern}/e`, "merge", { note: "changed" });
  assert.equal((await client.get(`${modern}/e`)).body.note, "changed");
  assert.equal((await client.get(`${core}/e`)).body.message, "changed");
});

test("a Secret's stringData is written as data", async () => {
  await using started = await start();
  const { body } = await started.client.post("/api/v1/namespaces/default/secrets", {
    metadata: { name: "s" },
    stringData: { secretkey: "abc" },
  });
  assert.deepEqual(body.data, { secretkey: "YWJj" });
  assert.equal(body.stringData, undefined);
  assert.equal(body.type, "Opaque");
});

test("a Deployment counts changes of its spec, and is scaled by its subresource", async () => {
  await using started = await start();
  const { server, client } = started;
  const labels = { app: "x" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "c", image: "i:1" }] } };
  const deployment = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "d", namespace: "default" },
    spec: { selector: { matchLabels: labels }, template },
  };
  server.create(deployment);
  const path = "/apis/apps/v1/namespaces/default/deployments/d";
  const scale = await client.patch(`${path}/scale`, "merge", { spec: { replicas: 3 } });
  assert.deepEqual(scale.body.spec, { replicas: 3 });
  await client.patch(`${path}/status`, "merge", { status: { readyReplicas: 2 } });
  const { body } = await client.get(path);
  assert.equal(at(body, "metadata", "generation"), 2);
  assert.equal(at(body, "spec", "replicas"), 3);
});

test("each request is recorded with who made it, what it was and how it was answered", async () => {
  const records: RequestRecord[] = [];
  await using started = await start({ onRequest: (record) => records.push(record) });
  await started.client.get(`${services}/kubernetes`);
  await started.client.get(`${services}/nope`);
  const [found, missing] = records;
  assert.deepEqual(
    [found?.user, found?.verb, found?.resource, found?.namespace, found?.name, found?.code],
    ["admin", "get", "services", "default", "kubernetes", 200],
  );
  assert.equal(missing?.code, 404);
});

test("the request log has each request as a line of JSON, and goes on where it was", async () => {
  const directory = mkdtempSync(join(tmpdir(), "apiserver-"));
  const requestLog = join(directory, "requests");
  try {
    for (const name of ["a", "b"]) {
      await using started = await start({ requestLog });
      await started.client.get(`${configMaps}/${name}`);
    }
    const lines = readFileSync(requestLog, "utf8").trimEnd().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).name),
      ["a", "b"],
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});
