import assert from "node:assert/strict";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { steps } from "../steps.ts";
import { BorderRouter, peer } from "./border-router.ts";
import { config, InstalledCluster, namespace, routedPool } from "./installed.ts";
import { assertNothingLost, assertNothingLostBesidePods, print } from "./packets.ts";

// What happens to nodes, and what clients and a router see of it.
const all = ["node1", "node2", "node3"];
const gracefulShutdown = "65535:0"; // RFC 8326.

let router: BorderRouter;
let web: string;
let local: string;
let far: string;

const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 3, nodeMonitorGraceSeconds: 20 });
  router = await BorderRouter.start(on, [11, 12, 13, 31]);
  await on.deploy(2);
  await on.install(`${peer}${config}${routedPool}`);
  return on;
});

step("Services on layer 2 and by BGP are reached from outside, and the router knows all nodes", async (on) => {
  web = await on.serve("web");
  local = await on.serve("local", { externalTrafficPolicy: "Local" });
  far = await on.serve("far", { loadBalancerIP: "198.51.100.7" });
  await router.learns(far, all);
  for (const address of [web, local, far]) await on.answer(address);
  await on.answerOfOwner(local);
});

// Before any kubelet is killed: one that starts again may have its Pods as not ready once, and then packets are lost.
step("a speaker that is evicted hands over, and its node announces again when there is a new one", async (on) => {
  const owner = await on.owner(web);
  const pod = await on.podOn(owner, "speaker");
  const streamed = await on.streaming({ web, far }, async () => {
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: pod, namespace } };
    const path = `/api/v1/namespaces/${namespace}/pods/${pod}/eviction`;
    await on.cluster.kubectl(["create", "--raw", path, "-f", "-"], { input: JSON.stringify(eviction) });
    await waitFor(`the end of ${pod}`, async () => (await on.podOn(owner, "speaker")) !== pod, patience);
    await on.rolledOut("daemonset/speaker");
    await waitFor(`${web} at ${owner} again`, async () => (await on.owner(web)) === owner, patience);
  });
  print("speaker evicted", streamed);
  const owners = streamed.web?.arp.owners ?? [];
  assert.deepEqual([owners.length, owners[0], owners.at(-1)], [3, owner, owner], `${owners}`);
  assertNothingLost(streamed);
  await router.learns(far, all);
});

step("a kubelet, a containerd that are killed and started again cost no packet and move no address", async (on) => {
  const owner = await on.owner(web);
  const before = await on.get("pods", "-n", namespace);
  const streamed = await on.streaming({ web, far }, async () => {
    for (const program of ["kubelet", "containerd"] as const) {
      await on.cluster.node(owner).kill(program);
      await on.cluster.node(owner).revive(program);
    }
    await on.ready(owner);
  });
  assertNothingLostBesidePods(streamed);
  assert.equal(await on.owner(web), owner);
  assert.deepEqual(names(await on.get("pods", "-n", namespace)), names(before));
});

step(
  "a node that is drained keeps answering, its routes ask to be avoided, and Local Services leave with their Pods",
  async (on) => {
    const node = await on.owner(local);
    const isAvoided = async () =>
      (await router.routes(far)).some(
        ({ nextHops, communities }) =>
          nextHops.includes(on.cluster.node(node).host.ipv4) && communities.includes(gracefulShutdown),
      );
    const streamed = await on.streaming({ far }, async () => {
      await on.kubectl("drain", node, "--ignore-daemonsets", "--timeout=5m");
      await waitFor("routes with the community", isAvoided, patience);
      // The Pod that replaces the evicted one may make a third node the owner, so the owner is compared after that.
      await on.ownerOtherThan(node, local);
      await on.kubectl("rollout", "status", "deployment/web", "--timeout=5m");
      assert.notEqual(await on.answerOfOwner(local), node);
    });
    print("drained", streamed);
    assertNothingLostBesidePods(streamed);
    await on.kubectl("uncordon", node);
    await waitFor("routes without the community", async () => !(await isAvoided()), patience);
    assert.deepEqual(await on.addresses(), { web, local, far });
  },
);

step("a node that is NotReady keeps its addresses while its speaker works, but for those of Local Services", async (on) => {
  const node = await on.owner(local);
  const owner = await on.owner(web);
  const streamed = await on.streaming({ web, far }, async () => {
    await on.cluster.node(node).kill("kubelet");
    await on.ready(node, "Unknown");
    await on.ownerOtherThan(node, local);
    assert.notEqual(await on.answerOfOwner(local), node);
  });
  assertNothingLostBesidePods(streamed);
  assert.equal(await on.owner(web), owner);
  await on.cluster.node(node).revive("kubelet");
  await on.ready(node);
});

step("the taint out-of-service counts as the word that a node is gone", async (on) => {
  const node = await on.owner(web);
  const taint = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute";
  await on.kubectl("taint", "node", node, taint);
  await on.ownerOtherThan(node, web);
  await router.learns(
    far,
    all.filter((name) => name !== node),
  );
  await on.kubectl("taint", "node", node, `${taint}-`);
  await waitFor(`${web} at ${node} again`, async () => (await on.owner(web)) === node, patience);
  await router.learns(far, all);
});

step("a node without power is replaced at once, and takes part again after its reboot", async (on) => {
  const node = await on.owner(web);
  const others = all.filter((name) => name !== node);
  const streamed = await on.streaming({ web, far }, async () => {
    await on.cluster.node(node).powerOff();
    await on.ownerOtherThan(node, web);
    await router.learns(far, others);
    await on.ready(node, "Unknown");
  });
  print("power cut", streamed);
  await on.cluster.node(node).powerOn();
  await on.ready(node);
  await on.rolledOut("daemonset/speaker");
  await waitFor(`${web} at ${node} again`, async () => (await on.owner(web)) === node, patience);
  await router.learns(far, all);
  assert.deepEqual(await on.addresses(), { web, local, far });
});

step("a node that is deleted and comes back at another address is one of the speakers again", async (on) => {
  const node = await on.owner(web);
  await on.cluster.node(node).powerOff();
  await on.kubectl("delete", "node", node);
  const successor = await on.ownerOtherThan(node, web);
  await on.answer(web);
  await on.cluster.node(node).powerOn(31);
  await waitFor("the node", () => on.kubectl("get", "node", node), patience);
  await on.ready(node);
  await waitFor(`${web} at ${node} again`, async () => (await on.owner(web)) === node, patience);
  assert.notEqual(successor, node);
  await on.answer(web);
  await router.learns(far, all);
  assert.deepEqual(await on.addresses(), { web, local, far });
});

function names(pods: readonly { metadata: { name: string } }[]): string[] {
  return pods.map(({ metadata }) => metadata.name).sort();
}
