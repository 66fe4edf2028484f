import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type DemoCluster, type DemoNode, demoConfiguration, eventsOf } from "#e2e/demo-cluster";
import { type Host, Lab, waitFor } from "#e2e/lab";
import { answer, answered, eventOf, learnedNode, owner, startCluster } from "./observe.ts";

const exclude = "node.kubernetes.io/exclude-from-external-load-balancers";

/** With a pool for some interfaces of node1. */
function configuration(interfaces: readonly string[]): string {
  return `${demoConfiguration}- name: storage
  protocol: layer2
  auto-assign: false
  addresses: [172.29.0.200-172.29.0.209]
  node-selectors:
  - match-expressions: [{key: kubernetes.io/hostname, operator: In, values: [node1]}]
  interfaces: ${JSON.stringify(interfaces)}
`;
}

suite("labels and interfaces choose where an address is announced", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  before(async () => {
    cluster = await startCluster({ configuration: configuration(["eth1"]), honourExcludeLabel: true });
  });
  after(() => cluster[Symbol.asyncDispose]());

  /** Null takes a label away. */
  async function label(node: string, labels: Readonly<Record<string, string | null>>): Promise<void> {
    await cluster.api.patch({ apiVersion: "v1", kind: "Node", metadata: { name: node } }, { metadata: { labels } });
  }

  async function ownedBy(address: string, wanted: string): Promise<void> {
    await waitFor(`${wanted} to answer for ${address}`, async () => (await owner(cluster, address)).name === wanted);
    await answered(cluster, address, / on node[123]$/);
  }

  async function ownedByNobody(address: string): Promise<void> {
    await waitFor(`nobody to answer for ${address}`, async () => {
      await cluster.client.run(["ip", "neigh", "flush", "to", address]);
      await answer(cluster, address);
      return (await learnedNode(cluster, address)) === undefined;
    });
  }

  async function messages(service: string, reason: string): Promise<string[]> {
    const events = await eventsOf(cluster, "Service", service);
    return events.filter((event) => event.reason === reason).flatMap(({ message, count }) => Array(count).fill(message));
  }

  /** Waits until the last time that the node withdrew the Service was for this reason. */
  async function withdrawn({ speaker }: DemoNode, service: string, reason: string): Promise<void> {
    await waitFor(`${service} to be withdrawn with the reason ${reason}`, () => {
      const last = speaker.process.lines.findLast((line) => line.includes('"serviceWithdrawn"') && line.includes(service));
      return last !== undefined && JSON.parse(last).reason === reason;
    });
  }

  test("a node that is excluded from load balancers hands over and takes back, and where all are the Service has an event", async () => {
    const service = await cluster.expose("web", ["node1", "node2", "node3"]);
    const address = await service.address();
    const first = await owner(cluster, address);
    await label(first.name, { [exclude]: "" });
    const second = await waitFor("another node to answer", async () => {
      const now = await owner(cluster, address);
      return now.name !== first.name && now;
    });
    await eventOf(cluster, "web", "nodeAssigned", new RegExp(`"${second.name}"`));
    await withdrawn(first, "default/web", "nodeExcluded");
    await label(first.name, { [exclude]: null });
    await ownedBy(address, first.name);

    for (const { name } of cluster.nodes) await label(name, { [exclude]: "true" });
    const { type, message } = await eventOf(cluster, "web", "nodeExcluded", /is announced by no node/);
    assert.equal(type, "Warning");
    assert.match(message, new RegExp(`${address} of pool default .* ${exclude} \\(node1, node2, node3\\)`));
    await ownedByNobody(address);
    assert.deepEqual(await messages("web", "nodeExcluded"), [message], "one speaker says so, once");
    for (const { name } of cluster.nodes) await label(name, { [exclude]: null });
    await ownedBy(address, first.name);
    await service.delete();
  });

  test("a pool for one interface is answered for on this one alone, from when it is there, and on others once it is for those", async () => {
    const node = cluster.node("node1");
    const service = await cluster.expose("disk", ["node1"], {
      policy: "Local",
      annotations: { "metallb.universe.tf/address-pool": "storage" },
    });
    const address = await service.address();
    await cluster.client.ip(`route add ${address}/32 dev eth0`);
    await eventOf(
      cluster,
      "disk",
      "noInterface",
      /of pool storage is announced by no node: .* has an interface for the pool .*node1 has /,
    );
    await ownedByNobody(address);

    const storage = await cluster.lab.switch("storage");
    const neighbor: Host = await cluster.lab.host("neighbor");
    await neighbor.attach(storage, { addresses: ["172.29.0.100/24"] });
    await node.host.attach(storage, { addresses: ["172.29.0.11/24"] });
    const reply = async () => (await neighbor.get(`http://${address}/`, { timeout: 500 }).catch(() => undefined))?.body.trim();
    await waitFor("an answer on the storage network", async () => (await reply()) === "disk-1 on node1");
    await ownedByNobody(address);

    await cluster.configure(configuration(["eth*"]));
    await ownedBy(address, "node1");
    assert.equal(await reply(), "disk-1 on node1");
    await cluster.configure(configuration(["eth0"]));
    await waitFor("nobody to answer on the storage network", async () => {
      await neighbor.run(["ip", "neigh", "flush", "to", address]);
      return (await reply()) === undefined;
    });
    await ownedBy(address, "node1");
    await service.delete();
  });
});
