import { parseAddress } from "#pkg/net";
import { maskControls } from "#pkg/text";
import { askServicesBriefly } from "../cluster/ask-services.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { UsageError } from "../command.ts";

/** @throws {UsageError} for what is no address */
export function readAddress(text: string): string {
  const address = parseAddress(text);
  if (address === undefined) throw new UsageError(`${JSON.stringify(text)} is no IP address`);
  return address.toString();
}

export const owner = clusterCommand({
  name: "owner",
  summary: "Which nodes announce an address",
  usage: " ADDRESS",
  takes: 1,
  help: "Prints the nodes that announce the address, one a line; by layer 2 that is one node. Nothing where none does.",
  async find({ processes, args: [text = ""] }) {
    const address = readAddress(text);
    const { services, unreachable } = await askServicesBriefly(processes);
    const found = services.flatMap((one) => one.addresses.filter((each) => each.address === address));
    const nodes = [...new Set(found.flatMap((one) => one.nodes))].sort();
    const printed = nodes.map((node) => `${maskControls(node)}\n`).join("");
    return { value: { address, nodes }, text: printed, unreachable, isMissing: nodes.length === 0 };
  },
});
