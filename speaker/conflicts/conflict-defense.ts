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

interface Entry {
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

/**
 * Conflict defense (RFC 5227) for one address that this node is to announce. No I/O: sightings, time and changes of the ring go in, effects
 * come out in order.
 *
 * - A foreign host: this node sends one gratuitous announcement per 10 s while the host is there (section 2.4 (c): clients rely on the
 *   address, so it is not given up), and probes it to learn when it is gone. If a foreign host answers the probes before the first
 *   announcement, the address is not announced at all.
 * - Another speaker that announces the address too, and still answers for it after a grace period, does so because the two do not see each
 *   other or see the cluster differently. The one that the election prefers keeps the address. The other stops answering, probes it from
 *   time to time, and takes the address back when the probes go unanswered. So one owner is left on the wire, without a message between them.
 */
export class ConflictDefense {
  readonly #probeEvery: () => Millis;
  readonly #rivals = new Map<string, Entry>(); // MAC address -> rival
  readonly #isAnnouncedFirst: boolean;
  #stage: "probing" | "announced" | "yielded" | "occupied";
  #probesLeft: number;
  #probeAt: Millis;
  #announcedAt: Millis = -Infinity;
  #defendedAt: Millis = -Infinity;
  #defendAt: Millis = Infinity;

  /** `probeEvery`: the current interval between probes of a speaker that keeps the address. The first `tick` starts. */
  constructor(beginning: Beginning, now: Millis, probeEvery: () => Millis) {
    this.#probeEvery = probeEvery;
    this.#isAnnouncedFirst = beginning !== "probeFirst";
    this.#stage = "probing";
    this.#probesLeft = beginning === "announce" ? 0 : probes;
    this.#probeAt = now;
  }

  /** When `tick` is next due; Infinity for never. */
  get nextAt(): Millis {
    return Math.min(this.#probeAt, this.#defendAt, ...[...this.#rivals.values()].map(({ dueAt }) => dueAt));
  }

  get stage(): "probing" | "announced" | "yielded" | "occupied" {
    return this.#stage;
  }

  /** Conflicts that began and did not end. */
  get conflicts(): Rival[] {
    return [...this.#rivals.values()].filter(({ reported }) => reported).map(rivalOf);
  }

  handleSighting(sighting: Sighting, now: Millis): DefenseEffect[] {
    if (this.#stage === "occupied") return [];
    return sighting.by === undefined ? this.#sightedForeignHost(sighting, now) : this.#sightedSpeaker(sighting, sighting.by, now);
  }

  tick(now: Millis): DefenseEffect[] {
    const effects = now >= this.#probeAt ? this.#probe(now) : [];
    if (now >= this.#defendAt) effects.push(...this.#defend(now));
    for (const entry of [...this.#rivals.values()]) if (now >= entry.dueAt) effects.push(...this.#due(entry, now));
    return effects;
  }

  /** The node is a member of the ring again: both nodes will agree on the owner within moments. */
  nodeReturned(node: string, now: Millis): void {
    for (const entry of this.#rivals.values()) {
      if (entry.node !== node) continue;
      if (entry.phase === "followed") {
        entry.unanswered = maxUnanswered - 1;
        entry.dueAt = Math.min(entry.dueAt, now + graceOfLost);
      } else if (entry.phase === "kept") entry.dueAt = Math.min(entry.dueAt, now + graceOfLost + answerWithin);
    }
  }

  #probe(now: Millis): DefenseEffect[] {
    const effects: DefenseEffect[] = [];
    if (this.#stage === "probing" && this.#isAnnouncedFirst) effects.push(...this.#announce(now));
    else if (this.#stage === "probing" && this.#probesLeft === probes) effects.push({ type: "listen" });
    if (this.#probesLeft > 0) {
      this.#probesLeft--;
      this.#probeAt = now + probeInterval;
      return [...effects, { type: "probe" }];
    }
    this.#probeAt = Infinity;
    return this.#stage === "probing" ? this.#announce(now) : effects;
  }

  #sightedForeignHost(sighting: Sighting, now: Millis): DefenseEffect[] {
    if (this.#stage === "probing") {
      // A probe counts too: both hosts want the address (RFC 5227, section 2.1.1).
      this.#stage = "occupied";
      this.#probeAt = Infinity;
      this.#rivals.clear();
      return [{ type: "occupied", rival: foreignRival(sighting) }];
    }
    if (sighting.kind === "probes") return [{ type: "wanted", rival: foreignRival(sighting) }];
    const known = this.#rivals.get(sighting.mac);
    if (known === undefined && this.#rivals.size >= maxRivals) return [];
    const entry = known ?? this.#enter(sighting, undefined, "kept", now, now + defendEvery);
    entry.sighting = sighting;
    entry.unanswered = 0;
    const effects = this.#reportOnce(entry);
    if (now >= this.#defendedAt + defendEvery) effects.push(...this.#defend(now));
    else this.#defendAt = this.#defendedAt + defendEvery;
    return effects;
  }

  #sightedSpeaker(sighting: Sighting, by: OtherSpeaker, now: Millis): DefenseEffect[] {
    const grace = by.active ? graceOfActive : graceOfLost;
    const entry = this.#rivals.get(sighting.mac) ?? this.#enter(sighting, by.node, "suspected", now, now + grace);
    entry.sighting = sighting;
    if (sighting.kind === "probes") {
      // A speaker that yielded to this node probes it. A single probe may have another cause.
      entry.probedAt = now;
      if (entry.phase === "kept") entry.dueAt = now + forgetAfter;
      return now - entry.since > graceOfLost ? this.#reportOnce(entry) : [];
    }
    if (sighting.kind === "announces") entry.announces = true;
    if (entry.phase === "followed") entry.unanswered = 0;
    if (entry.phase === "kept") {
      entry.phase = "suspected";
      entry.dueAt = now + grace;
    }
    if (entry.phase === "suspected") entry.dueAt = Math.min(entry.dueAt, now + grace); // The ring may have lost it since.
    return entry.phase === "probed" ? this.#confirmed(entry, by, now) : [];
  }

  /** The speaker answered the probe: it still has the address. */
  #confirmed(entry: Entry, by: OtherSpeaker, now: Millis): DefenseEffect[] {
    if (!entry.announces || !by.preferred) {
      const effects = [...this.#reportOnce(entry), ...(entry.announces ? this.#reannounce(now) : [])];
      entry.phase = "kept";
      entry.dueAt = now + forgetAfter;
      entry.announces = false;
      return effects;
    }
    entry.phase = "followed";
    entry.unanswered = 0;
    entry.dueAt = now + this.#probeEvery();
    this.#probeAt = Infinity;
    const wasOnAir = this.#stage === "announced";
    this.#stage = "yielded";
    return [...(wasOnAir ? [{ type: "listen" } as const] : []), ...this.#reportOnce(entry)];
  }

  #due(entry: Entry, now: Millis): DefenseEffect[] {
    const { mac } = entry.sighting;
    if (entry.node === undefined) return this.#dueForeignHost(entry, now);
    switch (entry.phase) {
      case "suspected":
      case "kept":
        entry.phase = "probed";
        entry.dueAt = now + answerWithin;
        return [{ type: "probe", to: mac }];
      case "probed": {
        // It has stopped answering. Hosts may still have its MAC address in their tables.
        const effects = entry.announces ? this.#reannounce(now) : [];
        entry.announces = false;
        if (now - entry.probedAt >= forgetAfter) return [...effects, ...this.#leave(entry)];
        entry.phase = "kept";
        entry.dueAt = entry.probedAt + forgetAfter;
        return effects;
      }
      case "followed": {
        if (entry.unanswered >= maxUnanswered) return [...this.#leave(entry), ...this.#resume(now)];
        entry.unanswered++;
        entry.dueAt = now + (entry.unanswered === maxUnanswered ? answerWithin : this.#probeEvery());
        return [{ type: "probe", to: mac }];
      }
      default:
        return entry.phase satisfies never;
    }
  }

  #dueForeignHost(entry: Entry, now: Millis): DefenseEffect[] {
    if (entry.unanswered >= maxUnanswered) return this.#leave(entry);
    entry.unanswered++;
    entry.dueAt = now + defendEvery;
    // The answer must not reach other hosts, which would learn its MAC address.
    return [{ type: "probe", to: entry.sighting.mac, fromOwnAddress: true }];
  }

  #resume(now: Millis): DefenseEffect[] {
    const follows = [...this.#rivals.values()].some(({ phase }) => phase === "followed");
    return follows ? [] : this.#announce(now);
  }

  #announce(now: Millis): DefenseEffect[] {
    this.#stage = "announced";
    this.#announcedAt = now;
    return [{ type: "announce" }];
  }

  #reannounce(now: Millis): DefenseEffect[] {
    return this.#stage === "announced" && now >= this.#announcedAt + announceEvery ? this.#announce(now) : [];
  }

  #defend(now: Millis): DefenseEffect[] {
    this.#defendAt = Infinity;
    if (this.#stage !== "announced") return [];
    this.#defendedAt = now;
    return [{ type: "defend" }];
  }

  #enter(sighting: Sighting, node: string | undefined, phase: Phase, now: Millis, dueAt: Millis): Entry {
    const entry: Entry = {
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
    this.#rivals.set(sighting.mac, entry);
    return entry;
  }

  #reportOnce(entry: Entry): DefenseEffect[] {
    if (entry.reported) return [];
    entry.reported = true;
    return [{ type: "conflictBegan", rival: rivalOf(entry) }];
  }

  #leave(entry: Entry): DefenseEffect[] {
    this.#rivals.delete(entry.sighting.mac);
    return entry.reported ? [{ type: "conflictEnded", rival: rivalOf(entry) }] : [];
  }
}

function foreignRival({ mac, interface: name, ownMac }: Sighting): Rival {
  return { mac, interface: name, ownMac, node: undefined, followed: false };
}

function rivalOf({ node, phase, sighting: { mac, interface: name, ownMac } }: Entry): Rival {
  return { mac, interface: name, ownMac, node, followed: phase === "followed" };
}
