import type { AnnouncedLine } from "#pkg/announced";
import type { Millis } from "#pkg/clock";

/** The one speaker that tells the controller which Services are announced; others keep nothing here. */
export interface Reporter {
  /** This node is the one. */
  isHere: boolean;
  readonly agenda: Set<string>; // keys of Services to look at
  readonly written: Map<string, string>; // service key -> the gist of its line
  readonly changed: Map<string, ChangedLine>; // service key -> another line than the written one
  readonly failing: Map<string, Millis>; // Service that nobody announces -> since when
  /** It has written no line yet. */
  isNew: boolean;
  /** When it became the one, or started over. */
  begunAt: Millis;
  /** When it says that it is there. */
  aliveAt: Millis;
  /** When it begins again. */
  anewAt: Millis;
  /** Until then another speaker that writes lines counts as out of sight of this one; Infinity without such a speaker. */
  rivalUntil: Millis;
  /** How many members were lost by then. */
  lostBehind: number;
  /** When a line is due, and before when none is written. */
  dueAt: Millis;
  notBefore: Millis;
}

export interface ChangedLine {
  /** Null for a Service without addresses. */
  readonly line: AnnouncedLine | null;
  readonly gist: string;
  readonly dueAt: Millis;
}

export function notReporting(): Reporter {
  return {
    isHere: false,
    agenda: new Set(),
    written: new Map(),
    changed: new Map(),
    failing: new Map(),
    isNew: false,
    begunAt: -Infinity,
    aliveAt: Infinity,
    anewAt: Infinity,
    rivalUntil: Infinity,
    lostBehind: 0,
    dueAt: Infinity,
    notBefore: -Infinity,
  };
}
