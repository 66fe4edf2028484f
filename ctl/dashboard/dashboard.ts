import { SystemClock } from "#pkg/clock";
import { simulateNodes } from "../change/simulate.ts";
import { connectionOptions } from "../cluster/cluster-command.ts";
import { command, Exit, UsageError, type Values } from "../command.ts";
import { askHistory, readSubject } from "../history/history.ts";
import type { Io } from "../io.ts";
import { explainSubject } from "../views/explain.ts";
import { pageFiles } from "./bundle.ts";
import { Collector } from "./collector.ts";
import { type PageQuestion, serveDashboard } from "./server.ts";

const help = `Serves a page on this machine with the present state of the cluster: pools and their addresses, Services, nodes, BGP peers, and
changes. Prints its address, to be opened in a browser here, and runs until Ctrl-C. The address has a token without which nothing is
answered; nobody else's page can read it, and nothing is exposed in the cluster.`;

const notes = `Controller and speakers are asked by forwarded ports, with your own rights: to list Pods and to create pods/portforward in the
system namespace.

The exit status is 2 if the arguments or the cluster cannot be used.`;

const options = { port: { value: "PORT", help: "of 127.0.0.1; any free one by default" }, ...connectionOptions };

export const dashboard = command({
  name: "dashboard",
  summary: "A page in the browser with a live view",
  usage: "[OPTIONS]",
  takes: 0,
  help,
  notes,
  options,
  run: ({ values }, io) => run(values, io),
});

async function run(values: Values<typeof options>, io: Io): Promise<number> {
  const { kubeconfig, context, "system-namespace": systemNamespace = "metallb-system" } = values;
  const cluster = { kubeconfig, context, systemNamespace };
  const port = readPort(values.port);
  const namespace = await io.cluster.namespace(cluster);
  await using collector = new Collector({
    connect: (before) => io.cluster.connect(cluster, before),
    cluster: context ?? systemNamespace,
    clock: new SystemClock(),
    date: io.now,
  });
  const explain: PageQuestion = (query) => explainSubject(collector.processes, query.get("subject") ?? "", namespace);
  const history: PageQuestion = (query) => askHistory(collector.processes, readSubject(query.get("subject") ?? "", namespace));
  const asked = { processes: collector.processes, api: () => io.cluster.api(cluster), systemNamespace };
  const simulate: PageQuestion = (query) => {
    const what = query.has("drain") ? "drain" : "lose";
    return simulateNodes(asked, what, query.getAll(what));
  };
  const questions = { "/explain": explain, "/history": history, "/simulate": simulate };
  await using server = await serveDashboard({ port, files: await pageFiles(), questions });
  collector.onModel((model) => server.show(model));
  await collector.start();
  if (collector.processes.targets.length === 0)
    throw new UsageError(`there is no Pod of a controller or speaker in namespace ${systemNamespace}; see --system-namespace`);
  io.out(`The dashboard is on ${server.url}\nCtrl-C ends it.\n`);
  await io.interrupted();
  return Exit.ok;
}

/** @throws {UsageError} */
function readPort(text: string | undefined): number {
  const port = Number(text ?? "0");
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UsageError(`--port is a number up to 65535, not ${JSON.stringify(text)}`);
  return port;
}
