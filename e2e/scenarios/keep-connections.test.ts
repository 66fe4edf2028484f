// Scenario: what kernels do with packets of connections when an address moves.
import assert from "node:assert/strict";
import { after, before, beforeEach, suite, test } from "node:test";
import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { Lab, type LabProcess, waitFor } from "#e2e/lab";
import { drainLabel, excludeLabel } from "#pkg/placement";
import type { HandoversAnswer } from "../../ctl/cluster/answers.ts";
import { KeptFlows } from "./kept-flows.ts";
import { owner } from "./observe.ts";
import type { TcpFlows } from "./tcp-flows.ts";

const flows = 25;
suite("established connections go on when an address moves", { skip: await Lab.refusal() }, () => {
  let kept: KeptFlows;
  let cluster: DemoCluster;
  let v4: string;
  let v6: string;

  before(async () => {
    kept = await KeptFlows.start();
    ({ cluster, v4, v6 } = kept);
  });
  beforeEach(() => kept.atHome());
  after(() => kept[Symbol.asyncDispose]());

  const isExcluded = (node: DemoNode, value: boolean) => kept.label(node, excludeLabel, value ? "" : null);
  const open = (address: string) => kept.open(address, flows);

  /** Until every connection answers, or has ended. */
  async function seen(client: LabProcess): Promise<TcpFlows> {
    const soon = client.lines.length + 7; // By then all answers are to questions asked since.
    return waitFor("connections that answer or are broken", () => {
      const line = client.lines.length < soon ? undefined : client.lines.at(-1);
      const now = line === undefined ? undefined : (JSON.parse(line) as TcpFlows);
      return now !== undefined && now.answering + now.broken === flows ? now : undefined;
    });
  }

  async function moveFrom(address: string): Promise<DemoNode> {
    const before = await owner(cluster, address);
    await isExcluded(before, true);
    await waitFor("another owner", async () => (await owner(cluster, address)).name !== before.name);
    return before;
  }

  test("IPv4 and IPv6", async () => {
    for (const address of [v4, v6]) {
      const client = await open(address);
      assert.equal((await seen(client)).answering, flows);
      const before = await moveFrom(address);
      assert.equal((await seen(client)).answering, flows, address);
      await isExcluded(before, false);
      await client.stop();
    }
  });

  test("on to a third node, and back to the second: connections that began at each of the three go on", async () => {
    const clients: LabProcess[] = [];
    const moved: DemoNode[] = [];
    for (let count = 0; count < 3; count++) {
      clients.push(await open(v4));
      if (count < 2) moved.push(await moveFrom(v4));
    }
    const [first, second] = moved as [DemoNode, DemoNode];
    await isExcluded(second, false);
    await waitFor("the second node to have it again", async () => (await owner(cluster, v4)).name === second.name);
    for (const [index, client] of clients.entries())
      assert.equal((await seen(client)).answering, flows, `of those that began at owner ${index + 1}`);
    await Promise.all(clients.map((client) => client.stop()));
    await isExcluded(first, false);
  });

  const cordon = (node: DemoNode, unschedulable: boolean | null) =>
    cluster.api.patch({ apiVersion: "v1", kind: "Node", metadata: { name: node.name } }, { spec: { unschedulable } });

  test("a speaker that stops ends at once where its node stays, and with the last connection where it goes", async () => {
    for (const isCordoned of [false, true]) {
      const client = await open(v4);
      assert.equal((await seen(client)).answering, flows);
      const node = await owner(cluster, v4);
      await cordon(node, isCordoned || null);
      if (isCordoned) await drains(node);
      const { lines } = node.speaker.process;
      const stopped = node.speaker.process.stop({ grace: 60_000 });
      if (isCordoned)
        await waitFor("the speaker to wait", () => lines.some((line) => line.includes("waiting for kept connections")));
      else assert.deepEqual(await stopped, { code: 0, signal: null });
      assert.equal((await seen(client)).answering, flows, `the node ${isCordoned ? "goes" : "stays"}`);
      assert.notEqual((await owner(cluster, v4)).name, node.name);
      assert.equal((await seen(client)).answering, flows, "later");
      await client.stop();
      await waitFor("the kernels to have seen the end", async () => {
        assert.deepEqual(
          (await tracked()).filter((line) => line.includes("ESTABLISHED")),
          [],
        );
        return true;
      });
      assert.deepEqual(await stopped, { code: 0, signal: null });
      const isOver = lines.some((line) => line.includes('"kept connections are over"'));
      assert.equal(isOver, isCordoned, [...lines.slice(-4), ...(await tracked())].join("\n"));
      await cordon(node, null);
      await node.speaker.start();
      await waitFor("the speaker to be ready", () => node.speaker.ready());
      await kept.atHome();
    }
  });

  test("connections go on when their node is drained, and the speaker counts them until they end", async () => {
    const client = await open(v4);
    const node = await owner(cluster, v4);
    await drained(node, "");
    await waitFor("another owner", async () => (await owner(cluster, v4)).name !== node.name);
    assert.equal((await seen(client)).answering, flows);
    const counted = async () => {
      const { served } = JSON.parse((await node.speaker.get("/v1/handovers")).body) as HandoversAnswer;
      return served.find(({ address }) => address === v4)?.connections ?? 0;
    };
    await waitFor("the connections to be counted", async () => (await counted()) >= flows);
    await client.stop();
    await waitFor("no connection to be left", async () => (await counted()) === 0);
    await drained(node, null);
  });

  /** For a failure's message: the connections that the kernel of each node tracks, but for those that are over. */
  async function tracked(): Promise<string[]> {
    const lists = cluster.nodes.flatMap(({ name, host }) =>
      [v4, v6].map(async (address) => {
        const family = address.includes(":") ? "ipv6" : "ipv4";
        const list = await host.output(["conntrack", "-L", "-f", family, "-p", "tcp", "-d", address]);
        const open = list.split("\n").filter((line) => !/TIME_WAIT|^$/.test(line));
        return open.map((line) => `${name}: ${line}`);
      }),
    );
    return (await Promise.all(lists)).flat();
  }

  async function drains(node: DemoNode): Promise<void> {
    await waitFor("the speaker to know of it", async () => (await node.speaker.get("/v1/node")).body.includes('"draining"'));
  }

  const drained = (node: DemoNode, value: string | null) => kept.label(node, drainLabel, value);
});
