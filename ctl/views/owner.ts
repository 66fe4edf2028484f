import { parseAddress } from "#pkg/net";
import { listOf, maskControls, plural } from "#pkg/text";
import type { BriefVerdict } from "#pkg/verdict";
import type { HandoversAnswer } from "../cluster/answers.ts";
import { askServicesBriefly } from "../cluster/ask-services.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import type { MergedService } from "../cluster/merge.ts";
import { askAll, type Processes } from "../cluster/processes.ts";
import { UsageError } from "../command.ts";
import { askPools } from "./pools.ts";

/** @throws {UsageError} for text that is no address */
export function readAddress(text: string): string {
  const address = parseAddress(text);
  if (address === undefined)
    throw new UsageError(
      `${JSON.stringify(text)} is no IP address; "ingotctl explain svc/NAME" says who announces those of a Service`,
    );
  return address.toString();
}

function whyNobody(address: string, holders: readonly MergedService<BriefVerdict>[], isWhole: boolean): string {
  const nobody = isWhole ? "no node" : "no node that answers";
  if (holders.length === 0) return `${nobody} announces ${address}: no Service has this address`;
  const each = listOf(holders, ({ service, verdict: { state, cause } }) => `${service}: ${state}, ${cause}`);
  const word = plural(holders.length, "Service");
  return `${nobody} announces ${address} of ${word} ${each}; see "ingotctl explain ${address}"`;
}

interface Kept {
  readonly node: string;
  /** Null until they have been counted. */
  readonly connections: number | null;
  readonly until: string;
}

/** Nodes that go on with connections to the address, which another one owns now. Earlier versions do not say. */
async function keptOf(processes: Processes, address: string): Promise<readonly Kept[]> {
  const { answers } = await askAll<HandoversAnswer>(processes, "/v1/handovers", "speaker");
  return answers.flatMap(({ target: { node }, body: { served } }) =>
    served.flatMap(({ connections, until, ...one }) => (one.address === address ? [{ node, connections, until }] : [])),
  );
}

function keptText(kept: readonly Kept[], address: string): string | undefined {
  if (kept.length === 0) return undefined;
  const each = listOf(
    kept,
    ({ node, connections, until }) => `${node} (${connections ?? "not counted yet"}, until ${until} at most)`,
  );
  return `open connections to ${address} go on at ${each}`;
}

export const owner = clusterCommand({
  name: "owner",
  summary: "Nodes that announce an address",
  usage: "ADDRESS",
  takes: 1,
  help: `Prints the nodes that announce the address, one a line; by layer 2 that is one node, as for a next-hop slot. If no node does, it prints nothing, and says
why on standard error. There it also says which nodes still have connections to the address that they owned before, where those are kept.`,
  examples: ["ingotctl owner 192.0.2.1"],
  exits: "1 also means that no node announces the address.",
  async find({ processes, args: [text = ""] }) {
    const address = readAddress(text);
    const [{ services, unreachable }, kept] = await Promise.all([askServicesBriefly(processes), keptOf(processes, address)]);
    const holders = services.filter(({ addresses }) => addresses.some((one) => one.address === address));
    const found = holders.flatMap(({ addresses }) => addresses.filter((one) => one.address === address));
    // A next-hop slot is a pool's own.
    const slots = holders.length > 0 ? [] : (await askPools(processes)).pools.flatMap((pool) => pool.slots ?? []);
    const ofSlot = slots.flatMap((slot) => (slot.address === address ? [slot.node] : []));
    const nodes = [...new Set([...found.flatMap((one) => one.nodes), ...ofSlot])].sort();
    const printed = nodes.map((node) => `${maskControls(node)}\n`).join("");
    const isMissing = nodes.length === 0;
    const note = isMissing
      ? whyNobody(address, holders, unreachable.length === 0 && processes.isNodeLocal !== true)
      : keptText(kept, address);
    return { value: { address, nodes, kept }, text: printed, note, unreachable, isMissing };
  },
});
