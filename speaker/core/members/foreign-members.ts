import type { Millis } from "#pkg/clock";
import { isCentral } from "#pkg/gossip";
import type { RingMembersEvent, SpeakerEvent } from "../events.ts";
import type { SpeakerState } from "../state.ts";

// Two speakers that see the same API hear of a new Node within seconds of one another.
const sureAfterMs: Millis = 20_000;
const concerning: ReadonlySet<SpeakerEvent["type"]> = new Set<SpeakerEvent["type"]>([
  ...(["members", "gossip", "node", "nodesListed", "apiLost", "timer"] as const),
]);

/**
 * Decides which members are nodes of another cluster. Clusters with the same key become one ring once a speaker of one joins an address that a node
 * of the other has, as after that node was moved. Nodes of another cluster announce no Services of this one, so they must own none. Such a node's
 * speaker says that the API has its Node, while this speaker sees the API, and no such Node. @returns whether other members count now
 */
export function foreignMembersChanged(state: SpeakerState, type: SpeakerEvent["type"], now: Millis): boolean {
  if (!concerning.has(type)) return false;
  const { heard, doubted, foreign } = state.members;
  if (!seesAllNodes(state) && doubted.size === 0 && foreign.size === 0) return false; // Any may be ours, of thousands.
  for (const node of heard)
    if (!seesAnotherApi(state, node)) doubted.delete(node);
    else if (!doubted.has(node)) doubted.set(node, now);
  for (const node of doubted.keys()) if (!heard.includes(node)) doubted.delete(node);
  const before = foreign.size;
  let areMore = false;
  // The words of a member that does not see its API itself, or starts again, make it no node of this cluster.
  for (const node of foreign) if (!heard.includes(node) || mayBeOurs(state, node)) foreign.delete(node);
  for (const [node, since] of doubted) {
    if (now < since + sureAfterMs || foreign.has(node)) continue;
    foreign.add(node);
    areMore = true;
  }
  return areMore || foreign.size !== before;
}

/** The members as the ring has them. */
export function allMembers({ members }: Pick<SpeakerState, "members">): Omit<RingMembersEvent, "type"> {
  const { heard: active, withoutGossip, isSynced } = members;
  return { active, withoutGossip, starting: [...members.starting, ...members.startedWith].sort(), isSynced };
}

/** The ring has these members. @returns those that count */
export function setMembers({ members }: Pick<SpeakerState, "members">, heard: readonly string[]): readonly string[] {
  const counting = heard.filter((node) => !members.foreign.has(node));
  members.heard = heard;
  members.central = counting.filter(isCentral);
  members.active = counting.filter((node) => !isCentral(node));
  return counting;
}

/** When something is due of the members; another one turns out to be of another cluster, among others. */
export function nextMembersAt({ members }: Pick<SpeakerState, "members">): Millis {
  const { doubted, foreign, settledAt, reclaimAt, awaited, untold } = members;
  const sureAt = doubted.entries().flatMap(([node, since]) => (foreign.has(node) ? [] : [since + sureAfterMs]));
  return Math.min(settledAt, reclaimAt, awaited.next, untold.next, ...sureAt);
}

function seesAnotherApi(state: SpeakerState, node: string): boolean {
  const { gossip } = state.members;
  const hasFreshView = state.apiView.lostSince === Infinity && gossip?.view(node) === "current";
  return hasFreshView && !mayBeOurs(state, node) && gossip.traits(node)?.exists === true;
}

function mayBeOurs(state: SpeakerState, node: string): boolean {
  const { members, nodes } = state;
  return !seesAllNodes(state) || nodes.followed.seen.has(node) || members.gossip?.traits(node)?.exists === false;
}

/** Where not all Nodes are followed, or this node's own is missing too, nothing follows from what is not there. */
function seesAllNodes({ node: self, nodes: { followed } }: SpeakerState): boolean {
  const { names, isWhole, seen } = followed;
  return names === "all" && isWhole && seen.has(self);
}
