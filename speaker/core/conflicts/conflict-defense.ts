import type { Millis } from "#pkg/clock";
import {
  enter,
  foreignRival,
  hasRoom,
  type OtherSpeaker,
  type Rival,
  type RivalState,
  type Rivals,
  rivalOf,
  type Sighting,
} from "./rivals.ts";

/** How an announcement begins: at once; at once with probes beside it; or after probes that nobody answered. */
export type Beginning = "announce" | "announceAndProbe" | "probeFirst";

export type DefenseEffect =
  /** Start announcing, or announce once more from the first frame. */
  | { readonly type: "announce" }
  /** Stop answering, but go on watching for frames about the address. */
  | { readonly type: "listen" }
  /** Send one gratuitous announcement. */
  | { readonly type: "defend" }
  | { readonly type: "probe"; readonly to?: string; readonly fromOwnAddress?: boolean }
  /** Have the speaker with this MAC address prove that it announces the address. */
  | { readonly type: "challenge"; readonly to: string }
  /** Ask the members over the ring whether they announce the address, or no longer. */
  | { readonly type: "ask" | "stopAsking" }
  | { readonly type: "conflictBegan" | "conflictEnded"; readonly rival: Rival }
  /** A foreign host answered before the first announcement. */
  | { readonly type: "occupied"; readonly rival: Rival }
  /** It still answers, and there is no entry of it. */
  | { readonly type: "stillOccupied"; readonly rival: Rival }
  /** A foreign host probes the address, and gets an answer. */
  | { readonly type: "wanted"; readonly rival: Rival };

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
// Interval of probes of a node that keeps the address and does not answer.
const retryEvery: Millis = 1_000;
// Gossip reaches all members within a second, and the answer comes back the same way.
const sayWithin: Millis = 3_000;
// Each question is gossip to all members.
const askEvery: Millis = 60_000;
// A burst of announcements lasts this long. Another within it would add nothing.
const announceEvery: Millis = 5_000;
const maxUnanswered = 3;
const forgetAfter: Millis = 10_000;
// Interval at which an occupied address is probed again, also after its entry in the ConfigMap has changed.
const reprobeEvery: Millis = 60_000;

export type DefenseEvent =
  | { readonly type: "sighting"; readonly sighting: Sighting }
  /** The node is a member of the ring again: both nodes will agree on the owner within moments. */
  | { readonly type: "nodeReturned"; readonly node: string }
  /** These active members, and no others, say over the ring that they announce the address. */
  | { readonly type: "announcers"; readonly nodes: readonly string[] }
  /** An entry of `ingot-conflicts` says that a foreign host has the address, or none does any more. */
  | { readonly type: "quarantine"; readonly isQuarantined: boolean }
  /** Time has passed. The first one starts. */
  | { readonly type: "timer" };

/** `probing`: not announced yet; `yielded`: another speaker keeps the address; `occupied`: a foreign host does. */
export type DefenseStage = "probing" | "announced" | "yielded" | "occupied";

/** See `stepDefense`. Changed in place, as all that the speaker's state holds. */
export interface ConflictDefense {
  isAnnouncedFirst: boolean;
  readonly rivals: Rivals;
  stage: DefenseStage;
  /** The members are asked whether they announce the address. */
  isAsked: boolean;
  isQuarantined: boolean;
  /** The MAC address that keeps the address from being announced; kept while that is probed again. */
  occupiedBy: string | undefined;
  probesLeft: number;
  probeAt: Millis;
  announcedAt: Millis;
  defendedAt: Millis;
  defendAt: Millis;
}

/** The defense of an address that this node is to announce from now on. One that is quarantined is probed first. */
export function createDefense(beginning: Beginning, now: Millis, isQuarantined = false): ConflictDefense {
  const begin = isQuarantined ? "probeFirst" : beginning;
  return {
    isAnnouncedFirst: begin !== "probeFirst",
    rivals: new Map(),
    stage: "probing",
    isAsked: false,
    isQuarantined,
    occupiedBy: undefined,
    probesLeft: begin === "announce" ? 0 : probes,
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
 * Anybody on the LAN can send frames in anybody's name. So frames alone silence no owner:
 *
 * - A foreign host: this node sends one gratuitous announcement per 10 s while the host is there (section 2.4 (c): clients rely on the
 *   address, so it is not given up), and probes it to learn when it is gone. If a foreign host answers the probes before the first
 *   announcement, the address is not announced, and probed again each minute; the answers of a host that answers for many addresses do not
 *   count, nor do any beyond sixteen addresses of a pool in ten minutes. An entry of `ingot-conflicts` alone stops no announcement: the host has to be seen by this node too.
 * - A member of the ring that announces the address too, and still answers for it after a grace period, sees the cluster differently. Then
 *   this node asks over the ring, where nobody can speak for another, who announces the address. If the member says that it does, the one of
 *   the two that the election prefers keeps the address, and the other stops answering until the member no longer says so.
 * - A node that failed as a member while this node saw it may live behind a cut of the ring, and cannot be asked there. It is challenged on the
 *   wire, where it proves by the ring's key that it announces the address. If it does, the one of the two that the election prefers keeps the
 *   address; the other challenges it again and again, and takes the address back when there is no proof any more.
 *
 * | stage     | foreign host uses it      | foreign host probes it | speaker announces or uses it | speaker probes it | member says it announces it | timer                          |
 * |-----------|---------------------------|------------------------|------------------------------|-------------------|---------------------|--------------------------------|
 * | probing   | occupied                  | occupied               | suspected, probed after grace | note it          | -                   | probe; after three: announce   |
 * | announced | defend, at most once a 10 s; quarantined: occupied | wanted | suspected; answers and preferred: ask, or challenge and yield to the proof | report it | asked: yield | probe suspects, defend |
 * | yielded   | report, and probe it      | wanted                 | it is still there; to challenges the proof alone counts | note it | no longer: announce | probe or challenge it; unanswered: announce |
 * | occupied  | -                         | -                      | -                            | -                 | -                   | probe again                    |
 */
export function stepDefense(defense: ConflictDefense, event: DefenseEvent, now: Millis, probeEvery: Millis): DefenseEffect[] {
  const effects = react(defense, event, now, probeEvery);
  const isAsked = shouldAsk(defense);
  if (isAsked !== defense.isAsked) effects.push({ type: isAsked ? "ask" : "stopAsking" });
  defense.isAsked = isAsked;
  return effects;
}

function react(defense: ConflictDefense, event: DefenseEvent, now: Millis, probeEvery: Millis): DefenseEffect[] {
  switch (event.type) {
    case "sighting": {
      const { sighting } = event;
      if (defense.stage === "occupied") return [];
      if (sighting.kind === "proves") return proven(defense, sighting, now, probeEvery);
      if (sighting.by === undefined) return sightedForeignHost(defense, sighting, now);
      return sightedSpeaker(defense, sighting, sighting.by, now);
    }
    case "nodeReturned":
      nodeReturned(defense, event.node, now);
      return [];
    case "announcers":
      return announcersChanged(defense, event.nodes, now);
    case "quarantine":
      return quarantineChanged(defense, event.isQuarantined, now);
    case "timer":
      return tick(defense, now);
    default:
      return event satisfies never;
  }
}

/** Until another speaker has answered, and as long as it is followed for its word. */
function shouldAsk({ rivals }: ConflictDefense): boolean {
  return [...rivals.values()].some(
    ({ phase, isProven, followUntil }) => phase === "asked" || (phase === "followed" && !isProven && followUntil === Infinity),
  );
}

function tick(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  const effects = now >= defense.probeAt ? probe(defense, now) : [];
  if (now >= defense.defendAt) effects.push(...defend(defense, now));
  for (const rival of [...defense.rivals.values()]) if (now >= rival.dueAt) effects.push(...due(defense, rival, now));
  return effects;
}

function nodeReturned({ rivals }: ConflictDefense, node: string, now: Millis): void {
  for (const rival of rivals.values()) {
    if (rival.node !== node) continue;
    if (rival.phase === "followed") {
      rival.unanswered = maxUnanswered - 1;
      rival.followUntil = Math.min(rival.followUntil, now + graceOfActive); // From then on it can be asked.
      rival.dueAt = Math.min(rival.dueAt, now + graceOfLost);
    } else if (rival.phase === "kept") rival.dueAt = Math.min(rival.dueAt, now + graceOfLost + answerWithin);
  }
}

function announcersChanged(defense: ConflictDefense, nodes: readonly string[], now: Millis): DefenseEffect[] {
  const effects: DefenseEffect[] = [];
  for (const rival of [...defense.rivals.values()]) {
    if (rival.node === undefined) continue;
    const announces = nodes.includes(rival.node);
    // Only one that is preferred is asked.
    if (announces && rival.phase === "asked") effects.push(...follow(defense, rival, false, Infinity));
    else if (!announces && rival.phase === "followed" && !rival.isProven && rival.followUntil === Infinity)
      effects.push(...leave(defense, rival), ...resume(defense, now));
  }
  return effects;
}

function quarantineChanged(defense: ConflictDefense, isQuarantined: boolean, now: Millis): DefenseEffect[] {
  defense.isQuarantined = isQuarantined;
  if (!isQuarantined) {
    if (defense.stage === "occupied") defense.probeAt = now;
    return [];
  }
  if (defense.stage !== "announced") return [];
  const host = [...defense.rivals.values()].find(({ kind, sighting }) => kind === "foreign" && !sighting.answersForMany);
  if (host !== undefined) return occupy(defense, host.sighting, now);
  defense.probesLeft = probes;
  defense.probeAt = now;
  return [];
}

function probe(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  const effects: DefenseEffect[] = [];
  if (defense.stage === "occupied") {
    defense.stage = "probing";
    defense.isAnnouncedFirst = false;
    defense.probesLeft = probes;
  } else if (defense.stage === "probing" && defense.isAnnouncedFirst) effects.push(...announce(defense, now));
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
  // While the address is probed, a probe counts too: both hosts want the address (RFC 5227, section 2.1.1).
  const counts = defense.stage === "probing" || (defense.isQuarantined && sighting.kind !== "probes");
  if (counts && defense.stage !== "yielded" && !sighting.answersForMany) return occupy(defense, sighting, now);
  if (sighting.kind === "probes") return [{ type: "wanted", rival: foreignRival(sighting) }];
  const known = defense.rivals.get(sighting.mac);
  if (known === undefined && !hasRoom(defense.rivals, "foreign")) return [];
  const rival = known ?? enter(defense.rivals, sighting, "foreign", "kept", now, now + defendEvery);
  rival.sighting = sighting;
  rival.unanswered = 0;
  return [...reportOnce(rival), ...defendSoon(defense, now)];
}

function occupy(defense: ConflictDefense, sighting: Sighting, now: Millis): DefenseEffect[] {
  const effects: DefenseEffect[] = defense.stage === "announced" ? [{ type: "listen" }] : [];
  for (const rival of [...defense.rivals.values()]) effects.push(...leave(defense, rival));
  defense.stage = "occupied";
  defense.probeAt = now + reprobeEvery;
  defense.defendAt = Infinity;
  if (defense.occupiedBy !== sighting.mac) effects.push({ type: "occupied", rival: foreignRival(sighting) });
  else if (!defense.isQuarantined) effects.push({ type: "stillOccupied", rival: foreignRival(sighting) });
  defense.occupiedBy = sighting.mac;
  return effects;
}

function sightedSpeaker(defense: ConflictDefense, sighting: Sighting, by: OtherSpeaker, now: Millis): DefenseEffect[] {
  const isIdentified = by.node !== undefined;
  if (!isIdentified && sighting.kind === "probes") return [{ type: "wanted", rival: foreignRival(sighting) }];
  const grace = by.active ? graceOfActive : graceOfLost;
  const kind = isIdentified ? "speaker" : "unidentified";
  const known = defense.rivals.get(sighting.mac);
  if (known === undefined && !hasRoom(defense.rivals, kind)) return [];
  const rival = known ?? enter(defense.rivals, sighting, kind, "suspected", now, now + grace);
  rival.sighting = sighting;
  if (sighting.kind === "probes") {
    // A speaker that yielded to this node probes it. A single probe may have another cause.
    rival.probedAt = now;
    if (rival.phase === "kept") rival.dueAt = now + forgetAfter;
    return now - rival.since > graceOfLost ? reportOnce(rival) : [];
  }
  if (sighting.kind === "announces") rival.announces = true;
  if (rival.phase === "followed" && !rival.isProven) rival.unanswered = 0;
  if (rival.phase === "kept") {
    rival.phase = "suspected";
    rival.dueAt = now + grace;
  }
  if (rival.phase === "suspected") rival.dueAt = Math.min(rival.dueAt, now + grace); // The ring may have lost it since.
  return rival.phase === "probed" ? confirmed(defense, rival, by, now) : [];
}

/** A proof counts only after a challenge: a captured proof may be sent again by anybody. */
function proven(defense: ConflictDefense, { mac, by }: Sighting, now: Millis, probeEvery: Millis): DefenseEffect[] {
  const rival = defense.rivals.get(mac);
  if (rival === undefined || !by?.preferred || !by.mayBeCutOff) return [];
  if (rival.phase === "challenged") return follow(defense, rival, true, now + probeEvery);
  if (rival.phase !== "followed" || !rival.isProven) return [];
  rival.unanswered = 0;
  rival.dueAt = Math.min(now + probeEvery, rival.followUntil);
  return [];
}

/** The speaker answered the probe: it still has the address. */
function confirmed(defense: ConflictDefense, rival: RivalState, by: OtherSpeaker, now: Millis): DefenseEffect[] {
  if (!rival.announces || !by.preferred) {
    const effects = keep(rival, now);
    if (rival.announces) effects.push(...(rival.kind === "speaker" ? reannounce(defense, now) : defendSoon(defense, now)));
    rival.announces = false;
    return effects;
  }
  if (by.active && by.saysSo) return follow(defense, rival, false, Infinity);
  if (!by.active && by.mayBeCutOff) {
    rival.phase = "challenged";
    rival.dueAt = now + retryEvery;
    return [{ type: "challenge", to: rival.sighting.mac }];
  }
  if (!by.active || now < rival.askAt) return refuse(defense, rival, now);
  rival.phase = "asked";
  rival.askAt = now + askEvery;
  rival.dueAt = now + sayWithin;
  return [];
}

/** This node keeps the address from a preferred speaker that neither said nor proved that it announces it, and announces it once: a burst would set off another. */
function refuse(defense: ConflictDefense, rival: RivalState, now: Millis): DefenseEffect[] {
  return [...keep(rival, now), ...defendSoon(defense, now)];
}

function keep(rival: RivalState, now: Millis): DefenseEffect[] {
  rival.phase = "kept";
  rival.dueAt = now + forgetAfter;
  return reportOnce(rival);
}

function follow(defense: ConflictDefense, rival: RivalState, isProven: boolean, dueAt: Millis): DefenseEffect[] {
  rival.phase = "followed";
  rival.unanswered = 0;
  rival.dueAt = dueAt;
  rival.isProven = isProven;
  rival.failedToProve = false;
  rival.followUntil = Infinity;
  defense.probeAt = Infinity;
  const wasOnAir = defense.stage === "announced";
  defense.stage = "yielded";
  return [...(wasOnAir ? [{ type: "listen" } as const] : []), ...reportOnce(rival)];
}

function due(defense: ConflictDefense, rival: RivalState, now: Millis): DefenseEffect[] {
  const { mac } = rival.sighting;
  if (rival.kind === "foreign") return dueForeignHost(defense, rival, now);
  switch (rival.phase) {
    case "suspected":
    case "kept":
      rival.phase = "probed";
      rival.dueAt = now + answerWithin;
      return [{ type: "probe", to: mac }];
    case "challenged":
      rival.failedToProve = true;
      return refuse(defense, rival, now);
    case "asked":
      return refuse(defense, rival, now);
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
      if (now >= rival.followUntil) {
        rival.phase = "kept";
        rival.dueAt = now + forgetAfter;
        rival.reported = false; // It is another conflict: this node has the address again.
        return [...resume(defense, now), ...reportOnce(rival)];
      }
      rival.unanswered++;
      rival.dueAt = Math.min(now + (rival.unanswered === maxUnanswered ? answerWithin : retryEvery), rival.followUntil);
      return [{ type: rival.isProven ? "challenge" : "probe", to: mac }];
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
  return follows || defense.stage !== "yielded" ? [] : announce(defense, now);
}

function announce(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  defense.stage = "announced";
  defense.announcedAt = now;
  defense.occupiedBy = undefined;
  return [{ type: "announce" }];
}

function reannounce(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  return defense.stage === "announced" && now >= defense.announcedAt + announceEvery ? announce(defense, now) : [];
}

/** Now, or as soon as the last defense was ten seconds ago. */
function defendSoon(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  if (now >= defense.defendedAt + defendEvery) return defend(defense, now);
  defense.defendAt = defense.defendedAt + defendEvery;
  return [];
}

function defend(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  defense.defendAt = Infinity;
  if (defense.stage !== "announced") return [];
  defense.defendedAt = now;
  return [{ type: "defend" }];
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
