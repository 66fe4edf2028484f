import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandError, patience, serviceCidrs } from "#e2e/cluster";
import { programFile, waitFor } from "#e2e/lab";
import { urlHost } from "#pkg/net";
import { steps } from "../steps.ts";
import { config, InstalledCluster, namespace } from "./installed.ts";
import { assertNothingLost, print } from "./packets.ts";
import { waitingDaemonSet } from "./workload.ts";

// The component network-policy where kube-router enforces it: who is kept out, and that nothing else is.
const kubeRouter = process.env.KUBE_ROUTER_BIN;

const onlyPolicies = [
  ...["--run-firewall=true", "--run-router=false", "--run-service-proxy=false", "--enable-ipv6=true"],
  `--service-cluster-ip-range=${serviceCidrs}`,
];

const all = ["node1", "node2", "node3"];
const admitted = "monitoring"; // The namespace that the policy names.
const other = "other";
const components = ["validating-webhook"];
const withPolicy = [...components, "network-policy"];

/** The controller reviews no more than one configuration a second for long; all others are done without it. */
const slowly = { ...patience, every: 1_000 };

// Prints which of the URLs were answered.
const ask = `
const ask = (url) => new Promise((done) => {
  const options = { signal: AbortSignal.timeout(3_000), agent: false, rejectUnauthorized: false };
  require(new URL(url).protocol.slice(0, -1)).get(url, options, (answer) => answer.resume() && done(true)).on("error", () => done(false));
});
const urls = process.argv.slice(1);
Promise.all(urls.map(ask)).then((answered) => console.log(JSON.stringify(urls.filter((_, index) => answered[index]))));
`;

if (kubeRouter === undefined)
  test("the component network-policy is enforced", {
    skip: "set KUBE_ROUTER_BIN to the path of kube-router v2.9, linked statically (CGO_ENABLED=0), and install ipset",
  });
else enforce(kubeRouter);

function enforce(binary: string): void {
  const step = steps(async () => {
    const on = await InstalledCluster.start({ nodes: all.length });
    const { kubeconfig, nodes } = on.cluster;
    await on.cluster.routeServices();
    for (const { name, host } of nodes)
      host.daemon(`${name}-kube-router`, [binary, `--kubeconfig=${kubeconfig}`, `--hostname-override=${name}`, ...onlyPolicies]);
    await on.deploy(all.length);
    await on.install(config, components);
    for (const at of [admitted, other]) {
      await on.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: at } });
      await on.apply(waitingDaemonSet("client", at));
      await on.kubectl("-n", at, "rollout", "status", "daemonset/client", "--timeout=5m");
    }
    return on;
  });

  step("without it every Pod and every node reaches metrics and webhook", async (on) => {
    await keepsOut(on, []);
  });

  step("applied, it keeps other namespaces and nodes from the controller's metrics, and costs no packet", async (on) => {
    const web = await on.serve("web");
    const streamed = await on.streaming({ web }, async () => {
      await on.writeOverlay(withPolicy);
      await on.kubectl("apply", "--warnings-as-errors", "-k", on.cluster.directory);
      await isEnforced(on);
    });
    print("applied", streamed);
    assertNothingLost(streamed);
  });

  step("controller and speakers that are started anew become ready and reach the API, and it holds for them, too", async (on) => {
    const workloads = ["daemonset/speaker", "deployment/controller"];
    await on.kubectl("-n", namespace, "rollout", "restart", ...workloads);
    await on.rolledOut(...workloads);
    await isEnforced(on);
    const late = await on.serve("late");
    for (const address of [late, await on.addressOf("web")]) {
      await on.owner(address);
      await on.answer(address);
    }
  });

  step("the API server asks the webhook, which it could not without the rule for that", async (on) => {
    await waitFor("a refusal", () => isRefused(on), slowly);
    const rule = JSON.stringify([{ op: "remove", path: "/spec/ingress/1" }]);
    await on.kubectl("-n", namespace, "patch", "networkpolicy", "controller", "--type=json", "-p", rule);
    await waitFor("the webhook to be done without", async () => !(await isRefused(on)), slowly);
    await on.kubectl("apply", "-k", on.cluster.directory);
    await waitFor("another refusal", () => isRefused(on), slowly);
  });

  step("ingotctl reaches all by forwarded ports; the API server's proxy reaches speakers, and not the controller", async (on) => {
    const { client, kubeconfig } = on.cluster;
    // It ends with another status than 0 where one did not answer.
    await client.run([process.execPath, programFile("ingotctl"), "status", "--kubeconfig", kubeconfig]);
    const readyz = (pod: string) => on.kubectl("get", "--raw", `/api/v1/namespaces/${namespace}/pods/${pod}:7472/proxy/readyz`);
    for (const node of all) await readyz(await on.podOn(node, "speaker"));
    await assert.rejects(readyz((await controller(on)).name), CommandError);
  });

  step("and the kubelets' probes of all are answered", async (on) => {
    const isOldEnough = async () => {
      const pods = await on.get("pods", "-n", namespace);
      const statuses = pods.flatMap(({ status }) => status?.containerStatuses as readonly ContainerStatus[]);
      assert.equal(statuses.length, all.length + 1);
      for (const { ready, restartCount } of statuses) assert.deepEqual({ ready, restartCount }, { ready: true, restartCount: 0 });
      // Three failed probes, 10 s apart and the first after 10 s, restart a container.
      return statuses.every(({ state }) => Date.now() - Date.parse(state.running?.startedAt ?? "") > 60_000);
    };
    await waitFor("containers for which three probes can have failed", isOldEnough, patience);
  });
}

interface ContainerStatus {
  readonly ready: boolean;
  readonly restartCount: number;
  readonly state: { readonly running?: { readonly startedAt: string } };
}

async function controller(on: InstalledCluster): Promise<{ name: string; node: string; addresses: readonly string[] }> {
  const pods = await on.get("pods", "-n", namespace, "-l", "component=controller");
  const [pod, ...others] = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  assert.ok(pod !== undefined && others.length === 0);
  const addresses = pod.status?.podIPs as readonly { readonly ip: string }[];
  return { name: pod.metadata.name, node: String(pod.spec?.nodeName), addresses: addresses.map(({ ip }) => ip) };
}

/** Waits until these have no answer from the controller's metrics, and everybody has every other one. */
async function keepsOut(on: InstalledCluster, who: readonly string[]): Promise<void> {
  const isSo = async () => {
    const { addresses } = await controller(on);
    const metrics = addresses.map((address) => `the controller's http://${urlHost(address)}:7472/metrics`);
    assert.deepEqual(await unanswered(on), who.flatMap((each) => metrics.map((what) => `${each}: ${what}`)).sort());
    return true;
  };
  await waitFor(`just these to be kept out: ${who.join(", ") || "nobody"}`, isSo, patience);
}

async function isEnforced(on: InstalledCluster): Promise<void> {
  const { node } = await controller(on);
  const hosts = ["cp", ...all].filter((each) => each !== node); // A Pod's own node, where its kubelet is, is always admitted.
  await keepsOut(on, [...all.map((each) => `a Pod of ${other} on ${each}`), ...hosts]);
}

/** Requests without an answer, from the Pods of `admitted` and `other`, and the hosts; sorted. */
async function unanswered(on: InstalledCluster): Promise<string[]> {
  const { addresses } = await controller(on);
  const targets: Record<string, string> = {}; // URL -> whose
  for (const address of addresses) {
    targets[`http://${urlHost(address)}:7472/metrics`] = "controller";
    targets[`https://${urlHost(address)}:9443/`] = "controller";
  }
  for (const { name, host } of on.cluster.nodes) targets[`http://${host.ipv4}:7472/metrics`] = name;
  const command = ["-e", ask, ...Object.keys(targets)];
  const clients: Record<string, Promise<string>> = {}; // who -> the URLs that answered
  for (const at of [admitted, other])
    for (const { metadata, spec } of await on.get("pods", "-n", at))
      clients[`a Pod of ${at} on ${spec?.nodeName}`] = on.kubectl("-n", at, "exec", metadata.name, "--", "node", ...command);
  for (const host of [on.cluster.controlPlane.host, ...on.cluster.nodes.map(({ host }) => host)])
    clients[host.name] = host.run([process.execPath, ...command]);
  const missing: string[] = [];
  for (const [who, answer] of Object.entries(clients)) {
    const answered = new Set<string>(JSON.parse(await answer));
    for (const [url, whose] of Object.entries(targets)) if (!answered.has(url)) missing.push(`${who}: the ${whose}'s ${url}`);
  }
  return missing.sort();
}

/** Whether a configuration that is not valid is refused, which only the webhook does. */
async function isRefused(on: InstalledCluster): Promise<boolean> {
  const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "config", namespace }, data: { config: "no: 1" } };
  try {
    await on.cluster.kubectl(["apply", "--dry-run=server", "-f", "-"], { input: JSON.stringify(object) });
    return false;
  } catch (error) {
    assert.match(String((error as Error).message), /admission webhook .* denied the request/);
    return true;
  }
}
