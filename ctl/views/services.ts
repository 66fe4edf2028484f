import { age, maskControls } from "#pkg/text";
import { type BriefVerdict, isProblem } from "#pkg/verdict";
import { askServices, askServicesBriefly } from "../cluster/ask-services.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import type { MergedService } from "../cluster/merge.ts";
import { table } from "../cluster/output.ts";
import { asFarAsKnown } from "../cluster/processes.ts";

export const services = clusterCommand({
  name: "services",
  summary: "Services, their addresses and their state",
  takes: 0,
  options: {
    "all-namespaces": { short: "A", help: "Services of all namespaces" },
    problems: { help: "only problems" },
  },
  help: `Lists Services of type LoadBalancer with one verdict each, by the controller and all speakers. The causes are in docs/verdicts.md;
"ingotctl explain svc/NAME" says more.`,
  async find({ processes, namespace, format, screen, now }, { "all-namespaces": allNamespaces, problems }) {
    const { services: all, unreachable } = format === "text" ? await askServicesBriefly(processes) : await askServices(processes);
    const chosen = all.filter(
      ({ service, verdict }) => (allNamespaces || service.startsWith(`${namespace}/`)) && (!problems || isProblem(verdict)),
    );
    const heading = [
      "NAMESPACE",
      "NAME",
      "STATE",
      "ADDRESSES",
      "POOL",
      "NODES",
      "SINCE",
      "CAUSE",
      ...(format === "wide" ? ["MESSAGE"] : []),
    ];
    const rows = chosen.map((one) => [...row(one, now), ...(format === "wide" ? [messageOf(one)] : [])]);
    const none = problems ? "nothing is wrong with any Service" : "there is no Service of type LoadBalancer";
    const where = allNamespaces ? "" : ` in namespace ${namespace}`;
    const text =
      chosen.length === 0 ? `${maskControls(`${none}${where}${asFarAsKnown(unreachable)}`)}\n` : table(heading, rows, screen);
    return { value: { services: chosen }, text, unreachable };
  },
});

function messageOf({ verdict }: MergedService<BriefVerdict>): string {
  return "message" in verdict ? String(verdict.message) : "";
}

function row({ service, addresses, verdict }: MergedService<BriefVerdict>, now: Date): string[] {
  const [namespace = "", name = ""] = service.split("/");
  const nodes = [...new Set(addresses.flatMap((one) => one.nodes))];
  const pools = [...new Set(addresses.map(({ pool }) => pool ?? "-"))];
  return [
    namespace,
    name,
    verdict.state,
    [...new Set(addresses.map(({ address }) => address))].join(",") || "-",
    pools.join(",") || "-",
    nodes.length > 3 ? `${nodes.length} nodes` : nodes.join(",") || "-",
    age(verdict.since, now),
    verdict.cause,
  ];
}
