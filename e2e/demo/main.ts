/** Shows the whole of Ingot at work on this machine: `make demo`. */
import { DemoCluster, demoConfiguration } from "#e2e/demo-cluster";
import { LabRefused, waitFor } from "#e2e/lab";
import { failover } from "./failover.ts";
import { reach } from "./reach.ts";
import { say, sayIndented, table } from "./say.ts";

const interrupted = new Promise<"interrupted">((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve("interrupted"));
});
try {
  if ((await Promise.race([show(), interrupted])) === "interrupted") say("\nInterrupted; everything is taken down.");
} catch (error) {
  if (!(error instanceof LabRefused)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
process.exit(); // After an interruption the lab ends with this process.

async function show(): Promise<void> {
  say("A network on this machine: a switch, three nodes, a control plane and a client, in namespaces of their own.");
  await using cluster = await DemoCluster.start();
  say("On it a Kubernetes API, Ingot's controller, and a speaker on each node.");
  for (const { speaker } of cluster.nodes)
    await waitFor(`${speaker.name} to be ready`, () => speaker.ready(), { timeout: 30_000 });
  say("\nThe ConfigMap config in metallb-system says which addresses may be given:\n");
  sayIndented(demoConfiguration);
  say("A Service of type LoadBalancer is created, with a web server on every node:\n");
  const service = await cluster.expose("web", ["node1", "node2", "node3"]);
  const reached = await reach(cluster, service);
  table([
    ["Service", "default/web"],
    ["address given", reached.address],
    ["node that owns it", `${reached.node.name} (the Service's event: ${reached.event})`],
    ["MAC that the client learned", `${reached.mac} (eth0 of ${reached.node.name})`],
    ["the client's HTTP answer", `"${reached.answer}" from http://${reached.address}/`],
  ]);
  say(`\nThe speaker on ${reached.node.name} is killed. Until another node answers for ${reached.address}:\n`);
  const { node, mac, answer, milliseconds } = await failover(cluster, reached);
  table([
    ["node that owns it now", node.name],
    ["MAC that the client learned", mac],
    ["the client's HTTP answer", `"${answer}"`],
    ["time since the kill", `${Math.round(milliseconds)} ms`],
  ]);
  say("\nThat was all; the network is taken down. `make lab` keeps one, to try things by hand.");
}
