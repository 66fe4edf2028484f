import type { ObjectChange } from "#e2e/apiserver";
import type { Millis } from "#pkg/clock";
import { isByBgp } from "#pkg/placement";
import { type History, widerSlotsConfig } from "../history.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import type { SpeakerProcess } from "../speaker-process.ts";
import type { Judge } from "./judge.ts";
import { ableNodes } from "./ownership-sample.ts";
import { type Placeable, StickyOwnership } from "./sticky.ts";

const slotsOfFamily = 16;
const slots = [
  ...Array.from({ length: slotsOfFamily }, (_, i) => `192.0.2.${224 + i}`),
  ...Array.from({ length: slotsOfFamily }, (_, i) => `2001:db8::${(224 + i).toString(16)}`),
];
const furtherSlots = Array.from({ length: 16 }, (_, i) => `192.0.2.${240 + i}`);
// By then all know that a node has a slot.
const settledMs: Millis = 5_000;
// Speakers give slots to nodes that came back once nodes have been the same for five minutes, counted by each for itself.
const sameMs: Millis = 240_000;

/**
 * Next-hop slots are sticky addresses that pools hold. Where speakers end one after the other, and at most lose the API, a node that lives on keeps its
 * slots, but for those beyond two shares, and routers have a path to every slot all the time.
 */
export class SlotOwnership implements Judge {
  readonly #sticky = new StickyOwnership(placeable);
  readonly #isOnlyDeaths: boolean;
  readonly #since = new Map<string, { readonly speaker: SpeakerProcess; readonly at: Millis }>(); // slot -> its only owner, since when
  #problem: string | undefined;
  #beganAt: Millis | undefined;

  constructor({ acts }: History) {
    this.#isOnlyDeaths = acts.every(({ act }) => ["killSpeaker", "powerOff", "stopSpeaker", "cutApi"].includes(act.type));
  }

  get problem(): string | undefined {
    return this.#problem ?? this.#sticky.problem;
  }

  changed(cluster: SimulatedCluster, change: ObjectChange): void {
    this.#sticky.changed(cluster, change);
  }

  check(cluster: SimulatedCluster): void {
    this.#sticky.check(cluster);
    const problem = this.#isOnlyDeaths ? this.#checkDeaths(cluster) : undefined;
    if (problem !== undefined) this.#problem ??= `at ${cluster.now} ms: ${problem}`;
  }

  isAtRest(cluster: SimulatedCluster): boolean {
    return this.#sticky.isAtRest(cluster) && wrongPaths(cluster) === undefined; // Speakers repeat later what was in a lost packet.
  }

  checkAtRest(cluster: SimulatedCluster): string | undefined {
    if (!this.#sticky.isAtRest(cluster)) return `the cluster does not come to rest: ${cluster.ring.describe()}`;
    return this.problem ?? wrongPaths(cluster);
  }

  #checkDeaths(cluster: SimulatedCluster): string | undefined {
    const twoShares = 2 * Math.ceil(slotsOfFamily / ableNodes(cluster).length);
    const { now, speakers } = cluster;
    const owners = cluster.owners();
    const atWork = [...speakers.values()].filter(isAtWork);
    for (const slot of slots) {
      const [node, ...more] = owners.get(slot) ?? [];
      const speaker = node === undefined || more.length > 0 ? undefined : speakers.get(node);
      const before = this.#since.get(slot);
      if (before !== undefined && before.speaker === speaker) continue;
      const lives = before !== undefined && isAtWork(before.speaker) && !before.speaker.announced.has(slot);
      if (lives && keptOf(before.speaker, slot) < twoShares && now > before.at + settledMs && now < sameMs)
        return `${slot} left ${before.speaker.process.name}, which lives`;
      if (speaker === undefined) this.#since.delete(slot);
      else this.#since.set(slot, { speaker, at: now });
    }
    const advertised = new Set(atWork.flatMap((speaker) => pathsOf(speaker).map(({ slot }) => slot)));
    const missing = slots.find((slot) => !advertised.has(slot));
    if (missing === undefined) this.#beganAt ??= now;
    else if (this.#beganAt !== undefined) return `no speaker that runs has a path to ${missing} any more`;
    return undefined;
  }
}

/** How many slots of the same set it has. */
function keptOf({ announced }: SpeakerProcess, slot: string): number {
  return slots.filter((one) => one.includes(":") === slot.includes(":") && announced.has(one)).length;
}

function isAtWork({ process, isStopping }: SpeakerProcess): boolean {
  return process.isRunning && !isStopping;
}

/** Slots of the configuration, whose owners may be all nodes. */
function placeable(cluster: SimulatedCluster): Placeable {
  const able = ableNodes(cluster);
  const { config } = cluster.people;
  const all = config === widerSlotsConfig ? [...slots, ...furtherSlots] : config?.includes("next-hop-slots") ? slots : [];
  return new Map(all.map((slot) => [slot, able]));
}

/** The paths that a speaker has for an address of the pool; those of all its addresses are the same. */
function pathsOf({ state }: SpeakerProcess): { readonly slot: string; readonly isOwn: boolean }[] {
  const found = new Map<string, boolean>();
  for (const placements of state.placements.values())
    for (const placement of placements)
      for (const { prefix, via } of isByBgp(placement) ? placement.routes : [])
        for (const { nextHop, isOwn } of via.slots.get(prefix.family) ?? []) found.set(nextHop.toString(), isOwn);
  return [...found].map(([slot, isOwn]) => ({ slot, isOwn }));
}

/** At rest routers have the path to each slot from its owner, and from one other node. */
function wrongPaths(cluster: SimulatedCluster): string | undefined {
  const owners = cluster.owners();
  const running = [...cluster.speakers].filter(([, { process }]) => process.isRunning);
  for (const slot of slots) {
    const by = running.flatMap(([node, speaker]) =>
      pathsOf(speaker).flatMap((path) => (path.slot === slot ? [{ node, ...path }] : [])),
    );
    const own = by.filter(({ isOwn }) => isOwn).map(({ node }) => node);
    if (own.join() !== (owners.get(slot) ?? []).join())
      return `${slot} is at ${owners.get(slot)}, and of the speakers ${own} say so to routers`;
    if (by.length !== Math.min(2, ableNodes(cluster).length))
      return `routers have the path to ${slot} from ${by.map(({ node }) => node)}`;
  }
  return undefined;
}
