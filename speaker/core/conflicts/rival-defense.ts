import type { Millis } from "#pkg/clock";
import {
  announce,
  type ConflictDefense,
  type DefenseEffect,
  defendEvery,
  defendSoon,
  leave,
  reannounce,
  reportOnce,
} from "./defense-state.ts";
import { enter, foreignRival, hasRoom, type OtherSpeaker, type RivalState, type Sighting } from "./rivals.ts";

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
const maxUnanswered = 3;
const forgetAfter: Millis = 10_000;

/** Until another speaker has answered, and as long as it is followed for its word. */
export function shouldAsk({ rivals }: ConflictDefense): boolean {
  return [...rivals.values()].some(
    ({ phase, isProven, followUntil }) => phase === "asked" || (phase === "followed" && !isProven && followUntil === Infinity),
  );
}

export function nodeReturned({ rivals }: ConflictDefense, node: string, macs: readonly string[], now: Millis): void {
  for (const rival of [...rivals.values()]) {
    if (rival.kind === "foreign" && macs.includes(rival.sighting.mac)) {
      // It was away since this process began, which did not know its MAC address. Hosts may have it in their tables.
      const by = { node, active: true, preferred: false, saysSo: false, mayBeCutOff: false };
      const known = enter(rivals, { ...rival.sighting, by }, "speaker", "kept", now, now + graceOfLost + answerWithin);
      known.announces = true;
      known.reported = rival.reported;
    }
    if (rival.node !== node) continue;
    if (rival.phase === "followed") {
      rival.unanswered = maxUnanswered - 1;
      rival.followUntil = Math.min(rival.followUntil, now + graceOfActive); // From then on it can be asked.
      rival.dueAt = Math.min(rival.dueAt, now + graceOfLost);
    } else if (rival.phase === "kept") rival.dueAt = Math.min(rival.dueAt, now + graceOfLost + answerWithin);
  }
}

export function announcersChanged(defense: ConflictDefense, nodes: readonly string[], now: Millis): DefenseEffect[] {
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

export function sightedSpeaker(defense: ConflictDefense, sighting: Sighting, by: OtherSpeaker, now: Millis): DefenseEffect[] {
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
export function proven(defense: ConflictDefense, { mac, by }: Sighting, now: Millis, probeEvery: Millis): DefenseEffect[] {
  const rival = defense.rivals.get(mac);
  if (rival === undefined || !by?.mayBeCutOff) return [];
  if (!by.preferred) return rival.phase === "challenged" ? refuse(defense, rival, now) : [];
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

export function due(defense: ConflictDefense, rival: RivalState, now: Millis): DefenseEffect[] {
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
