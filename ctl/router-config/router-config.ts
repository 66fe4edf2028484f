import type { Config } from "#pkg/config";
import { parseConfiguration } from "#pkg/convert";
import { maskControls } from "#pkg/text";
import { connectionOptions } from "../cluster/cluster-command.ts";
import { readInstallation } from "../cluster/installation.ts";
import { command, Exit, type Options, UsageError, type Values } from "../command.ts";
import { readConfiguration, readInputText } from "../input.ts";
import type { Io } from "../io.ts";
import { type ClusterNode, nodesFromObjects, nodesFromText, routerSides } from "./router-side.ts";
import { type DialectName, dialects, routerText, writable } from "./router-text.ts";

const help = `Prints the configuration that a router needs for its sessions with the nodes: neighbors, AS numbers, a password's place, BFD,
several routes at once, and filters that let in the addresses of pools and nothing else. Without FILE, the configuration and
the nodes are read from the cluster, with your own rights: Pods and ConfigMaps, or custom resources, of the system namespace, and Nodes.
With FILE, which may be "-" for standard input, the cluster is not contacted, and --nodes says which nodes there are.`;

const names = Object.keys(dialects) as DialectName[];

const notes = `Routers: ${names.slice(0, 8).join(", ")},
${names.slice(8).join(", ")}.
The first four are tried with real sessions by Ingot's tests; the others say on top that they are not.

Passwords are never printed. The exit status is 0, 1 if the configuration is not valid, 2 if the arguments, the file or the cluster
cannot be used, and 3 if some peer is left out, which the comment on top and standard error say.`;

const options = {
  for: { value: "ROUTER", choices: names, help: "the kind of router; see below" },
  peer: { value: "NAME", help: "the name or address of one peer; all of them when unset" },
  asn: { value: "NUMBER", help: "the router's AS number, where a peer says external" },
  nodes: { value: "ADDRESSES", help: "with FILE: the nodes' addresses, with commas between" },
  ...connectionOptions,
} as const satisfies Options;

export const routerConfig = command({
  name: "router-config",
  summary: "Write the router's side of the BGP sessions",
  usage: "--for=ROUTER [OPTIONS] [FILE|-]",
  takes: "at most one",
  help,
  examples: [
    "ingotctl router-config --for=frr",
    "ingotctl router-config --for=mikrotik --peer=rack1",
    "ingotctl router-config --for=bird --nodes=10.0.0.11,10.0.0.12 config.yaml",
  ],
  notes,
  options,
  run: ({ values, args: [file] }, io) => run(file, values, io),
});

async function run(file: string | undefined, values: Values<typeof options>, io: Io): Promise<number> {
  const router = values.for;
  if (router === undefined) throw new UsageError(`name the router with --for, one of ${names.join(", ")}`);
  const asn = readAsn(values.asn);
  const { config, nodes, centralOn } =
    file === undefined ? await fromCluster(values, io) : await fromFile(file, values.nodes, io);
  if (config === undefined) {
    io.err(`ingotctl: the configuration is not valid; "ingotctl validate ${file ?? "FILE"}" says why\n`);
    return Exit.invalid;
  }
  const found = writable(
    router,
    usage(() => routerSides(config, nodes, { asn, wanted: values.peer, centralOn })),
  );
  io.out(routerText(router, found));
  for (const loss of found.losses) io.err(`ingotctl: ${maskControls(loss)}\n`);
  return found.losses.length === 0 ? Exit.ok : Exit.losses;
}

/** @throws {UsageError} */
function readAsn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const asn = Number(text);
  if (!/^\d+$/.test(text) || asn < 1 || asn > 0xffff_ffff) throw new UsageError(`--asn ${JSON.stringify(text)} is no AS number`);
  return asn;
}

/** @throws {UsageError} in the place of RangeError */
function usage<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message, { cause: error });
    throw error;
  }
}

interface Given {
  /** Undefined where it has errors. */
  readonly config: Config | undefined;
  readonly nodes: readonly ClusterNode[];
  /** The nodes with central speakers, where these have the sessions of all nodes. */
  readonly centralOn: readonly string[];
}

/** @throws {UsageError} */
async function fromFile(file: string, addresses: string | undefined, io: Io): Promise<Given> {
  if (addresses === undefined)
    throw new UsageError("name the nodes' addresses with --nodes, or no file, so that the cluster is read");
  const nodes = usage(() => nodesFromText(addresses));
  const { text } = await readInputText(file, io);
  return { config: readConfiguration(text).config, nodes, centralOn: [] };
}

/** @throws {UsageError} */
async function fromCluster(
  { nodes, kubeconfig, context, "system-namespace": systemNamespace }: Values<typeof options>,
  io: Io,
): Promise<Given> {
  if (nodes !== undefined) throw new UsageError("--nodes goes with FILE; without it the cluster's nodes are read");
  const namespace = systemNamespace ?? "metallb-system";
  const api = await io.cluster.api({ kubeconfig, context, systemNamespace: namespace });
  const { text, nodesHaveBgp, centralOn } = await readInstallation(api, namespace);
  if (text === undefined) throw new UsageError(`there is no configuration in namespace ${namespace}; see --system-namespace`);
  const found = await api.list("/api/v1/nodes");
  if (found.type !== "found")
    throw new UsageError(`cannot read the Nodes: ${found.type === "unread" ? found.why : "there are none"}`);
  return {
    config: parseConfiguration(text).config,
    nodes: nodesFromObjects(found.value as readonly unknown[]),
    centralOn: nodesHaveBgp ? [] : centralOn,
  };
}
