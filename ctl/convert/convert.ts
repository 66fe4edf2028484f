import { type Conversion, convert, type Source } from "#pkg/convert";
import { command, Exit, type Options, UsageError, type Values } from "../command.ts";
import { problemsText, readInputText } from "../input.ts";
import type { Io } from "../io.ts";
import { type Origin, origins, readFromCluster } from "./from-cluster.ts";

const help = `Converts the configuration of a load balancer into that of another one, and prints it:

  a ConfigMap for Ingot or MetalLB 0.12          -> MetalLB's custom resources (0.15 and later)
  MetalLB's custom resources (0.13 and later)    -> a ConfigMap for Ingot
  OpenELB's Eip, BgpPeer, BgpConf                -> a ConfigMap for Ingot
  PureLB's ServiceGroup and LBNodeAgent          -> a ConfigMap for Ingot

Each FILE holds objects in YAML or JSON: several documents, and Lists as "kubectl get -o yaml" prints them. Give all files of
one configuration at once. Without FILE, or with "-", standard input is read. With --cluster, the objects are read from a
cluster instead, with your own rights.

The comment on top of the result lists settings that it cannot express. Read it, and change the result where it matters.`;

const notes = `The exit status is 0 if the result says everything that the source says, 3 if something is lost, 1 if there is no result because
of problems, which are listed with line and column, and 2 if the arguments or files cannot be used.`;

const options = {
  namespace: {
    short: "n",
    value: "NAME",
    help: "the namespace of the objects that count, where there are several; of the result",
  },
  cluster: {
    value: "NAME",
    choices: origins,
    help: "read the configuration of metallb (its custom resources), openelb or purelb, or the configmap",
  },
  kubeconfig: { value: "FILE", help: "with --cluster; by default as kubectl finds it" },
  context: { value: "NAME", help: "of the kubeconfig; by default the current one" },
  prefer: {
    value: "NAME",
    choices: ["layer2", "bgp"],
    help: "layer2 or bgp: how a pool is announced that MetalLB announces in both ways; both when unset",
  },
} as const satisfies Options;

export const convertCommand = command({
  name: "convert",
  summary: "Convert a configuration",
  usage: "[OPTIONS] [FILE|-]...",
  takes: "any",
  help,
  examples: [
    "kubectl -n metallb-system get ipaddresspools,l2advertisements,bgpadvertisements,bgppeers.metallb.io,bfdprofiles,communities \\",
    "  -o yaml | ingotctl convert > config.yaml",
    "ingotctl convert --cluster metallb > config.yaml",
    "kubectl -n metallb-system get configmap config -o yaml | ingotctl convert > metallb.yaml",
    "kubectl get eips,bgppeers.network.kubesphere.io,bgpconfs -o yaml | ingotctl convert > config.yaml",
  ],
  notes,
  options,
  async run({ values, args }, io) {
    const { namespace, prefer, cluster } = values;
    const sources = cluster === undefined ? await readSources(args, io) : await readCluster(cluster, args, values);
    return print(convert(sources, { namespace, prefer }), sources, io);
  },
});

async function readCluster(
  origin: Origin,
  files: readonly string[],
  { namespace, kubeconfig, context }: Values<typeof options>,
): Promise<Source[]> {
  if (files.length > 0) throw new UsageError("name files, or --cluster, not both");
  const { KubeApi } = await import("../cluster/kube-api.ts"); // The client library takes half a second to load.
  return await readFromCluster(new KubeApi({ kubeconfig, context }), origin, namespace);
}

async function readSources(files: readonly string[], io: Io): Promise<Source[]> {
  if (files.length === 0 && io.stdinIsTerminal) throw new UsageError(`name a file, or pipe it in; see "ingotctl help convert"`);
  if (files.filter((file) => file === "-").length > 1)
    throw new UsageError(`standard input can be read only once, but "-" is there twice`);
  const sources: Source[] = [];
  for (const file of files.length === 0 ? ["-"] : files) sources.push(await readInputText(file, io));
  return sources;
}

function print({ text, losses, problems }: Conversion, sources: readonly Source[], io: Io): number {
  const texts = new Map(sources.map((source) => [source.name, source.text]));
  for (const problem of problems) io.err(problemsText(problem.source, [problem], texts.get(problem.source) ?? ""));
  if (text === undefined) {
    io.err("not converted\n");
    return Exit.invalid;
  }
  io.out(text);
  if (losses.length === 0) return Exit.ok;
  io.err(`converted; ${losses.length === 1 ? "one thing is" : `${losses.length} things are`} lost: see the comment on top\n`);
  return Exit.losses;
}
