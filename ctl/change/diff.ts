import { type CommandInput, type CommandResult, clusterCommand } from "../cluster/cluster-command.ts";
import { changeText, changeValue, hurts } from "./change-text.ts";
import { tryConfiguration } from "./trial.ts";

export const notValid: CommandResult = { value: { accepted: false }, text: "", unreachable: [], isMissing: true };

export const diff = clusterCommand({
  name: "diff",
  summary: "Effects of a configuration on the cluster, before it is applied",
  usage: "FILE",
  takes: 1,
  needsApi: true,
  help: `Tries a configuration on the present cluster, by the decisions of controller and speakers themselves, and changes nothing. FILE
is the text itself or a ConfigMap with it; where the configuration is MetalLB's custom resources, some of these, which are put in the place of the
objects of the same names in the cluster. "-" reads standard input. Shown are: why it would be refused; Services that gain, lose or
change an address (pool: the same one, from another pool; refused: not what they ask for); pools; BGP sessions that start, end or
restart; BFD sessions that do, or change; prefixes that routers get, lose or get with other attributes; addresses that other nodes announce.
The annotation ingot.dev/allow-renumber of the ConfigMap in the cluster allows Services to be moved to other addresses.

Besides pods/portforward it takes the rights to list Pods, Services, EndpointSlices and Nodes, and to get the ConfigMaps of the system
namespace, and to list its custom resources where these are the configuration.`,
  exits:
    "1 also means that the configuration is not valid or would be refused, and 3 that a Service would lose its address or get another.",
  examples: ["ingotctl diff config.yaml", "kubectl -n staging get configmap config -o yaml | ingotctl diff -"],
  find: (question) => tryFile(question, question.args[0] ?? ""),
});

/** Finds the effects of the configuration in a file. */
export async function tryFile(question: CommandInput, file: string): Promise<CommandResult> {
  const trial = await tryConfiguration(question, file);
  if (trial === undefined) return notValid;
  const { change, doubts, unreachable } = trial;
  return {
    value: { ...changeValue(change), doubts },
    text: changeText(change, doubts, question.screen),
    unreachable,
    isMissing: !change.isAccepted,
    isLossy: hurts(change),
  };
}
