import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type DemoCluster, type DemoNode, demoConfiguration } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { metric, owner, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

interface Session {
  readonly peer: string;
  readonly verdict: string;
}

/** Whether the main thread of a speaker runs in real time (sched(7)). */
function isInHurry({ speaker }: DemoNode): boolean {
  const fields = readFileSync(`/proc/${speaker.process.pid}/stat`, "utf8").split(") ")[1]?.split(" ");
  return fields?.[38] === "2";
}

/** Threads that another process may keep waiting for 150 ms distrust their paths, as they should. */
const refusal = process.getuid?.() === 0 ? await Lab.refusal() : "needs root: an ordinary user has no real-time threads";

suite("speakers that watch one another by BFD", { skip: refusal }, () => {
  let cluster: DemoCluster;
  let address: string;
  let tool: Tool;
  before(async () => {
    cluster = await startCluster({ configuration: `${demoConfiguration}failover: {interval: 50ms}\n` });
    const service = await cluster.expose("web", ["node1", "node2", "node3"]);
    address = await service.address();
    tool = new Tool(cluster);
  });
  after(async () => {
    tool?.[Symbol.dispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  async function sessionsOf({ speaker }: DemoNode): Promise<readonly Session[]> {
    return JSON.parse((await speaker.get("/v1/bfd/sessions")).body);
  }

  /** Waits until each of these speakers has a session with each of the others. */
  async function areUp(nodes: readonly DemoNode[]): Promise<void> {
    for (const node of nodes)
      await waitFor(`the sessions of ${node.name} to be up`, async () => {
        const up = (await sessionsOf(node)).filter(({ verdict }) => verdict === "up");
        return up.length === nodes.length - 1;
      });
  }

  const ended = (nodes: readonly DemoNode[]) =>
    Promise.all(nodes.map(({ speaker }) => metric(speaker, "ingot_memberlist_path_failures_total", {})));

  test("have sessions with all others, and an address goes to another node by them when a speaker is killed", async () => {
    // On a busy machine the ring may be the first to find a failure: then there is another one.
    await waitFor("a failure that BFD finds first", async () => {
      await areUp(cluster.nodes);
      const before = await owner(cluster, address);
      before.speaker.process.kill("SIGKILL");
      await before.speaker.process.exited;
      await waitFor(`another node to answer for ${address}`, async () => (await owner(cluster, address)) !== before);
      const successor = await owner(cluster, address);
      const { out } = await tool.run("explain", "svc/web");
      const moves = await metric(successor.speaker, "ingot_layer2_failover_seconds_count", { cause: "failedFast" });
      await before.speaker.start();
      return new RegExp(`Announced \\(failedOverFast\\)[^]*BFD found that ${before.name} failed`).test(out) && (moves ?? 0) > 0;
    });
    await areUp(cluster.nodes);
    await tool.explains("svc/web", /Announced \(announced\)/);
  });

  test("act on a failure before all that is not real-time, and have the main thread as it was within a second", async () => {
    const [failing, ...others] = cluster.nodes as [DemoNode, ...DemoNode[]];
    // A busy machine may keep this process from looking for as long as the hurry lasts.
    await waitFor("all others to hurry", async () => {
      await areUp(cluster.nodes);
      assert.deepEqual(cluster.nodes.filter(isInHurry), []);
      failing.speaker.process.kill("SIGKILL");
      const hurried = new Set<DemoNode>();
      for (const end = performance.now() + 1_000; performance.now() < end; await sleep(1))
        for (const node of others) if (isInHurry(node)) hurried.add(node);
      assert.deepEqual(others.filter(isInHurry), []);
      await failing.speaker.process.exited;
      await failing.speaker.start();
      return hurried.size === others.length;
    });
    await areUp(cluster.nodes);
  });

  test("take nobody's address where BFD alone is lost between two nodes, and say nothing of a failure", async () => {
    const [one, other] = cluster.nodes as [DemoNode, DemoNode];
    const before = await Promise.all([owner(cluster, address), ended(cluster.nodes)]);
    await one.host.run(["nft", "add table inet lost; add chain inet lost out { type filter hook output priority 0; }"]);
    await one.host.run(["nft", `add rule inet lost out ip daddr ${other.addresses[0]} udp dport 3784 drop`]);
    await waitFor("BFD between the two to fail", async () =>
      (await sessionsOf(other)).some(({ peer, verdict }) => peer === one.addresses[0] && verdict === "failed"),
    );
    await tool.explains(`node/${one.name}`, [
      /: Degraded \(fastPathOff\)/,
      new RegExp(`finds failures of nodes without BFD: there is no BFD session with ${other.name}`),
      /To do: .*let UDP 3784 pass/,
    ]);
    assert.deepEqual(await Promise.all([owner(cluster, address), ended(cluster.nodes)]), before);
    await one.host.run(["nft", "delete table inet lost"]);
    await areUp(cluster.nodes);
  });

  test("have no sessions once the configuration does not ask for them", async () => {
    await cluster.configure(demoConfiguration);
    for (const node of cluster.nodes)
      await waitFor(`the sessions of ${node.name} to end`, async () => (await sessionsOf(node)).length === 0);
  });
});
