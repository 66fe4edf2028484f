// Smoke: an address by layer 2, and its way to another node when its owner fails.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import type { DemoCluster } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { answer, answered, eventOf, learnedNode, metric, owner, startCluster } from "./observe.ts";

suite("a client on the LAN reaches a Service", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  before(async () => {
    cluster = await startCluster();
  });
  after(() => cluster[Symbol.asyncDispose]());

  test("a ConfigMap gives it an address, one node answers for it, and the client gets its page", async () => {
    const service = await cluster.expose("web", ["node1", "node2"]);
    const address = await service.address();
    assert.equal(address, "172.30.0.200", "the lowest address of the pool");
    const node = await owner(cluster, address);
    await answered(cluster, address, /^web-[12] on node[12]$/);
    await eventOf(cluster, "web", "IPAllocated", /^Assigned IP \["172\.30\.0\.200"\]$/);
    await eventOf(cluster, "web", "nodeAssigned", new RegExp(`^announcing from node "${node.name}"$`));
    await waitFor("its series alone", async () => {
      const series = { service: "default/web", ip: address };
      assert.deepEqual(
        await Promise.all(cluster.nodes.map(({ speaker }) => metric(speaker, "metallb_speaker_announced", series))),
        cluster.nodes.map(({ name }) => (name === node.name ? 1 : undefined)),
      );
      return true;
    });
    await service.delete();
    await waitFor("nobody to answer any more", async () => {
      await cluster.client.run(["ip", "neigh", "flush", "to", address]);
      const failure = await answer(cluster, address);
      return !failure.startsWith("web-") && (await learnedNode(cluster, address)) === undefined;
    });
    const series = () => metric(node.speaker, "metallb_speaker_announced", { service: "default/web" });
    await waitFor("its series to be gone", async () => (await series()) === undefined);
  });

  test("under policy Local the node with the endpoint answers, and another one when the endpoint moves", async () => {
    const service = await cluster.expose("local", ["node3"], { policy: "Local" });
    const address = await service.address();
    assert.equal((await owner(cluster, address)).name, "node3");
    await answered(cluster, address, /^local-1 on node3$/);
    await service.serveFrom(await cluster.startBackends("local", ["node1"]));
    await waitFor("the client to get its answer from node1", async () => (await answer(cluster, address)) === "local-1 on node1");
    assert.equal((await learnedNode(cluster, address))?.name, "node1", "the client learned from a gratuitous announcement");
    await service.delete();
  });

  test("when the speaker of the owner is killed another node takes over, and the client still gets answers", async () => {
    const service = await cluster.expose("failover", ["node1", "node2", "node3"]);
    const address = await service.address();
    const first = await owner(cluster, address);
    first.speaker.process.kill("SIGKILL");
    const second = await waitFor("the client to have learned another node", async () => {
      const node = await learnedNode(cluster, address);
      return node?.name !== first.name && node;
    });
    await answered(cluster, address, /^failover-[123] on node[123]$/);
    const gratuitous = () => metric(second.speaker, "metallb_layer2_gratuitous_sent", { ip: address });
    await waitFor("announcements to be counted", async () => ((await gratuitous()) ?? 0) > 0);
    await first.speaker.start();
    await waitFor("the speaker to be ready again", () => first.speaker.ready());
    await waitFor("the first node to answer again", async () => (await learnedNode(cluster, address))?.name === first.name);
    await answered(cluster, address, /^failover-[123] on node[123]$/);
    await service.delete();
  });

  test("a speaker that is asked to stop hands over", async () => {
    const service = await cluster.expose("drain", ["node1", "node2", "node3"]);
    const address = await service.address();
    const first = await owner(cluster, address);
    assert.deepEqual(await first.speaker.stop(), { code: 0, signal: null });
    await waitFor("another node to answer", async () => (await learnedNode(cluster, address))?.name !== first.name);
    await answered(cluster, address, /^drain-[123] on node[123]$/);
    await first.speaker.start();
    await waitFor("the speaker to be ready again", () => first.speaker.ready());
    await service.delete();
  });

  test("a Service with both families is reached by both, at the same node", async () => {
    const service = await cluster.expose("dual", ["node1"], { families: ["IPv4", "IPv6"] });
    await service.address();
    const addresses = await service.addresses();
    assert.match(addresses.join(), /^172\.30\.0\.\d+,fd00:30::2\d\d$/);
    const [ipv4 = "", ipv6 = ""] = addresses;
    const node = await owner(cluster, ipv4);
    assert.equal((await owner(cluster, ipv6)).name, node.name, "learned by neighbor discovery");
    for (const address of addresses) await answered(cluster, address, /^dual-1 on node1$/);
    const answers = () => metric(node.speaker, "metallb_layer2_responses_sent", { ip: ipv6 });
    await waitFor("answers to be counted", async () => ((await answers()) ?? 0) > 0);
    await service.delete();
    await waitFor("nobody to answer for the IPv6 address any more", async () => {
      await cluster.client.run(["ip", "neigh", "flush", "to", ipv6]);
      await answer(cluster, ipv6);
      return (await learnedNode(cluster, ipv6)) === undefined;
    });
  });

  test("an IPv6 address moves to another node when the speaker of its owner is killed, and the client follows", async () => {
    const service = await cluster.expose("failover6", ["node1", "node2", "node3"], { families: ["IPv6"] });
    const address = await service.address();
    const first = await owner(cluster, address);
    first.speaker.process.kill("SIGKILL");
    await waitFor("the client to have learned another node", async () => {
      const node = await learnedNode(cluster, address);
      return node !== undefined && node.name !== first.name;
    });
    await answered(cluster, address, /^failover6-[123] on node[123]$/);
    await first.speaker.start();
    await waitFor("the speaker to be ready again", () => first.speaker.ready());
    await service.delete();
  });
});
