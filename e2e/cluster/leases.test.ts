import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { findKcp, patience, RealCluster } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";

// Tests the Lease against the API server's own RBAC. There are no nodes: controllers are processes beside it.
const project = resolve(import.meta.dirname, "../..");
const namespace = "metallb-system";
const lease = ["--namespace", namespace, "lease", "ingot-controller"];

interface Role {
  readonly rules: {
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    verbs: readonly string[];
  }[];
}

test("two controllers whose Role has `get`, `create` and `update` of the Lease, as client-go wants it, elect one, and its labels stay", {
  timeout: 20 * 60_000,
}, async () => {
  await using cluster = await RealCluster.start({ nodes: 0, kcp: await findKcp() });
  const kubectl = (...args: readonly string[]) => cluster.kubectl(args);
  for (const file of ["namespace", "rbac"]) await kubectl("apply", "-f", join(project, `manifests/base/${file}.yaml`));
  const role: Role = JSON.parse(await kubectl("get", "role", "controller", "--namespace", namespace, "-o", "json"));
  for (const rule of role.rules)
    if (rule.resources.includes("leases") && rule.resourceNames !== undefined) rule.verbs = ["get", "update"];
  const file = join(cluster.directory, "role.json");
  await writeFile(file, JSON.stringify(role));
  await kubectl("replace", "-f", file);

  const config = JSON.parse(await readFile(cluster.kubeconfig, "utf8"));
  const token = (await kubectl("create", "token", "controller", "--namespace", namespace)).trim();
  config.users[0].user = { token };
  const kubeconfig = join(cluster.directory, "controller.conf");
  await writeFile(kubeconfig, JSON.stringify(config));
  const main = join(project, "controller/main.ts");
  const flags = [`--kubeconfig=${kubeconfig}`, `--namespace=${namespace}`, "--port=0"];
  const start = (name: string) => cluster.client.daemon(name, [process.execPath, main, ...flags]);
  const holder = () => kubectl("get", ...lease, "-o", "jsonpath={.spec.holderIdentity}").catch(() => "");

  const first = start("one");
  const before = await waitFor("a holder of the Lease", holder, patience);
  await kubectl("label", ...lease, "team=edge");
  start("two");
  const renewals = async () => {
    const written = (await cluster.requests()).filter(
      ({ resource, verb, status }) => resource === "leases" && verb === "update" && status === 200,
    );
    return written.length;
  };
  const there = await renewals();
  await waitFor("renewals", async () => (await renewals()) > there + 3, patience);
  assert.equal(await holder(), before);
  await first.stop("SIGKILL");
  await waitFor("another holder", async () => !["", before].includes(await holder()), patience);
  assert.equal(await kubectl("get", ...lease, "-o", "jsonpath={.metadata.labels.team}"), "edge");
});
