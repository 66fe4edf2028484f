import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { Lab, type LabProcess, waitFor } from "#e2e/lab";
import { metric, owner, says, startCluster } from "./observe.ts";
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

/** kube-proxy's answer at a Service's health check port, on one node. */
function healthPort({ host }: DemoNode, status: number): Promise<LabProcess> {
  const program = `require("node:http").createServer((_, answer) => answer.writeHead(${status}).end()).listen(${port}, "127.0.0.1")`;
  return host.spawn(`health-${host.name}`, ["node", "--eval", program]);
}
const port = 30_999;

suite("a node whose kube-proxy stands still", { skip: refusal }, () => {
  let cluster: DemoCluster;
  let address: string;
  let stale: DemoNode;
  let serving: LabProcess[] = [];
  before(async () => {
    cluster = await startCluster();
    serving = await Promise.all(cluster.nodes.map((node) => healthPort(node, 200)));
    const local = { policy: "Local", spec: { healthCheckNodePort: port } } as const;
    const service = await cluster.expose("web", ["node1", "node2", "node3"], local);
    address = await service.address();
  });
  after(() => cluster?.[Symbol.asyncDispose]());

  test("leaves the address of a Service of which kube-proxy has no Pod to another node", async () => {
    stale = await owner(cluster, address);
    await new Promise((resolve) => setTimeout(resolve, 3_000)); // Each speaker has asked once.
    await serving[cluster.nodes.indexOf(stale)]?.[Symbol.asyncDispose]();
    await healthPort(stale, 503);
    await waitFor("another node to answer", async () => (await owner(cluster, address)) !== stale);
  });

  test("does not take it when its speaker starts again, although it has no Service that kube-proxy serves", async () => {
    for (const signal of ["SIGKILL", "SIGTERM"] as const) {
      stale.speaker.process.kill(signal);
      await stale.speaker.process.exited;
      await stale.speaker.start();
      await says(stale.speaker, "cannotDeliver", "node", stale.name);
      assert.notEqual(await owner(cluster, address), stale);
      for (const cause of ["failed", "left", "cannotDeliver", "moved"])
        assert.equal(await metric(stale.speaker, "ingot_layer2_takeovers_total", { cause }), 0, `${signal}: ${cause}`);
    }
  });
});
