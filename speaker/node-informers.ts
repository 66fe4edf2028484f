import type { Millis } from "#pkg/clock";
import { ApiError, type Cluster, Informers, nodesOf, type Scope } from "#pkg/k8s";
import type { ClusterEvent } from "./core/index.ts";

export interface NodeInformersOptions {
  readonly cluster: Pick<Cluster, "informer" | "count">;
  /** This node's name. */
  readonly node: string;
  /** Their addresses are asked for, too. */
  readonly hasNodeAddresses?: boolean;
  readonly emit: (event: ClusterEvent) => void;
  /** Something was seen, or all of it. */
  readonly changed: () => void;
  readonly synced: () => void;
  readonly reached: () => void;
}

/** Counts Nodes first. Then follows all of them, or some by their names, as it is told. */
export class NodeInformers implements Disposable {
  readonly #options: NodeInformersOptions;
  #informers: Informers | undefined;
  #isDisposed = false;

  constructor(options: NodeInformersOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { cluster, node, hasNodeAddresses, emit } = this.#options;
    const count = await unlessRefused(cluster.count(nodesOf(node, hasNodeAddresses)));
    if (!this.#isDisposed) emit({ type: "nodesCounted", count });
  }

  /** Follows these in place of those before. */
  follow(names: "all" | readonly string[]): void {
    this.#informers?.[Symbol.dispose]();
    this.#informers = this.#follow(names);
    this.#informers.start();
    this.#options.reached(); // The ones before may have been out of reach.
  }

  get missing(): readonly string[] {
    return this.#informers?.missing ?? ["Nodes"];
  }

  get lostSince(): Millis | undefined {
    return this.#informers?.lostSince;
  }

  get failure(): Informers["failure"] {
    return this.#informers?.failure;
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#informers?.[Symbol.dispose]();
  }

  #follow(names: "all" | readonly string[]): Informers {
    const { cluster, node, hasNodeAddresses, emit, changed, synced, reached } = this.#options;
    const isSynced = (): void => {
      if (informers.missing.length === 0) emit({ type: "nodesListed" });
      synced();
    };
    const informers = new Informers(cluster, isSynced, { reached });
    for (const name of names === "all" ? [undefined] : names) {
      const scope: Scope = name === undefined ? { isForMany: true } : { fieldSelector: `metadata.name=${name}` };
      informers.follow("Nodes", nodesOf(node, hasNodeAddresses), scope, (key, now) => {
        changed();
        emit({ type: "node", name: key, node: now });
      });
    }
    return informers;
  }
}

async function unlessRefused<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiError) return undefined; // The informers of Nodes say what is wrong.
    throw error;
  }
}
