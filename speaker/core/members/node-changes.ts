import type { Millis } from "#pkg/clock";
import type { SpeakerEffect } from "../effects.ts";
import type { NodeFields } from "../events.ts";
import { touchPools } from "../placement/placements.ts";
import { ownNodeChanged } from "../protocols/bgp.ts";
import { ownNodePools } from "../protocols/interface.ts";
import type { SpeakerState } from "../state.ts";
import { forgetNode } from "./members.ts";
import { setNode } from "./nodes.ts";

/** A Node is another than before; undefined: there is none. */
export function nodeChanged(
  state: SpeakerState,
  node: string,
  fields: NodeFields | undefined,
  now: Millis,
  effects: SpeakerEffect[],
): void {
  if (fields === undefined) forgetNode(state, node, effects);
  else state.members.deleted.delete(node);
  const changed = setNode(state, node, fields);
  if (node === state.node) {
    changed.push(...ownNodeChanged(state, fields, now, effects), ...ownNodePools(state));
    state.nodes.flannelAddresses = fields?.flannelAddresses ?? [];
    effects.push({ type: "checkNode" });
  }
  if (changed.length === 0) return;
  const pools = changed.map(({ name }) => name);
  const message = "pools that a node may announce have changed";
  effects.push({ type: "log", level: "info", message, fields: { event: "nodeChanged", node, pools } });
  touchPools(state, changed);
}
