import type { Cause } from "./cause.ts";
import { announcementCauses } from "./causes/announcement.ts";
import { assignmentCauses } from "./causes/assignment.ts";
import { configurationCauses } from "./causes/configuration.ts";
import { nodeCauses } from "./causes/node.ts";
import { peerCauses } from "./causes/peer.ts";
import { poolCauses } from "./causes/pool.ts";

/** Every cause of every verdict: kind -> code -> row. Codes are for programs: they are not renamed. */
export const causes = {
  service: { ...assignmentCauses, ...announcementCauses },
  pool: poolCauses,
  node: nodeCauses,
  peer: peerCauses,
  configuration: configurationCauses,
} as const satisfies Readonly<Record<string, Readonly<Record<string, Cause>>>>;

/** Kinds of objects that have verdicts. Verdicts on addresses are of kind `service`. */
export type Kind = keyof typeof causes;

export const kinds = Object.keys(causes) as Kind[];

export type CauseOf<K extends Kind> = keyof (typeof causes)[K] & string;
