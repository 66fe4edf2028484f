import type { Millis } from "#pkg/clock";

/** How an address begins: announced at once; so, while the network is asked who has it; or not before nobody has answered. */
export type Beginning = "announce" | "announceAndAsk" | "askFirst";

/** Whose a claim is when it is a speaker's. `preferred`: of the two it is that one which keeps the address. */
export interface OtherSpeaker {
  readonly node: string;
  /** A member of the ring by this node's view. */
  readonly active: boolean;
  readonly preferred: boolean;
}

export interface HeardClaim {
  readonly mac: string;
  /** See `ClaimKind` in `pkg/layer2`. */
  readonly kind: "announces" | "uses" | "asks";
  readonly interface: string;
  readonly ownMac: string;
  /** Undefined for a stranger. */
  readonly by: OtherSpeaker | undefined;
}

/** A machine that has the address too. */
export interface Rival extends Pick<HeardClaim, "mac" | "interface" | "ownMac"> {
  /** Its speaker's, if it has one. */
  readonly node: string | undefined;
  /** It is to keep the address, and this node is silent meanwhile. */
  readonly followed: boolean;
}

export type TenancyEffect =
  /** Announce it from the beginning; when it is announced already, again. */
  | { readonly type: "announce" }
  /** Stop answering, and hear of the address alone. */
  | { readonly type: "listen" }
  /** Tell everyone once. */
  | { readonly type: "defend" }
  | { readonly type: "ask"; readonly to?: string; readonly openly?: boolean }
  | { readonly type: "conflictBegan" | "conflictEnded"; readonly rival: Rival }
  /** A stranger has it that was to be announced first. */
  | { readonly type: "occupied"; readonly rival: Rival }
  /** A stranger asks whether the address is free, and is told that it is not. */
  | { readonly type: "wanted"; readonly rival: Rival };

/** `suspected`: will be asked; `asked`: may answer until `dueAt`; `kept`: has the address too, or would; `followed`: may keep it. */
type Phase = "suspected" | "asked" | "kept" | "followed";

interface Entry {
  readonly node: string | undefined;
  readonly since: Millis;
  claim: HeardClaim;
  phase: Phase;
  dueAt: Millis;
  /** It told everyone that the address is there, since this node last did. A kernel that holds the address for itself only answers. */
  announces: boolean;
  /** When it last asked, as one does that follows this node. */
  askedAt: Millis;
  /** `conflictBegan` was told. */
  told: boolean;
  unanswered: number;
}

// RFC 5227 waits 4 to 7 s in all (section 2.1.1), for networks that take that long to come up with the host. The node's has been up for
// long, and a host answers within milliseconds: three questions are against loss.
const questions = 3;
const questionEvery: Millis = 200;
/** RFC 5227, section 1.1: DEFEND_INTERVAL. */
const defendEvery: Millis = 10_000;
// A member of the ring hears of what changed when this node does, give or take; one that is none never does.
const graceOfActive: Millis = 2_000;
const graceOfLost: Millis = 300;
const answerWithin: Millis = 200;
// As long as announcements are repeated: another beginning would add nothing.
const announceEvery: Millis = 5_000;
const mostUnanswered = 3;
const forgetAfter: Millis = 10_000;
// Enough to see that it is not a machine, but a storm.
const mostRivals = 4;

/**
 * This node and one address that it is to announce, among others that claim it. Data and transitions, no I/O: claims, time and news of
 * the ring go in, effects come out, in their order.
 *
 * - A stranger is told off, once in 10 s while it is there (RFC 5227, section 2.4 (c): the address is promised to clients, so it is not
 *   given up), and seen gone when it no longer answers. Asked first and answered by a stranger, the address is never announced.
 * - Another speaker that announces it too, and still answers for it after some grace, shares it because the two do not see one another
 *   or see the cluster differently. Of the two the one that is preferred keeps it. The other falls silent, asks it every so often, and
 *   comes back when it does not answer any more. So there is one owner on the wire, with no word between the two but this.
 */
export class Tenancy {
  readonly #askEvery: () => Millis;
  readonly #rivals = new Map<string, Entry>(); // MAC address -> rival
  readonly #isAnnouncedFirst: boolean;
  #stage: "asking" | "announced" | "yielded" | "occupied";
  #questionsLeft: number;
  #questionAt: Millis;
  #announcedAt: Millis = -Infinity;
  #defendedAt: Millis = -Infinity;
  #defendAt: Millis = Infinity;

  /** `askEvery`: how often one that is followed is asked, for the time being. Begins with `tick`. */
  constructor(beginning: Beginning, now: Millis, askEvery: () => Millis) {
    this.#askEvery = askEvery;
    this.#isAnnouncedFirst = beginning !== "askFirst";
    this.#stage = "asking";
    this.#questionsLeft = beginning === "announce" ? 0 : questions;
    this.#questionAt = now;
  }

  /** When `tick` next has something to do; Infinity without anything. */
  get nextAt(): Millis {
    return Math.min(this.#questionAt, this.#defendAt, ...[...this.#rivals.values()].map(({ dueAt }) => dueAt));
  }

  get stage(): "asking" | "announced" | "yielded" | "occupied" {
    return this.#stage;
  }

  /** Those of which `conflictBegan` was told and `conflictEnded` was not. */
  get conflicts(): Rival[] {
    return [...this.#rivals.values()].filter(({ told }) => told).map(rivalOf);
  }

  heard(claim: HeardClaim, now: Millis): TenancyEffect[] {
    if (this.#stage === "occupied") return [];
    return claim.by === undefined ? this.#heardStranger(claim, now) : this.#heardSpeaker(claim, claim.by, now);
  }

  tick(now: Millis): TenancyEffect[] {
    const effects = now >= this.#questionAt ? this.#question(now) : [];
    if (now >= this.#defendAt) effects.push(...this.#defend(now));
    for (const entry of [...this.#rivals.values()]) if (now >= entry.dueAt) effects.push(...this.#due(entry, now));
    return effects;
  }

  /** The ring sees a node again: which of the two is the owner is known to both in a moment. */
  met(node: string, now: Millis): void {
    for (const entry of this.#rivals.values()) {
      if (entry.node !== node) continue;
      if (entry.phase === "followed") {
        entry.unanswered = mostUnanswered - 1;
        entry.dueAt = Math.min(entry.dueAt, now + graceOfLost);
      } else if (entry.phase === "kept") entry.dueAt = Math.min(entry.dueAt, now + graceOfLost + answerWithin);
    }
  }

  #question(now: Millis): TenancyEffect[] {
    const effects: TenancyEffect[] = [];
    if (this.#stage === "asking" && this.#isAnnouncedFirst) effects.push(...this.#announce(now));
    else if (this.#stage === "asking" && this.#questionsLeft === questions) effects.push({ type: "listen" });
    if (this.#questionsLeft > 0) {
      this.#questionsLeft--;
      this.#questionAt = now + questionEvery;
      return [...effects, { type: "ask" }];
    }
    this.#questionAt = Infinity;
    return this.#stage === "asking" ? this.#announce(now) : effects;
  }

  #heardStranger(claim: HeardClaim, now: Millis): TenancyEffect[] {
    if (this.#stage === "asking") {
      // Also one that asks: both would have it (RFC 5227, section 2.1.1).
      this.#stage = "occupied";
      this.#questionAt = Infinity;
      this.#rivals.clear();
      return [{ type: "occupied", rival: strange(claim) }];
    }
    if (claim.kind === "asks") return [{ type: "wanted", rival: strange(claim) }];
    const known = this.#rivals.get(claim.mac);
    if (known === undefined && this.#rivals.size >= mostRivals) return [];
    const entry = known ?? this.#enter(claim, undefined, "kept", now, now + defendEvery);
    entry.claim = claim;
    entry.unanswered = 0;
    const effects = this.#tell(entry);
    if (now >= this.#defendedAt + defendEvery) effects.push(...this.#defend(now));
    else this.#defendAt = this.#defendedAt + defendEvery;
    return effects;
  }

  #heardSpeaker(claim: HeardClaim, by: OtherSpeaker, now: Millis): TenancyEffect[] {
    const grace = by.active ? graceOfActive : graceOfLost;
    const entry = this.#rivals.get(claim.mac) ?? this.#enter(claim, by.node, "suspected", now, now + grace);
    entry.claim = claim;
    if (claim.kind === "asks") {
      // It follows this node. Once may be by chance.
      entry.askedAt = now;
      if (entry.phase === "kept") entry.dueAt = now + forgetAfter;
      return now - entry.since > graceOfLost ? this.#tell(entry) : [];
    }
    if (claim.kind === "announces") entry.announces = true;
    if (entry.phase === "followed") entry.unanswered = 0;
    if (entry.phase === "kept") {
      entry.phase = "suspected";
      entry.dueAt = now + grace;
    }
    if (entry.phase === "suspected") entry.dueAt = Math.min(entry.dueAt, now + grace); // The ring may have lost it since.
    return entry.phase === "asked" ? this.#confirmed(entry, by, now) : [];
  }

  /** A speaker announced the address, and answers for it still. */
  #confirmed(entry: Entry, by: OtherSpeaker, now: Millis): TenancyEffect[] {
    if (!entry.announces || !by.preferred) {
      const effects = [...this.#tell(entry), ...(entry.announces ? this.#announceAgain(now) : [])];
      entry.phase = "kept";
      entry.dueAt = now + forgetAfter;
      entry.announces = false;
      return effects;
    }
    entry.phase = "followed";
    entry.unanswered = 0;
    entry.dueAt = now + this.#askEvery();
    this.#questionAt = Infinity;
    const wasOnAir = this.#stage === "announced";
    this.#stage = "yielded";
    return [...(wasOnAir ? [{ type: "listen" } as const] : []), ...this.#tell(entry)];
  }

  #due(entry: Entry, now: Millis): TenancyEffect[] {
    const { mac } = entry.claim;
    if (entry.node === undefined) return this.#dueStranger(entry, now);
    switch (entry.phase) {
      case "suspected":
      case "kept":
        entry.phase = "asked";
        entry.dueAt = now + answerWithin;
        return [{ type: "ask", to: mac }];
      case "asked": {
        // It does not answer for the address any more. Hosts may have believed it.
        const effects = entry.announces ? this.#announceAgain(now) : [];
        entry.announces = false;
        if (now - entry.askedAt >= forgetAfter) return [...effects, ...this.#leave(entry)];
        entry.phase = "kept";
        entry.dueAt = entry.askedAt + forgetAfter;
        return effects;
      }
      case "followed": {
        if (entry.unanswered >= mostUnanswered) return [...this.#leave(entry), ...this.#resume(now)];
        entry.unanswered++;
        entry.dueAt = now + (entry.unanswered === mostUnanswered ? answerWithin : this.#askEvery());
        return [{ type: "ask", to: mac }];
      }
      default:
        return entry.phase satisfies never;
    }
  }

  #dueStranger(entry: Entry, now: Millis): TenancyEffect[] {
    if (entry.unanswered >= mostUnanswered) return this.#leave(entry);
    entry.unanswered++;
    entry.dueAt = now + defendEvery;
    // Its answer must not tell other hosts where the address is.
    return [{ type: "ask", to: entry.claim.mac, openly: true }];
  }

  #resume(now: Millis): TenancyEffect[] {
    const follows = [...this.#rivals.values()].some(({ phase }) => phase === "followed");
    return follows ? [] : this.#announce(now);
  }

  #announce(now: Millis): TenancyEffect[] {
    this.#stage = "announced";
    this.#announcedAt = now;
    return [{ type: "announce" }];
  }

  #announceAgain(now: Millis): TenancyEffect[] {
    return this.#stage === "announced" && now >= this.#announcedAt + announceEvery ? this.#announce(now) : [];
  }

  #defend(now: Millis): TenancyEffect[] {
    this.#defendAt = Infinity;
    if (this.#stage !== "announced") return [];
    this.#defendedAt = now;
    return [{ type: "defend" }];
  }

  #enter(claim: HeardClaim, node: string | undefined, phase: Phase, now: Millis, dueAt: Millis): Entry {
    const entry: Entry = {
      node,
      since: now,
      claim,
      phase,
      dueAt,
      announces: false,
      askedAt: -Infinity,
      told: false,
      unanswered: 0,
    };
    this.#rivals.set(claim.mac, entry);
    return entry;
  }

  #tell(entry: Entry): TenancyEffect[] {
    if (entry.told) return [];
    entry.told = true;
    return [{ type: "conflictBegan", rival: rivalOf(entry) }];
  }

  #leave(entry: Entry): TenancyEffect[] {
    this.#rivals.delete(entry.claim.mac);
    return entry.told ? [{ type: "conflictEnded", rival: rivalOf(entry) }] : [];
  }
}

function strange({ mac, interface: name, ownMac }: HeardClaim): Rival {
  return { mac, interface: name, ownMac, node: undefined, followed: false };
}

function rivalOf({ node, phase, claim: { mac, interface: name, ownMac } }: Entry): Rival {
  return { mac, interface: name, ownMac, node, followed: phase === "followed" };
}
