import { suite, test } from "node:test";
import { Lab } from "#e2e/lab";
import { cgroupWithoutRealTime, noCgroupWithoutRealTime } from "#pkg/linux/testing";
import { startCluster } from "./observe.ts";
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
});
