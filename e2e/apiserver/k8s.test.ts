/** The project's own Kubernetes client against this server: each is the other's check. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { waitFor } from "#e2e/lab";
import { SystemClock } from "#pkg/clock";
import { seededRandom } from "#pkg/clock/testing";
import { type Cluster, connect, EventRecorder, resources, type Service, serviceReference } from "#pkg/k8s";
import { silentLog } from "#pkg/log/testing";
import { type Component, configurationState, StatusKeeper, statusKinds } from "#pkg/status-objects";
import { verdict } from "#pkg/verdict";
import { at, type JsonObject } from "./json.ts";
import type { KubeObject } from "./objects.ts";
import { ApiServer } from "./server.ts";
import { TestClient } from "./test-client.ts";

const clock = new SystemClock();

interface Connected extends AsyncDisposable {
  readonly server: ApiServer;
  readonly cluster: Cluster;
}

async function connected(): Promise<Connected> {
  const server = new ApiServer();
  await server.start();
  const directory = mkdtempSync(join(tmpdir(), "apiserver-"));
  const kubeconfig = join(directory, "kubeconfig");
  writeFileSync(kubeconfig, server.kubeconfig());
  const cluster = connect({ kubeconfig, userAgent: "test", log: silentLog, clock, random: seededRandom(1) });
  return {
    server,
    cluster,
    [Symbol.asyncDispose]: async () => {
      await cluster[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

function service(name: string) {
  const spec = { type: "LoadBalancer", ports: [{ port: 80 }] };
  return { apiVersion: "v1", kind: "Service", metadata: { name, namespace: "default" }, spec };
}

/** Follows Services; `until` resolves once the set of names is exactly this one. */
function follow(cluster: Cluster) {
  const names = new Map<string, Service>();
  let check = (): void => {};
  const informer = cluster.informer(
    resources.services,
    { namespace: "default" },
    {
      changed: (key, now) => {
        if (now === undefined) names.delete(key);
        else names.set(key, now);
        check();
      },
    },
  );
  informer.start();
  return {
    get: (name: string) => names.get(`default/${name}`),
    until: (holds: (names: ReadonlyMap<string, Service>) => boolean): Promise<void> => {
      const { promise, resolve } = Promise.withResolvers<void>();
      check = () => holds(names) && resolve();
      check();
      return promise;
    },
  };
}

test("informers follow changes, through dropped watches, lost history and an unreachable server", {
  timeout: 300_000,
}, async () => {
  await using started = await connected();
  const { server, cluster } = started;
  const services = follow(cluster);
  await services.until((names) => names.has("default/kubernetes"));
  server.create(service("a"));
  await services.until((names) => names.has("default/a"));
  server.dropWatches();
  server.create(service("b"));
  await services.until((names) => names.has("default/b"));
  await server.pause();
  server.delete(service("a"));
  server.compact();
  await server.resume();
  await services.until((names) => !names.has("default/a") && names.has("default/b"));
});

test("addresses are written into the status of exactly the version that was seen", { timeout: 300_000 }, async () => {
  await using started = await connected();
  const { server, cluster } = started;
  server.create(service("a"));
  const services = follow(cluster);
  await services.until((names) => names.has("default/a"));
  const seen = services.get("a");
  assert.ok(seen);
  assert.equal(await cluster.writeIngress(seen, ["192.0.2.1"]), "written");
  assert.deepEqual(at(server.get(service("a")), "status", "loadBalancer", "ingress"), [{ ip: "192.0.2.1", ipMode: "VIP" }]);
  assert.equal(await cluster.writeIngress(seen, ["192.0.2.2"]), "conflict");
  server.delete(service("a"));
  assert.equal(await cluster.writeIngress(seen, ["192.0.2.2"]), "gone");
  server.create(service("a"));
  assert.equal(await cluster.writeIngress(seen, ["192.0.2.2"]), "conflict");
});

test("writes wait while the server is busy, and Events and Secrets arrive", { timeout: 300_000 }, async () => {
  await using started = await connected();
  const { server, cluster } = started;
  server.create({ apiVersion: "v1", kind: "Secret", metadata: { namespace: "default", name: "memberlist" }, type: "Opaque" });
  server.inject({ times: 1, effect: { type: "answer", code: 503 } });
  assert.equal(await cluster.fillSecret("default", "memberlist", { secretkey: "abc" }), "filled");
  assert.equal(await cluster.fillSecret("default", "memberlist", { secretkey: "other" }), "hasData");
  assert.equal(await cluster.hasEndpointSlices(), true);
  server.create(service("a"));
  const services = follow(cluster);
  await services.until((names) => names.has("default/a"));
  const seen = services.get("a");
  assert.ok(seen);
  {
    await using recorder = new EventRecorder(cluster, {
      component: "metallb-controller",
      namespace: "metallb-system",
      log: silentLog,
      clock,
    });
    recorder.record(serviceReference(seen), "Normal", "IPAllocated", "Assigned IP");
  }
  assert.deepEqual(
    server.list("v1", "Event").map(({ reason, message }) => [reason, message]),
    [["IPAllocated", "Assigned IP"]],
  );
});

test("status objects are taken over by another writer, and deleted by name unless they changed, or by label", {
  timeout: 300_000,
}, async () => {
  await using started = await connected();
  const { server, cluster } = started;
  const kind = { api: "/apis/metallb.io/v1beta1", plural: "servicel2statuses", kind: "ServiceL2Status" };
  const found = () => server.list("metallb.io/v1beta1", kind.kind) as readonly KubeObject[];
  const write = async (node: string, name: string) => {
    const ownerReferences = [{ apiVersion: "v1", kind: "Pod", name: `speaker-${node}`, uid: `uid of ${node}` }];
    const labels = { "metallb.io/node": node };
    await cluster.applyObject(kind, { namespace: "default", name, labels, annotations: {}, ownerReferences });
    await cluster.applyObject(
      kind,
      { namespace: "default", name },
      { node, ...(node === "n1" && { interfaces: [{ name: "eth0" }] }) },
    );
  };
  await write("n1", "l2-a");
  const [first] = found();
  await write("n2", "l2-a");
  const [{ metadata, status } = assert.fail(), ...others] = found();
  assert.deepEqual(others, []);
  assert.deepEqual(status, { node: "n2" });
  assert.deepEqual(metadata.labels, { "metallb.io/node": "n2" });
  assert.deepEqual(at(metadata, "ownerReferences"), [{ apiVersion: "v1", kind: "Pod", name: "speaker-n2", uid: "uid of n2" }]);
  const reference = { namespace: "default", name: "l2-a" };
  await cluster.deleteObject(kind, { ...reference, resourceVersion: first?.metadata.resourceVersion ?? "" });
  assert.equal(found().length, 1, "it is another's by now");
  await write("n1", "l2-b");
  await cluster.deleteObjects(kind, "default", "metallb.io/node=n1");
  assert.deepEqual(
    found().map((one) => one.metadata.name),
    ["l2-a"],
  );
  for (let i = 0; i < 2; i++) await cluster.deleteObject(kind, reference);
  assert.deepEqual(found(), []);
  await assert.rejects(cluster.applyObject({ ...kind, api: "/apis/metallb.io/v2" }, reference), { status: 404 });
});

test("of an error that MetalLB left in a ConfigurationState nothing stays", async () => {
  await using started = await connected();
  const { server, cluster } = started;
  using client = new TestClient(server);
  const namespace = "default";
  const [, , , kind] = statusKinds;
  const states = `${kind.api}/namespaces/${namespace}/${kind.plural}`;
  const takeOver = async (component: Component, name: string, manager: string) => {
    const labels = { "metallb.io/component-type": component.type };
    const metallbs = { apiVersion: "metallb.io/v1beta1", kind: kind.kind };
    await client.post(states, { ...metallbs, metadata: { name, labels } });
    const status = { result: "Invalid", errorSummary: "configuration error: peer tor" };
    const body = { ...metallbs, metadata: { name }, status };
    const { code } = await client.patch(`${states}/${name}/status?fieldManager=${manager}&force=true`, "apply", body);
    assert.equal(code, 200);
    const configuration = () => ({ verdict: verdict("configuration", "inForce"), since: 0 });
    using keeper = new StatusKeeper({
      cluster,
      namespace,
      kind,
      clock,
      random: seededRandom(1),
      log: silentLog,
      selector: `metallb.io/component-type=${component.type}`,
      owner: { name: "own", uid: "1" },
      wanted: configurationState(component, configuration, { namespace, clock }),
    });
    keeper.start();
    const found = async () => (await client.get(`${states}/${name}`)).body.status as JsonObject;
    await waitFor("a valid one", async () => (await found()).result === "Valid", { every: 250 });
    assert.equal((await found()).errorSummary, undefined);
  };
  await Promise.all([
    takeOver({ type: "controller" }, "controller", "poolReconciler"),
    takeOver({ type: "speaker", node: "n1" }, "speaker-n1", "configReconciler"),
  ]);
});
