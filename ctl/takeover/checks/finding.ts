/** Something about the cluster that matters when Ingot takes over. */
export interface TakeoverFinding {
  /** `error`: solve it first. `warning`: something is different afterwards. `note`: good to know. */
  readonly severity: "error" | "warning" | "note";
  /** The check that found it; for programs. */
  readonly check: string;
  readonly found: string;
  readonly where: string;
  readonly advice: string;
}
