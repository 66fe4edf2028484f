import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLog } from "#pkg/log/testing";
import { resources } from "./resources.ts";
import { SecretValues, type SecretValuesOptions } from "./secret-values.ts";
import { FakeCluster, secret } from "./testing/index.ts";

const namespace = "metallb-system";

function bench(use: SecretValuesOptions["use"] = "bgp-password") {
  const cluster = new FakeCluster();
  const calls: string[] = [];
  const log = { ...silentLog, warn: (message: string, fields?: object) => calls.push(`${message} ${JSON.stringify(fields)}`) };
  const values = new SecretValues({ cluster, namespace, use, log, changed: () => calls.push("changed") });
  values.watch(new Set(["routers"]));
  return { cluster, calls, values, informer: cluster.of(resources.secrets, "routers") };
}
const wanted = { name: "routers", key: "main" };

test("SecretValues: only the Secrets that are wanted are watched, each for as long as it is", () => {
  const { cluster, values, informer } = bench();
  assert.deepEqual(informer.scope, { namespace, fieldSelector: "metadata.name=routers" });
  assert.equal(informer.started, true);
  values.watch(new Set(["routers", "other"]));
  assert.equal(cluster.informers.length, 2);
  values.watch(new Set(["other"]));
  assert.equal(informer.disposed, true);
  values[Symbol.dispose]();
  assert.ok(cluster.informers.every(({ disposed }) => disposed));
});

test("SecretValues: until there is a value, what is missing is described", () => {
  const { values, informer, calls } = bench();
  const missing = () => {
    const value = values.get(wanted);
    return typeof value === "object" ? value.missing : value;
  };
  assert.equal(missing(), "Secret metallb-system/routers has not been read yet");
  for (const _ of [1, 2]) informer.forbid();
  assert.equal(
    missing(),
    "Secret metallb-system/routers may not be read: the process's ServiceAccount needs a Role to list and watch it",
  );
  assert.deepEqual(calls, ["changed"], "once");
  informer.sync();
  assert.equal(missing(), "there is no Secret metallb-system/routers, or nothing in it");
  informer.see(secret(`${namespace}/routers`, { spare: "x", other: "y" }, "bgp-password"));
  assert.equal(missing(), 'Secret metallb-system/routers has no key "main", but spare, other');
});

test("SecretValues: a Secret that was refused for a while is missing again once it may be read", () => {
  const { values, informer, calls } = bench();
  informer.sync();
  calls.splice(0);
  informer.lose(0);
  informer.forbid();
  assert.match((values.get(wanted) as { missing: string }).missing, /may not be read/);
  informer.lose(undefined);
  assert.deepEqual(values.get(wanted), { missing: "there is no Secret metallb-system/routers, or nothing in it" });
  assert.deepEqual(calls, ["changed", "changed"]);
});

test("SecretValues: nothing is taken from a Secret that is not marked for this use, whatever the configuration names", () => {
  for (const use of ["", "netbox-token"]) {
    const { values, informer } = bench();
    informer.see(secret(`${namespace}/routers`, { main: "hunter2" }, use));
    informer.sync();
    const { missing } = values.get(wanted) as { missing: string };
    assert.match(missing, /^Secret metallb-system\/routers is not marked for this use: .* the label ingot-use=bgp-password$/);
    informer.see(secret(`${namespace}/routers`, { main: "hunter3" }, "bgp-password"));
    assert.equal(values.get(wanted), "hunter3");
    informer.see(secret(`${namespace}/routers`, { main: "hunter4" }, use));
    assert.equal(values.get(wanted), "hunter3", "as after a deletion");
  }
});

test("SecretValues: a token and what stands beside it are of one version of the Secret", () => {
  const { values, informer } = bench("netbox-token");
  informer.see(secret(`${namespace}/routers`, { main: "old", url: "https://old.example.com" }, "netbox-token"));
  informer.see(secret(`${namespace}/routers`, { main: "new" }, "netbox-token"));
  assert.equal(values.get(wanted), "new");
  assert.equal(typeof values.get({ name: "routers", key: "url" }), "object");
  informer.forget("metallb-system/routers");
  assert.equal(values.get(wanted), "new", "deleted by accident");
});

test("SecretValues: a changed value is reported, without the line break that files end with", () => {
  const { values, informer, calls } = bench();
  informer.see(secret(`${namespace}/routers`, { main: "hunter2\n" }, "bgp-password"));
  assert.equal(values.get(wanted), "hunter2");
  informer.see(secret(`${namespace}/routers`, { main: "hunter3\r\n" }, "bgp-password"));
  assert.equal(values.get(wanted), "hunter3");
  assert.deepEqual(calls, ["changed", "changed"]);
});

test("SecretValues: what is deleted by accident stays in use, and the log names it without the value", () => {
  const { values, informer, calls } = bench();
  informer.see(secret(`${namespace}/routers`, { main: "hunter2", constructor: "y", spare: "x" }, "bgp-password"));
  informer.see(secret(`${namespace}/routers`, { spare: "x" }, "bgp-password"));
  informer.forget("metallb-system/routers");
  assert.equal(values.get(wanted), "hunter2");
  const warning = (keys: string[]) =>
    `values of a Secret are gone, the last ones stay in use ${JSON.stringify({ event: "secretChanged", secret: "routers", keys })}`;
  assert.deepEqual(calls, [
    "changed",
    warning(["main", "constructor"]),
    "changed",
    warning(["main", "constructor", "spare"]),
    "changed",
  ]);
});
