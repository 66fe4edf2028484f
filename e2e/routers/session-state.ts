import type { SessionState } from "./router.ts";

const states: readonly SessionState[] = ["idle", "connect", "active", "openSent", "openConfirm", "established"];

/** The state that a router prints, in whatever case. What only it knows (`Down`, `Close`) is idle to others. */
export function sessionState(text: string): SessionState {
  const lower = text.toLowerCase();
  if (lower === "passive") return "active"; // BIRD's word for waiting only.
  return states.find((state) => state.toLowerCase() === lower) ?? "idle";
}
