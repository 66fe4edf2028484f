import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Daemon, findKcp, patience, RealCluster } from "#e2e/cluster";
import { programFile, waitFor } from "#e2e/lab";
import { steps } from "./steps.ts";

// Tests what controllers do to Secrets and the Lease against the API server's own RBAC and patches. There are no nodes: controllers are processes
// beside it.
const project = resolve(import.meta.dirname, "../..");
const namespace = "metallb-system";
const secrets = `/api/v1/namespaces/${namespace}/secrets`;
const leases = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
const lease = ["--namespace", namespace, "lease", "ingot-controller"];

interface Role {
  readonly rules: {
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    verbs: readonly string[];
  }[];
}

const kubectlOf =
  (cluster: RealCluster) =>
  (...args: readonly string[]) =>
    cluster.kubectl(args);

/** Type and key of the ring's Secret. */
async function ringKey(cluster: RealCluster): Promise<string> {
  const { type, data }: { type: string; data: { secretkey: string } } = await cluster.read(`${secrets}/memberlist`);
  return `${type} ${data.secretkey}`;
}

/** A kubeconfig with a token of the controller's account. @returns its path */
async function kubeconfigOfController(cluster: RealCluster): Promise<string> {
  const token = (await cluster.kubectl(["create", "token", "controller", "--namespace", namespace])).trim();
  const config = JSON.parse(await readFile(cluster.kubeconfig, "utf8"));
  config.users[0].user = { token };
  const path = join(cluster.directory, "controller.conf");
  await writeFile(path, JSON.stringify(config));
  return path;
}

function startController(cluster: RealCluster, name: string, kubeconfig: string, ...more: readonly string[]): Daemon {
  const flags = [`--kubeconfig=${kubeconfig}`, `--namespace=${namespace}`, "--port=0", ...more];
  return cluster.client.daemon(name, [process.execPath, programFile("controller"), ...flags]);
}

const step = steps(async () => RealCluster.start({ nodes: 0, kcp: await findKcp() }));

step(
  "a controller makes the ring's key in its Secret once, leaves MetalLB's, and cannot come to another account's token by a Secret",
  async (cluster) => {
    const kubectl = kubectlOf(cluster);
    const apply = (file: string) => kubectl("apply", "-f", join(project, `manifests/${file}.yaml`));
    for (const file of ["base/namespace", "base/rbac"]) await apply(file);
    await apply("components/validating-webhook/rbac");

    const kubeconfig = await kubeconfigOfController(cluster);
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

    const controller = startController(cluster, "controller", kubeconfig, "--ml-secret-name=memberlist");
    await apply("base/memberlist");
    const made = await waitFor("the key", async () => /^Opaque (\S+)$/.exec(await ringKey(cluster))?.[1], patience);
    await apply("base/memberlist");
    assert.equal(await ringKey(cluster), `Opaque ${made}`);
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
    assert.equal(await ringKey(cluster), known);
    await controller.stop();
  },
);

step(
  "two controllers whose Role has `get`, `create` and `update` of the Lease, as client-go wants it, elect one, and its labels stay",
  async (cluster) => {
    const kubectl = kubectlOf(cluster);
    for (const file of ["namespace", "rbac"]) await kubectl("apply", "-f", join(project, `manifests/base/${file}.yaml`));
    const role: Role = JSON.parse(await kubectl("get", "role", "controller", "--namespace", namespace, "-o", "json"));
    for (const rule of role.rules)
      if (rule.resources.includes("leases") && rule.resourceNames !== undefined) rule.verbs = ["get", "update"];
    const file = join(cluster.directory, "role.json");
    await writeFile(file, JSON.stringify(role));
    await kubectl("replace", "-f", file);
    await kubectl("delete", ...lease, "--ignore-not-found"); // The test before had a controller.

    const kubeconfig = await kubeconfigOfController(cluster);
    interface Lease {
      readonly spec: { readonly holderIdentity?: string };
    }
    const read = () => cluster.read<Lease>(`${leases}/ingot-controller`);
    const holder = () =>
      read().then(
        ({ spec }) => spec.holderIdentity ?? "",
        () => "",
      );

    const first = startController(cluster, "one", kubeconfig);
    const before = await waitFor("a holder of the Lease", holder, patience);
    await kubectl("label", ...lease, "team=edge");
    startController(cluster, "two", kubeconfig);
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
  },
);
