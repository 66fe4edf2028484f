import type { ObjectChange } from "#e2e/apiserver";
import type { Sample } from "#e2e/ownership";
import type { Millis } from "#pkg/clock";
import { nameOf } from "#pkg/memberlist/testing";
import { canReachPrefix } from "#pkg/net";
import { ownerOf } from "#pkg/placement";
import { endpointsFor, reachedAddress, type ServiceSpec } from "../api/objects.ts";
import { ingressOf } from "../api/people.ts";
import { ownTeam } from "../history.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import type { SpeakerProcess } from "../speaker-process.ts";
import { hasWrongFamilies, poolOf } from "./promised.ts";

// A watch is late by less than that; a speaker that came to a list instead has not seen that the Service was gone.
const unseenMs: Millis = 10_000;

/**
 * The addresses that each speaker has known it may announce, for as long as the API says so without a break: what it forgets of that, it forgets
 * without a reason.
 */
export class Known {
  readonly #bySpeaker = new WeakMap<SpeakerProcess, Set<string>>();
  /** Speaker -> address whose Service was gone, or might not have it, for a moment -> until when the speaker may see just that. */
  readonly #gone = new WeakMap<SpeakerProcess, Map<string, Millis>>();

  of(speaker: SpeakerProcess): Set<string> {
    const known = this.#bySpeaker.get(speaker) ?? new Set();
    this.#bySpeaker.set(speaker, known);
    return known;
  }

  /** For the API's changes, in their order: samples miss a Service that is back at once, or asks again for what it has, as from a backup. */
  changed(cluster: SimulatedCluster, { plural, type, object }: ObjectChange): void {
    if (plural !== "services") return;
    const lost = ingressOf(object).filter((address) => type === "DELETED" || isOnlyRefused(cluster, address));
    if (lost.length === 0) return;
    for (const speaker of cluster.speakers.values()) {
      const gone = this.#gone.get(speaker) ?? new Map();
      this.#gone.set(speaker, gone);
      for (const address of lost) {
        this.of(speaker).delete(address);
        gone.set(address, cluster.now + unseenMs);
      }
    }
  }

  /**
   * A speaker sees these addresses as ones that it may announce. Additions do not count before it has all of the API again: the others may not have
   * them yet, and nobody says so.
   */
  sees(speaker: SpeakerProcess, addresses: ReadonlySet<string>, now: Millis): void {
    const gone = this.#gone.get(speaker);
    for (const [address, until] of gone ?? []) if (now > until || !addresses.has(address)) gone?.delete(address);
    const known = this.of(speaker);
    for (const address of addresses) if (gone?.has(address) !== true && !speaker.hasLostApi) known.add(address);
  }
}

/** Whether each of its Services now asks for other families than it has: a controller has not seen that yet. */
export function isOnlyRefused({ people }: SimulatedCluster, address: string): boolean {
  return people.holders(address).every((name) => {
    const spec = people.services.get(name);
    return spec === undefined || hasWrongFamilies(spec, people.status(name));
  });
}

/**
 * The state of a simulated cluster at this moment. A node may announce an address that the API gives it, once it knows so itself. A node
 * that has lost the API knows neither new nor ended assignments, and does not name owners. Meanwhile a speaker of the version before names it, because
 * it does not know what the others leave to it. Addresses that kernels answer for beyond their speakers are left out.
 * @param mayBeNobodys whether nobody has to answer for an address now
 */
export function sampleOf(cluster: SimulatedCluster, known: Known, mayBeNobodys: (address: string) => boolean): Sample {
  const { ring, now, lan } = cluster;
  const { withoutCarrier } = cluster.machines;
  const running = [...cluster.speakers].filter(
    ([node, { process }]) => process.isRunning && !process.isStalled && (!cluster.hasRing || ring.running.includes(node)),
  );
  const isOnLan = (node: number) => !withoutCarrier.has(node);
  const reaches = (a: number, b: number) => cluster.hear(a, b);
  const isBySpeaker = (node: number, address: string) => cluster.speakers.get(node)?.announced.has(address) === true;
  const answering = cluster.owners();
  // Where IP alone is cut, clients hear whoever answers: one that the node does not reach is enough.
  const isLeftToOther = (node: number, address: string) =>
    (answering.get(address) ?? []).some(
      (other) =>
        isBySpeaker(other, address) &&
        !cluster.speakers.get(other)?.process.isStalled &&
        !reaches(node, other) &&
        lan.passes(node, other) &&
        lan.passes(other, node),
    );
  const blind = new Map(running.flatMap(([node, speaker]) => (speaker.hasLostApi ? [[nameOf(node), speaker]] : [])));
  const all = ableNodes(cluster);
  const able = new Map<string, readonly number[]>(); // address that somebody has to answer for -> nodes that may, as the API has it
  const mayAnnounce = (address: string): readonly number[] => {
    const found =
      able.get(address) ??
      (mayBeNobodys(address) ? [] : candidatesOf(cluster, address, servicesOn(cluster, address), ableAt(cluster, address, all)));
    able.set(address, found);
    return found;
  };
  // Also while it stands still: it has not seen what the API gives it again.
  for (const [node, speaker] of cluster.speakers)
    for (const address of known.of(speaker)) if (!mayAnnounce(address).includes(node)) known.of(speaker).delete(address);
  const hears = new Map<string, string[]>();
  const ringMembers = new Map<string, readonly string[]>();
  const owners = new Map<string, Map<string, string | undefined>>();
  // A node may announce an address only since it lost the API: then it does not know so, and no other node knows whether it does.
  const isUnaware = (name: string | undefined, address: string) => {
    const speaker = name === undefined ? undefined : blind.get(name);
    return speaker !== undefined && !known.of(speaker).has(address);
  };
  const candidates = new Map<string, string[]>();
  for (const [node, speaker] of running) {
    const name = nameOf(node);
    hears.set(
      name,
      running.flatMap(([other]) => (other !== node && reaches(node, other) ? [nameOf(other)] : [])),
    );
    ringMembers.set(name, speaker.members);
    const views = new Map<string, string | undefined>();
    const seen = new Set<string>();
    for (const [address, placements] of speaker.state.placements)
      for (const placement of placements) {
        if (placement.protocol !== "layer2" || placement.candidates.length === 0) continue;
        const owner = ownerOf(placement);
        views.set(address, isUnaware(owner, address) ? undefined : owner);
        if (placement.candidates.includes(name)) seen.add(address);
      }
    known.sees(speaker, seen, now);
    const knows = known.of(speaker);
    for (const address of knows) {
      if (!mayAnnounce(address).includes(node)) knows.delete(address);
      else if (isOnLan(node) && !isLeftToOther(node, address))
        candidates.set(address, [...(candidates.get(address) ?? []), name]);
    }
    if (!speaker.hasLostApi && !(speaker.isEarlier && blind.size > 0)) owners.set(name, views);
  }
  const answers = new Map<string, string[]>();
  for (const [address, nodes] of answering) answers.set(address, nodes.filter((node) => isBySpeaker(node, address)).map(nameOf));
  return { at: now, answers, candidates, hears, members: ringMembers, owners };
}

/** The nodes that may announce an address of these Services, which share it: those that suit all or, without any, those that suit one; sorted. */
export function candidatesOf(
  cluster: SimulatedCluster,
  address: string,
  sharers: readonly ServiceSpec[],
  able: readonly number[] = ableAt(cluster, address),
): number[] {
  const choices = sharers
    .map((spec) => ({ isLocal: spec.isLocal, endpoints: endpointsFor(spec, address) }))
    .filter(({ endpoints }) => endpoints.length > 0)
    .map(({ isLocal, endpoints }) => able.filter((node) => !isLocal || endpoints.includes(node)))
    .filter((nodes) => nodes.length > 0);
  const common = able.filter((node) => choices.length > 0 && choices.every((nodes) => nodes.includes(node)));
  const suiting = common.length > 0 ? common : able.filter((node) => choices.some((nodes) => nodes.includes(node)));
  const staying = suiting.filter((node) => !cluster.nodes.isDrained(node));
  return staying.length > 0 ? staying : suiting;
}

/** Nodes of these that have the labels and NICs that the address's pool asks for at the beginning of histories. */
export function ableAt(
  cluster: SimulatedCluster,
  address: string,
  able: readonly number[] = ableNodes(cluster),
): readonly number[] {
  const pool = poolOf(address);
  if ((pool === "team" || pool === "teams") && cluster.people.team !== ownTeam) return [];
  const tier = pool === "advertised" ? servicesOn(cluster, address)[0]?.tier : undefined;
  if (pool === "chosen" || tier === "edge") return able.filter((node) => cluster.nodes.isEdge(node));
  const asked = askedNics[tier ?? pool];
  return asked === undefined ? able : able.filter((node) => hasNic(cluster, node, asked));
}

const subnet = { interfaces: [], l2Placement: { subnet: true } };
/** Pool -> what it asks of NICs. */
const askedNics: Readonly<Record<string, AskedNics>> = {
  second: { interfaces: ["eth1"], l2Placement: { subnet: false } },
  reached: { interfaces: [`${canReachPrefix}${reachedAddress}`], l2Placement: { subnet: false } },
  near: subnet,
  within: subnet,
  nic: subnet,
  auto: subnet,
};

interface AskedNics {
  readonly interfaces: readonly string[];
  readonly l2Placement: { readonly subnet: boolean };
}

/** Whether the node has a NIC that is in the LAN's subnet, or need not be, among those that a pool names. */
export function hasNic({ machines }: SimulatedCluster, node: number, { interfaces, l2Placement }: AskedNics): boolean {
  const isNamed = (nic: string) =>
    interfaces.length === 0 ||
    interfaces.includes(nic) ||
    (interfaces.some((name) => name.startsWith(canReachPrefix)) && machines.routeOf(node) === nic);
  return machines
    .nicsOf(node)
    .entries()
    .some(([nic, isInSubnet]) => isNamed(nic) && (isInSubnet || !l2Placement.subnet));
}

/** Nodes that run, in service, and are not excluded, sorted. */
export function ableNodes({ speakers, nodes }: SimulatedCluster): number[] {
  const isAble = (node: number) => !nodes.isExcluded(node) && !nodes.isOutOfService(node);
  const able = [...speakers].filter(([node, { process }]) => process.isRunning && isAble(node));
  return able.map(([node]) => node).sort((a, b) => a - b);
}

export function servicesOn(cluster: SimulatedCluster, address: string): ServiceSpec[] {
  const { people } = cluster;
  return people.holders(address).flatMap((name) => people.services.get(name) ?? []);
}
