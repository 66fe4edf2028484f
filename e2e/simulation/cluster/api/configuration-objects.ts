import type { JsonObject, LocalApi } from "#e2e/apiserver";
import type { Millis, Random } from "#pkg/clock";
import { configurationKinds, liveObjectsIn } from "#pkg/convert";
import { renumberAnnotation } from "#pkg/live-config";
import type { Time } from "../simulated-process.ts";
import { namespace } from "./objects.ts";

// `kubectl apply` takes some milliseconds for each object; somebody who types takes seconds.
const gapMs: Millis = 20;
const slowGapMs: Millis = 3_000;
// Watches lag by 3 s, and requests by 2.
const seenMs: Millis = 6_000;
// All of them are written by then, and controllers have seen that.
const unseenMs: Millis = 60_000;

/** MetalLB's custom resources in a simulated cluster: people write one after the other, in any order, at times slowly. */
export class ConfigurationObjects {
  readonly #api: LocalApi;
  readonly #time: Time;
  readonly #random: Random;
  #allowedUntil: Millis = -Infinity;
  #writing = 0; // Which text is being written; another one gives the rest of the one before up.

  constructor(api: LocalApi, time: Time, random: Random) {
    this.#api = api;
    this.#time = time;
    this.#random = random;
  }

  /** Whether one of them allows to renumber, or did as far as a controller may know. */
  get mayRenumber(): boolean {
    return this.#time.now < this.#allowedUntil;
  }

  /**
   * Writes the objects of manifests, and deletes all others, each at a time of its own; at the very beginning all at once. The permission comes last, once
   * all daemons have seen them, as docs/custom-resources.md has it.
   */
  write(manifests: string, mayRenumber: boolean): void {
    const number = ++this.#writing;
    const wanted = new Map(objectsIn(manifests));
    const keys = configurationKinds.flatMap(({ plural }) => this.#keysOf(plural));
    const changes = [...new Set([...wanted.keys(), ...keys])].map((key) => ({ key, place: this.#random() }));
    changes.sort((a, b) => a.place - b.place);
    // Objects that go one by one, or come back so, are what somebody wants: the Services of a pool without an advertisement are not announced.
    const isSlow = manifests !== "" && keys.every((key) => wanted.has(key)) && this.#random() < 0.3;
    let at = this.#time.now;
    for (const { key } of changes) {
      const change = () => number === this.#writing && this.#change(key, wanted.get(key), false);
      if (this.#time.now === 0) change();
      else this.#time.schedule(at, change);
      at += this.#random() * (isSlow ? slowGapMs : gapMs);
    }
    const [key] = wanted.keys();
    const allow = () => number === this.#writing && this.#change(key ?? "", wanted.get(key ?? ""), true);
    if (mayRenumber) this.#time.schedule(at + seenMs, allow);
  }

  /** Leaves out what is still to be written. */
  giveUp(): void {
    this.#writing++;
  }

  #change(key: string, object: JsonObject | undefined, mayRenumber: boolean): void {
    const [plural = "", name = ""] = key.split(" ");
    this.#allowedUntil = mayRenumber ? Infinity : Math.min(this.#allowedUntil, this.#time.now + unseenMs);
    const path = `${namespace}/${name}`;
    const metadata = { name, annotations: { [renumberAnnotation]: mayRenumber ? "true" : null } };
    if (object === undefined) this.#api.remove(plural, path);
    else if (this.#api.get(plural, path) === undefined) this.#api.create(plural, namespace, { ...object, metadata });
    else this.#api.patch(plural, path, { spec: this.#specIn(plural, path, object), metadata });
  }

  /** As a merge: a field that is not there any more is null. */
  #specIn(plural: string, path: string, { spec }: JsonObject): JsonObject {
    const before = Object.keys((this.#api.get(plural, path)?.spec ?? {}) as JsonObject);
    return { ...Object.fromEntries(before.map((field) => [field, null])), ...(spec as JsonObject) };
  }

  #keysOf(plural: string): string[] {
    return this.#api.keys(plural).map((key) => `${plural} ${key.split("/")[1]}`);
  }
}

/** `plural name` -> object */
function* objectsIn(manifests: string): Iterable<[string, JsonObject]> {
  for (const { kind, metadata, spec } of liveObjectsIn(manifests, namespace)) {
    const plural = configurationKinds.find((each) => each.kind === kind)?.plural ?? "";
    yield [`${plural} ${metadata.name}`, { spec: spec as JsonObject }];
  }
}
