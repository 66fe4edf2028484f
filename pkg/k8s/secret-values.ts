import type { Log } from "#pkg/log";
import type { Cluster } from "./cluster.ts";
import type { Informer } from "./informers.ts";
import type { Secret } from "./objects.ts";
import { resources } from "./resources.ts";

export interface SecretValuesOptions {
  readonly cluster: Pick<Cluster, "informer">;
  readonly namespace: string;
  /**
   * The label `ingot-use` that a Secret has to have: writers of the configuration may name any Secret, also that with the key of the ring.
   */
  readonly use: "bgp-password" | "netbox-token";
  /** A value may be another one. */
  readonly changed: () => void;
  readonly log: Log;
}

/** Why there is no value yet, in words. */
export interface NoValue {
  readonly missing: string;
}

interface Watched {
  readonly informer: Informer<Secret>;
  readonly values: Map<string, string>; // key -> value
  /** It is there, and has not the label. */
  isUnmarked: boolean;
  /** The API server refuses it. */
  isForbidden: boolean;
}

/**
 * Follows single Secrets by their names. The last value of a deleted Secret or key stays for as long as the name is wanted: somebody who
 * deletes it by accident does not want its users to stop. Nothing is taken from a Secret that is not meant for it. Values are never logged.
 */
export class SecretValues implements Disposable {
  readonly #options: SecretValuesOptions;
  readonly #watched = new Map<string, Watched>(); // name -> Secret

  constructor(options: SecretValuesOptions) {
    this.#options = options;
  }

  /** These Secrets, and no others. */
  watch(names: ReadonlySet<string>): void {
    for (const [name, { informer }] of this.#watched)
      if (!names.has(name)) {
        informer[Symbol.dispose]();
        this.#watched.delete(name);
      }
    for (const name of names) if (!this.#watched.has(name)) this.#follow(name);
  }

  /** A line break at the end is taken off: files have one, passwords do not. */
  get({ name, key }: { readonly name: string; readonly key: string }): string | NoValue {
    const watched = this.#watched.get(name);
    const value = watched?.values.get(key);
    if (value !== undefined) return value;
    const secret = `Secret ${this.#options.namespace}/${name}`;
    if (watched?.isForbidden)
      return { missing: `${secret} may not be read: the process's ServiceAccount needs a Role to list and watch it` };
    if (watched === undefined || !watched.informer.synced) return { missing: `${secret} has not been read yet` };
    const label = `ingot-use=${this.#options.use}`;
    if (watched.isUnmarked)
      return { missing: `${secret} is not marked for this use: if it is meant, give it the label ${label}` };
    if (watched.values.size === 0) return { missing: `there is no ${secret}, or nothing in it` };
    return { missing: `${secret} has no key ${JSON.stringify(key)}, but ${[...watched.values.keys()].join(", ")}` };
  }

  [Symbol.dispose](): void {
    this.watch(new Set());
  }

  #follow(name: string): void {
    const informer = this.#options.cluster.informer(
      resources.secrets,
      { namespace: this.#options.namespace, fieldSelector: `metadata.name=${name}` },
      {
        synced: () => this.#asked(name, false),
        forbidden: () => this.#asked(name, true),
        reached: () => {
          if (watched.isForbidden && informer.lostSince === undefined) this.#asked(name, false);
        },
        changed: (_key, now) => this.#changed(watched, name, now),
      },
    );
    const watched: Watched = { informer, values: new Map(), isUnmarked: false, isForbidden: false };
    this.#watched.set(name, watched);
    informer.start();
  }

  #asked(name: string, isForbidden: boolean): void {
    const watched = this.#watched.get(name);
    if (watched === undefined || (isForbidden && watched.isForbidden)) return;
    watched.isForbidden = isForbidden;
    this.#options.changed();
  }

  #changed(watched: Watched, name: string, now: Secret | undefined): void {
    const { values } = watched;
    const { use } = this.#options;
    watched.isUnmarked = now !== undefined && now.use !== use;
    const data = watched.isUnmarked ? {} : (now?.data ?? {});
    if (use === "netbox-token" && now !== undefined) values.clear(); // A token goes to the URL that stands beside it, not to one that did.
    const gone = [...values.keys()].filter((key) => !Object.hasOwn(data, key));
    if (gone.length > 0)
      this.#options.log.warn("values of a Secret are gone, the last ones stay in use", {
        event: "secretChanged",
        secret: name,
        keys: gone,
      });
    for (const [key, value] of Object.entries(data)) values.set(key, value.replace(/\r?\n$/, ""));
    this.#options.changed();
  }
}
