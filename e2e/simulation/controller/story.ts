import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import type { Millis, Random } from "#pkg/clock";
import { ApiError, type Service } from "#pkg/k8s";
import { service } from "#pkg/k8s/testing";
import { lastGoodKey, renumberAnnotation, statusConfigMap } from "#pkg/live-config";
import { annotations } from "#pkg/service";
import { namespace, type World } from "../../../controller/testing/world.ts";
import { Answers } from "./answers.ts";
import { Model, type ModelPool, type ModelQuota, type ModelService } from "./model.ts";

export const keys = ["default/a", "default/b", "default/c", "default/d", "team/e", "team/f", "team/g"];

/** `10.0.BLOCK.0` and the following, then `fd00:aBLOCK::`. */
export function block(number: number, v4: number, v6 = 0): string[] {
  const of = (count: number, text: (i: number) => string) => Array.from({ length: count }, (_, i) => text(i));
  return [...of(v4, (i) => `10.0.${number}.${i}`), ...of(v6, (i) => `fd00:a${number}::${i + 1}`)];
}

/** Events besides the controller, and their rules. */
export interface Scene {
  readonly configurations: readonly Configuration[];
  /** In force at the start. */
  readonly first: Configuration;
  /** Called before people do something. */
  readonly before?: (world: World) => void;
  /** Waits until nothing is left to be done. */
  readonly rest?: (world: World) => Promise<void>;
  /** Time passes in the middle of a step, for what is asked of others to begin. */
  readonly maxPassMs?: Millis;
  /** Recorded holders of addresses elsewhere. */
  readonly records?: () => ReadonlyMap<string, string>;
  /** Faults elsewhere at rest. */
  readonly faults?: (model: Model) => string[];
  /** Fields of a pool's configuration besides those of all scenes. */
  readonly fieldsOf?: (pool: ModelPool) => object;
  /** The text of a configuration, where it is not that of a ConfigMap. */
  readonly textOf?: (configuration: Configuration) => string;
  /** Those that Kubernetes has. */
  readonly namespaces?: ReadonlyMap<string, Readonly<Record<string, string>>>; // name -> labels
  /** Addresses that other hosts of the network may have. */
  readonly occupiable?: readonly string[];
  /** Writes are not refused, and no webhook changes statuses. */
  readonly isUntroubled?: true;
  /** Wrong decisions on a Service that was the only one to change, or on none. */
  readonly faultsOf?: (before: Model, after: Model, changed: string) => string[];
}

export interface Configuration {
  readonly pools: readonly ModelPool[];
  readonly quotas: readonly ModelQuota[];
}

export function yaml({ pools, quotas }: Configuration, fieldsOf: Scene["fieldsOf"] = () => ({})): string {
  const entries = pools.map((pool) => {
    const { name, addresses, autoAssign, closed, sharing, namespaces, reserved, isStrict } = pool;
    return JSON.stringify({
      name,
      protocol: "layer2",
      addresses: addresses.map((address) => `${address}/${address.includes(":") ? 128 : 32}`),
      "auto-assign": autoAssign,
      closed,
      sharing,
      namespaces,
      "conflict-probe": isStrict ? "strict" : undefined,
      reserved: reserved?.map(({ address, ...holder }) =>
        Object.keys(holder).length > 0 ? { addresses: [address], ...holder } : address,
      ),
      ...fieldsOf(pool),
    });
  });
  const known = pools.map(({ name }) => name);
  const limits = quotas.map((quota) => ({ ...quota, pools: quota.pools.filter((name) => known.includes(name)) }));
  const list = (lines: readonly string[]) => lines.map((line) => `- ${line}\n`).join("");
  const counted = limits.filter((quota) => quota.pools.length > 0).map((quota) => JSON.stringify(quota));
  return `address-pools:\n${list(entries)}${counted.length > 0 ? `quotas:\n${list(counted)}` : ""}`;
}

/** A Service that somebody asks for, and the way in which it is written down. */
interface Wish extends Omit<ModelService, "has"> {
  readonly type: "LoadBalancer" | "ClusterIP" | "ExternalName";
  /** Another implementation's, by its class: nobody here touches it. */
  readonly isOther: boolean;
  readonly spelling: Spelling;
}

/** Ways to say the same, each chosen by chance. */
interface Spelling {
  /** By the newer names of annotations; the older ones may say something else. */
  readonly isNew: boolean;
  /** One address is in the annotation for several. */
  readonly isList: boolean;
  readonly hasBlanks: boolean;
  /** IPv6 first. */
  readonly isReversed: boolean;
}

/** All objects of the API, and what people wanted then, when nothing was left to be done. */
interface Backup {
  readonly objects: ReturnType<World["cluster"]["backup"]>;
  readonly wishes: ReadonlyMap<string, Wish>;
  readonly wanted: Configuration;
  readonly inForce: Configuration;
  readonly reported: readonly string[];
  readonly has: Readonly<Record<string, readonly string[]>>;
  /** What NetBox had. */
  readonly records: string;
}

/** Actions of people, one after another, and the conditions that hold each time when all is done. */
export class Story {
  readonly #random: Random;
  readonly #world: World;
  readonly #scene: Scene;
  readonly #wishes = new Map<string, Wish>(); // key -> what it asks for
  readonly #answers = new Answers();
  #inForce: Configuration;
  #wanted: Configuration;
  #backup: Backup | undefined;
  #reported: readonly string[] = []; // Addresses that other hosts have.
  #services = 0; // Number of Services made so far.
  readonly #renumbering: Configuration[] = []; // In this step: they may cost Services addresses that are in no pool any more.
  #isHandwritten = false; // In this step: the next controller takes a status for what its Service has.

  constructor(random: Random, world: World, scene: Scene) {
    this.#random = random;
    this.#world = world;
    this.#scene = scene;
    this.#inForce = scene.first;
    this.#wanted = scene.first;
  }

  async step(): Promise<void> {
    if (this.#backup !== undefined && this.#random() < 0.05 && this.#mayRestore(this.#backup)) await this.#restore(this.#backup);
    await this.#change();
    if (this.#random() < 0.2) this.#backup = this.#makeBackup();
  }

  /** The API is restored from a backup: all is as it was then, whatever the controller remembers. */
  async #restore({ objects, wishes, wanted, inForce, reported, has, records }: Backup): Promise<void> {
    const { cluster } = this.#world;
    const isSame = this.#recorded() === records;
    cluster.restore(objects);
    // One kind of objects may be seen before the other.
    if (this.#random() < 0.5) cluster.silent.add(this.#pick(["services", "configmaps"]));
    this.#wishes.clear();
    for (const [key, wish] of wishes) this.#wishes.set(key, wish);
    this.#wanted = wanted;
    this.#reported = reported;
    await this.#world.settle();
    cluster.silent.clear();
    await this.#world.settle();
    await this.#scene.rest?.(this.#world);
    this.#inForce = this.#onRecord();
    assert.equal(this.#inForce, inForce);
    const after = this.#look();
    assert.deepEqual([...after.faults(), ...(this.#scene.faults?.(after) ?? [])], []);
    // NetBox is not restored.
    if (isSame) assert.deepEqual(hasOf(after), has, "since the API was restored from a backup");
  }

  #makeBackup(): Backup {
    const wishes = new Map(this.#wishes);
    return {
      objects: this.#world.cluster.backup(),
      wishes,
      wanted: this.#wanted,
      inForce: this.#inForce,
      reported: this.#reported,
      has: hasOf(this.#look()),
      records: this.#recorded(),
    };
  }

  #recorded(): string {
    return JSON.stringify([...(this.#scene.records?.() ?? [])].sort());
  }

  /**
   * Labels of namespaces are not restored here, nor records. A configuration that a Service is in the way of, which the backup lacks, may come into
   * force before the backup's is seen.
   */
  #mayRestore({ wanted, inForce }: Backup): boolean {
    const isSame = wanted === this.#wanted && inForce === this.#inForce && !this.#needsThisController(new Set());
    if (this.#wanted !== this.#inForce || this.#scene.namespaces !== undefined) return false;
    return this.#scene.records === undefined || isSame;
  }

  async #change(): Promise<void> {
    const before = this.#look();
    const inForceBefore = this.#inForce;
    this.#scene.before?.(this.#world);
    this.#isHandwritten = false;
    this.#renumbering.length = 0;
    // Services whose addresses may change: their requests changed, somebody wrote their status, or the next controller may move them.
    const excused = new Set<string>();
    const end = !this.#scene.isUntroubled && this.#random() < 0.1 ? this.#trouble(excused) : undefined;
    if (this.#scene.occupiable !== undefined && this.#random() < 0.2) this.#occupy(this.#scene.occupiable);
    for (const { key, has } of before.services) if (has.some((address) => this.#reported.includes(address))) excused.add(key);
    const touched = new Set([this.#act(excused)]);
    if (this.#random() < 0.03) this.#deleteNamespace(touched);
    // Something else happens in the middle of it: the Services of a namespace may go one after another.
    let isHurried = end !== undefined || touched.size > 1;
    while (this.#random() < 0.2) {
      isHurried = true;
      for (let turns = 1 + Math.floor(this.#random() * 4); turns > 0; turns--) await this.#turn();
      if (this.#random() < 0.3 && !this.#needsThisController(touched) && !this.#isHandwritten) {
        const seen = [...before.services, ...this.#look().services];
        await this.#world.handOver();
        // Where those on one address disagree, it goes by their age, and not by who changed.
        const written = seen.filter(({ key }) => touched.has(key)).flatMap(({ has }) => has);
        const changed = written.map((address) => address.replace(/^::ffff:/, ""));
        for (const { key, has } of before.services) if (has.some((address) => changed.includes(address))) excused.add(key);
      } else {
        const key = this.#act(excused);
        if (touched.has(key)) excused.add(key);
        touched.add(key);
      }
    }
    await this.#world.settle();
    await end?.();
    await this.#scene.rest?.(this.#world);
    this.#inForce = this.#onRecord();
    const after = this.#look();
    for (const { key } of before.services) {
      const isLost = ({ pools }: Configuration) =>
        !new Model(
          pools,
          before.services.filter((one) => one.key === key),
        ).fits(pools);
      if (this.#renumbering.some(isLost)) excused.add(key);
    }
    if (after.fits(this.#wanted.pools) || this.#renumbering.at(-1) === this.#wanted) assert.equal(this.#inForce, this.#wanted);
    assert.deepEqual([...after.faults(), ...(this.#scene.faults?.(after) ?? [])], []);
    assert.deepEqual(this.#falseNotes(after), []);
    const listed = this.#wishes.values().filter(({ type }) => type === "LoadBalancer");
    await this.#answers.check(this.#world, [...listed].length, this.#pick(keys));
    this.#assertStayed(before, after, touched.union(excused));
    // In the middle of a step another configuration may be in force, or an address be shared, that the end does not show.
    for (const now of this.#inForce === inForceBefore && !isHurried ? after.services : []) {
      const was = before.services.find(({ key }) => key === now.key)?.has ?? [];
      assert.deepEqual(after.overQuota({ ...now, has: was }, now.has), [], `${now.key} has ${now.has} and had ${was}`);
    }
    const changed = touched.difference(excused).values().next().value ?? "";
    if (!isHurried && this.#inForce === inForceBefore) assert.deepEqual(this.#scene.faultsOf?.(before, after, changed) ?? [], []);
    for (const now of after.services) {
      const was = before.services.find(({ key }) => key === now.key);
      // A Service that has what it asks for is not moved by others' actions, nor by a change that it meets as it is.
      if (was === undefined || excused.has(now.key) || !before.isMet(was) || !after.isMet({ ...now, has: was.has })) continue;
      // In the middle of a step it was maybe contested by a Service that is gone by now.
      const seen = isHurried ? [before, after] : [after];
      if (touched.has(now.key) && was.has.some((address) => seen.some((model) => isContested(model, now, address)))) continue;
      // In the order in which it names them, which may be another one now.
      assert.deepEqual(now.has.toSorted(), was.has.toSorted(), `${now.key} was moved when ${[...touched]} changed`);
    }
  }

  /** Services that are said to keep what they would not be given, and would be, or the other way round. */
  #falseNotes({ pools, services }: Model): readonly string[] {
    const model = new Model(pools, services); // A Service that has an address keeps it, whatever other hosts and NetBox have.
    return services.flatMap((service) => {
      const cause = [...this.#world.statuses(service.key)][0]?.verdict.cause ?? "";
      const isNoted = service.has.some((address) => !model.mayGet({ ...service, has: [] }, address));
      const isFalse = cause === "assigned" ? isNoted : cause === "notAllowed" && !isNoted;
      return isFalse ? [`${service.key} has ${service.has}: ${cause}`] : [];
    });
  }

  /** Nobody releases the records of a pool that left the configuration once the controller has ended that saw it leave. */
  #needsThisController(touched: ReadonlySet<string>): boolean {
    const { pools } = this.#inForce;
    const kept = pools.filter(({ netbox }) => netbox !== undefined).flatMap(({ addresses }) => addresses);
    const records = this.#scene.records?.();
    if (records === undefined) return false;
    const mayLeave = touched.has("configuration") || this.#wanted !== this.#inForce;
    return mayLeave || [...records.keys()].some((address) => !kept.includes(address));
  }

  /** Nobody gives an address up for a second family because of others. */
  #assertStayed(before: Model, after: Model, touched: ReadonlySet<string>): void {
    for (const now of after.services) {
      const was = before.services.find(({ key }) => key === now.key)?.has ?? [];
      const isOnlyOne = now.pools.length === 0 && now.addresses.length === 0 && was.length === 1 && now.families.length === 2;
      if (!isOnlyOne || touched.has(now.key) || touched.has("configuration")) continue;
      assert.ok(now.has.includes(`${was}`), `${now.key} had ${was} and has ${now.has} since ${[...touched]} changed`);
    }
  }

  /** @param excused gets Services that may have other addresses by it, though they ask for the same @returns the Service that changed, or `configuration` */
  #act(excused: Set<string>): string {
    const key = this.#pick(keys);
    const { cluster, clock } = this.#world;
    const dice = this.#random();
    const before = cluster.service(key);
    if (dice < 0.12) {
      this.#wanted = this.#pick(this.#scene.configurations);
      const mayRenumber = this.#random() < 0.2;
      if (mayRenumber) this.#renumbering.push(this.#wanted);
      this.#world.config(this.#textOf(this.#wanted), mayRenumber ? { [renumberAnnotation]: "true" } : {});
      return "configuration";
    }
    if (dice < 0.35 && this.#wishes.delete(key)) {
      cluster.remove("services", key);
      return key;
    }
    if (dice < 0.42 && before !== undefined) {
      excused.add(key);
      this.#isHandwritten = true;
      clock.advanceBy(contestMs); // Once is a slip of the hand.
      cluster.put("services", { ...before, ...this.#pick(handwritten) });
      return key;
    }
    const wish = drawWish(this.#random, key, before?.ingress ?? []);
    this.#wishes.set(key, wish);
    // It may be deleted and made again before anybody sees that.
    const isAgain = before !== undefined && this.#random() < 0.1;
    // One that was another implementation's has in its status what it has there.
    if (isAgain || before?.isClaimed === false) excused.add(key);
    const made = { uid: `uid-${this.#services++}`, created: Math.floor(this.#random() * 4), ingress: [] as readonly string[] };
    const { uid, created, ingress } = isAgain || before === undefined ? made : before;
    const now: Service = { ...serviceOf(wish), uid, created, ingress };
    cluster.put("services", now);
    return key;
  }

  /** Other hosts have some addresses, which a Service keeps that has had one for a while. */
  #occupy(occupiable: readonly string[]): void {
    this.#reported = occupiable.filter(() => this.#random() < 0.3);
    this.#world.occupied(...this.#reported);
    if (this.#random() < 0.5) this.#world.clock.advanceBy(30_000);
  }

  /** All Services of a namespace go in one moment. */
  #deleteNamespace(touched: Set<string>): void {
    const name = this.#pick(keys).replace(/[^/]*$/, "");
    for (const key of keys.filter((one) => one.startsWith(name) && this.#wishes.delete(one))) {
      this.#world.cluster.remove("services", key);
      touched.add(key);
    }
  }

  /** Writes are refused, or a webhook changes statuses. @returns ends that; the controller tries failed writes again afterwards */
  #trouble(excused: Set<string>): () => Promise<void> {
    const { cluster, clock } = this.#world;
    const pass = async (times: number, ms: number) => {
      for (let time = 0; time < times; time++) {
        clock.advanceBy(ms);
        await this.#world.settle();
      }
    };
    if (this.#random() < 0.3) {
      // As one that somebody writes by hand, again and again.
      this.#isHandwritten = true;
      for (const key of keys) excused.add(key);
      cluster.admit = this.#pick(webhooks);
    } else
      for (const key of this.#pick([keys, [this.#pick(keys)], [`${namespace}/${statusConfigMap}`]]))
        cluster.refused.set(key, this.#pick(refusals));
    return async () => {
      await pass(2, this.#pick([100, 5_000, 70_000]));
      cluster.refused.clear();
      cluster.admit = (addresses) => addresses;
      await pass(15, 61_000);
    };
  }

  /** The controller handles a part of what is pending. */
  async #turn(): Promise<void> {
    const { maxPassMs = 0 } = this.#scene;
    this.#world.cluster.deliver();
    if (this.#random() < 0.5) this.#world.clock.advanceBy(this.#random() < 0.5 ? this.#random() * maxPassMs : 0);
    await setImmediate();
  }

  /** The configuration that the controller has recorded as the last good one. */
  #onRecord(): Configuration {
    const text = this.#world.cluster.configMap(`${namespace}/${statusConfigMap}`)?.data[lastGoodKey];
    const known = [this.#wanted, this.#inForce, ...this.#scene.configurations];
    return known.find((each) => this.#textOf(each) === text) ?? assert.fail(`there is no configuration ${text}`);
  }

  #textOf(configuration: Configuration): string {
    const { textOf, fieldsOf } = this.#scene;
    return textOf?.(configuration) ?? yaml(configuration, fieldsOf);
  }

  #look(): Model {
    const ours = [...this.#wishes.values()].filter(({ isOther }) => !isOther);
    const services = ours.map((wish) => {
      const { ingress: has = [], labels = {} } = this.#world.cluster.service(wish.key) ?? {};
      return { ...wish, has, labels, namespaceLabels: this.#scene.namespaces?.get(wish.key.replace(/\/.*/, "")) };
    });
    return new Model(this.#inForce.pools, services, this.#inForce.quotas, this.#scene.records?.(), this.#reported);
  }

  #pick<T>(items: readonly T[]): T {
    return pick(this.#random, items);
  }
}

function hasOf({ services }: Model): Backup["has"] {
  return Object.fromEntries(services.map(({ key, has }) => [key, has]));
}

const webhooks: readonly World["cluster"]["admit"][] = [
  () => [],
  (addresses) => addresses.slice(0, 1),
  () => ["10.0.1.0"],
  (addresses) => [...addresses, "10.0.0.1"],
];
const refusals: readonly ApiError[] = [
  new ApiError("Cannot write: 400 Bad Request", 400, "BadRequest"),
  new ApiError("Cannot write: the user cannot patch resource", 403, "Forbidden"),
  new ApiError("Cannot write: denied by a policy", 403, "Forbidden"),
  new ApiError("Cannot write: 410 Gone", 410, "Expired"),
  new ApiError("Cannot write: it is invalid", 422, "Invalid"),
  new ApiError("Cannot write: 429", 429, "TooManyRequests", { retryAfterMs: 30_000 }),
  new ApiError("Cannot write: 500", 500, "InternalError"),
  new ApiError("Cannot write: 503", 503, "", { retryAfterMs: 2_000 }),
  new ApiError("Cannot write: not answered", 0, "Unreachable"),
  new ApiError("Cannot write: another one leads", 0, "NotLeader"),
];

function pick<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T;
}

// Then a status that somebody overwrites is put right at once.
const contestMs = 601_000;
/** Statuses that somebody writes, or another controller. */
const handwritten: readonly Pick<Service, "ingress" | "hasHostnames">[] = [
  ...[[], ["10.0.0.1"], ["10.0.1.0"], ["fd00:a0::1"], ["FD00:A0:0::0001"], ["::ffff:10.0.0.0"], ["192.0.2.1"], ["no address"]],
  ...[
    ["10.0.0.0", "10.0.0.1"],
    ["fd00:a0::1", "10.0.0.0"],
    ["10.0.0.0", "10.0.0.0"],
    ["10.0.0.0", "10.0.1.0", "fd00:a0::2"],
  ],
].map((ingress) => ({ ingress, hasHostnames: ingress.length === 0 }));

/** Draws a Service that somebody asks for. @param before the addresses that it has */
export function drawWish(random: Random, key: string, before: readonly string[]): Wish {
  const asked = ["10.0.0.0", "10.0.0.1", "10.0.1.0", "10.0.2.1", "192.0.2.1"];
  const [one, other] = [pick(random, asked), pick(random, asked)];
  // A move without a gap: the new address, then the one that it has.
  const isMove = before.length === 1 && before[0]?.includes(".") && before[0] !== one && random() < 0.5;
  const lists = [[one], [one], isMove ? [one, `${before}`] : [...new Set([one, other])]];
  const isMalformed = random() < 0.05;
  const type = pick(random, [...new Array<"LoadBalancer">(18).fill("LoadBalancer"), "ClusterIP", "ExternalName"] as const);
  const mayAsk = type === "LoadBalancer" && !isMalformed;
  const addresses = mayAsk && random() < 0.25 ? pick(random, lists) : [];
  const any = pick(random, [
    [4],
    [4],
    [6],
    pick(random, [
      [4, 6],
      [6, 4],
    ]),
  ]);
  const prefersBoth = random() < 0.5;
  // A Service that prefers both families may ask for an address of one.
  const asking = prefersBoth ? pick(random, [[4], [4, 6]]) : [4];
  const families = type !== "LoadBalancer" ? [] : addresses.length > 0 ? asking : any;
  const names = ["main", "gold", "team", "none"];
  const pools = pick(random, [[pick(random, names)], [pick(random, names)], [pick(random, names), pick(random, names)]]);
  const is = () => random() < 0.5;
  return {
    key,
    families: families as (4 | 6)[],
    prefersBoth: prefersBoth && families.length > 1,
    pools: mayAsk && addresses.length === 0 && random() < 0.35 ? pools : [],
    addresses,
    sharingKey: random() < 0.4 ? pick(random, ["k", "l"]) : "",
    backend: random() < 0.25 ? pick(random, ["app=x", "app=y"]) : "",
    ports: pick(random, [["TCP 80"], ["TCP 81"], ["TCP 82"], ["UDP 80"], ["TCP 80", "UDP 81"], ["SCTP 80", "TCP 81"]]),
    isMalformed,
    type,
    isOther: type === "LoadBalancer" && random() < 0.05,
    spelling: { isNew: is(), isList: is(), hasBlanks: is(), isReversed: is() },
  };
}

/** Whether the Service itself gave others a reason against it: by other terms of sharing. */
function isContested({ services }: Model, service: ModelService, address: string): boolean {
  return services.some(({ key, has }) => key !== service.key && has.includes(address));
}

/** The Service of somebody who asks for this. */
export function serviceOf({ spelling, type, isOther, isMalformed, ...wish }: Wish): Service {
  const { key, families, prefersBoth = false, pools, addresses, sharingKey, backend, ports } = wish;
  const { isNew, isList, hasBlanks, isReversed } = spelling;
  const comma = hasBlanks ? " , " : ",";
  const isInList = isMalformed || addresses.length > 1 || (isList && addresses.length === 1);
  const texts = {
    ...(sharingKey !== "" && { [annotations.sharing]: sharingKey }),
    ...(pools.length > 0 && { [annotations.pool]: pools.join(comma) }),
    ...(isInList && { [annotations.addresses]: isMalformed ? "10.0.0.1" : addresses.join(comma) }),
  };
  const newer = Object.entries(texts).map(([name, text]) => [name.replace("metallb.universe.tf/", "metallb.io/"), text]);
  const older = Object.keys(texts).map((name) => [name, "other"]);
  return service(key, {
    type,
    isClaimed: !isOther,
    clusterIPs: families.map((family) => (family === 4 ? "10.96.0.1" : "fd96::1")),
    prefersDualStack: prefersBoth,
    annotations: isNew ? Object.fromEntries([...newer, ...(isReversed ? older : [])]) : texts,
    loadBalancerIP: isMalformed || (addresses.length === 1 && !isInList) ? `${addresses[0] ?? "10.0.0.1"}` : "",
    externalTrafficPolicy: backend === "" ? "Cluster" : "Local",
    selector: backend === "" ? {} : { app: backend.slice("app=".length) },
    ports: ports.map((one) => {
      const [protocol = "", port] = one.split(" ");
      return { name: one, protocol, port: Number(port) };
    }),
    labels: { port: ports[0]?.replace(/.* /, "") ?? "" },
  });
}
