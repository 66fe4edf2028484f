// Scenario: kernels hand connections over on networks that do not make it easy.
import assert from "node:assert/strict";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { Lab, type LabProcess, waitFor } from "#e2e/lab";
import { excludeLabel } from "#pkg/placement";
import type { HandoversAnswer } from "../../ctl/cluster/answers.ts";
import { KeptFlows, port } from "./kept-flows.ts";
import { owner } from "./observe.ts";
import type { NewFlows, TcpFlows } from "./tcp-flows.ts";

const flows = 25;
const perSecond = 20;
const lostMs = 4_000;
const patience = { timeout: 60_000 };
const octets = 1 << 20;

suite("established connections go on whatever the network is like", { skip: await Lab.refusal() }, () => {
  let kept: KeptFlows;
  let cluster: DemoCluster;

  before(async () => {
    kept = await KeptFlows.start();
    ({ cluster } = kept);
  });
  after(() => kept[Symbol.asyncDispose]());

  const last = <T>(client: LabProcess) => JSON.parse(client.lines.at(-1) ?? "{}") as T;
  const allAnswer = (client: LabProcess) =>
    waitFor("all connections to answer", () => last<TcpFlows>(client).answering === flows, patience);

  /** A client's address moves, and then something happens. All connections have to be there in the end. */
  async function follow(address: string, act: (former: DemoNode, next: DemoNode) => Promise<void>): Promise<void> {
    const former = await owner(cluster, address);
    const client = await kept.open(address, flows);
    await kept.label(former, excludeLabel, "");
    try {
      const next = await waitFor("another owner", async () => {
        const node = await owner(cluster, address);
        return node === former ? undefined : node;
      });
      await act(former, next);
      await allAnswer(client);
    } finally {
      await kept.label(former, excludeLabel, null);
      await client.stop();
      await waitFor("the owner from before", async () => (await owner(cluster, address)) === former, patience);
    }
  }

  test("with a flowtable on all nodes, which takes known connections past nf_tables", async (t) => {
    const chain = "type filter hook forward priority 0; meta l4proto tcp flow add @fast;";
    const table = `table inet fast { flowtable fast { hook ingress priority 0; devices = { eth0 }; }; chain forward { ${chain} }; }`;
    const [first] = cluster.nodes;
    if ((await first?.host.run(["nft", table]))?.code !== 0) return t.skip("this kernel has no flowtables");
    for (const { host } of cluster.nodes.slice(1)) await host.output(["nft", table]);
    for (const address of [kept.v4, kept.v6])
      await follow(address, async ({ host }) => {
        const family = address.includes(":") ? "ipv6" : "ipv4";
        assert.match(await host.output(["conntrack", "-L", "-f", family]), /OFFLOAD/, "some connections are in it");
      });
    for (const { host } of cluster.nodes) await host.output(["nft", "delete", "table", "inet", "fast"]);
  });

  test("the LAN drops what is handed over: connections wait and then go on, and new ones are made meanwhile", () =>
    follow(kept.v4, async ({ host }, next) => {
      const mac = await next.host.link("eth0").mac();
      const rule = `ether saddr ${mac} ip daddr ${kept.v4} drop;`;
      const chain = `chain in { type filter hook ingress device eth0 priority -500; ${rule} };`;
      const fresh = await kept.newOnes(kept.v4, perSecond);
      await host.output(["nft", `table netdev lossy { ${chain} }`]);
      await sleep(lostMs);
      await host.output(["nft", "delete", "table", "netdev", "lossy"]);
      const { opened, lost } = last<NewFlows>(fresh);
      await fresh.stop();
      assert.ok(opened > perSecond);
      assert.equal(lost, 0);
    }));

  test("the former owner has another MAC address", () =>
    follow(kept.v4, async ({ host }) => {
      const before = await host.link("eth0").mac();
      await host.output(["ip", "link", "set", "eth0", "address", before.replace(/^..:../, "02:77")]);
      await sleep(1_000);
    }));

  test("the address returns, and clients use ports that connections had at the node before", async () => {
    const node = await owner(cluster, kept.v4);
    await cluster.client.sysctl({ "net.ipv4.tcp_tw_reuse": 1 }); // They wait two minutes in the node's kernel, and here one.
    const client = await cluster.client.spawn("again", [process.execPath, "-e", again, kept.v4, `${port}`, `${flows}`]);
    await client.waitForLine(/^closed$/);
    await kept.label(node, excludeLabel, "");
    await waitFor("another owner", async () => (await owner(cluster, kept.v4)) !== node, patience);
    const served = async () => {
      const answer = JSON.parse((await node.speaker.get("/v1/handovers")).body) as HandoversAnswer;
      return answer.served.some(({ address }) => address === kept.v4);
    };
    await waitFor("the node to serve it", served, patience);
    await waitFor("the node to have counted its connections", async () => !(await served()), patience);
    client.kill("SIGUSR2");
    await client.waitForLine(/^opened$/);
    await kept.label(node, excludeLabel, null);
    await waitFor("the owner from before", async () => (await owner(cluster, kept.v4)) === node, patience);
    client.kill("SIGUSR2");
    await client.waitForLine(/^answered$/);
    await client.stop();
  });

  test("segments are as large as the link takes, and more of them at once", async () => {
    const former = await owner(cluster, kept.v4);
    const client = await cluster.client.spawn("bulk", [process.execPath, "-e", bulk, kept.v4, `${port}`, `${octets}`]);
    await client.waitForLine(/^once$/);
    await kept.label(former, excludeLabel, "");
    await waitFor("another owner", async () => (await owner(cluster, kept.v4)) !== former);
    client.kill("SIGUSR2");
    await client.waitForLine(/^twice$/, patience);
    await client.stop();
    await kept.label(former, excludeLabel, null);
  });
});

// Opens and closes so many connections; at a signal it opens others from the same ports, and at another asks over each.
const again = `
const [address, port, count] = process.argv.slice(1);
const { once } = require("node:events");
const each = (act) => Promise.all(Array.from({ length: Number(count) }, (_, index) => act(index)));
const sockets = [];
const ask = (socket) => (socket.write("x"), once(socket, "data"));
const open = async (index) => {
  const socket = (sockets[index] = require("net").connect({ host: address, port, localPort: 20_000 + index }));
  socket.on("error", (error) => console.log(error.message));
  await once(socket, "connect");
  await ask(socket);
};
setInterval(() => {}, 1_000);
const said = () => new Promise((resolve) => process.once("SIGUSR2", resolve));
(async () => {
  await each(open);
  await each((index) => once(sockets[index].end(), "close"));
  console.log("closed");
  await said();
  await each(open);
  console.log("opened");
  await said();
  await each((index) => ask(sockets[index]));
  console.log("answered");
})();
`;

// Has so many octets echoed, and as many again at a signal, by way of one connection.
const bulk = `
const [address, port, octets] = process.argv.slice(1);
const socket = require("net").connect(port, address);
const text = Buffer.alloc(Number(octets));
let echoed = 0;
socket.write(text);
socket.on("data", (data) => {
  echoed += data.length;
  if (echoed === text.length) console.log("once");
  if (echoed === 2 * text.length) console.log("twice");
});
process.on("SIGUSR2", () => socket.write(text));
`;
