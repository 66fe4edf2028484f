import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { steps } from "../steps.ts";
import { BorderRouter, metallbPeer } from "./border-router.ts";
import { config, InstalledCluster, namespace, routedPool } from "./installed.ts";
import { installMetallb } from "./metallb.ts";
import { assertNothingLostBesideHandOvers, print } from "./packets.ts";
import type { Streamed } from "./stream.ts";

// The steps of docs/migrate-from-metallb.md for MetalLB 0.12, and the way back, on a cluster where MetalLB itself runs.
const binaries = process.env.METALLB_BIN;
const all = ["node1", "node2", "node3"];
const workloads = ["deployment/controller", "daemonset/speaker"];

if (binaries === undefined)
  test("MetalLB 0.12 is replaced while it runs", {
    skip: "set METALLB_BIN to a directory with MetalLB v0.12.1's binaries `controller` and `speaker`, linked statically (CGO_ENABLED=0)",
  });
else takeOver(binaries);

function takeOver(binaries: string): void {
  let addresses: Readonly<Record<string, string>> = {};
  let router: BorderRouter;

  const step = steps(async () => {
    const on = await InstalledCluster.start({ nodes: 3 });
    router = await BorderRouter.start(on, [11, 12, 13]);
    await on.deploy(3);
    await installMetallb(on, binaries, `${metallbPeer}${config}${routedPool}`);
    return on;
  });

  step("MetalLB serves", async (on) => {
    for (let count = 0; count < 3; count++) await on.serve(`web${count}`);
    await on.serve("local", { externalTrafficPolicy: "Local" });
    const far = await on.serve("far", { loadBalancerIP: "198.51.100.7" });
    await router.learns(far, all);
    addresses = await on.addresses();
    for (const address of Object.values(addresses)) await on.answer(address);
  });

  step("the manifests are accepted over MetalLB's objects", async (on) => {
    await on.writeOverlay();
    const rendered = join(on.cluster.directory, "ingot.yaml");
    await writeFile(rendered, await on.kubectl("kustomize", on.cluster.directory));
    await on.kubectl("apply", "--dry-run=server", "-f", rendered);
  });

  step("controller and speakers are replaced node by node under a client, and each address keeps one owner", async (on) => {
    const streamed = await on.streaming(addresses, async () => {
      await on.kubectl("apply", "-f", join(on.cluster.directory, "ingot.yaml"));
      await on.rolledOut(...workloads);
    });
    print("taken over", streamed);
    await assertKept(on, streamed);
    for (const name of Object.keys(addresses)) assert.deepEqual(await on.events("Service", name, "addressConflict"), []);
    assert.match(await images(on), /^(localhost\/ingot:e2e ?)+$/);
  });

  step("and back, by rollout undo", async (on) => {
    const list = ["--verb=list", "--resource=secrets", "--resource-name=memberlist"];
    await on.kubectl("-n", namespace, "create", "role", "metallb-way-back", ...list);
    const account = `--serviceaccount=${namespace}:controller`;
    await on.kubectl("-n", namespace, "create", "rolebinding", "metallb-way-back", "--role=metallb-way-back", account);
    const streamed = await on.streaming(addresses, async () => {
      for (const workload of workloads) {
        await on.kubectl("-n", namespace, "rollout", "undo", workload);
        await on.rolledOut(workload);
      }
    });
    print("taken back", streamed);
    await assertKept(on, streamed);
    assert.match(await images(on), /^(quay\.io\/metallb\/\w+:v0\.12\.1 ?)+$/);
  });

  async function assertKept(on: InstalledCluster, streamed: Streamed): Promise<void> {
    assert.deepEqual(await on.addresses(), addresses);
    await router.learns(String(addresses.far), all);
    for (const [name, address] of Object.entries(addresses)) {
      if (name !== "far") await on.owner(address);
      await on.answer(address);
    }
    assertNothingLostBesideHandOvers(streamed);
  }
}

function images(on: InstalledCluster): Promise<string> {
  return on.kubectl("-n", namespace, "get", "pods", "-o", "jsonpath={.items[*].spec.containers[*].image}");
}
