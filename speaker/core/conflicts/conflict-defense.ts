import type { Millis } from "#pkg/clock";

/** How an announcement begins: at once; at once with probes beside it; or after probes that nobody answered. */
export type Beginning = "announce" | "announceAndProbe" | "probeFirst";

/** The speaker that sent a sighted frame. `preferred`: of the two nodes, the election gives the address to that one. */
export interface OtherSpeaker {
  readonly node: string;
  /** A member of the ring by this node's view. */
  readonly active: boolean;
  readonly preferred: boolean;
}

/** A frame in which another host uses, announces or probes the address. */
export interface Sighting {
  readonly mac: string;
  /** See `SightingKind` in `pkg/layer2`. */
  readonly kind: "announces" | "uses" | "probes";
  readonly interface: string;
  readonly ownMac: string;
  /** Undefined for a foreign host. */
  readonly by: OtherSpeaker | undefined;
}

/** Another host that has the address too. */
export interface Rival extends Pick<Sighting, "mac" | "interface" | "ownMac"> {
  /** Its speaker's, if it has one. */
  readonly node: string | undefined;
  /** It keeps the address, and this node does not answer meanwhile. */
  readonly followed: boolean;
}

export type DefenseEffect =
  /** Start announcing, or announce once more from the first frame. */
  | { readonly type: "announce" }
  /** Stop answering, but go on watching for frames about the address. */
  | { readonly type: "listen" }
  /** Send one gratuitous announcement. */
  | { readonly type: "defend" }
  | { readonly type: "probe"; readonly to?: string; readonly fromOwnAddress?: boolean }
  | { readonly type: "conflictBegan" | "conflictEnded"; readonly rival: Rival }
  /** A foreign host answered before the first announcement. */
  | { readonly type: "occupied"; readonly rival: Rival }
  /** A foreign host probes the address, and gets an answer. */
  | { readonly type: "wanted"; readonly rival: Rival };

/** `suspected`: to be probed; `probed`: may answer until `dueAt`; `kept`: this node keeps the address; `followed`: the other does. */
type Phase = "suspected" | "probed" | "kept" | "followed";

interface RivalState {
  readonly node: string | undefined;
  readonly since: Millis;
  sighting: Sighting;
  phase: Phase;
  dueAt: Millis;
  /** It announced the address since this node last did. A kernel that merely holds the address only answers. */
  announces: boolean;
  /** When it last probed the address, as a speaker that yielded to this node does. */
  probedAt: Millis;
  /** `conflictBegan` was emitted. */
  reported: boolean;
  unanswered: number;
}

// RFC 5227 waits 4 to 7 s in all (section 2.1.1), because a port of a switch may come up that late. A node's has long
// been up, and hosts answer within milliseconds: three probes make up for loss.
const probes = 3;
const probeInterval: Millis = 200;
/** RFC 5227, section 1.1: DEFEND_INTERVAL. */
const defendEvery: Millis = 10_000;
// A member of the ring learns of a change at about the same time as this node. One that is no member never does.
const graceOfActive: Millis = 2_000;
const graceOfLost: Millis = 300;
const answerWithin: Millis = 200;
// A burst of announcements lasts this long. Another within it would add nothing.
const announceEvery: Millis = 5_000;
const maxUnanswered = 3;
const forgetAfter: Millis = 10_000;
// More are a storm, not hosts.
const maxRivals = 4;

export type DefenseEvent =
  | { readonly type: "sighting"; readonly sighting: Sighting }
  /** The node is a member of the ring again: both nodes will agree on the owner within moments. */
  | { readonly type: "nodeReturned"; readonly node: string }
  /** Time has passed. The first one starts. */
  | { readonly type: "timer" };

/** `probing`: not announced yet; `yielded`: another speaker keeps the address; `occupied`: a foreign host does. */
export type DefenseStage = "probing" | "announced" | "yielded" | "occupied";

/** See `stepDefense`. Changed in place, as all that the speaker's state holds. */
export interface ConflictDefense {
  readonly isAnnouncedFirst: boolean;
  readonly rivals: Map<string, RivalState>; // MAC address -> rival
  stage: DefenseStage;
  probesLeft: number;
  probeAt: Millis;
  announcedAt: Millis;
  defendedAt: Millis;
  defendAt: Millis;
}

/** The defense of an address that this node is to announce from now on. */
export function createDefense(beginning: Beginning, now: Millis): ConflictDefense {
  return {
    isAnnouncedFirst: beginning !== "probeFirst",
    rivals: new Map(),
    stage: "probing",
    probesLeft: beginning === "announce" ? 0 : probes,
    probeAt: now,
    announcedAt: -Infinity,
    defendedAt: -Infinity,
    defendAt: Infinity,
  };
}

/** When `timer` is next due; Infinity for never. */
export function nextDefenseAt({ probeAt, defendAt, rivals }: ConflictDefense): Millis {
  let at = Math.min(probeAt, defendAt);
  for (const { dueAt } of rivals.values()) at = Math.min(at, dueAt);
  return at;
}

/** Conflicts that began and did not end. */
export function conflictsOf({ rivals }: ConflictDefense): Rival[] {
  return [...rivals.values()].filter(({ reported }) => reported).map(rivalOf);
}

/**
 * Conflict defense (RFC 5227) for one address that this node is to announce. No I/O: sightings, time and changes of the ring go in, effects
 * come out in order. `probeEvery` is the current interval between probes of a speaker that keeps the address.
 *
 * - A foreign host: this node sends one gratuitous announcement per 10 s while the host is there (section 2.4 (c): clients rely on the
 *   address, so it is not given up), and probes it to learn when it is gone. If a foreign host answers the probes before the first
 *   announcement, the address is not announced at all.
 * - Another speaker that announces the address too, and still answers for it after a grace period, does so because the two do not see each
 *   other or see the cluster differently. The one that the election prefers keeps the address. The other stops answering, probes it from
 *   time to time, and takes the address back when the probes go unanswered. So one owner is left on the wire, without a message between them.
 *
 * | stage     | foreign host uses it      | foreign host probes it | speaker announces or uses it | speaker probes it | node returned       | timer                         |
 * |-----------|---------------------------|------------------------|------------------------------|-------------------|---------------------|-------------------------------|
 * | probing   | occupied                  | occupied               | suspected, probed after grace| note it           | -                   | probe; after three: announce  |
 * | announced | defend, at most once a 10 s | wanted               | suspected; still answers and preferred: yield | report it | probe it soon | probe suspects, defend    |
 * | yielded   | report, and probe it      | wanted                 | it is still there            | note it           | probe it once more  | probe it; unanswered: announce |
 * | occupied  | -                         | -                      | -                            | -                 | -                   | -                             |
 */
export function stepDefense(defense: ConflictDefense, event: DefenseEvent, now: Millis, probeEvery: Millis): DefenseEffect[] {
  switch (event.type) {
    case "sighting": {
      const { sighting } = event;
      if (defense.stage === "occupied") return [];
      if (sighting.by === undefined) return sightedForeignHost(defense, sighting, now);
      return sightedSpeaker(defense, sighting, sighting.by, now, probeEvery);
    }
    case "nodeReturned":
      nodeReturned(defense, event.node, now);
      return [];
    case "timer":
      return tick(defense, now, probeEvery);
    default:
      return event satisfies never;
  }
}

function tick(defense: ConflictDefense, now: Millis, probeEvery: Millis): DefenseEffect[] {
  const effects = now >= defense.probeAt ? probe(defense, now) : [];
  if (now >= defense.defendAt) effects.push(...defend(defense, now));
  for (const rival of [...defense.rivals.values()]) if (now >= rival.dueAt) effects.push(...due(defense, rival, now, probeEvery));
  return effects;
}

function nodeReturned({ rivals }: ConflictDefense, node: string, now: Millis): void {
  for (const rival of rivals.values()) {
    if (rival.node !== node) continue;
    if (rival.phase === "followed") {
      rival.unanswered = maxUnanswered - 1;
      rival.dueAt = Math.min(rival.dueAt, now + graceOfLost);
    } else if (rival.phase === "kept") rival.dueAt = Math.min(rival.dueAt, now + graceOfLost + answerWithin);
  }
}

function probe(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  const effects: DefenseEffect[] = [];
  if (defense.stage === "probing" && defense.isAnnouncedFirst) effects.push(...announce(defense, now));
  else if (defense.stage === "probing" && defense.probesLeft === probes) effects.push({ type: "listen" });
  if (defense.probesLeft > 0) {
    defense.probesLeft--;
    defense.probeAt = now + probeInterval;
    return [...effects, { type: "probe" }];
  }
  defense.probeAt = Infinity;
  return defense.stage === "probing" ? announce(defense, now) : effects;
}

function sightedForeignHost(defense: ConflictDefense, sighting: Sighting, now: Millis): DefenseEffect[] {
  if (defense.stage === "probing") {
    // A probe counts too: both hosts want the address (RFC 5227, section 2.1.1).
    defense.stage = "occupied";
    defense.probeAt = Infinity;
    defense.rivals.clear();
    return [{ type: "occupied", rival: foreignRival(sighting) }];
  }
  if (sighting.kind === "probes") return [{ type: "wanted", rival: foreignRival(sighting) }];
  const known = defense.rivals.get(sighting.mac);
  if (known === undefined && defense.rivals.size >= maxRivals) return [];
  const rival = known ?? enter(defense, sighting, undefined, "kept", now, now + defendEvery);
  rival.sighting = sighting;
  rival.unanswered = 0;
  const effects = reportOnce(rival);
  if (now >= defense.defendedAt + defendEvery) effects.push(...defend(defense, now));
  else defense.defendAt = defense.defendedAt + defendEvery;
  return effects;
}

function sightedSpeaker(
  defense: ConflictDefense,
  sighting: Sighting,
  by: OtherSpeaker,
  now: Millis,
  probeEvery: Millis,
): DefenseEffect[] {
  const grace = by.active ? graceOfActive : graceOfLost;
  const rival = defense.rivals.get(sighting.mac) ?? enter(defense, sighting, by.node, "suspected", now, now + grace);
  rival.sighting = sighting;
  if (sighting.kind === "probes") {
    // A speaker that yielded to this node probes it. A single probe may have another cause.
    rival.probedAt = now;
    if (rival.phase === "kept") rival.dueAt = now + forgetAfter;
    return now - rival.since > graceOfLost ? reportOnce(rival) : [];
  }
  if (sighting.kind === "announces") rival.announces = true;
  if (rival.phase === "followed") rival.unanswered = 0;
  if (rival.phase === "kept") {
    rival.phase = "suspected";
    rival.dueAt = now + grace;
  }
  if (rival.phase === "suspected") rival.dueAt = Math.min(rival.dueAt, now + grace); // The ring may have lost it since.
  return rival.phase === "probed" ? confirmed(defense, rival, by, now, probeEvery) : [];
}

/** The speaker answered the probe: it still has the address. */
function confirmed(
  defense: ConflictDefense,
  rival: RivalState,
  by: OtherSpeaker,
  now: Millis,
  probeEvery: Millis,
): DefenseEffect[] {
  if (!rival.announces || !by.preferred) {
    const effects = [...reportOnce(rival), ...(rival.announces ? reannounce(defense, now) : [])];
    rival.phase = "kept";
    rival.dueAt = now + forgetAfter;
    rival.announces = false;
    return effects;
  }
  rival.phase = "followed";
  rival.unanswered = 0;
  rival.dueAt = now + probeEvery;
  defense.probeAt = Infinity;
  const wasOnAir = defense.stage === "announced";
  defense.stage = "yielded";
  return [...(wasOnAir ? [{ type: "listen" } as const] : []), ...reportOnce(rival)];
}

function due(defense: ConflictDefense, rival: RivalState, now: Millis, probeEvery: Millis): DefenseEffect[] {
  const { mac } = rival.sighting;
  if (rival.node === undefined) return dueForeignHost(defense, rival, now);
  switch (rival.phase) {
    case "suspected":
    case "kept":
      rival.phase = "probed";
      rival.dueAt = now + answerWithin;
      return [{ type: "probe", to: mac }];
    case "probed": {
      // It has stopped answering. Hosts may still have its MAC address in their tables.
      const effects = rival.announces ? reannounce(defense, now) : [];
      rival.announces = false;
      if (now - rival.probedAt >= forgetAfter) return [...effects, ...leave(defense, rival)];
      rival.phase = "kept";
      rival.dueAt = rival.probedAt + forgetAfter;
      return effects;
    }
    case "followed": {
      if (rival.unanswered >= maxUnanswered) return [...leave(defense, rival), ...resume(defense, now)];
      rival.unanswered++;
      rival.dueAt = now + (rival.unanswered === maxUnanswered ? answerWithin : probeEvery);
      return [{ type: "probe", to: mac }];
    }
    default:
      return rival.phase satisfies never;
  }
}

function dueForeignHost(defense: ConflictDefense, rival: RivalState, now: Millis): DefenseEffect[] {
  if (rival.unanswered >= maxUnanswered) return leave(defense, rival);
  rival.unanswered++;
  rival.dueAt = now + defendEvery;
  // The answer must not reach other hosts, which would learn its MAC address.
  return [{ type: "probe", to: rival.sighting.mac, fromOwnAddress: true }];
}

function resume(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  const follows = [...defense.rivals.values()].some(({ phase }) => phase === "followed");
  return follows ? [] : announce(defense, now);
}

function announce(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  defense.stage = "announced";
  defense.announcedAt = now;
  return [{ type: "announce" }];
}

function reannounce(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  return defense.stage === "announced" && now >= defense.announcedAt + announceEvery ? announce(defense, now) : [];
}

function defend(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  defense.defendAt = Infinity;
  if (defense.stage !== "announced") return [];
  defense.defendedAt = now;
  return [{ type: "defend" }];
}

function enter(
  defense: ConflictDefense,
  sighting: Sighting,
  node: string | undefined,
  phase: Phase,
  now: Millis,
  dueAt: Millis,
): RivalState {
  const rival: RivalState = {
    node,
    since: now,
    sighting,
    phase,
    dueAt,
    announces: false,
    probedAt: -Infinity,
    reported: false,
    unanswered: 0,
  };
  defense.rivals.set(sighting.mac, rival);
  return rival;
}

function reportOnce(rival: RivalState): DefenseEffect[] {
  if (rival.reported) return [];
  rival.reported = true;
  return [{ type: "conflictBegan", rival: rivalOf(rival) }];
}

function leave(defense: ConflictDefense, rival: RivalState): DefenseEffect[] {
  defense.rivals.delete(rival.sighting.mac);
  return rival.reported ? [{ type: "conflictEnded", rival: rivalOf(rival) }] : [];
}

function foreignRival({ mac, interface: name, ownMac }: Sighting): Rival {
  return { mac, interface: name, ownMac, node: undefined, followed: false };
}

function rivalOf({ node, phase, sighting: { mac, interface: name, ownMac } }: RivalState): Rival {
  return { mac, interface: name, ownMac, node, followed: phase === "followed" };
}
