import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { statusConfigMap } from "#pkg/live-config";
import { steps } from "../steps.ts";
import { BorderRouter, peer } from "./border-router.ts";
import { config, InstalledCluster, namespace, routedPool } from "./installed.ts";
import { assertNothingLost, assertNothingLostBesidePods, print } from "./packets.ts";

// Faults of the control plane and of our objects in it, and their effects on clients and a router.
const all = ["node1", "node2"];
/** How long the API server is away. Set API_OUTAGE=300 for the five minutes that it is promised for. */
const outageSeconds = Number(process.env.API_OUTAGE ?? 15);

let router: BorderRouter;
let web: string;
let far: string;
/** Requests that came while the API server may not have known the Roles. */
const withoutRoles: { readonly from: number; readonly to: number }[] = [];

const step = steps(async () => {
  const on = await InstalledCluster.start({ nodes: 2 });
  router = await BorderRouter.start(on, [11, 12]);
  await on.deploy(2);
  await on.install(`${peer}${config}${routedPool}`);
  return on;
});

step("rolling the DaemonSet and the Deployment costs no packet, on layer 2 or by BGP, and changes no address", async (on) => {
  web = await on.serve("web");
  far = await on.serve("far", { loadBalancerIP: "198.51.100.7" });
  await router.learns(far, all);
  for (const address of [web, far]) await on.answer(address);
  const streamed = await on.streaming({ web, far }, async () => {
    await on.kubectl("-n", namespace, "rollout", "restart", "daemonset/speaker", "deployment/controller");
    await on.rolledOut("daemonset/speaker", "deployment/controller");
  });
  print("rolled", streamed);
  assertNothingLost(streamed);
  await router.learns(far, all);
  assert.deepEqual(await on.addresses(), { web, far });
});

step("of two controllers the other one goes on when the leader is stopped, and when it is killed", async (on) => {
  await on.kubectl("-n", namespace, "scale", "deployment/controller", "--replicas=2");
  await on.rolledOut("deployment/controller");
  const successorOf = (leader: string) =>
    waitFor(
      `another leader than ${leader}`,
      async () => {
        const now = await on.leader();
        return now !== leader && now;
      },
      patience,
    );
  const stopped = await on.leader();
  await on.kubectl("-n", namespace, "delete", "pod", stopped, "--wait=false");
  const killed = await successorOf(stopped);
  const afterStop = await on.serve("after-stop");
  // Alone, the one that is killed would lead again when it has been started again.
  const hasStandby = async () => {
    const pods = await on.get("pods", "-n", namespace, "-l", "component=controller");
    return pods.length === 2 && !pods.some(({ metadata }) => metadata.name === stopped);
  };
  await waitFor("another controller in place of the one that was stopped", hasStandby, patience);
  await on.kubectl("-n", namespace, "wait", "pods", "-l", "component=controller", "--for=condition=Ready", "--timeout=5m");
  await on.killPod(killed);
  await successorOf(killed);
  const afterKill = await on.serve("after-kill");
  assert.deepEqual(await on.addresses(), { web, far, "after-stop": afterStop, "after-kill": afterKill });
  assert.equal(new Set([web, far, afterStop, afterKill]).size, 4);
  await on.kubectl("delete", "service", "after-stop", "after-kill");
  await on.kubectl("-n", namespace, "scale", "deployment/controller", "--replicas=1");
  await on.rolledOut("deployment/controller");
});

step(
  `without API server for ${outageSeconds} s nothing moves, and what etcd has forgotten meanwhile is listed anew`,
  async (on) => {
    const owner = await on.owner(web);
    const { controlPlane } = on.cluster;
    let from = 0;
    const streamed = await on.streaming({ web, far }, async () => {
      await on.kubectl("annotate", "service", "web", "touched=true"); // So that the speakers' versions are not the last ones.
      await controlPlane.stopApiServer();
      await sleep(outageSeconds * 1000);
      await controlPlane.compact();
      from = (await on.cluster.requests()).length;
      await whileRolesMayBeUnknown(on, () => controlPlane.startApiServer());
      const late = await on.serve("late");
      await on.answer(late);
      await on.kubectl("delete", "service", "late");
    });
    print("API server down", streamed);
    assertNothingLost(streamed);
    assert.equal(await on.owner(web), owner);
    await router.learns(far, all);
    const relisted = async () =>
      (await on.cluster.requests())
        .slice(from)
        .filter(({ user, verb, resource }) => user.endsWith(":speaker") && `${verb} ${resource}` === "list services");
    await waitFor("all speakers to list Services", async () => (await relisted()).length >= all.length, patience);
  },
);

step("controller and speakers whose tokens are no longer good work again when their kubelets have new ones", async (on) => {
  const accounts = ["serviceaccount/controller", "serviceaccount/speaker"];
  const owner = await on.owner(web);
  const pods = ["deployment/controller", ...(await Promise.all(all.map((node) => on.podOn(node, "speaker"))))];
  const isRefused = async () => {
    const logs = await Promise.all(pods.map((pod) => on.kubectl("-n", namespace, "logs", pod)));
    return logs.every((log) => /\b401\b|Unauthorized/.test(log));
  };
  const streamed = await on.streaming({ web, far }, async () => {
    await on.kubectl("-n", namespace, "delete", ...accounts); // A token is for one account, whatever its name.
    await on.kubectl("apply", "-k", on.cluster.directory);
    await on.cluster.controlPlane.stopApiServer(); // Open watches would go on.
    await whileRolesMayBeUnknown(on, () => on.cluster.controlPlane.startApiServer());
    await waitFor("the refusal of the old tokens", isRefused, patience);
  });
  print("tokens refused", streamed);
  assertNothingLost(streamed);
  for (const node of on.cluster.nodes) {
    await node.kill("kubelet"); // It asks for new ones when it starts, and has its Pods as not ready for a moment.
    await node.revive("kubelet");
  }
  await on.answer(await on.serve("late"));
  await on.kubectl("delete", "service", "late");
  assert.equal(await on.owner(web), owner);
  assert.deepEqual(await on.addresses(), { web, far });
});

step("the key of the ring is changed as docs/operations.md says, and no address moves", async (on) => {
  const owner = await on.owner(web);
  const data = "jsonpath={.data.secretkey}";
  const old = Buffer.from(await on.kubectl("-n", namespace, "get", "secret", "memberlist", "-o", data), "base64").toString();
  const streamed = await on.streaming({ web, far }, async () => {
    const patch = { stringData: { secretkey: "a new key of mine", "secretkey-old": old } };
    await on.kubectl("-n", namespace, "patch", "secret", "memberlist", "-p", JSON.stringify(patch));
    for (const node of all) {
      const log = async () => await on.kubectl("-n", namespace, "logs", await on.podOn(node, "speaker"));
      const isUsed = async () => (await log()).includes("the speakers' ring uses the new key");
      await waitFor(`the new key on ${node}`, isUsed, patience);
    }
  });
  assertNothingLostBesidePods(streamed); // A kubelet that was started a moment ago may have them as not ready once.
  assert.deepEqual(streamed.web?.arp.owners.length, 1);
  assert.equal(await on.owner(web), owner);
});

step("a ConfigMap that is edited 1,000 times within a minute ends as the last edit says", async (on) => {
  const from = (await on.cluster.requests()).length;
  const began = performance.now();
  const streamed = await on.streaming({ web, far }, async () => {
    await on.editConfig(1_000, (edit) => `${peer}${config}${routedPool}${extraPool(edit)}`);
    assert.equal(await on.serve("last", { loadBalancerIP: "192.0.2.232" }), "192.0.2.232"); // 1,000 modulo 256.
  });
  print("1,000 edits", streamed);
  assertNothingLost(streamed);
  await on.kubectl("delete", "service", "last");
  assert.deepEqual(await on.addresses(), { web, far });
  const ours = (await on.cluster.requests())
    .slice(from)
    .filter(({ user }) => user.startsWith(`system:serviceaccount:${namespace}:`));
  const writes = ours.filter(({ verb }) => verb === "patch" || verb === "create");
  const count = (resource: string) => writes.filter((request) => request.resource === resource).length;
  const verdicts = writes.filter(({ name }) => name === statusConfigMap).length;
  const others = count("configmaps") - verdicts; // Controller and speakers write these every few seconds, also without edits.
  const statuses = count("services/status");
  console.log(`1,000 edits: ${verdicts} writes of ${statusConfigMap}, ${others} of other ConfigMaps, ${statuses} of statuses`);
  assert.ok(verdicts + others <= 1_000 + (performance.now() - began) / 1_000, `${others} writes of other ConfigMaps`);
  assert.ok(verdicts <= 1_000 && statuses <= 3, "nothing is written that no edit asked for");
});

step("when the namespace is deleted and made again, Services have the addresses that they had", async (on) => {
  await whileRolesMayBeUnknown(on, () => on.kubectl("delete", "namespace", namespace));
  assert.deepEqual(await on.addresses(), { web, far });
  await router.learns(far, []);
  await on.install(`${peer}${config}${routedPool}`);
  await router.learns(far, all);
  await on.answer(web);
  await on.owner(web);
  assert.deepEqual(await on.addresses(), { web, far });
});

step("the API server refused nothing that controller and speakers asked for", async (on) => {
  const own = (await on.cluster.requests())
    .filter((_, index) => !withoutRoles.some(({ from, to }) => index >= from && index < to))
    .filter(({ user }) => user.startsWith(`system:serviceaccount:${namespace}:`));
  assert.notEqual(own.length, 0);
  assert.deepEqual(
    own.filter(({ status }) => status === 403),
    [],
  );
});

/**
 * The API server answers before it has read the Roles, until it says that it is ready, and refuses meanwhile what they allow. And when a
 * namespace is deleted its Roles may go before its Pods.
 */
async function whileRolesMayBeUnknown(on: InstalledCluster, work: () => Promise<unknown>): Promise<void> {
  const from = (await on.cluster.requests()).length;
  await work();
  withoutRoles.push({ from, to: (await on.cluster.requests()).length });
}

function extraPool(edit: number): string {
  return `  - {name: extra, protocol: layer2, auto-assign: false, addresses: [192.0.2.${edit % 256}/32]}\n`;
}
