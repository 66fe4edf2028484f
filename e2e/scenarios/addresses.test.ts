// Smoke: who gets which address.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoCluster } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { answer, owner, startCluster } from "./observe.ts";

const configuration = `address-pools:
- name: small
  protocol: layer2
  addresses: [172.30.0.200-172.30.0.202]
`;

suite("who gets which address", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  before(async () => {
    cluster = await startCluster({ nodes: 1, configuration });
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("TCP and UDP Services share one address, and both are reached there", async () => {
    const annotations = { "metallb.universe.tf/allow-shared-ip": "dns" };
    const tcp = await cluster.expose("dns-tcp", ["node1"], { annotations, port: 53, protocols: ["TCP"] });
    const udp = await cluster.expose("dns-udp", ["node1"], { annotations, port: 53, protocols: ["UDP"] });
    const address = await tcp.address();
    assert.equal(await udp.address(), address);
    await owner(cluster, address);
    await waitFor("an answer over TCP", async () => {
      assert.equal(await answer(cluster, address, 53), "dns-tcp-1 on node1");
      return true;
    });
    const script = `
      const socket = require("node:dgram").createSocket("udp4");
      socket.once("message", (data) => { console.log(String(data)); socket.close(); });
      const asking = setInterval(() => socket.send("hello", 53, process.argv[1]), 200);
      socket.once("close", () => clearInterval(asking));`;
    const { stdout } = await cluster.client.run([process.execPath, "-e", script, address]);
    assert.equal(stdout.trim(), "dns-udp-1 on node1 hello");
    await tcp.delete();
    await udp.delete();
  });
});
