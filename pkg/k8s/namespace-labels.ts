import { isDeepStrictEqual } from "node:util";
import type { Source } from "./informers.ts";
import type { Namespace } from "./objects.ts";
import { resources } from "./resources.ts";

export interface NamespaceLabelsOptions {
  readonly cluster: Source;
  /** @param isNews not part of the first list */
  readonly onChange: (name: string, labels: Namespace["labels"], isNews: boolean) => void;
  readonly onKnown: (state: "known" | "forbidden") => void;
}

/** The labels of namespaces, which are followed from when a configuration first asks for them. */
export class NamespaceLabels implements Disposable {
  readonly #options: NamespaceLabelsOptions;
  #informer: Disposable | undefined;
  #state: "unknown" | "known" | "forbidden" = "unknown";
  #waiting: (() => void)[] = [];

  constructor(options: NamespaceLabelsOptions) {
    this.#options = options;
  }

  /** Why they may not be read, for people. @param who has no right to */
  static missing(who: "controller" | "speaker"): string {
    return (
      `the ${who} may not read the labels of Namespaces: its service account needs a ClusterRole with the rule ` +
      'apiGroups [""], resources [namespaces], verbs [list, watch], as the component manifests/components/namespaces adds it'
    );
  }

  /** Whether there is no right to read them, as far as that is known. */
  get isForbidden(): boolean {
    return this.#state === "forbidden";
  }

  /** Begins to follow them. @param done called once it is known what labels there are, or that they may not be read */
  whenKnown(done: () => void): void {
    if (this.#state !== "unknown") {
      done();
      return;
    }
    this.#waiting.push(done);
    if (this.#informer !== undefined) return;
    const { cluster, onChange } = this.#options;
    const informer = cluster.informer(
      resources.namespaces,
      {},
      {
        changed: (name, now, before) => {
          if (!isDeepStrictEqual(now?.labels, before?.labels)) onChange(name, now?.labels, this.#state === "known");
        },
        synced: () => this.#found("known"),
        forbidden: () => this.#found("forbidden"),
      },
    );
    this.#informer = informer;
    informer.start();
  }

  [Symbol.dispose](): void {
    this.#waiting = [];
    this.#informer?.[Symbol.dispose]();
  }

  /** Labels that have been seen stay known: a right that is taken away later refuses no configuration that is in force. */
  #found(state: "known" | "forbidden"): void {
    if (this.#state === state || this.#state === "known") return;
    this.#state = state;
    this.#options.onKnown(state);
    for (const done of this.#waiting.splice(0)) done();
  }
}
