import type { KubeObject, ObjectChange } from "#e2e/apiserver";
import type { Millis } from "#pkg/clock";
import { lastGoodKey, renumberAnnotation, statusConfigMap } from "#pkg/live-config";
import { namespace, type ServiceSpec } from "../api/objects.ts";
import { ingressOf } from "../api/people.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import type { Occupied } from "./occupied.ts";
import { asksForOther, hasWrongFamilies, holdersOf, mayKeep, mayShare, poolOf } from "./promised.ts";

// The longest that a controller at work may not see what the API has: a watch that broke is begun again within 15 s, and then lags.
const unseenMs: Millis = 20_000;

/**
 * Promise 1, at each write of a status. A controller's write is for the version of the Service that it decided on, so of what this Service asks for
 * nothing can have been missed, and nothing is excused by when it was edited: it may get other addresses only
 *
 * - where it asks for other addresses than it has: then those that it asks for or, where it has some of a wrong family, any besides those that it
 *   may keep;
 * - where it has one together with a Service that may not share it, or that is just being given it, since both might share it before;
 * - where two Services ask for other addresses, and each is given those of the other: one gives up its own first;
 * - where people put a configuration in place that leaves one without a pool, and may;
 * - where a restore brings back one that the configuration last on record has no pool for, since that stays in force until a controller has seen
 *   another one;
 * - where a restore brings back one, which no controller may have seen yet when people write a configuration that has no pool for it;
 * - where it gets those back that a restore gave it, of which a controller has taken one away meanwhile;
 * - where a host without a speaker has one of the pool `strict`, and had it before it was in use.
 *
 * The other Services and the ConfigMap it may have seen last some seconds ago.
 */
export class AddressChanges {
  readonly #occupied: Pick<Occupied, "mayTake">;
  /** Name -> what people wanted before, nothing included, and until when a controller may not know that they want something else. */
  readonly #before = new Map<string, { readonly spec: ServiceSpec | undefined; readonly until: Millis }[]>();
  #wanted: ReadonlyMap<string, ServiceSpec> = new Map();
  /** Names of Services that share an address without the right to it -> until when that counts. */
  readonly #parting = new Map<string, Millis>();
  /** Texts that may strand addresses -> until when one may be in force. */
  readonly #stranding = new Map<string, Millis>();
  /** The last text that a controller put on record. */
  #onRecord: string | undefined;
  #restoredAt: Millis = -Infinity;
  /** Name -> the addresses that the last restore gave it, and until when a controller may not know. */
  readonly #restored = new Map<string, { readonly addresses: string; readonly until: Millis }>();
  /** Texts of people since then. */
  #textsSince: string[] = [];

  constructor(occupied: Pick<Occupied, "mayTake">) {
    this.#occupied = occupied;
  }

  /** For the API's changes, in their order. @returns what is wrong */
  changed(cluster: SimulatedCluster, change: ObjectChange, byPeople: boolean): string | undefined {
    const { plural, key, type, object, before } = change;
    this.#noteRestore(cluster);
    if (plural === "configmaps") this.#noteConfig(cluster, change, byPeople);
    if (plural !== "services") return undefined;
    const { name } = object.metadata;
    const [was, is] = [ingressOf(before), ingressOf(object)];
    if (byPeople && cluster.restoredAt === cluster.now)
      this.#restored.set(name, { addresses: is.toSorted().join(), until: cluster.now + unseenMs });
    const isByController = !byPeople && type === "MODIFIED";
    const isOther = was.toSorted().join() !== is.toSorted().join(); // Their order means nothing.
    const problem = isByController && isOther ? this.#judge(cluster, name, was, is) : undefined;
    this.#noteWanted(cluster);
    this.#notePartings(cluster, byPeople);
    return problem && `${key} ${problem}`;
  }

  #judge(cluster: SimulatedCluster, name: string, was: readonly string[], is: readonly string[]): string | undefined {
    cluster.note(`default/${name} has ${is.join(" and ") || "no address"}`);
    const spec = cluster.people.services.get(name);
    if (spec === undefined) return undefined; // People delete it just now.
    const isLike = (one: string, other: string) => one.includes(":") === other.includes(":");
    const kept = was.filter((address) => is.includes(address));
    const isLost = was.some((address) => mayKeep(spec, address) && !kept.some((each) => isLike(each, address)));
    const isMeant = !isLost && (hasWrongFamilies(spec, was) || (asksForOther(spec, was) && !asksForOther(spec, is)));
    const mustPart = (this.#parting.get(name) ?? -Infinity) >= cluster.now || this.#isJoined(cluster, name, spec);
    const isTaken = was.some((address) => this.#occupied.mayTake(cluster, name, address));
    const isSwap = is.length === 0 && asksForOther(spec, was) && mayBeGiven(cluster, name, was);
    const restored = this.#restored.get(name);
    const isRestored = (addresses: readonly string[]) =>
      restored?.addresses === addresses.toSorted().join() && cluster.now <= restored.until;
    const isUnseen = isRestored(was) && this.#textsSince.some((text) => was.some((address) => !hasPool(text, address)));
    if (
      was.length > 0 &&
      !isRestored(is) &&
      !isUnseen &&
      !isMeant &&
      !mustPart &&
      !isTaken &&
      !isSwap &&
      !this.isStranded(cluster, was)
    )
      return `had ${was} and has ${is}, although nobody asked for that`;
    for (const address of is) {
      const others = was.includes(address) ? [] : holdersOf(cluster, address).filter((other) => other !== name);
      const wrong = others.find((other) => !this.#mightShare(cluster, spec, other));
      if (wrong !== undefined) return `got ${address}, which ${wrong} has and may not share`;
    }
    return undefined;
  }

  /** Whether a Service may share an address with another one as far as a controller may know. */
  #mightShare({ people: { services }, now }: SimulatedCluster, spec: ServiceSpec, other: string): boolean {
    const known = (this.#before.get(other) ?? []).filter(({ until }) => until >= now).map((each) => each.spec);
    return [...known, services.get(other)].some((each) => each === undefined || mayShare(spec, each));
  }

  /** Whether another Service that asks for an address may be given this one's, on whose former terms both might share it. */
  #isJoined({ people, now }: SimulatedCluster, name: string, spec: ServiceSpec): boolean {
    const before = (this.#before.get(name) ?? []).flatMap((each) => (each.until >= now ? (each.spec ?? []) : []));
    return [...people.services].some(
      ([other, theirs]) =>
        other !== name &&
        !mayShare(spec, theirs) &&
        asksForOther(theirs, people.status(other)) &&
        before.some((each) => mayShare(each, theirs)),
    );
  }

  /** Whether people may have taken the pool of one of the addresses away, as far as a controller or speaker may know. */
  isStranded({ now }: SimulatedCluster, addresses: readonly string[]): boolean {
    return [...this.#stranding].some(([text, until]) => until >= now && addresses.some((address) => !hasPool(text, address)));
  }

  #noteWanted({ people: { services }, now, restoredAt }: SimulatedCluster): void {
    const note = (name: string, spec: ServiceSpec | undefined) => {
      const before = (this.#before.get(name) ?? []).filter(({ until }) => until >= now);
      this.#before.set(name, [...before, { spec, until: now + unseenMs }]);
    };
    for (const [name, spec] of this.#wanted) if (services.get(name) !== spec) note(name, spec);
    // One that a restore brings back has an address at once.
    if (restoredAt === now) for (const name of services.keys()) if (!this.#wanted.has(name)) note(name, undefined);
    this.#wanted = new Map(services);
  }

  /** Where a controller has parted them, it knows; where people did, it may not know yet. */
  #notePartings(cluster: SimulatedCluster, byPeople: boolean): void {
    const parting = new Set(cluster.people.services.keys().filter((name) => mustPart(cluster, name)));
    for (const name of parting) this.#parting.set(name, Infinity);
    for (const [name, until] of this.#parting)
      if (until === Infinity && !parting.has(name)) {
        if (byPeople) this.#parting.set(name, cluster.now + unseenMs);
        else this.#parting.delete(name);
      }
  }

  /** Nobody sees the changes that a restore makes. */
  #noteRestore({ restoredAt }: SimulatedCluster): void {
    if (restoredAt === this.#restoredAt) return;
    this.#restoredAt = restoredAt;
    this.#textsSince = [];
    if (this.#onRecord === undefined) return;
    const until = Math.max(this.#stranding.get(this.#onRecord) ?? -Infinity, restoredAt + unseenMs);
    this.#stranding.set(this.#onRecord, until);
  }

  /**
   * A text counts from when it is put in place: until another one that may strand addresses as well is there, or until another one is on record as
   * the last good one, since a refused one, or none at all, leaves it in force.
   */
  #noteConfig({ api, now }: SimulatedCluster, { type, key, object }: ObjectChange, byPeople: boolean): void {
    const text = fieldOf(object.data, "config");
    if (byPeople && type !== "DELETED" && text !== undefined && now > this.#restoredAt) this.#textsSince.push(text);
    if (byPeople && type !== "DELETED" && text !== undefined && mayRenumber(object)) this.#stranding.set(text, Infinity);
    const inPlace = api.get("configmaps", `${namespace}/config`);
    const textInPlace = fieldOf(inPlace?.data, "config");
    const isReplaced = textInPlace !== undefined && inPlace !== undefined && mayRenumber(inPlace);
    const onRecord = !byPeople && key === `${namespace}/${statusConfigMap}` ? fieldOf(object.data, lastGoodKey) : undefined;
    this.#onRecord = onRecord ?? this.#onRecord;
    for (const [each, until] of this.#stranding) {
      if (until < Infinity || each === textInPlace) continue;
      if (isReplaced || (onRecord !== undefined && isOther(onRecord, each))) this.#stranding.set(each, now + unseenMs);
    }
  }
}

function mustPart(cluster: SimulatedCluster, name: string): boolean {
  const spec = cluster.people.services.get(name);
  if (spec === undefined) return false;
  const others = cluster.people.status(name).flatMap((address) => holdersOf(cluster, address).filter((other) => other !== name));
  return others.some((other) => {
    const theirs = cluster.people.services.get(other);
    return theirs !== undefined && !mayShare(spec, theirs);
  });
}

/** Whether another Service asks for one of these addresses, or has others than it asks for, and may be given these. */
function mayBeGiven({ people }: SimulatedCluster, name: string, addresses: readonly string[]): boolean {
  return [...people.services].some(([other, spec]) => {
    const status = people.status(other);
    const isAsked = addresses.some((address) => spec.wanted?.split(",").includes(address));
    return other !== name && (isAsked || (status.length > 0 && asksForOther(spec, status)));
  });
}

function hasPool(text: string, address: string): boolean {
  const pool = poolOf(address);
  return pool !== (isMoved(text) ? "lan" : "moved");
}

/** Also with other peers, and of custom resources, which are on record as another text. */
function isMoved(text: string): boolean {
  return text.includes("192.0.2.128-192.0.2.147");
}

function isOther(one: string, other: string): boolean {
  return one.includes("kind: IPAddressPool") ? isMoved(one) !== isMoved(other) : one !== other;
}

function mayRenumber({ metadata }: KubeObject): boolean {
  return fieldOf(metadata.annotations, renumberAnnotation) === "true";
}

function fieldOf(of: unknown, name: string): string | undefined {
  return (of as Readonly<Record<string, string>> | undefined)?.[name];
}
