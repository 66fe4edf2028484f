import assert from "node:assert/strict";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
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
