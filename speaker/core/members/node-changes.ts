import type { Millis } from "#pkg/clock";
import type { SpeakerEffect } from "../effects.ts";
import type { ClusterEvent, NodeFields } from "../events.ts";
import { touchPools, viewsChanged } from "../placement/placements.ts";
import { othersChanged, ownNodeChanged } from "../protocols/bgp.ts";
import { ownNodePools } from "../protocols/interface.ts";
import type { SpeakerState } from "../state.ts";
import { heedTold, nodesCounted, nodesListed, reconsiderNodes, tellOwnNode, toldNode } from "./followed-nodes.ts";
import { forgetNode } from "./members.ts";
import { givesRoutesUp, setNode } from "./nodes.ts";

type NodeEvent = Extract<ClusterEvent, { readonly type: "nodesCounted" | "node" | "nodesListed" }>;

/** The API has so many Nodes, has a Node, or no longer, or has been asked for all that are followed. */
export function nodeEvent(state: SpeakerState, event: NodeEvent, now: Millis, effects: SpeakerEffect[]): void {
  const { seen, overheard } = state.nodes.followed;
  if (event.type === "nodesCounted") nodesCounted(state, event.count, effects);
  else if (event.type === "nodesListed") for (const node of nodesListed(state)) nodeChanged(state, node, undefined, now, effects);
  else {
    if (event.node === undefined) seen.delete(event.name);
    else seen.set(event.name, event.node);
    overheard.delete(event.name);
    nodeChanged(state, event.name, event.node, now, effects);
  }
}

/** These nodes' speakers tell something else. Where the API is not asked, that counts; a speaker that starts again counts by its last word. */
export function nodesTold(state: SpeakerState, nodes: readonly string[], now: Millis, effects: SpeakerEffect[]): void {
  for (const node of nodes) {
    const traits = heedTold(state, node);
    if (traits !== undefined) nodeChanged(state, node, toldNode(state, traits), now, effects);
  }
  if (nodes.length > 0) reconsiderNodes(state, now);
}

/**
 * Whether this node or another one sees the API may have changed. Without it this node believes what those tell of themselves that see it, until
 * changes that it has missed have had the time to arrive.
 */
export function apiViewsChanged(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { apiView, members, nodes } = state;
  const { names, seen, overheard } = nodes.followed;
  if (apiView.view !== "current") {
    if (names === "all") nodesTold(state, members.active, now, effects);
  } else if (!apiView.isReporting) {
    for (const node of overheard) nodeChanged(state, node, seen.get(node), now, effects);
    overheard.clear();
  }
  viewsChanged(state);
}

/** A Node is another than before; undefined: there is none. */
function nodeChanged(
  state: SpeakerState,
  node: string,
  fields: NodeFields | undefined,
  now: Millis,
  effects: SpeakerEffect[],
): void {
  if (fields === undefined) forgetNode(state, node, effects);
  else state.members.deleted.delete(node);
  const gaveUp = givesRoutesUp(state, node);
  const changed = setNode(state, node, fields);
  if (node === state.node) {
    changed.push(...ownNodeChanged(state, fields, now, effects), ...ownNodePools(state));
    state.nodes.flannelAddresses = fields?.flannelAddresses ?? [];
    state.nodes.podCIDRs = fields?.podCIDRs ?? [];
    tellOwnNode(state);
    effects.push({ type: "checkNode" });
  } else if (givesRoutesUp(state, node) !== gaveUp) touchPools(state, othersChanged(state, now, effects)); // It takes routes over, or no longer.
  if (changed.length === 0) return;
  const pools = changed.map(({ name }) => name);
  const message = "pools that a node may announce have changed";
  effects.push({ type: "log", level: "info", message, fields: { event: "nodeChanged", node, pools } });
  touchPools(state, changed);
}
