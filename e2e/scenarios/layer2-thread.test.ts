import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import { type DemoCluster, type DemoNode, demoConfiguration } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { answered, startCluster } from "./observe.ts";

const routed = "- {name: routed, protocol: bgp, addresses: [198.51.100.0/24]}\n";

suite("a speaker has the thread that answers on layer 2 from when it may need it", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let node: DemoNode;
  before(async () => {
    cluster = await startCluster({ nodes: 1, configuration: `address-pools:\n${routed}` });
    [node] = cluster.nodes as [DemoNode];
  });
  after(() => cluster[Symbol.asyncDispose]());

  function hasThread(): boolean {
    const tasks = `/proc/${node.speaker.process.pid}/task`;
    return readdirSync(tasks).some((task) => readFileSync(`${tasks}/${task}/comm`, "utf8") === "layer2\n");
  }

  test("not while all pools are announced by BGP", async () => {
    await node.speaker.process.waitForLine(/"event":"configLoaded"/);
    assert.equal(hasThread(), false);
  });

  test("as soon as a pool is of layer 2, and clients reach its addresses", async () => {
    await cluster.configure(`${demoConfiguration}${routed}`);
    await waitFor("the thread", async () => hasThread());
    const service = await cluster.expose("web", ["node1"], { annotations: { "metallb.universe.tf/address-pool": "default" } });
    await answered(cluster, await service.address(), /^web-1 on node1$/);
  });
});
