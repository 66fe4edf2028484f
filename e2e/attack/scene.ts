/** One attack on a running speaker: the attempt, and the state that has to stay. */
export interface Scene {
  readonly name: string;
  /** One sentence: who sends what, how much of it. */
  readonly tried: string;
  /** @param logs folder for what its processes print */
  run(logs: string): Promise<Outcome>;
}

export interface Outcome {
  /** For how long the attack went on. */
  readonly seconds: number;
  /** Its effect, measured. */
  readonly effect: string;
  /** Nothing happened that must not happen. */
  readonly holds: boolean;
}
