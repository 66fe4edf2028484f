/** All states, from the best to the worst, with what each says. */
export const states = {
  Announced: "of a Service or address: traffic for the address comes to the cluster, as far as a speaker can tell",
  Ready: "of a pool, node, peer or configuration: it does what it is for",
  NotOurs: "Ingot is not responsible: it does nothing, and nothing is wrong",
  Assigned:
    "by the controller, which does not know who announces an address: the Service has all that it asks for; tools that reach a speaker show the speaker's verdict instead",
  Degraded: "it works, but not as it was asked for, or not everywhere",
  Pending: "it does not work; `next` names the remedy",
} as const;

export type State = keyof typeof states;

/** One row of a table. */
export interface Cause {
  /** States of its verdicts; the first is the usual one. */
  readonly states: readonly [State, ...State[]];
  /** The meaning, in general. */
  readonly means: string;
  /** The remedy, in general; empty if nothing is to be done. */
  readonly next: string;
}
