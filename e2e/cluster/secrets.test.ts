import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { findKcp, patience, RealCluster } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";

// Tests the Secrets against the API server's own RBAC and patches. There are no nodes: the controller is a process
// beside it.
const project = resolve(import.meta.dirname, "../..");
const namespace = "metallb-system";
const secrets = `/api/v1/namespaces/${namespace}/secrets`;
const ofKey = ["--namespace", namespace, "get", "secret", "memberlist", "-o", "jsonpath={.type} {.data.secretkey}"];

test("a controller makes the ring's key in its Secret once, leaves MetalLB's, and cannot come to another account's token by a Secret", {
  timeout: 20 * 60_000,
}, async () => {
  await using cluster = await RealCluster.start({ nodes: 0, kcp: await findKcp() });
  const kubectl = (...args: readonly string[]) => cluster.kubectl(args);
  const apply = (file: string) => kubectl("apply", "-f", join(project, `manifests/${file}.yaml`));
  for (const file of ["base/namespace", "base/rbac"]) await apply(file);
  await apply("components/validating-webhook/rbac");

  const token = (await kubectl("create", "token", "controller", "--namespace", namespace)).trim();
  const config = JSON.parse(await readFile(cluster.kubeconfig, "utf8"));
  config.users[0].user = { token };
  const kubeconfig = join(cluster.directory, "controller.conf");
  await writeFile(kubeconfig, JSON.stringify(config));
  const asController = (...args: readonly string[]) => kubectl("--kubeconfig", kubeconfig, ...args);
  const refused = (...args: readonly string[]) => assert.rejects(asController(...args), /[Ff]orbidden|cannot/);

  // A holder of the controller's token finds no Secret, and makes one for the token of another account.
  for (const name of ["memberlist", "ingot-webhook"]) {
    const annotations = { "kubernetes.io/service-account.name": "speaker" };
    const minted = { apiVersion: "v1", kind: "Secret", metadata: { name, namespace, annotations } };
    const file = join(cluster.directory, `${name}.json`);
    await writeFile(file, JSON.stringify({ ...minted, type: "kubernetes.io/service-account-token" }));
    await refused("create", "-f", file);
    await refused("apply", "--server-side", "-f", file);
  }

  const main = join(project, "controller/main.ts");
  const flags = [`--kubeconfig=${kubeconfig}`, `--namespace=${namespace}`, "--port=0", "--ml-secret-name=memberlist"];
  cluster.client.daemon("controller", [process.execPath, main, ...flags]);
  await apply("base/memberlist");
  const made = await waitFor("the key", async () => /^Opaque (\S+)$/.exec(await kubectl(...ofKey))?.[1], patience);
  await apply("base/memberlist");
  assert.equal(await kubectl(...ofKey), `Opaque ${made}`);
  for (const verb of ["get", "list", "watch", "update", "delete"])
    await assert.rejects(asController("auth", "can-i", verb, "secrets/memberlist", "--namespace", namespace));
  await refused("get", "--raw", `${secrets}?fieldSelector=metadata.name%3Dmemberlist`);
  await refused(
    "patch",
    "--namespace",
    namespace,
    "secret",
    "memberlist",
    "-p",
    '{"type":"kubernetes.io/service-account-token"}',
  );

  // One of MetalLB's, which its controller made, with an owner and no label.
  await kubectl("--namespace", namespace, "delete", "secret", "memberlist");
  await kubectl("--namespace", namespace, "create", "secret", "generic", "memberlist", "--from-literal=secretkey=of MetalLB");
  await apply("base/memberlist");
  const known = `Opaque ${Buffer.from("of MetalLB").toString("base64")}`;
  const looks = async () =>
    (await cluster.requests()).filter(({ resource, verb }) => resource === "secrets" && verb === "patch").length;
  const there = await looks();
  await waitFor("another look of the controller", async () => (await looks()) > there, patience);
  assert.equal(await kubectl(...ofKey), known);
});
