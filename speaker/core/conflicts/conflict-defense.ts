import type { Millis } from "#pkg/clock";
import {
  announce,
  type ConflictDefense,
  type DefenseEffect,
  defend,
  defendEvery,
  defendSoon,
  leave,
  probes,
  reportOnce,
} from "./defense-state.ts";
import { announcersChanged, due, nodeReturned, proven, shouldAsk, sightedSpeaker } from "./rival-defense.ts";
import { enter, foreignRival, hasRoom, type Sighting } from "./rivals.ts";

const probeInterval: Millis = 200;
// Interval at which an occupied address is probed again, also after its entry in the ConfigMap has changed.
const reprobeEvery: Millis = 60_000;

export type DefenseEvent =
  | { readonly type: "sighting"; readonly sighting: Sighting }
  /** The node is a member of the ring again: both nodes will agree on the owner within moments. */
  | { readonly type: "nodeReturned"; readonly node: string; readonly macs: readonly string[] }
  /** These active members, and no others, say over the ring that they announce the address. */
  | { readonly type: "announcers"; readonly nodes: readonly string[] }
  /** An entry of `ingot-conflicts` says that a foreign host has the address, or none does any more. */
  | { readonly type: "quarantine"; readonly isQuarantined: boolean }
  /** The pool says now that the address is announced whoever has it, and whether it is probed for a report. */
  | { readonly type: "noLongerStrict"; readonly isProbed: boolean }
  /** Time has passed. The first one starts. */
  | { readonly type: "timer" };

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
 *   the two that sees changes in the API, else the one that the election prefers, keeps the address, and the other stops answering until the
 *   member no longer says so.
 * - A node that failed as a member while this node saw it may live behind a cut of the ring, and cannot be asked there. It is challenged on the
 *   wire, where it proves by the ring's key that it announces the address. If it does, the one of the two that the election prefers keeps the
 *   address; the other challenges it again and again, and takes the address back when there is no proof any more. Where one of the two has lost
 *   all others and the API it reaches nobody by IP, and the other one keeps the address.
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
      if (sighting.kind === "proves" || sighting.kind === "provesAlone") return proven(defense, sighting, now, probeEvery);
      if (sighting.by === undefined) return sightedForeignHost(defense, sighting, now);
      return sightedSpeaker(defense, sighting, sighting.by, now);
    }
    case "nodeReturned":
      nodeReturned(defense, event.node, event.macs, now);
      return [];
    case "announcers":
      return announcersChanged(defense, event.nodes, now);
    case "quarantine":
      return quarantineChanged(defense, event.isQuarantined, now);
    case "noLongerStrict":
      defense.stage = "probing";
      defense.isAnnouncedFirst = true;
      defense.probesLeft = event.isProbed ? probes : 0;
      return probe(defense, now);
    case "timer":
      return tick(defense, now);
    default:
      return event satisfies never;
  }
}

function tick(defense: ConflictDefense, now: Millis): DefenseEffect[] {
  const effects = now >= defense.probeAt ? probe(defense, now) : [];
  if (now >= defense.defendAt) effects.push(...defend(defense, now));
  for (const rival of [...defense.rivals.values()]) if (now >= rival.dueAt) effects.push(...due(defense, rival, now));
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
