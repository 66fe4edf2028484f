import type { Millis } from "#pkg/clock";

/** The speaker that sent a sighted frame, as far as its MAC address says. Anybody on the LAN can send such a frame. */
export interface OtherSpeaker {
  /** Undefined where it may be a member's that does not report its MAC addresses. */
  readonly node: string | undefined;
  /** A member of the ring by this node's view. */
  readonly active: boolean;
  /**
   * Whether that node is to keep the address: by the election, or because one of the two sees no changes in the API, or has lost all others and the API. Before a
   * proof: whether it may be.
   */
  readonly preferred: boolean;
  /** It says over the ring that it announces the address, which nobody else can. */
  readonly saysSo: boolean;
  /**
   * It failed as a member in sight of this node, so that it may live behind a cut of the ring. Not one whose Node is NotReady or deleted: it may
   * announce what is another Service's by now.
   */
  readonly mayBeCutOff: boolean;
}

/** A frame in which another host uses, announces or probes the address, or proves that it announces it. */
export interface Sighting {
  readonly mac: string;
  /** See `SightingKind` in `pkg/layer2`. */
  readonly kind: "announces" | "uses" | "probes" | "proves" | "provesAlone";
  readonly interface: string;
  readonly ownMac: string;
  /** Undefined for a foreign host. */
  readonly by: OtherSpeaker | undefined;
  /** The host, or all hosts together, answer for so many addresses that answers no longer count: see `held-back.ts`. */
  readonly answersForMany: boolean;
}

/** `speaker`: of a node of this cluster; `unidentified`: of one that does not report its MAC addresses, or foreign; `foreign`: no speaker's. */
export type RivalKind = "speaker" | "unidentified" | "foreign";

/** Another host that has the address too. */
export interface Rival extends Pick<Sighting, "mac" | "interface" | "ownMac" | "answersForMany"> {
  readonly kind: RivalKind;
  /** Its speaker's, if it has one. */
  readonly node: string | undefined;
  /** It keeps the address, and this node does not answer meanwhile. */
  readonly followed: boolean;
  /** It was challenged, and did not prove that it is that speaker. */
  readonly failedToProve: boolean;
}

/**
 * `suspected`: to be probed; `probed`: may answer until `dueAt`; `asked`: may say over the ring until `dueAt` that it announces the address; `challenged`:
 * may prove it until then; `kept`: this node keeps the address; `followed`: the other does.
 */
export type Phase = "suspected" | "probed" | "asked" | "challenged" | "kept" | "followed";

export interface RivalState {
  readonly kind: RivalKind;
  readonly node: string | undefined;
  readonly since: Millis;
  sighting: Sighting;
  phase: Phase;
  dueAt: Millis;
  /** It announced the address since this node last did. A kernel that merely holds the address only answers. */
  announces: boolean;
  /** When it last probed the address, as a speaker that yielded to this node does. */
  probedAt: Millis;
  /** When it may be asked again whether it announces the address. */
  askAt: Millis;
  /** It is followed for its proofs, each of which counts until the next one is due; else for its word. */
  isProven: boolean;
  failedToProve: boolean;
  /** Until when it is followed; Infinity for as long as its word or its proofs last. */
  followUntil: Millis;
  /** `conflictBegan` was emitted. */
  reported: boolean;
  unanswered: number;
}

export type Rivals = Map<string, RivalState>; // MAC address -> rival

// More are a storm, not hosts.
const maxHosts = 4;
const maxSpeakers = 8;

/** Whether another host may be remembered beside these. */
export function hasRoom(rivals: Rivals, kind: RivalKind): boolean {
  const isSpeaker = kind === "speaker";
  const alike = [...rivals.values()].filter((rival) => (rival.kind === "speaker") === isSpeaker);
  return alike.length < (isSpeaker ? maxSpeakers : maxHosts);
}

export function enter(rivals: Rivals, sighting: Sighting, kind: RivalKind, phase: Phase, now: Millis, dueAt: Millis): RivalState {
  const rival: RivalState = {
    kind,
    node: sighting.by?.node,
    since: now,
    sighting,
    phase,
    dueAt,
    announces: false,
    probedAt: -Infinity,
    askAt: -Infinity,
    isProven: false,
    failedToProve: false,
    followUntil: -Infinity,
    reported: false,
    unanswered: 0,
  };
  rivals.set(sighting.mac, rival);
  return rival;
}

export function foreignRival({ mac, interface: name, ownMac, answersForMany }: Sighting): Rival {
  const isNobodys = { node: undefined, followed: false, failedToProve: false };
  return { mac, interface: name, ownMac, answersForMany, kind: "foreign", ...isNobodys };
}

export function rivalOf({ kind, node, phase, failedToProve, sighting }: RivalState): Rival {
  const { mac, interface: name, ownMac, answersForMany } = sighting;
  return { mac, interface: name, ownMac, answersForMany, kind, node, followed: phase === "followed", failedToProve };
}
