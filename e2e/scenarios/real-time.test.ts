import { spawn } from "node:child_process";
import { suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type DemoCluster, demoConfiguration } from "#e2e/demo-cluster";
import { Lab, waitFor } from "#e2e/lab";
import { cgroupWithoutRealTime, noCgroupWithoutRealTime } from "#pkg/linux/testing";
import { metric, owner, startCluster } from "./observe.ts";
import { Tool } from "./tool.ts";

suite("real time that the kernel refuses", { skip: await Lab.refusal() }, () => {
  test("a speaker in a cgroup without real time says so of its node, until it has some", async (context) => {
    using cgroup = cgroupWithoutRealTime();
    if (cgroup === undefined) {
      context.skip(noCgroupWithoutRealTime); // It needs root.
      return;
    }
    await using cluster = await startCluster({ nodes: 1 });
    using tool = new Tool(cluster);
    const { host, speaker } = cluster.node("node1");
    await host.sysctl({ "net.ipv4.ip_forward": 1 }); // As kubelets have it.
    const restart = async (within: readonly string[]) => {
      await speaker.stop();
      speaker.within = within;
      await speaker.start();
    };
    await restart(cgroup.launcher);
    await tool.explains("node/node1", [
      /^Node node1: Degraded \(realTimeRefused\)/,
      /gives threads of the speaker no real time, although it has the capability SYS_NICE/,
      /To do: start the node's kernel with rt_group_sched=0/,
    ]);
    await restart([]);
    await tool.explains("node/node1", /^Node node1: Ready \(ready\)/);
  });

  test("speakers without it that watch one another by BFD answer one at a time, busy or not, and take over from one that is killed", async (context) => {
    using cgroup = cgroupWithoutRealTime();
    if (cgroup === undefined) {
      context.skip(noCgroupWithoutRealTime);
      return;
    }
    await using cluster = await startCluster({ configuration: `${demoConfiguration}failover: {interval: 10ms}\n` });
    using tool = new Tool(cluster);
    const address = await (await cluster.expose("web", ["node1", "node2", "node3"])).address();
    for (const { speaker } of cluster.nodes) {
      await speaker.stop();
      speaker.within = cgroup.launcher;
      await speaker.start();
    }
    await tool.explains("node/node1", /\(realTimeRefused\)/);
    const busy = [1, 2, 3, 4].map(() => spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }));
    await sleep(10_000);
    for (const child of busy) child.kill("SIGKILL");
    // Nodes that took one another for gone meanwhile are members of one another again.
    await waitFor("one node to announce it", async () => (await announcing(cluster, "default/web")) === 1);
    const before = await owner(cluster, address);
    before.speaker.process.kill("SIGKILL");
    await before.speaker.process.exited;
    await waitFor("another node to answer", async () => (await owner(cluster, address)) !== before);
  });
});

suite("a CPU limit", { skip: await Lab.refusal() }, () => {
  test("a speaker with a limit of less than one processor says so of its node, and has its addresses back", async (context) => {
    using cgroup = cgroupWithoutRealTime(0.1);
    if (cgroup === undefined) {
      context.skip(noCgroupWithoutRealTime);
      return;
    }
    await using cluster = await startCluster({ nodes: 2 });
    using tool = new Tool(cluster);
    const address = await (await cluster.expose("web", ["node1", "node2"])).address();
    const node = await owner(cluster, address);
    await node.speaker.stop();
    node.speaker.within = cgroup.launcher;
    await node.speaker.start();
    await tool.explains(`node/${node.name}`, [
      /\(cpuLimited\b/,
      /has a CPU limit of 100m/,
      /To do: take the limit away where it is set/,
    ]);
    await waitFor("the owner to be back", async () => (await owner(cluster, address)) === node);
  });
});

/** How many nodes announce the Service. */
async function announcing({ nodes }: DemoCluster, service: string): Promise<number> {
  const counts = await Promise.all(nodes.map(({ speaker }) => metric(speaker, "metallb_speaker_announced", { service })));
  return counts.filter((count) => count === 1).length;
}
