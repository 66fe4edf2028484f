import { age } from "#pkg/text";
import type { VerdictAnswer } from "#pkg/verdict";
import { titleOf, type VerdictsAnswer } from "../cluster/answers.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { table } from "../cluster/output.ts";
import { askAll, type Processes, type Unreachable } from "../cluster/processes.ts";

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

export const peers = clusterCommand({
  name: "peers",
  summary: "BGP peers of every node, and why a session is not up",
  takes: 0,
  help: "Lists the BGP sessions of all nodes, by peer.",
  async find({ processes, screen, now }) {
    const { peers: all, unreachable } = await askPeers(processes);
    const rows = all.map(({ node, peer, name, verdict: { state, since, cause, message } }) => [
      titleOf({ name: peer, peerName: name }),
      node,
      state,
      age(since, now),
      cause,
      message,
    ]);
    const text =
      rows.length === 0
        ? "no node has a BGP peer\n"
        : table(["PEER", "NODE", "STATE", "SINCE", "CAUSE", "MESSAGE"], rows, screen);
    return { value: { peers: all }, text, unreachable };
  },
});
