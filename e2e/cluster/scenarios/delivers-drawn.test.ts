// Nightly: it draws faults, and waits for minutes until nodes are well again.
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { patience } from "#e2e/cluster";
import { waitFor } from "#e2e/lab";
import { seededRandom } from "#pkg/clock/testing";
import { steps } from "../steps.ts";
import { type InstalledCluster, namespace } from "./installed.ts";
import { installMetallb } from "./metallb.ts";
import { dualConfig, makeTenant, outage, type PathFault, pathFaults, signs, startDual } from "./path-faults.ts";

// Faults of ways to Pods in a drawn order, some of them while the speaker of the node starts again. It prints for how long a client was without a
// connection, with MetalLB as well where there is one.
const seed = Number(process.env.SEED || Date.now() % 1_000_000);
const count = Number(process.env.ACTS || 12);
const binaries = process.env.METALLB_BIN;
const random = seededRandom(seed);
const pick = (limit: number): number => Math.floor(random() * limit);
// Each failure of a node that comes soon after another one doubles the wait.
const long = { ...patience, timeout: 900_000 };
const proxyMode = pick(2) === 0 ? "nftables" : "iptables";
const all: readonly PathFault[] = Object.values(pathFaults);

let web: string;
const step = steps(async () => {
  const on = await startDual((address) => {
    web = address;
  }, proxyMode);
  await makeTenant(on, "node1");
  return on;
});

const isAble = async (on: InstalledCluster, node: string) => (await signs(on, node)).length === 0;

/** Where another node could take over. */
async function ableOwner(on: InstalledCluster): Promise<string | undefined> {
  const able = await Promise.all(on.cluster.nodes.map(({ name }) => isAble(on, name)));
  const owner = await on.owner(web);
  return able.filter((one) => one).length > 1 && (await isAble(on, owner)) ? owner : undefined;
}

step(
  `an address leaves nodes that cannot deliver, and no others (${count} acts, seed ${seed}, kube-proxy in mode ${proxyMode})`,
  async (on) => {
    console.log(`seed ${seed}`);
    const faults = Array.from({ length: count }, () => all[pick(all.length)]).flatMap((fault) => fault ?? []);
    for (const fault of faults) {
      const owner = await waitFor("two nodes that can deliver, of which one owns the address", () => ableOwner(on), long);
      let undo = async () => {};
      const lost = await outage(on, web, async () => {
        undo = await fault.begin(on, owner);
        if (fault.sign === undefined) return sleep(2_000);
        await on.ownerOtherThan(owner, web);
        await on.answer(web);
      });
      console.log(`${fault.name}: ${lost} ms without a connection`);
      if (fault.sign === undefined) {
        assert.equal(await on.owner(web), owner, fault.name);
        assert.ok(await isAble(on, owner), fault.name);
      } else if (fault.sign !== "noConnection" && fault.sign !== "conntrackFull" && pick(2) === 0) await restarts(on, owner);
      await undo();
    }
  },
);

/** The speaker of a node that cannot deliver starts again, and leaves the addresses where they are. */
async function restarts(on: InstalledCluster, node: string): Promise<void> {
  const pod = await on.podOn(node, "speaker");
  const lost = await outage(on, web, async () => {
    await on.killPod(pod);
    await sleep(5_000); // Its kubelet starts it again.
    await on.speakersOn(on.cluster.nodes.map(({ name }) => name));
    await sleep(5_000);
  });
  console.log(`  and its speaker started again: ${lost} ms without a connection`);
  assert.notEqual(await on.owner(web), node);
}

step(
  "MetalLB stays down",
  async (on) => {
    await on.kubectl("delete", "namespace", namespace, "--wait");
    await installMetallb(on, binaries ?? "", dualConfig);
    for (const fault of all) {
      if (fault.sign === undefined) continue;
      const owner = await on.owner(web);
      let undo = async () => {};
      const lost = await outage(on, web, async () => {
        undo = await fault.begin(on, owner);
        await sleep(15_000);
        await undo();
        await on.answer(web);
      });
      console.log(`MetalLB, ${fault.name} for 15 s: ${lost} ms without a connection`);
    }
  },
  binaries === undefined && "set METALLB_BIN to a directory with MetalLB v0.12.1's binaries `controller` and `speaker`",
);
