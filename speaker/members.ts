/** Which nodes have a working speaker: the ones that may own addresses. */
export interface Members extends Disposable {
  start(): void;
  /** False until the first answer is there; nothing is announced before. */
  readonly synced: boolean;
  /** Node names, each once, sorted. */
  active(): readonly string[];
}
