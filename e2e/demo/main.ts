/** Shows the whole of Ingot at work on this machine: `make demo`. */
import { DemoCluster, type DemoNode, type DemoService, demoConfiguration, eventsOf, learned } from "#e2e/demo-cluster";
import { LabRefused, waitFor } from "#e2e/lab";

const interrupted = new Promise<"interrupted">((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve("interrupted"));
});
try {
  if ((await Promise.race([show(), interrupted])) === "interrupted") print("\nInterrupted; everything is taken down.");
} catch (error) {
  if (!(error instanceof LabRefused)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
process.exit(); // After an interruption the lab ends with this process.

async function show(): Promise<void> {
  print("A network on this machine: a switch, three nodes, a control plane and a client, in namespaces of their own.");
  await using cluster = await DemoCluster.start();
  print("On it a Kubernetes API, Ingot's controller, and a speaker on each node.");
  for (const { speaker } of cluster.nodes)
    await waitFor(`${speaker.name} to be ready`, () => speaker.ready(), { timeout: 30_000 });
  print("\nThe ConfigMap config in metallb-system says which addresses may be given:\n");
  printIndented(demoConfiguration);
  print("A Service of type LoadBalancer is created, with a web server on every node:\n");
  const service = await cluster.expose("web", ["node1", "node2", "node3"]);
  const reached = await reach(cluster, service);
  table([
    ["Service", "default/web"],
    ["address given", reached.address],
    ["node that owns it", `${reached.node.name} (the Service's event: ${reached.event})`],
    ["MAC that the client learned", `${reached.mac} (eth0 of ${reached.node.name})`],
    ["the client's HTTP answer", `"${reached.answer}" from http://${reached.address}/`],
  ]);
  print(`\nThe speaker on ${reached.node.name} is killed. Until another node answers for ${reached.address}:\n`);
  const { node, mac, answer, milliseconds } = await failover(cluster, reached);
  table([
    ["node that owns it now", node.name],
    ["MAC that the client learned", mac],
    ["the client's HTTP answer", `"${answer}"`],
    ["time since the kill", `${Math.round(milliseconds)} ms`],
  ]);
  print("\nThat was all; the network is taken down. `make lab` keeps one, to try things by hand.");
  print("While it runs, `make dashboard` in another terminal opens its dashboard for the browser.");
}

interface Reached {
  readonly address: string;
  /** The node that announces the address. */
  readonly node: DemoNode;
  /** The message of the event in which it says so. */
  readonly event: string;
  readonly mac: string;
  readonly answer: string;
}

/** Waits until the client gets an answer from the Service, and finds out how it got there. */
async function reach(cluster: DemoCluster, service: DemoService): Promise<Reached> {
  const address = await service.address();
  const answer = await waitFor("an answer for the client", () => ask(cluster, address));
  const { node, mac } = await waitFor("the client to have learned a node", () => learned(cluster, address));
  const event = await waitFor("the event nodeAssigned", () => assignment(cluster, service.name));
  return { address, node, event, mac, answer };
}

/** The page that the client gets. */
async function ask(cluster: DemoCluster, address: string): Promise<string> {
  return (await cluster.client.get(`http://${address}/`, { timeout: 500 })).body.trim();
}

async function assignment(cluster: DemoCluster, service: string): Promise<string | undefined> {
  const events = await eventsOf(cluster, "Service", service);
  return events.find(({ reason }) => reason === "nodeAssigned")?.message;
}

/** Kills the speaker that owns the address, and waits until the client has learned another node's MAC. */
async function failover(
  cluster: DemoCluster,
  { address, node: first }: Reached,
): Promise<{ node: DemoNode; mac: string; answer: string; milliseconds: number }> {
  const start = performance.now();
  first.speaker.process.kill("SIGKILL");
  const { node, mac } = await waitFor("another node to answer", async () => {
    const now = await learned(cluster, address);
    return now?.node !== first && now;
  });
  const milliseconds = performance.now() - start;
  return { node, mac, answer: await ask(cluster, address), milliseconds };
}

/** Prints a line. */
function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function printIndented(text: string): void {
  print(text.replace(/^(?=.)/gm, "    "));
}

/** Prints names and values in two columns. */
function table(rows: readonly (readonly [name: string, value: string])[]): void {
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) print(`    ${name.padEnd(width)}  ${value}`);
}
