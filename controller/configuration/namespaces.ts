import { isDeepStrictEqual } from "node:util";
import { type Cluster, resources } from "#pkg/k8s";
import type { ControllerRunner } from "../core/index.ts";

export interface NamespacesOptions {
  readonly cluster: Pick<Cluster, "informer">;
  readonly runner: Pick<ControllerRunner, "dispatch">;
}

const missing =
  "the controller may not read the labels of Namespaces: its service account needs a ClusterRole with the rule " +
  'apiGroups [""], resources [namespaces], verbs [list, watch], as the component manifests/components/namespaces adds it';

/** The labels of namespaces, which are followed from when a configuration first asks for them. */
export class Namespaces implements Disposable {
  readonly #options: NamespacesOptions;
  #informer: Disposable | undefined;
  #state: "unknown" | "known" | "forbidden" = "unknown";
  #waiting: (() => void)[] = [];

  constructor(options: NamespacesOptions) {
    this.#options = options;
  }

  /** Begins to follow them. @param done called once it is known what labels there are, or that they may not be read */
  whenKnown(done: () => void): void {
    if (this.#state !== "unknown") {
      done();
      return;
    }
    this.#waiting.push(done);
    if (this.#informer !== undefined) return;
    const { cluster, runner } = this.#options;
    const informer = cluster.informer(
      resources.namespaces,
      {},
      {
        changed: (name, now, before) => {
          if (isDeepStrictEqual(now?.labels, before?.labels)) return;
          runner.dispatch({ type: "namespace", name, labels: now?.labels, isNews: this.#state === "known" });
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
    this.#options.runner.dispatch({ type: "namespacesKnown", labels: state === "known" ? "known" : { missing } });
    for (const done of this.#waiting.splice(0)) done();
  }
}
