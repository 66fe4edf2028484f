import assert from "node:assert/strict";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { ingotctl } from "./ingotctl.ts";
import { InstalledCluster, namespace } from "./installed.ts";
import { assertNothingLost, print } from "./packets.ts";

// The smallest cluster, with kube-proxy in its other mode.
const alone = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 1, proxyMode: "nftables" });
  await on.deploy(1);
  await on.install();
  return on;
});

alone("on a single node, with kube-proxy in nftables mode, Services are reached, Local ones too", async (on) => {
  const [web, local] = [await on.serve("web"), await on.serve("local", { externalTrafficPolicy: "Local" })];
  for (const address of [web, local]) {
    assert.equal(await on.answer(address), "node1");
    assert.equal(await on.owner(address), "node1");
  }
  assert.match(await on.cluster.node("node1").host.run(["nft", "list", "tables"]), /kube-proxy/);
});

alone("what another writer sets beside an address stays, nobody writes it over, and kube-proxy goes by it", async (on) => {
  const address = (await on.addresses()).web ?? "";
  const writes = async () =>
    (await on.cluster.requests()).filter(
      ({ user, resource, name }) =>
        user === `system:serviceaccount:${namespace}:controller` && resource === "services/status" && name === "web",
    ).length;
  const ingress = async () => (await on.get("services")).find(({ metadata }) => metadata.name === "web")?.status?.loadBalancer;
  const rules = () => on.cluster.node("node1").host.run(["nft", "list", "table", "ip", "kube-proxy"]);
  assert.deepEqual(await ingress(), { ingress: [{ ip: address, ipMode: "VIP" }] }, "the API server adds the mode");
  assert.ok((await rules()).includes(address));

  await on.kubectl("wait", "--for=condition=ingot.dev/Announced", "service/web", "--timeout=60s"); // Its condition is written, too.
  const before = await writes();
  const ports = [{ port: 80, protocol: "TCP", error: "example.com/Broken" }];
  const set = (entry: object) =>
    on.kubectl(
      "patch",
      "service",
      "web",
      "--subresource=status",
      "-p",
      JSON.stringify({ status: { loadBalancer: { ingress: [entry] } } }),
    );
  await set({ ip: address, ipMode: "Proxy", ports });
  await waitFor("kube-proxy to leave the address to a proxy", async () => !(await rules()).includes(address), patience);
  await on.serve("later"); // The controller has seen what came before.
  assert.deepEqual(await ingress(), { ingress: [{ ip: address, ipMode: "Proxy", ports }] });
  await set({ ip: address });
  assert.equal(await on.answer(address), "node1");
  await on.kubectl("delete", "service", "later");
  assert.equal(await writes(), before);
});

alone("a client that knows the node loses nothing while its only speaker is replaced", async (on) => {
  const { web = "", local = "" } = await on.addresses();
  // It knows the node for longer than any machine takes: usually the kernel asks again after 15 to 45 s, and then nobody may answer.
  await on.cluster.client.run(["sysctl", "-qw", "net.ipv4.neigh.eth0.base_reachable_time_ms=3600000"]);
  for (const address of [web, local]) {
    await on.cluster.client.run(["ip", "neigh", "flush", "to", address]);
    await on.answer(address);
  }
  const streamed = await on.streaming({ web, local }, async () => {
    await on.kubectl("-n", namespace, "rollout", "restart", "daemonset/speaker", "deployment/controller");
    await on.rolledOut("daemonset/speaker", "deployment/controller");
  });
  print("rolled on a single node", streamed);
  assertNothingLost(streamed);
  assert.equal(await on.owner(web), "node1");
});

/** Waits until doctor says it of this, and returns the remedy that it names. */
async function found(on: InstalledCluster, where: RegExp, what: RegExp): Promise<string> {
  const named = async () => {
    const { findings } = JSON.parse((await ingotctl(on, ["doctor", "-o", "json"])).out);
    const one = findings.find((each: { where: string; found: string }) => where.test(each.where) && what.test(each.found));
    assert.ok(one !== undefined, JSON.stringify(findings));
    return `${one.severity} ${one.fix}`;
  };
  return waitFor(`doctor to find ${what}`, named, patience);
}

alone("doctor says that a speaker lacks memory, and the last words of one that refuses its flags", async (on) => {
  const limit = (memory: string) =>
    on.kubectl(
      "-n",
      namespace,
      "set",
      "resources",
      "daemonset/speaker",
      `--limits=memory=${memory}`,
      `--requests=memory=${memory}`,
    );
  await limit("24Mi");
  const memory =
    /^it does not answer: it needed more memory than its limit of 24Mi \(OOMKilled\), and waits to be started again$/;
  assert.match(await found(on, /^speaker speaker-\S+ on node1$/, memory), /^error .*resources\.limits\.memory/);
  await limit("1Gi");
  await on.rolledOut("daemonset/speaker");

  const args = JSON.parse(
    await on.kubectl("-n", namespace, "get", "daemonset/speaker", "-o", "jsonpath={.spec.template.spec.containers[0].args}"),
  );
  const set = (to: readonly string[]) => {
    const patch = [{ op: "replace", path: "/spec/template/spec/containers/0/args", value: to }];
    return on.kubectl("-n", namespace, "patch", "daemonset/speaker", "--type=json", "--patch", JSON.stringify(patch));
  };
  await set([...args, "--no-such-flag"]);
  const words =
    /^it does not answer: it ended with exit code 2 \(Error\): unknown flag --no-such-flag; see --help, and waits to be started again$/;
  assert.match(await found(on, /^speaker speaker-\S+ on node1$/, words), /^error kubectl .*logs speaker-\S+ --previous/);
  await set(args);
  await on.rolledOut("daemonset/speaker");
});

alone("doctor says that the namespace refuses Pods, and its remedy lets them in", async (on) => {
  await on.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=baseline", "--overwrite");
  await on.kubectl("-n", namespace, "delete", "pod", await on.podOn("node1", "speaker"));
  const refused =
    /^no speaker runs, because Kubernetes refuses the Pods of DaemonSet speaker: .*violates PodSecurity "baseline:latest"/;
  const [severity, ...fix] = (await found(on, /^speaker$/, refused)).split(" ");
  assert.equal(severity, "error");
  assert.equal(fix.shift(), "kubectl");
  await on.kubectl(...fix);
  await on.rolledOut("daemonset/speaker");

  await on.apply({
    apiVersion: "v1",
    kind: "LimitRange",
    metadata: { name: "small", namespace },
    spec: { limits: [{ type: "Container", max: { memory: "512Mi" } }] },
  });
  await on.kubectl("-n", namespace, "delete", "pod", await on.podOn("node1", "controller"));
  const tooMuch =
    /^no controller runs, because Kubernetes refuses the Pods of Deployment controller: .*maximum memory usage per Container is 512Mi/;
  assert.match(await found(on, /^controller$/, tooMuch), /^error .*describe quota,limits/);
  await on.kubectl("-n", namespace, "delete", "limitrange", "small");
  await on.rolledOut("deployment/controller");
});
