import { backOff, type Clock, inTurns, type Millis, type Random, sleep } from "#pkg/clock";
import { ApiError, type Cluster, type CustomResource, type Informer, type ObjectMeta, type Resource } from "#pkg/k8s";
import type { Log } from "#pkg/log";
import { fields, list, text } from "#pkg/untrusted";
import type { StatusObject } from "./kinds.ts";

export interface StatusKeeperOptions {
  readonly cluster: Pick<Cluster, "informer" | "applyObject" | "deleteObject">;
  readonly namespace: string;
  /** The label, such as `metallb.io/node=node1`, of all its objects, and of no others; undefined for all objects of the kind. */
  readonly selector: string | undefined;
  /**
   * The Pod that owns the objects, so that Kubernetes deletes them after it; undefined where others make and delete them, and the status
   * alone is kept.
   */
  readonly owner: { readonly name: string; readonly uid: string } | undefined;
  readonly kind: CustomResource;
  /** The objects that are to be there, in pieces: undefined is a pause. */
  readonly wanted: () => Iterable<StatusObject | undefined>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** An object that is there, in two texts, because there may be thousands. */
interface Found extends ObjectMeta {
  readonly head: string;
  readonly status: string;
}

// So an object is written at most once in that time.
const lookEveryMs: Millis = 10_000;
const maxRetryMs: Millis = 300_000;
const maxWritesAtOnce = 100;
const addressAnnotation = "ingot.dev/address";

/**
 * Keeps the status objects of one kind of a process: from time to time it compares, and writes the differences. It gives way to all other calls of the API,
 * and ends with the first refusal until later. Chance has the order of the writes: a refused object keeps no other from being written for long.
 */
export class StatusKeeper implements Disposable {
  readonly #options: StatusKeeperOptions;
  readonly #informer: Informer<Found>;
  readonly #stop = new AbortController();
  readonly #written = new Map<string, string>(); // name -> the version that was there when it was written last, and as what
  #failures = 0; // in a row

  constructor(options: StatusKeeperOptions) {
    this.#options = options;
    const { cluster, namespace, kind, selector } = options;
    const scope = { namespace, ...(selector !== undefined && { labelSelector: selector }) };
    this.#informer = cluster.informer(foundOf(kind), scope, { changed: () => {} });
  }

  start(): void {
    this.#informer.start();
    void this.#run();
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#informer[Symbol.dispose]();
  }

  async #run(): Promise<void> {
    const { clock, random, log, kind } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        if (this.#informer.synced && this.#informer.lostSince === undefined) await this.#look();
        if (this.#failures > 0) log.info("status objects are written again", { kind: kind.kind });
        this.#failures = 0;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        if (signal.aborted) return;
        const level = this.#failures++ === 0 ? "warn" : "debug";
        log[level]("status objects are not written, trying again", { kind: kind.kind, error });
      }
      const retryMs = this.#failures === 0 ? 0 : backOff(this.#failures - 1, lookEveryMs, maxRetryMs, random);
      await sleep(clock, "status objects", Math.max(lookEveryMs, retryMs), signal);
    }
  }

  async #look(): Promise<void> {
    const { cluster, kind, clock, random } = this.#options;
    const { gone, other } = await inTurns(clock, this.#compare());
    const drawn = other.map((object) => ({ object, place: random() })).sort((a, b) => a.place - b.place);
    for (const found of gone.slice(0, maxWritesAtOnce)) await cluster.deleteObject(kind, found);
    for (const { object } of drawn.slice(0, maxWritesAtOnce)) await this.#write(object);
  }

  *#compare(): Generator<undefined, { readonly gone: readonly Found[]; readonly other: readonly StatusObject[] }> {
    const names = new Set<string>();
    const other: StatusObject[] = [];
    const { owner, wanted } = this.#options;
    for (const object of wanted()) {
      if (object !== undefined && (owner !== undefined || this.#found(object) !== undefined)) {
        names.add(object.name);
        const isRight = this.#hasHead(object) && this.#hasStatus(object);
        if (isRight) this.#written.delete(object.name);
        // A definition of another version drops fields that it does not know: the same write again would change nothing.
        else if (this.#found(object) === undefined || this.#written.get(object.name) !== this.#attempt(object))
          other.push(object);
      }
      yield;
    }
    for (const name of this.#written.keys()) if (!names.has(name)) this.#written.delete(name);
    const gone = owner === undefined ? [] : [...this.#informer.values()].filter(({ name }) => !names.has(name));
    return { gone, other };
  }

  async #write(object: StatusObject): Promise<void> {
    const { cluster, kind, namespace } = this.#options;
    const attempt = this.#attempt(object);
    try {
      await this.#apply(object, !this.#hasHead(object), !this.#hasStatus(object));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 422 || this.#options.owner === undefined) throw error;
      // MetalLB's definition lets no status name another node: the new owner's object is another one.
      await cluster.deleteObject(kind, { namespace, name: object.name });
      await this.#apply(object, true, true);
    }
    this.#written.set(object.name, attempt);
  }

  async #apply(
    { name, labels, address, status, manager }: StatusObject,
    isHeadOther: boolean,
    isStatusOther: boolean,
  ): Promise<void> {
    const { cluster, kind, namespace, owner } = this.#options;
    const annotations = address === undefined ? {} : { [addressAnnotation]: address };
    const ownerReferences = [{ apiVersion: "v1", kind: "Pod", ...owner }];
    if (isHeadOther) await cluster.applyObject(kind, { name, namespace, labels, annotations, ownerReferences });
    if (isStatusOther) await cluster.applyObject(kind, { name, namespace }, status, manager);
  }

  /** Everything on which the result of a write depends at this moment. */
  #attempt(object: StatusObject): string {
    const { labels, address, status } = object;
    return textOf({ version: this.#found(object)?.resourceVersion, labels: textOf(labels), address, status: textOf(status) });
  }

  #found({ name }: StatusObject): Found | undefined {
    return this.#informer.get(`${this.#options.namespace}/${name}`);
  }

  #hasStatus(object: StatusObject): boolean {
    return this.#found(object)?.status === textOf(object.status);
  }

  #hasHead(object: StatusObject): boolean {
    const { owner } = this.#options;
    return owner === undefined || this.#found(object)?.head === headOf(owner.uid, object.labels, object.address);
  }
}

function foundOf({ api, plural }: CustomResource): Resource<Found> {
  return {
    api,
    plural,
    project: (raw, meta) => {
      const { labels, annotations, ownerReferences } = fields(raw.metadata);
      const owners = list(ownerReferences).map((each) => text(fields(each).uid));
      const head = headOf(owners.join(), fields(labels), text(fields(annotations)[addressAnnotation]));
      return { ...meta, head, status: textOf(raw.status) };
    },
  };
}

/** Others may add labels. */
function headOf(owner: string, labels: Readonly<Record<string, unknown>>, address = ""): string {
  const own = Object.entries(labels).filter(([name]) => name.includes("metallb.io/"));
  return textOf({ owner, address, ...Object.fromEntries(own) });
}

/** The same for equal objects, in whatever order their fields are. */
function textOf(value: unknown): string {
  return JSON.stringify(Object.entries(fields(value)).sort());
}
