import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { type DemoCluster, type DemoNode, demoConfiguration } from "#e2e/demo-cluster";
import { type Host, Lab, waitFor } from "#e2e/lab";
import { eventOf, metric, owner, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

const configuration = demoConfiguration.replace(
  "protocol: layer2\n",
  "protocol: layer2\n  self-test: 10s\n  conflict-probe: off\n",
);
suite("another node tries announced addresses on the wire, and says what is wrong", { skip: await Lab.refusal() }, () => {
  let cluster: DemoCluster;
  let tool: Tool;
  let node: DemoNode; // The node that announces the address.
  let address = "";
  before(async () => {
    cluster = await startCluster({ configuration });
    tool = new Tool(cluster);
    const service = await cluster.expose(
      "web",
      cluster.nodes.map(({ name }) => name),
    );
    address = (await waitFor("an address", async () => (await service.addresses())[0])) ?? "";
    node = await owner(cluster, address);
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  /** Problems of the address that the other nodes report. */
  async function faults(): Promise<readonly { cause: string; message: string }[]> {
    const others = cluster.nodes.filter((one) => one !== node);
    const bodies = await Promise.all(others.map(({ speaker }) => speaker.get("/v1/services?problems")));
    const services = bodies.flatMap(({ body }) => JSON.parse(body).services) as {
      addresses: { address: string; verdict: { cause: string; message: string } }[];
    }[];
    return services.flatMap(({ addresses }) => addresses.filter((one) => one.address === address).map(({ verdict }) => verdict));
  }

  async function fault(cause: string): Promise<string> {
    const found = await waitFor(`the verdict ${cause}`, async () => (await faults()).find((one) => one.cause === cause));
    return found.message;
  }

  const probe = () => tool.run("probe", "svc/web");
  const well = () => waitFor("the address to be well", async () => (await faults()).length === 0);

  test("an address that is well has no other verdict", async () => {
    const tried = async () => Promise.all(cluster.nodes.map(({ speaker }) => metric(speaker, "ingot_layer2_self_test_failures")));
    const asked = async () => (await metric(node.speaker, "metallb_layer2_requests_received", { ip: address })) ?? 0;
    const before = await asked();
    await waitFor("another node to ask for the address", async () => (await asked()) > before);
    assert.deepEqual([await tried(), await faults()], [cluster.nodes.map(() => 0), []]);
  });

  test("whoever asks has every other node try the address at once", async () => {
    const { status, out, err } = await probe();
    assert.equal(status, 0, `${out}${err}`);
    assert.match(out, new RegExp(`\\n  ${node.name}: announces it; from there port 80 accepts; `));
    for (const { name } of cluster.nodes.filter((one) => one !== node))
      assert.match(out, new RegExp(`\\n  ${name}: answered by [0-9a-f:]{17} \\(${node.name}\\) on eth0; TCP port 80 accepts; `));
  });

  test("an address that is announced, and that nobody answers for", async () => {
    await nft(
      node.host,
      `add table netdev quiet { chain in { type filter hook ingress device eth0 priority 0; arp daddr ip ${address} drop; }; }`,
    );
    assert.match(
      await fault("notAnswered"),
      new RegExp(`^${node.name} announces ${address}, and nobody answers for it, as node`),
    );
    const event = await eventOf(cluster, "web", "selfTestFailed", /nobody answers/);
    assert.equal(event.type, "Warning");
    await nft(node.host, "delete table netdev quiet");
    await well();
  });

  test("an address that two hosts answer for, with their MAC addresses", async () => {
    const thief = await cluster.lab.host("thief");
    await thief.attach(cluster.lan, { addresses: [`${address}/24`] });
    const { stdout } = await thief.run(["ip", "-json", "link", "show", "dev", "eth0"]);
    const [{ address: mac }] = JSON.parse(stdout);
    assert.match(await fault("answeredByTwo"), new RegExp(mac));
    const found = await probe();
    assert.equal(found.status, 3);
    assert.match(found.out, new RegExp(`2 hosts answer for it, as node\\d finds on eth0: .*${mac}`));
    await thief.run(["ip", "address", "flush", "dev", "eth0"]);
    await well();
  });

  async function nft(host: Host, ruleset: string): Promise<void> {
    await host.run(["nft", ruleset]);
  }
});
