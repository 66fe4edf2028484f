import { advertisesByNamespace, type Config, textsOfServices } from "#pkg/config";
import { type Cluster, type KeptTexts, NamespaceLabels } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import type { ClusterEvent } from "./core/index.ts";

export interface PolicySourcesOptions {
  readonly cluster: Pick<Cluster, "informer">;
  readonly emit: (event: ClusterEvent) => void;
  /** All Services are to be listed again, because more of their texts are kept; `servicesListed` says when that is done. */
  readonly relist: () => void;
  /** `isKnown` may be another. */
  readonly onKnown: () => void;
  readonly log: Log;
}

/**
 * Labels and annotations of Services, and labels of their namespaces, that advertisements ask for. Nothing of it is kept, and no right is
 * needed, before a configuration asks for it.
 */
export class PolicySources implements Disposable {
  readonly #kept: Record<keyof KeptTexts, Set<string>> = { labels: new Set(), annotations: new Set() };
  readonly #options: PolicySourcesOptions;
  readonly #namespaces: NamespaceLabels;
  #isListing = false;
  #awaitsNamespaces = false;

  constructor(options: PolicySourcesOptions) {
    this.#options = options;
    const { cluster, emit, log } = options;
    this.#namespaces = new NamespaceLabels({
      cluster,
      onChange: (name, labels) => emit({ type: "namespace", name, labels }),
      onKnown: (state) => {
        if (state === "forbidden")
          log.error("advertisements with namespace-selectors are made for no Service", {
            error: NamespaceLabels.missing("speaker"),
          });
      },
    });
  }

  /** Names of the labels and annotations of Services that are kept, now and later. */
  get kept(): KeptTexts {
    return this.#kept;
  }

  /** Whether all is known that the configurations of `follow` ask for, as far as it may be. */
  get isKnown(): boolean {
    return !this.#isListing && !this.#awaitsNamespaces;
  }

  /** The configuration may come into force. */
  follow(config: Config): void {
    const { label, annotation } = textsOfServices(config);
    const before = this.#kept.labels.size + this.#kept.annotations.size;
    for (const name of label) this.#kept.labels.add(name);
    for (const name of annotation) this.#kept.annotations.add(name);
    if (this.#kept.labels.size + this.#kept.annotations.size > before) {
      this.#isListing = true;
      this.#options.relist();
    }
    if (!advertisesByNamespace(config) || this.#awaitsNamespaces) return;
    this.#awaitsNamespaces = true;
    this.#namespaces.whenKnown(() => {
      this.#awaitsNamespaces = false;
      this.#options.onKnown();
    });
  }

  servicesListed(): void {
    if (!this.#isListing) return;
    this.#isListing = false;
    this.#options.onKnown();
  }

  [Symbol.dispose](): void {
    this.#namespaces[Symbol.dispose]();
  }
}
