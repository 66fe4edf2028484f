import { layer2PoolsOf, type Pool, type Protocol, type SlotPool } from "#pkg/config";
import type { Eligibility } from "#pkg/placement";
import { counted, list, listOf } from "#pkg/text";
import { causes, type Fact, type Verdict, verdict, worst } from "#pkg/verdict";
import { interfacesText, nodesOf } from "../members/nodes.ts";
import { placementProblem } from "../placement/placement-warning.ts";
import { slotCounts, slotPoolsOf } from "../placement/slots.ts";
import { advertisementsOf } from "../protocols/bgp.ts";
import { ownEligibility } from "../protocols/interface.ts";
import type { SpeakerState } from "../state.ts";
import { entryOf, excludedRemedy, noSpeakerVerdict, orTaint, remedyAt, selectedInVain } from "./refusals.ts";

/** Whether some node may announce the pool on layer 2, as this one sees it, or this node by BGP or in its kernel; of several protocols the worst. */
export function poolVerdict(state: SpeakerState, pool: Pool): Verdict {
  const [first, ...rest] = pool.protocols.map((protocol) => verdictBy[protocol](state, pool));
  if (first !== undefined) return worst([first, ...rest]);
  return verdict("pool", "protocolNone", { message: `pool ${pool.name} has protocol: none: no speaker announces its addresses` });
}

const verdictBy: Readonly<Record<Protocol, (state: SpeakerState, pool: Pool) => Verdict>> = {
  layer2: layer2PoolVerdict,
  bgp: bgpPoolVerdict,
  interface: interfacePoolVerdict,
};

/** The worst for any Service. */
function layer2PoolVerdict(state: SpeakerState, pool: Pool): Verdict {
  const [first = pool, ...more] = layer2PoolsOf(pool);
  return worst([ownedPoolVerdict(state, first, pool), ...more.map((own) => ownedPoolVerdict(state, own, pool))]);
}

/** @param pool as it is for some Services @param whole as it is in the configuration */
function ownedPoolVerdict(state: SpeakerState, pool: Pool, whole = pool): Verdict {
  const { members } = state;
  const problem = placementProblem([pool], members.gossip !== undefined, members.withoutGossip);
  const found = nodesVerdict(state, pool, whole);
  return problem === undefined ? found : worst([found, problem]);
}

function nodesVerdict(state: SpeakerState, pool: Pool, whole: Pool): Verdict {
  const { name } = pool;
  const entry = entryOf(whole, pool);
  const { inService: active, eligible, excluded, withoutInterface, withoutKernelAccess } = nodesOf(state, pool);
  const evidence: Fact[] = [
    { name: "active speakers", value: list(active), source: "ring" },
    { name: "may announce", value: list(eligible), source: "placement" },
    { name: "excluded by label", value: list(excluded), source: "Nodes" },
    { name: "without an interface", value: list(withoutInterface), source: "ring" },
    { name: "without NET_ADMIN", value: list(withoutKernelAccess), source: "ring" },
  ].filter(({ value }) => value !== "");
  const reasons: readonly (readonly [Obstacle, readonly string[]])[] = [
    ["noKernelAccess", withoutKernelAccess],
    ["noInterface", withoutInterface],
    ["nodeExcluded", excluded],
  ];
  if (active.length === 0) return noSpeakerVerdict("pool", state, undefined, `pool ${name}`);
  const how = pool.protocols.includes("layer2") ? ` by ${entry ?? "layer 2"}` : " with its addresses on NICs";
  if (eligible.length > 0)
    return verdict("pool", "available", {
      message: `${counted(eligible.length, "node")} may announce pool ${name}${how}: ${list(eligible)}`,
      evidence,
    });
  const found = reasons.filter(([, nodes]) => nodes.length > 0);
  const inVain = selectedInVain(state, pool);
  const [[cause] = [inVain.cause]] = found;
  const why =
    found.map(([reason, nodes]) => whyNot(state, reason, nodes)).join("; ") ||
    `its node-selectors match none with a working speaker${inVain.why}`;
  // Others may run where this one does not see them: a node that is cut off knows nothing of the others.
  const isAlone = state.members.active.length === 1 && state.members.active[0] === state.node;
  const start = isAlone
    ? `${state.node}, which sees no other speaker, does not announce pool ${name}${how}`
    : `no node in sight may announce pool ${name}${how}`;
  const interfaces = cause === "noInterface" ? interfacesText(state, pool, withoutInterface) : "";
  const remedies = found.map(([reason, nodes]) => {
    if (reason === "nodeExcluded") return excludedRemedy(state, nodes);
    return remedyAt(entry, causes.pool[reason]);
  });
  const next = remedies.join("; or ") || inVain.next || remedyAt(entry, causes.pool[cause]);
  return verdict("pool", cause, { message: `${start}: ${why}${interfaces}`, evidence, next });
}

type Obstacle = "noKernelAccess" | "noInterface" | "nodeExcluded";

/** The reason for which these nodes may not announce a pool that selects them. */
function whyNot(state: SpeakerState, reason: Obstacle, nodes: readonly string[]): string {
  switch (reason) {
    case "noKernelAccess":
      return `the speaker may not put addresses on NICs of ${list(nodes)}`;
    case "noInterface":
      return `no interface for it is up and has a carrier on ${list(nodes)}`;
    case "nodeExcluded":
      return `a label${orTaint(state, nodes)} excludes ${list(nodes)} from load balancers`;
    default:
      return reason satisfies never;
  }
}

function bgpPoolVerdict(state: SpeakerState, pool: Pool): Verdict {
  const { node } = state;
  const { name } = pool;
  const { eligibility, advertised } = advertisementsOf(state, pool);
  const sets = slotPoolsOf(state, pool).map((set) => slotsVerdict(state, pool, set));
  const [first, ...more] = sets;
  if (eligibility !== "eligible") return notEligibleVerdict(state, pool, eligibility);
  const peers = [...new Set(advertised.flatMap(({ peers: of }) => [...of.IPv4, ...of.IPv6]))];
  if (peers.length === 0 && first !== undefined) return worst([first, ...more]); // Routes to them may be static.
  if (peers.length === 0)
    return verdict("pool", "noPeer", { message: `${node} has no peer for an advertisement of pool ${name}` });
  const found = verdict("pool", "available", {
    message: `${node} may announce pool ${name} by BGP to ${list(peers)}`,
    evidence: [{ name: "peers", value: list(peers), source: "configuration" }, ...sets.flatMap(({ evidence }) => evidence)],
  });
  return worst([found, ...sets]);
}

/** Whether nodes own all slots of one of a pool's sets. */
function slotsVerdict(state: SpeakerState, { name }: Pool, set: SlotPool): Verdict {
  const problem = placementProblem([set], state.members.gossip !== undefined, state.members.withoutGossip);
  if (problem !== undefined) return problem;
  const { owned, occupied, unowned } = slotCounts(state, set);
  const owners = [...owned].toSorted().map(([node, count]) => `${node} ${count}`);
  const evidence = [{ name: `next-hop slots ${set.slots}`, value: list(owners) || "none", source: "ring" as const }];
  if (occupied.length > 0)
    return verdict("pool", "slotsOccupied", {
      message: `other hosts have ${counted(occupied.length, "next-hop slot")} of pool ${name}: ${list(occupied.map(String))}`,
      evidence,
    });
  if (unowned.length > 0) {
    const { eligible, subnets } = nodesOf(state, set);
    const where = listOf(eligible, (node) => `${node}: ${subnets.get(node)?.join(" ") || "none"}`);
    const why = eligible.length === 0 ? "no node may own any" : `no node has an address in their subnet (${where})`;
    return verdict("pool", "slotsUnowned", {
      message: `${counted(unowned.length, "next-hop slot")} of pool ${name}, ${unowned[0]} to ${unowned.at(-1)}, have no owner: ${why}`,
      evidence,
    });
  }
  return verdict("pool", "available", {
    message: `nodes own the next-hop slots ${set.slots} of pool ${name}: ${list(owners)}`,
    evidence,
  });
}

function interfacePoolVerdict(state: SpeakerState, pool: Pool): Verdict {
  const { node, kernel, members } = state;
  const { name } = pool;
  const isKnownToOthers = kernel.found.failure === undefined || members.gossip !== undefined;
  if (pool.kernel?.placement === "lan" && isKnownToOthers) return ownedPoolVerdict(state, pool);
  const eligibility = ownEligibility(state, pool);
  if (eligibility !== "eligible") return notEligibleVerdict(state, pool, eligibility);
  const { failure } = kernel.found;
  if (failure !== undefined)
    return verdict("pool", "noKernelAccess", {
      message: `${node} cannot put addresses of pool ${name} into its kernel: ${failure}`,
    });
  const { carrier, dummyInterface, routeTable } = pool.kernel ?? {};
  const where = carrier === "route" ? `route table ${routeTable}` : `interface ${dummyInterface}`;
  return verdict("pool", "available", { message: `${node} may have addresses of pool ${name} in its kernel (${where})` });
}

/** By BGP and in its kernel each node speaks for itself. */
function notEligibleVerdict(state: SpeakerState, { name }: Pool, eligibility: Exclude<Eligibility, "eligible">): Verdict {
  const { node } = state;
  if (eligibility === "outOfService") return { ...noSpeakerVerdict("pool", state, node, `pool ${name}`), state: "NotOurs" };
  const isExcluded = eligibility === "excluded";
  const why = isExcluded ? whyNot(state, "nodeExcluded", [node]) : "the pool's node-selectors do not match it";
  const next = isExcluded ? excludedRemedy(state, [node]) : causes.pool.noNodeSelected.next;
  const message = `${node} does not announce pool ${name}: ${why}`;
  return verdict("pool", isExcluded ? "nodeExcluded" : "noNodeSelected", { state: "NotOurs", message, next });
}
