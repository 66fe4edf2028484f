import { join } from "node:path";
import { SystemClock } from "#pkg/clock";
import { simulateNodes } from "../change/simulate.ts";
import { connectionOptions, noPods } from "../cluster/cluster-command.ts";
import { command, Exit, UsageError, type Values } from "../command.ts";
import { missingPods } from "../doctor/missing-pods.ts";
import { askHistory } from "../history/history.ts";
import { askRecent } from "../history/recent.ts";
import type { Io } from "../io.ts";
import { explainSubject } from "../views/explain.ts";
import { pageFiles } from "./bundle.ts";
import { Collector } from "./collector.ts";
import { recordedEvents } from "./model/recorded.ts";
import { type PageQuestion, serveDashboard } from "./server.ts";

const help = `Serves a page on this machine with the present state of the cluster: pools and their addresses, Services, nodes, BGP peers, and
changes. Prints its address, to be opened in a browser here, and runs until Ctrl-C. The address has a token without which nothing is
answered; nobody else's page can read it, and nothing is exposed in the cluster.`;

const notes = `Controller and speakers are asked by forwarded ports, with your own rights: to list Pods, and to get and create pods/portforward in
the system namespace.

The exit status is 2 if the arguments or the cluster cannot be used.`;

const options = {
  open: { help: "open the page in your browser" },
  port: { value: "PORT", help: "of 127.0.0.1; any free one by default" },
  ...connectionOptions,
};

export const dashboard = command({
  name: "dashboard",
  summary: "A page in the browser with a live view",
  usage: "[OPTIONS]",
  takes: 0,
  help,
  notes,
  options,
  examples: ["ingotctl dashboard --open", "ingotctl dashboard --port=8080 --context=staging"],
  run: ({ values }, io) => run(values, io),
});

const maxMinutes = 7 * 24 * 60;

async function run(values: Values<typeof options>, io: Io): Promise<number> {
  const { kubeconfig, context, "system-namespace": systemNamespace = "metallb-system" } = values;
  const cluster = { kubeconfig, context, systemNamespace };
  const port = readPort(values.port);
  const { name, namespace } = await io.cluster.context(cluster);
  await using collector = new Collector({
    connect: (before) => io.cluster.connect(cluster, before),
    missing: async (processes) => missingPods(processes, await io.cluster.api(cluster), systemNamespace),
    namespace: systemNamespace,
    cluster: name,
    clock: new SystemClock(),
    date: io.now,
  });
  const explain: PageQuestion = (query) => explainSubject(collector.processes, query.get("subject") ?? "", namespace);
  const history: PageQuestion = (query) => askHistory(collector.processes, query.get("subject") ?? "", namespace);
  const asked = { processes: collector.processes, api: () => io.cluster.api(cluster), systemNamespace };
  const simulate: PageQuestion = (query) => {
    const what = query.has("drain") ? "drain" : "lose";
    return simulateNodes(asked, what, query.getAll(what));
  };
  const recent: PageQuestion = async (query) => {
    const minutes = Math.min(maxMinutes, Math.max(1, Number(query.get("minutes")) || 1));
    const { moments, unreachable } = await askRecent(collector.processes, new Date(io.now().getTime() - minutes * 60_000));
    return { events: recordedEvents(moments), unreachable };
  };
  const questions = { "/explain": explain, "/history": history, "/recent": recent, "/simulate": simulate };
  await using server = await serveDashboard({ port, files: await pageFiles(), questions });
  collector.onModel((model) => server.show(model));
  await collector.start();
  if (collector.processes.targets.length === 0) throw new UsageError(noPods(systemNamespace));
  io.out(`The dashboard is on ${server.url}\nCtrl-C ends it.\n`);
  if (values.open === true) await openPage(server.url, io);
  await io.interrupted();
  return Exit.ok;
}

/**
 * Has the browser open the page by way of a file that nobody else may read: all users of the machine see the arguments of its processes. The
 * token in the file is void when the program has ended.
 */
async function openPage(url: string, io: Io): Promise<void> {
  const file = join(io.stateFolder, `dashboard-${new URL(url).port}.html`);
  await io.writePrivateFile(file, `<!doctype html><meta http-equiv="refresh" content="0; url=${url}"><title>Ingot</title>\n`);
  if (!(await io.openFile(file))) io.err("no browser can be opened from here: open the address yourself\n");
}

/** @throws {UsageError} */
function readPort(text: string | undefined): number {
  const port = Number(text ?? "0");
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UsageError(`--port is a number up to 65535, not ${JSON.stringify(text)}`);
  return port;
}
