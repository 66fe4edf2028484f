import { parseAddress } from "#pkg/net";
import type { VerdictAnswer } from "#pkg/verdict";
import { titleOf, type VerdictsAnswer } from "../cluster/answers.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { asFarAsKnown, askAll, type Processes, type Unreachable } from "../cluster/processes.ts";
import { type Column, listing, listOptions, nodeOption, sinceAndCause } from "./listing.ts";

export interface NodePeer {
  readonly node: string;
  readonly peer: string;
  /** Its name in the configuration. */
  readonly name: string | undefined;
  readonly verdict: VerdictAnswer;
}

/** The peers of every node, sorted by peer and node. */
export async function askPeers(
  processes: Processes,
): Promise<{ peers: readonly NodePeer[]; unreachable: readonly Unreachable[] }> {
  // No Service has this name: all else is what is asked for.
  const { answers, unreachable } = await askAll<VerdictsAnswer>(processes, "/v1/verdicts?service=-", "speaker");
  const peers = answers.flatMap(({ target, body: { node = target.node, verdicts } }) =>
    verdicts
      .filter(({ kind }) => kind === "peer")
      .map(({ name: peer, peerName: name, kind: _, ...verdict }): NodePeer => ({ node, peer, name, verdict })),
  );
  return { peers: peers.sort((a, b) => (`${a.peer} ${a.node}` < `${b.peer} ${b.node}` ? -1 : 1)), unreachable };
}

const columns: readonly Column<NodePeer>[] = [
  { heading: "PEER", cell: ({ peer, name }) => titleOf({ name: peer, peerName: name }) },
  { heading: "NODE", cell: ({ node }) => node },
  { heading: "STATE", cell: ({ verdict }) => verdict.state },
  ...sinceAndCause,
  { heading: "MESSAGE", cell: ({ verdict }) => verdict.message },
];

/** @param text its name in the configuration, its key, or its address in any form, with or without port and interface */
export function isPeer({ peer, name }: Pick<NodePeer, "peer" | "name">, text: string): boolean {
  const [end = ""] = peer.split(" from ");
  const host = end.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  return [name, peer, end, host, host.replace(/%.*$/, "")].includes(parseAddress(text)?.toString() ?? text);
}

export const peers = clusterCommand({
  name: "peers",
  summary: "BGP peers of every node, and why a session is not up",
  usage: "[NAME…]",
  takes: "any",
  completes: "peer",
  options: { ...listOptions, ...nodeOption },
  help: "Lists the BGP sessions of all nodes, by peer. NAME is that of the configuration, or the peer's address.",
  examples: ["ingotctl peers", "ingotctl peers 10.0.0.1", "ingotctl peers --node=node1 --state=Pending"],
  async find(question, filters) {
    const { peers: all, unreachable } = await askPeers(question.processes);
    return listing(question, filters, {
      kind: "peers",
      all,
      columns,
      isNamed: isPeer,
      verdicts: ({ verdict }) => [verdict],
      nodes: ({ node }) => [node],
      none: `no node has a BGP peer${asFarAsKnown(unreachable)}`,
      unreachable,
    });
  },
});
