/** Runs the demo's cluster until Ctrl-C, and says how to look at it. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Host, LabRefused, waitFor } from "#e2e/lab";
import { DemoCluster } from "./index.ts";

const usage = `usage: main.ts [--nodes COUNT] [--configuration FILE] [--directory FOLDER]

  --nodes          how many nodes, 1 to 80 (3)
  --configuration  what to put into the ConfigMap, instead of one pool of each family for layer 2
  --directory      for the kubeconfig and the logs (.cache/lab/PROCESS)
`;

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "3" },
    configuration: { type: "string" },
    directory: { type: "string", default: `.cache/lab/${process.pid}` },
    help: { type: "boolean", short: "h" },
  },
});
const nodes = Number(values.nodes);
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
