import type { Millis } from "#pkg/clock";
import type { Cluster } from "./cluster.ts";
import type { Handlers, Informer, Scope } from "./informer.ts";
import type { ObjectMeta } from "./objects.ts";
import type { Resource } from "./resources.ts";

/** Informers that a program needs all of: started, waited for and disposed of together. */
export class Informers implements Disposable {
  readonly #cluster: Pick<Cluster, "informer">;
  readonly #synced: () => void;
  readonly #reached: (() => void) | undefined;
  readonly #followed: { readonly what: string; readonly informer: Informer<ObjectMeta> }[] = [];

  /** `synced` runs each time that one of them has seen all there is, `reached` when `lostSince` of one is another. */
  constructor(cluster: Pick<Cluster, "informer">, synced: () => void, reached?: () => void) {
    this.#reached = reached;
    this.#cluster = cluster;
    this.#synced = synced;
  }

  /** @param what as people read it in `missing` */
  follow<V extends ObjectMeta>(
    what: string,
    resource: Resource<V>,
    scope: Scope,
    changed: Handlers<V>["changed"],
    relisted?: () => void,
  ): Informer<V> {
    const informer = this.#cluster.informer(resource, scope, {
      changed,
      ...(relisted !== undefined && { relisted }),
      synced: this.#synced,
      ...(this.#reached !== undefined && { reached: this.#reached }),
    });
    this.#followed.push({ what, informer });
    return informer;
  }

  /** In the order in which they are followed. */
  start(): void {
    for (const { informer } of this.#followed) informer.start();
  }

  /** Resources that have not been seen completely. */
  get missing(): readonly string[] {
    return this.#followed.filter(({ informer }) => !informer.synced).map(({ what }) => what);
  }

  /** Since when one of them has not seen what changes; undefined while all do. */
  get lostSince(): Millis | undefined {
    const lost = this.#followed.flatMap(({ informer }) => informer.lostSince ?? []);
    return lost.length === 0 ? undefined : Math.min(...lost);
  }

  [Symbol.dispose](): void {
    for (const { informer } of this.#followed) informer[Symbol.dispose]();
  }
}

/** The one object of that name. */
export function named(namespace: string, name: string): Scope {
  return { namespace, fieldSelector: `metadata.name=${name}` };
}
