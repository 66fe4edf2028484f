import type { Millis } from "#pkg/clock";
import type { SpeakerEffect } from "../effects.ts";
import type { KernelProblems } from "../events.ts";
import { handoversChanged } from "../handovers/handovers.ts";
import { reportLinks } from "../handovers/links.ts";
import { reachabilityChanged } from "../members/nodes.ts";
import { flush, touchPools } from "../placement/placements.ts";
import type { SpeakerState } from "../state.ts";
import { updateReachability, withNics } from "./nics.ts";

/** This node may be able to answer on other interfaces than before. The others are informed at once. */
export function interfacesChanged(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  const { gossip } = state.members;
  if (!state.isStarted) return;
  const isElsewhere = updateReachability(state, now);
  if (isElsewhere) touchPools(state, withNics(state));
  if (gossip === undefined) return;
  gossip.setReachability(state.carriers.reachability);
  reportLinks(state);
  handoversChanged(state, now, effects);
  flush(state, effects);
  if (isElsewhere) touchPools(state, reachabilityChanged(state));
}

/** What this node's kernel does not have is announced by another node, or by none. */
export function kernelChanged(
  state: SpeakerState,
  { failure, problems }: KernelProblems,
  now: Millis,
  effects: SpeakerEffect[],
): void {
  const isSame = failure === state.kernel.found.failure;
  state.kernel.found = { failure, problems };
  if (isSame) return;
  touchPools(state, withNics(state));
  interfacesChanged(state, now, effects);
}
