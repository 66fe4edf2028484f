/** Runs the demo's cluster until Ctrl-C, and says how to look at it. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Host, LabRefused, waitFor } from "#e2e/lab";
import { DemoCluster, type Scene, scenes } from "./index.ts";

const usage = `usage: main.ts [--nodes COUNT] [--configuration FILE] [--directory FOLDER] [--scene NAME]

  --nodes          how many nodes, 1 to 80 (3)
  --configuration  what to put into the ConfigMap, instead of one pool of each family for layer 2
  --directory      for the kubeconfig and the logs (.cache/lab/PROCESS)
  --scene          a fault to plant, in a cluster of 3 nodes with the usual configuration; list names all
`;

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "3" },
    configuration: { type: "string" },
    directory: { type: "string", default: `.cache/lab/${process.pid}` },
    scene: { type: "string", default: "" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.scene === "list") {
  const width = Math.max(...Object.keys(scenes).map((name) => name.length));
  for (const [name, { symptom }] of Object.entries(scenes)) process.stdout.write(`${name.padEnd(width)}  ${symptom}\n`);
  process.exit(0);
}
const scene = Object.hasOwn(scenes, values.scene) ? scenes[values.scene] : undefined;
if (values.scene !== "" && scene === undefined) {
  process.stderr.write(`Cannot play scene ${values.scene}: there is no such scene; make lab SCENE=list names all\n`);
  process.exit(2);
}
const nodes = Number(values.nodes);
if (scene !== undefined && (nodes !== 3 || values.configuration !== undefined)) {
  process.stderr.write("Cannot play a scene here: it needs 3 nodes and the usual configuration\n");
  process.exit(2);
}
const wrong = !(Number.isInteger(nodes) && nodes >= 1 && nodes <= 80);
if (values.help || wrong) {
  (wrong ? process.stderr : process.stdout).write(wrong ? `Cannot make ${values.nodes} nodes\n\n${usage}` : usage);
  process.exit(wrong ? 2 : 0);
}

const { promise: ended, resolve: end } = Promise.withResolvers<void>();
process.once("SIGINT", () => end());
process.once("SIGTERM", () => end());

const directory = resolve(values.directory);
const kubeconfig = join(directory, "kubeconfig");
mkdirSync(directory, { recursive: true });
try {
  const configuration = values.configuration === undefined ? {} : { configuration: readFileSync(values.configuration, "utf8") };
  await using cluster = await DemoCluster.start({ nodes, forwarding: true, netAdmin: true, logs: directory, ...configuration });
  writeFileSync(kubeconfig, cluster.kubeconfig, { mode: 0o600 });
  const names = cluster.nodes.map(({ name }) => name);
  const web = await cluster.expose("web", names.slice(0, 2));
  const ready = waitFor("the speakers to be ready", () => allReady(cluster));
  await Promise.race([ready, ended]);
  print(cluster, (await web.addresses())[0]);
  if (scene !== undefined) await Promise.race([play(cluster, await web.address(), scene), ended]);
  await ended;
  rmSync(kubeconfig); // It leads nowhere any more.
} catch (error) {
  if (!(error instanceof LabRefused)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}

async function allReady(cluster: DemoCluster): Promise<boolean> {
  return (await Promise.all(cluster.nodes.map(({ speaker }) => speaker.ready()))).every(Boolean);
}

async function play(cluster: DemoCluster, address: string, { symptom, plant, find }: Scene): Promise<void> {
  await plant(cluster, address);
  process.stdout.write(`A fault is planted. What an operator sees:
  ${symptom}

Look for the cause, with the KUBECONFIG above. This command names it, within a minute, and says what to do:
  npx ingotctl ${find}

`);
}

function print({ client, controlPlane, nodes }: DemoCluster, address: string | undefined): void {
  const hosts: readonly Host[] = [client, controlPlane, ...nodes.map(({ host }) => host)];
  const width = Math.max(...hosts.map(({ name }) => name.length));
  process.stdout.write(`
A cluster of ${nodes.length} nodes runs on 172.30.0.0/24 and fd00:30::/64. Ctrl-C ends it.

Look at it:
  export KUBECONFIG=${kubeconfig}
  kubectl get services -o wide
  kubectl get events
  npx ingotctl status
  npx ingotctl explain svc/web
  kubectl -n metallb-system get pods -o wide
  kubectl -n metallb-system edit configmap config
  tail -f ${directory}/*.log
  make dashboard

${address === undefined ? "Service web has no address yet: its events say why." : `Service web has ${address}. From the client:`}
  ${client.nsenter} curl http://${address ?? "ADDRESS"}/
  ${client.nsenter} ip neigh

Enter a host (also to break it: ip link set eth0 down):
${hosts.map(({ name, nsenter }) => `  ${name.padEnd(width)}  ${nsenter}`).join("\n")}

`);
}
