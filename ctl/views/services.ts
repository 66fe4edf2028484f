import type { BriefVerdict } from "#pkg/verdict";
import { askServices, askServicesBriefly } from "../cluster/ask-services.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import type { MergedService } from "../cluster/merge.ts";
import { asFarAsKnown } from "../cluster/processes.ts";
import { type Column, listing, listOptions, nodeOption, poolOption, sinceAndCause } from "./listing.ts";

export const services = clusterCommand({
  name: "services",
  summary: "Services, their addresses and their state",
  usage: "[NAME…]",
  takes: "any",
  completes: "svc",
  options: {
    "all-namespaces": { short: "A", help: "Services of all namespaces" },
    problems: { help: "only problems" },
    ...listOptions,
    ...poolOption,
    ...nodeOption,
  },
  help: `Lists Services of type LoadBalancer with one verdict each, by the controller and all speakers. The causes are in docs/verdicts.md;
"ingotctl explain svc NAME" says more.`,
  examples: [
    "ingotctl services -A --problems",
    "ingotctl services -n shop --pool=lan --state=Pending,Degraded",
    "ingotctl services -A --node=node1 --sort-by=since",
  ],
  async find(question, { "all-namespaces": allNamespaces, ...filters }) {
    const { processes, namespace, format, args } = question;
    const { services, unreachable } = format === "text" ? await askServicesBriefly(processes) : await askServices(processes);
    const all = services.filter(({ service }) => allNamespaces || service.startsWith(`${namespace}/`) || args.includes(service));
    const none = filters.problems ? "nothing is wrong with any Service" : "there is no Service of type LoadBalancer";
    const where = allNamespaces ? "" : ` in namespace ${namespace}`;
    return listing<MergedService<BriefVerdict>>(question, filters, {
      kind: "services",
      all,
      columns,
      isNamed: ({ service }, name) => service === name || service.endsWith(`/${name}`),
      verdicts: ({ verdict }) => [verdict],
      pools: poolsOf,
      nodes: nodesOf,
      none: `${none}${where}${asFarAsKnown(unreachable)}`,
      unreachable,
    });
  },
});

const nodesOf = ({ addresses }: MergedService<BriefVerdict>) => [...new Set(addresses.flatMap((one) => one.nodes))];
const poolsOf = ({ addresses }: MergedService<BriefVerdict>) => [...new Set(addresses.map(({ pool }) => pool ?? "-"))];

const columns: readonly Column<MergedService<BriefVerdict>>[] = [
  { heading: "NAMESPACE", cell: ({ service }) => service.split("/")[0] ?? "" },
  { heading: "NAME", cell: ({ service }) => service.split("/")[1] ?? "" },
  { heading: "STATE", cell: ({ verdict }) => verdict.state },
  { heading: "ADDRESSES", cell: ({ addresses }) => [...new Set(addresses.map(({ address }) => address))].join(",") || "-" },
  { heading: "POOL", cell: (one) => poolsOf(one).join(",") || "-" },
  {
    heading: "NODES",
    cell(one) {
      const nodes = nodesOf(one);
      return nodes.length > 3 ? `${nodes.length} nodes` : nodes.join(",") || "-";
    },
  },
  ...sinceAndCause,
  { heading: "MESSAGE", cell: ({ verdict }) => ("message" in verdict ? String(verdict.message) : ""), isWide: true },
];
