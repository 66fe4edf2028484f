import type { Pool } from "#pkg/config";
import type { Eligibility } from "#pkg/placement";
import { list } from "#pkg/text";
import { type CauseOf, type Fact, type Verdict, verdict, worst } from "#pkg/verdict";
import { advertisementsOf } from "../bgp.ts";
import { nodesOf } from "../nodes.ts";
import { placementProblem } from "../placement-warning.ts";
import type { SpeakerState } from "../state.ts";

/** Whether some node may announce the pool, as this one sees it; of protocol bgp, whether this node may. */
export function poolVerdict(state: SpeakerState, pool: Pool): Verdict {
  if (pool.protocol === "bgp") return bgpPoolVerdict(state, pool);
  const { members } = state;
  const problem = placementProblem([pool], members.gossip !== undefined, members.withoutGossip);
  const found = layer2PoolVerdict(state, pool);
  return problem === undefined ? found : worst([found, problem]);
}

function layer2PoolVerdict(state: SpeakerState, pool: Pool): Verdict {
  const { name } = pool;
  const { inService: active, eligible, excluded, withoutInterface } = nodesOf(state, pool);
  const evidence: Fact[] = [
    { name: "active speakers", value: list(active), source: "ring" },
    { name: "may announce", value: list(eligible), source: "placement" },
    { name: "excluded by label", value: list(excluded), source: "Nodes" },
    { name: "without an interface", value: list(withoutInterface), source: "ring" },
  ].filter(({ value }) => value !== "");
  if (active.length === 0)
    return verdict("pool", "noActiveSpeaker", { message: `no speaker is active that could announce pool ${name}` });
  if (eligible.length > 0) {
    const count = eligible.length === 1 ? "1 node" : `${eligible.length} nodes`;
    return verdict("pool", "available", {
      message: `${count} may announce pool ${name} by layer 2: ${list(eligible)}`,
      evidence,
    });
  }
  const cause = withoutInterface.length > 0 ? "noInterface" : excluded.length > 0 ? "nodeExcluded" : "noNodeSelected";
  return verdict("pool", cause, { message: `no node may announce pool ${name}: ${whyNone[cause]}`, evidence });
}

const whyNone = {
  noInterface: "none has an interface for it that is up and has a carrier",
  nodeExcluded: "all that it selects are excluded from load balancers by a label",
  noNodeSelected: "its node-selectors match none with a running speaker",
} as const;

function bgpPoolVerdict(state: SpeakerState, pool: Pool): Verdict {
  const { node } = state;
  const { name } = pool;
  const { eligibility, advertised } = advertisementsOf(state, pool);
  if (eligibility !== "eligible") {
    const [cause, why] = notEligible[eligibility];
    return verdict("pool", cause, { state: "NotOurs", message: `${node} does not announce pool ${name}: ${why}` });
  }
  const peers = [...new Set(advertised.flatMap(({ peers: of }) => [...of.IPv4, ...of.IPv6]))];
  if (peers.length === 0)
    return verdict("pool", "noPeer", { message: `${node} has no peer for an advertisement of pool ${name}` });
  return verdict("pool", "available", {
    message: `${node} may announce pool ${name} by BGP to ${list(peers)}`,
    evidence: [{ name: "peers", value: list(peers), source: "configuration" }],
  });
}

const notEligible: Readonly<Record<Exclude<Eligibility, "eligible">, readonly [CauseOf<"pool">, string]>> = {
  excluded: ["nodeExcluded", "its label excludes it from load balancers"],
  notSelected: ["noNodeSelected", "the pool's node-selectors do not match it"],
  outOfService: ["noActiveSpeaker", "it has the taint of a node that is out of service"],
};
