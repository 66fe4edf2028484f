import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { metric, owner, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const refusal = await Lab.refusal();

suite("a node whose kernel does not forward", { skip: refusal }, () => {
  let cluster: DemoCluster;
  let address: string;
  let broken: DemoNode;
  let tool: Tool;
  before(async () => {
    cluster = await startCluster();
    const begin = async ({ host, speaker }: DemoNode) => {
      await host.sysctl({ "net.ipv4.ip_forward": 1 }); // As kubelets have it.
      await speaker.stop();
      await speaker.start();
    };
    await Promise.all(cluster.nodes.map(begin));
    const service = await cluster.expose("web", ["node1", "node2", "node3"]);
    address = await service.address();
    tool = new Tool(cluster);
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  const saysSo = ({ speaker }: DemoNode) => metric(speaker, "ingot_data_path_fault", { sign: "forwardingOff", family: "IPv4" });

  test("leaves its address to another node", async () => {
    broken = await owner(cluster, address);
    await broken.host.sysctl({ "net.ipv4.ip_forward": 0 });
    await waitFor("another node to answer", async () => (await owner(cluster, address)) !== broken);
    await tool.explains(`node/${broken.name}`, [/\(cannotDeliver\)/, /its kernel does not forward packets/]);
  });

  test("takes nothing back when its speaker starts again, for as long as the others forward", async () => {
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      broken.speaker.process.kill(signal);
      await broken.speaker.process.exited;
      await broken.speaker.start();
      await waitFor("the new speaker to say so", async () => (await saysSo(broken)) === 1);
      assert.notEqual(await owner(cluster, address), broken);
      for (const cause of ["failed", "left", "cannotDeliver", "moved"])
        assert.equal(await metric(broken.speaker, "ingot_layer2_takeovers_total", { cause }), 0, `${signal}: ${cause}`);
    }
    await tool.explains(`node/${broken.name}`, /\(cannotDeliver\)/);
  });
});
