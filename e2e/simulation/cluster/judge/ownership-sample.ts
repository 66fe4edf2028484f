import type { Sample } from "#e2e/ownership";
import { nameOf } from "#pkg/memberlist/testing";
import type { ServiceSpec } from "../api/objects.ts";
import type { SimulatedCluster } from "../simulated-cluster.ts";
import type { SpeakerProcess } from "../speaker-process.ts";

/**
 * Speaker -> the addresses that it has known it may announce, for as long as the API says so without a break: what it forgets of that, it forgets
 * without a reason.
 */
export type Known = WeakMap<SpeakerProcess, Set<string>>;

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
    ([node, { process }]) => process.isRunning && !process.isStalled && ring.running.includes(node),
  );
  const isOnLan = (node: number) => !withoutCarrier.has(node);
  const reaches = (a: number, b: number) => ring.reaches(a, b) && ring.reaches(b, a);
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
  const isApiLost = running.some(([, { hasLostApi }]) => hasLostApi);
  const nodes = ableNodes(cluster);
  const able = new Map<string, readonly number[]>(); // address that somebody has to answer for -> nodes that may, as the API has it
  const mayAnnounce = (address: string): readonly number[] => {
    const found = able.get(address) ?? (mayBeNobodys(address) ? [] : candidatesOf(cluster, servicesOn(cluster, address), nodes));
    able.set(address, found);
    return found;
  };
  // Also while it stands still: it has not seen what the API gives it anew.
  for (const [node, speaker] of cluster.speakers)
    for (const address of known.get(speaker) ?? [])
      if (!mayAnnounce(address).includes(node) || mayBeNobodys(address)) known.get(speaker)?.delete(address);
  const hears = new Map<string, string[]>();
  const ringMembers = new Map<string, readonly string[]>();
  const owners = new Map<string, Map<string, string | undefined>>();
  const candidates = new Map<string, string[]>();
  for (const [node, speaker] of running) {
    const name = nameOf(node);
    hears.set(
      name,
      running.flatMap(([other]) => (other !== node && reaches(node, other) ? [nameOf(other)] : [])),
    );
    ringMembers.set(name, speaker.members);
    const views = new Map<string, string | undefined>();
    const knows = known.get(speaker) ?? new Set();
    known.set(speaker, knows);
    for (const [address, placements] of speaker.state.placements)
      for (const placement of placements) {
        if (placement.protocol !== "layer2" || placement.candidates.length === 0) continue;
        views.set(address, placement.owner);
        if (placement.candidates.includes(name)) knows.add(address);
      }
    for (const address of knows) {
      if (!mayAnnounce(address).includes(node)) knows.delete(address);
      else if (isOnLan(node) && !isLeftToOther(node, address))
        candidates.set(address, [...(candidates.get(address) ?? []), name]);
    }
    if (!speaker.hasLostApi && !(speaker.isEarlier && isApiLost)) owners.set(name, views);
  }
  const answers = new Map<string, string[]>();
  for (const [address, nodes] of answering) answers.set(address, nodes.filter((node) => isBySpeaker(node, address)).map(nameOf));
  return { at: now, answers, candidates, hears, members: ringMembers, owners };
}

/** The nodes that may announce an address of these Services, which share it; all of them, sorted. */
export function candidatesOf(
  cluster: SimulatedCluster,
  sharers: readonly ServiceSpec[],
  able: readonly number[] = ableNodes(cluster),
): number[] {
  const suiting = able.filter((node) =>
    sharers.some(({ isLocal, endpoints }) => (isLocal ? endpoints.includes(node) : endpoints.length > 0)),
  );
  const staying = suiting.filter((node) => !cluster.nodes.isDrained(node));
  return staying.length > 0 ? staying : suiting;
}

/** Nodes that run and are not excluded, sorted. */
export function ableNodes({ speakers, nodes }: SimulatedCluster): number[] {
  const able = [...speakers].filter(([node, { process }]) => process.isRunning && !nodes.isExcluded(node));
  return able.map(([node]) => node).sort((a, b) => a - b);
}

export function servicesOn(cluster: SimulatedCluster, address: string): ServiceSpec[] {
  return [...cluster.people.services].flatMap(([name, spec]) => (cluster.people.status(name).includes(address) ? [spec] : []));
}
