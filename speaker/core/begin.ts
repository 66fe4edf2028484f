import type { Millis } from "#pkg/clock";
import { awaitsConnections } from "./data-path/first-connections.ts";
import type { SpeakerEffect } from "./effects.ts";
import { awaitsApi } from "./members/api-view.ts";
import { awaitsNodes } from "./members/followed-nodes.ts";
import type { SpeakerState } from "./state.ts";

/** When all has been seen that the first decision on the configuration takes. */
export function beginWhenSynced(state: SpeakerState, now: Millis, effects: SpeakerEffect[]): void {
  if (state.hasBegun || !state.isClusterSynced || !state.members.isSynced || awaitsNodes(state, now) || awaitsApi(state, now))
    return;
  if (awaitsConnections(state, now, effects)) return;
  state.hasBegun = true;
  const fields = { event: "stateSynced", services: state.services.rows.size };
  effects.push({ type: "log", level: "info", message: "synced, announcing addresses", fields }, { type: "startConfig" });
}
