import { list } from "#pkg/text";
import { isProblem } from "#pkg/verdict";
import { type Explained, titleOf, type VerdictsAnswer } from "../cluster/answers.ts";
import type { MergedService } from "../cluster/merge.ts";
import { type Answer, askAll, type Processes } from "../cluster/processes.ts";
import { withoutConsequences } from "../doctor/roots.ts";

/**
 * Problems of the things that Services depend on: the nodes that announce them, their pools, by BGP the peers of these nodes, and the
 * configuration, if a Service is not announced.
 */
export async function relatedProblems(processes: Processes, services: readonly MergedService[]): Promise<Explained[]> {
  const addresses = services.flatMap((one) => one.addresses);
  const nodes = new Set(addresses.flatMap((one) => one.nodes));
  const pools = new Set([...addresses.map(({ pool }) => pool), ...services.flatMap(awaitedPools)]);
  const isByBgp = addresses.some(({ protocol }) => protocol === "bgp");
  const isPending = services.some(({ verdict }) => verdict.state === "Pending");
  const { answers } = await askAll<VerdictsAnswer>(processes, "/v1/verdicts?problems&service=-"); // No Service has this name.
  const speakers = answers.filter(({ target }) => target.program === "speaker").length;
  const found = new Map<string, Related>(); // message -> processes that report it
  for (const { target, body } of answers) {
    for (const entry of withoutConsequences(body.verdicts.filter(isProblem))) {
      const { kind, name, peerName: _, ...verdict } = entry;
      const isRelated =
        (kind === "node" && nodes.has(name)) ||
        (kind === "pool" && pools.has(name)) ||
        (kind === "peer" && isByBgp && (nodes.size === 0 || nodes.has(nodeOf({ target, body })))) ||
        (kind === "configuration" && isPending);
      if (!isRelated) continue;
      const about = aboutOf(kind, titleOf(entry), nodeOf({ target, body }));
      const key = `${about} ${verdict.message}`;
      const known = found.get(key) ?? { about, verdict, isOfPool: kind === "pool", by: [] };
      found.set(key, known);
      if (target.program === "speaker") known.by.push(nodeOf({ target, body }));
    }
  }
  return [...found.values()].map(({ about, verdict, isOfPool, by }) => {
    const isDisputed = isOfPool && by.length > 0 && by.length < speakers;
    return { about: isDisputed ? `${about}, as seen from ${list(by)}` : about, verdict };
  });
}

/** The pools that have no address for a Service because NetBox, which chooses these, does not do it. */
function awaitedPools({ verdict: { cause, evidence } }: MergedService): readonly string[] {
  if (cause !== "awaitsIpam") return [];
  return evidence.flatMap(({ name, value }) => (name === "requested pool" ? value.split(/, */) : []));
}

interface Related extends Explained {
  readonly isOfPool: boolean;
  /** The nodes whose speakers say it. */
  readonly by: string[];
}

function nodeOf({ target, body }: Answer<VerdictsAnswer>): string {
  return body.node ?? target.node;
}

function aboutOf(kind: string, title: string, node: string): string {
  if (kind === "configuration") return "Configuration";
  if (kind === "peer") return `Peer ${title} of node ${node}`;
  return `${kind === "node" ? "Node" : "Pool"} ${title}`;
}
