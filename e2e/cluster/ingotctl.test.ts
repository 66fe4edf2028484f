import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { after, before, suite, test } from "node:test";
import { type CommandError, findKcp, RealCluster } from "#e2e/cluster";
import { programFile } from "#e2e/lab";

const project = resolve(import.meta.dirname, "../..");
const program = programFile("ingotctl");
const namespace = "metallb-system";

interface Report {
  readonly findings: readonly {
    readonly severity: string;
    readonly check: string;
    readonly where: string;
    readonly found: string;
  }[];
  readonly unread: readonly { readonly what: string; readonly why: string }[];
}

/** `ingotctl` as an administrator uses it, on a host of the cluster's LAN. */
suite("ingotctl on a real API server", () => {
  let cluster: RealCluster;
  before(async () => {
    cluster = await RealCluster.start({ nodes: 1, kcp: await findKcp() });
    await apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } });
  });
  after(() => cluster?.[Symbol.asyncDispose]());

  const apply = (...objects: object[]) =>
    cluster.kubectl(["apply", "-f", "-"], { input: objects.map((object) => JSON.stringify(object)).join("\n---\n") });

  async function check(kubeconfig = cluster.kubeconfig): Promise<{ status: string } & Report> {
    const command = [process.execPath, program, "takeover", "--check", "-o", "json", "--kubeconfig", kubeconfig] as const;
    try {
      return { status: "0", ...JSON.parse(await cluster.client.run([...command])) };
    } catch (error) {
      const { stdout, message } = error as CommandError;
      return { status: /exit status (\d+)/.exec(message)?.[1] ?? message, ...JSON.parse(stdout) };
    }
  }

  test("takeover --check reads all of it, and finds what is there", async () => {
    const labels = { app: "metallb", component: "speaker" };
    const config = "address-pools: [{name: lan, protocol: layer2, addresses: [172.30.0.200-172.30.0.210]}]\n";
    const onHost = {
      hostNetwork: true,
      containers: [{ name: "c", image: "example.com/serf", ports: [{ containerPort: 7946 }] }],
    };
    await apply(
      { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace, name: "config" }, data: { config } },
      {
        apiVersion: "apps/v1",
        kind: "DaemonSet",
        metadata: { namespace, name: "speaker", labels },
        spec: {
          selector: { matchLabels: labels },
          template: {
            metadata: { labels },
            spec: {
              hostNetwork: true,
              containers: [{ name: "speaker", image: "quay.io/metallb/speaker:v0.12.1", ports: [{ containerPort: 7472 }] }],
            },
          },
        },
      },
      { apiVersion: "v1", kind: "Pod", metadata: { namespace: "default", name: "serf" }, spec: onHost },
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { namespace: "default", name: "classy" },
        spec: { type: "LoadBalancer", loadBalancerClass: "example.com/lb", ports: [{ port: 80 }] },
      },
      {
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "ValidatingWebhookConfiguration",
        metadata: { name: "metallb-webhook-configuration" },
        webhooks: [
          {
            name: "ipaddresspool.metallb.io",
            admissionReviewVersions: ["v1"],
            sideEffects: "None",
            clientConfig: { service: { namespace, name: "webhook-service" } },
            rules: [
              { apiGroups: ["metallb.io"], apiVersions: ["v1beta1"], operations: ["CREATE"], resources: ["ipaddresspools"] },
            ],
          },
        ],
      },
    );
    const scheduled = "--for=jsonpath={.status.desiredNumberScheduled}=1";
    await cluster.kubectl(["-n", namespace, "wait", scheduled, "daemonset/speaker", "--timeout=5m"]);
    await cluster.kubectl(["wait", "--for=condition=PodScheduled", "pod/serf", "--timeout=5m"]);
    const { status, findings, unread } = await check();
    assert.deepEqual([status, unread], ["1", []]);
    const told = findings.filter(({ severity }) => severity !== "note").map(({ check, where }) => `${check} ${where}`);
    assert.deepEqual(told.toSorted(), [
      "class Service default/classy",
      `ports Pod default/serf, on node ${cluster.nodes[0]?.name}`,
      "webhook ValidatingWebhookConfiguration metallb-webhook-configuration",
      "workloads DaemonSet metallb-system/speaker", // Its image cannot be pulled.
    ]);
  });

  test("takeover --check with hardly any rights says what it could not read", async () => {
    await cluster.kubectl(["create", "serviceaccount", "reader"]);
    const token = (await cluster.kubectl(["create", "token", "reader"])).trim();
    const file = join(cluster.directory, "reader.kubeconfig");
    await writeFile(file, await cluster.kubectl(["config", "view", "--raw", "--flatten"]));
    await cluster.kubectl(["--kubeconfig", file, "config", "set-credentials", "reader", `--token=${token}`]);
    await cluster.kubectl(["--kubeconfig", file, "config", "set-context", "--current", "--user=reader"]);
    const { status, findings, unread } = await check(file);
    assert.equal(status, "3");
    assert.ok(
      unread.some(({ what, why }) => what === "Pods" && /^403 pods is forbidden/.test(why)),
      JSON.stringify(unread),
    );
    assert.deepEqual(
      findings.filter(({ severity }) => severity === "error"),
      [],
    );
  });

  const crds = process.env.METALLB_CRDS;
  const skip =
    crds === undefined
      ? "METALLB_CRDS does not name a folder with MetalLB's CustomResourceDefinitions (config/crd/bases of its sources)"
      : false;
  test("every sample becomes custom resources that MetalLB's own definitions take, and they come back", { skip }, async () => {
    for (const file of readdirSync(crds ?? "").filter((name) => name.endsWith(".yaml")))
      await cluster.kubectl(["create", "-f", join(resolve(crds ?? ""), file)]);
    await cluster.kubectl(["wait", "--for=condition=Established", "--timeout=5m", "crd", "--all"]);
    // The webhook refuses objects without its controller.
    await cluster.kubectl(["delete", "validatingwebhookconfiguration", "metallb-webhook-configuration", "--ignore-not-found"]);
    const samples = join(project, "config-samples");
    for (const name of readdirSync(samples).filter((name) => name.endsWith(".yaml"))) {
      const { text } = await ingotctl(["convert", join(samples, name)]);
      await cluster.kubectl(["apply", "--validate=strict", "--warnings-as-errors", "-f", "-"], { input: text });
      const kinds = "ipaddresspools,l2advertisements,bgpadvertisements,bgppeers,bfdprofiles,communities";
      const listed = await cluster.kubectl(["-n", namespace, "get", kinds, "-o", "yaml"]);
      const { text: back } = await ingotctl(["convert", "-"], listed);
      const { status, text: verdict } = await ingotctl(["validate", "-"], back);
      assert.equal(status, 0, `${name}: ${verdict}`);
      await cluster.kubectl(["-n", namespace, "delete", "--all", kinds]);
    }
    const { findings } = await check();
    assert.ok(findings.some(({ check }) => check === "custom-resources"));
  });
});

/** 0, and 3 for losses, are both results. */
function ingotctl(args: readonly string[], input = ""): Promise<{ status: number; text: string }> {
  return new Promise((done, failed) => {
    const child = execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      const status = error === null ? 0 : Number(error.code);
      if (status === 0 || status === 3) done({ status, text: stdout });
      else failed(new Error(`ingotctl ${args.join(" ")}: ${status}\n${stderr}${stdout}`));
    });
    child.stdin?.end(input);
  });
}
