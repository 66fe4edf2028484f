import { Alarm, type Clock, type Millis, type Random, sleep } from "#pkg/clock";
import { configurationKinds, liveKinds, liveObjectText, liveText } from "#pkg/convert";
import { ApiError, type Cluster, type Informer, type ObjectMeta, type ObjectReference, type Resource } from "#pkg/k8s";
import { mayRenumber, textVersion } from "#pkg/live-config";
import type { Log } from "#pkg/log";
import { list } from "#pkg/text";
import { fields } from "#pkg/untrusted";
import { Settling } from "./settling.ts";

/** The configuration that the objects are. */
export interface Offer {
  /** Undefined where nothing is offered, for the reason in `missing`. */
  readonly text: string | undefined;
  readonly missing?: "objects" | "definitions";
  /** Where some objects are there: the kinds that have none. */
  readonly missingKinds?: readonly string[];
  /** The same for equal objects. */
  readonly version: string;
  /** One of the objects allows that Services get other addresses. */
  readonly mayRenumber: boolean;
  /** The object that changed last; undefined where it is gone. */
  readonly about: ObjectReference | undefined;
}

export interface CustomResourcesOptions {
  readonly cluster: Pick<Cluster, "informer" | "servedResources">;
  readonly namespace: string;
  /** Called with each change, once all objects have been seen. */
  readonly offered: (offer: Offer) => void;
  /** Called when objects begin to change, and when what they are has been offered. Where somebody asks, the first offer waits for a pause, too. */
  readonly changing?: (areChanging: boolean) => void;
  /** Called when `missing`, or the time since which the API is lost, may have changed. */
  readonly reached: () => void;
  /** See `Handlers`. */
  readonly restored?: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** An object as the configuration has it. */
interface Kept extends ObjectMeta {
  readonly text: string;
  readonly mayRenumber: boolean;
}

/** A kind whose objects are followed. */
interface Followed {
  readonly kind: string;
  readonly version: string;
  readonly informer: Informer<Kept>;
}

const group = "metallb.io";
// Speakers of thousands of nodes ask, for as long as definitions are not there.
const lookEveryMs: Millis = 30_000;
const retryMs: Millis = 2_000;

// Without the others a configuration is the same, or has errors.
const neededKinds: readonly string[] = ["IPAddressPool", "L2Advertisement", "BGPAdvertisement", "BGPPeer"];

/**
 * Follows MetalLB's custom resources of one namespace, as far as their definitions are installed, and offers the configuration that they are.
 * Changes count once they have settled. Without all definitions nothing is offered, and nothing is followed or kept: with one of them gone, its
 * objects are gone too, and nobody meant that. Nor is anything offered when it is back, or after a start, while a kind has no object that had some in the
 * last good configuration, unless another object allows that Services get other addresses.
 */
export class CustomResources implements Disposable {
  readonly #options: CustomResourcesOptions;
  readonly #stop = new AbortController();
  readonly #alarm: Alarm;
  readonly #settling = new Settling();
  readonly #followed = new Map<string, Followed>(); // plural -> kind
  #lacking: readonly string[] | undefined; // Kinds that the API does not serve; undefined before it was asked.
  #had: ReadonlySet<string> = new Set(); // Kinds of the last good configuration.
  readonly #seen = new Set<string>(); // Kinds that have had objects since all definitions were there.
  #about: ObjectReference | undefined;
  #offered: string | undefined; // The configuration that was offered last, in short.
  #areChanging = false;
  #awaitsPause: boolean;
  #isLooking = false;
  #isLookingAtOnce = false;
  #failure: ApiError | undefined; // The API did not tell which definitions there are.

  constructor(options: CustomResourcesOptions) {
    this.#options = options;
    this.#awaitsPause = options.changing !== undefined;
    this.#alarm = new Alarm(options.clock, "custom resources settle", () => void this.#settled());
  }

  /** The text of the last good configuration; undefined where no configuration was ever good. */
  lastGoodChanged(text: string | undefined): void {
    this.#had = liveKinds(text ?? "");
    if (this.#settling.deadline === Infinity) this.#offer(); // Changes that are under way count once they have settled.
  }

  start(): void {
    void this.#run();
  }

  /** Kinds that have not been seen yet; nothing is offered before the list is empty. */
  get missing(): readonly string[] {
    if (this.#lacking === undefined) return [`the kinds of ${group}`];
    const unseen = this.#unseen.map(({ kind, version }) => `objects of kind ${kind} (${group}/${version})`);
    if (unseen.length === 0 && this.#awaitsPause && this.#followed.size > 0) return ["a pause in changes of custom resources"];
    return unseen;
  }

  get #unseen(): readonly Followed[] {
    return [...this.#followed.values()].filter(({ informer }) => !informer.synced);
  }

  /** Since when some have not been seen as they change; undefined while all are. */
  get lostSince(): Millis | undefined {
    const lost = [...this.#followed.values()].flatMap(({ informer }) => informer.lostSince ?? []);
    return lost.length === 0 ? undefined : Math.min(...lost);
  }

  /** The last error, until they are seen. */
  get failure(): ApiError | undefined {
    return this.#failure ?? [...this.#followed.values()].flatMap(({ informer }) => informer.failure ?? [])[0];
  }

  /** @param object as problems name it, such as `IPAddressPool metallb-system/a` */
  referenceOf(object: string): ObjectReference | undefined {
    const [kind, key = ""] = object.split(" ");
    const followed = [...this.#followed.values()].find((each) => each.kind === kind);
    const found = followed?.informer.get(key);
    return followed && found && reference(followed, found);
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#alarm[Symbol.dispose]();
    for (const { informer } of this.#followed.values()) informer[Symbol.dispose]();
  }

  /** Looks for definitions that come later, and for those that go. */
  async #run(): Promise<void> {
    const { clock, random } = this.#options;
    while (!this.#stop.signal.aborted) {
      const isKnown = await this.#look();
      const wait = isKnown ? lookEveryMs : retryMs;
      await sleep(clock, "definitions", wait * (0.75 + random() / 2), this.#stop.signal);
    }
  }

  /** @returns whether the API answered */
  async #look(): Promise<boolean> {
    const { cluster, log, reached } = this.#options;
    let served: Awaited<ReturnType<Cluster["servedResources"]>>;
    try {
      served = await cluster.servedResources(group);
      this.#failure = undefined;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (this.#failure === undefined && !this.#stop.signal.aborted)
        log.warn("cannot ask which custom resources there are", { group, error });
      this.#failure = error;
      return false;
    }
    if (this.#stop.signal.aborted) return false;
    const found = configurationKinds.map(({ plural, kind, versions }) => ({
      plural,
      kind,
      version: versions.find((version) => served.get(plural)?.includes(version)),
    }));
    const lacking = found.filter(({ plural, version }) => version === undefined && plural !== "addresspools");
    const names = lacking.map(({ plural }) => `${plural}.${group}`);
    if (names.join() !== this.#lacking?.join() && names.length > 0)
      log.warn("definitions of custom resources are not installed", { event: "definitionsMissing", missing: list(names) });
    this.#lacking = names;
    for (const { plural, kind, version } of found) this.#follow(plural, kind, names.length > 0 ? undefined : version);
    if (names.length > 0) {
      this.#seen.clear();
      this.#offer();
    }
    reached();
    return true;
  }

  #follow(plural: string, kind: string, version: string | undefined): void {
    const before = this.#followed.get(plural);
    if (before?.version === version) return;
    before?.informer[Symbol.dispose]();
    this.#followed.delete(plural);
    if (version === undefined) return;
    const { cluster, namespace, reached, restored } = this.#options;
    const informer = cluster.informer(
      resourceOf(plural, kind, version),
      { namespace },
      {
        changed: (_key, now, past) => {
          if (now?.text === past?.text && now?.mayRenumber === past?.mayRenumber) return; // Its status changed, or its managers.
          if (now !== undefined) this.#seen.add(kind);
          this.#about = now && reference({ kind, version }, now);
          this.#changed();
          if (now === undefined && this.#isKindGone) void this.#lookAtOnce();
        },
        synced: () => {
          if (this.#awaitsPause) this.#changed();
          this.#offer(); // First, so that whoever begins once nothing is missing has it.
          reached();
        },
        reached,
        ...(restored && { restored }),
      },
    );
    this.#followed.set(plural, { kind, version, informer });
    informer.start();
  }

  #changed(): void {
    this.#settling.changed(this.#options.clock.now());
    this.#alarm.set(this.#settling.deadline);
    this.#tell(true);
  }

  /** `kubectl replace --force` deletes a definition, and makes it again before the change counts. */
  async #lookAtOnce(): Promise<void> {
    if (this.#isLookingAtOnce) return;
    this.#isLookingAtOnce = true;
    await this.#look();
    this.#isLookingAtOnce = false;
  }

  /** With the last object of a kind its definition may be going: the API deletes the objects first. */
  async #settled(): Promise<void> {
    this.#settling.done();
    const isFirst = this.#awaitsPause && this.#unseen.length === 0;
    if (isFirst) this.#awaitsPause = false;
    if (this.#isKindGone) {
      if (this.#isLooking) return;
      this.#isLooking = true;
      const isKnown = await this.#look();
      this.#isLooking = false;
      if (this.#stop.signal.aborted) return;
      if (!isKnown) {
        await sleep(this.#options.clock, "definitions", retryMs, this.#stop.signal);
        this.#changed();
        return;
      }
    }
    this.#offer();
    if (isFirst) this.#options.reached();
    this.#tell(this.#settling.deadline !== Infinity);
  }

  #tell(areChanging: boolean): void {
    if (areChanging === this.#areChanging) return;
    this.#areChanging = areChanging;
    this.#options.changing?.(areChanging);
  }

  /** A kind has lost its last object. */
  get #isKindGone(): boolean {
    return this.#empty.some((kind) => this.#seen.has(kind));
  }

  get #empty(): readonly string[] {
    return [...this.#followed.values()].filter(({ informer }) => informer.size === 0).map(({ kind }) => kind);
  }

  /** Kinds whose objects may have gone with their definition. */
  get #missingKinds(): readonly string[] {
    return this.#empty.filter((kind) => neededKinds.includes(kind) && this.#had.has(kind) && !this.#seen.has(kind));
  }

  #offer(): void {
    if (this.#lacking === undefined || this.missing.length > 0) return;
    const objects = [...this.#followed.values()].flatMap(({ informer }) => [...informer.values()]);
    const text = liveText(objects.map((object) => object.text));
    const mayRenumber = objects.some((object) => object.mayRenumber);
    const isLacking = this.#lacking.length > 0;
    const missingKinds = objects.length === 0 || mayRenumber ? [] : this.#missingKinds;
    const missing = isLacking ? "definitions" : objects.length === 0 || missingKinds.length > 0 ? "objects" : undefined;
    const version = textVersion(text);
    const offered = [missing, ...missingKinds, mayRenumber, version].join();
    if (offered === this.#offered) return;
    this.#offered = offered;
    this.#settling.offered(this.#options.clock.now(), text.length);
    const about = this.#about;
    this.#options.offered(
      missing === undefined
        ? { text, version, mayRenumber, about }
        : { text: undefined, missing, missingKinds, version, mayRenumber: false, about },
    );
  }
}

function resourceOf(plural: string, kind: string, version: string): Resource<Kept> {
  return {
    api: `/apis/${group}/${version}`,
    plural,
    isCustom: true,
    project: (raw, meta) => {
      const { namespace, name } = meta;
      const { labels, annotations } = fields(raw.metadata);
      const metadata = { namespace, name, ...(labels !== undefined && { labels: fields(labels) }) };
      const text = liveObjectText({ apiVersion: `${group}/${version}`, kind, metadata, spec: raw.spec });
      return { ...meta, text, mayRenumber: mayRenumber(fields(annotations)) };
    },
  };
}

function reference({ kind, version }: Pick<Followed, "kind" | "version">, object: ObjectMeta): ObjectReference {
  const { namespace, name, uid, resourceVersion } = object;
  return { apiVersion: `${group}/${version}`, kind, namespace, name, uid, resourceVersion };
}
