import type { Verdict } from "#pkg/verdict";
import type { ConflictsAnswer, PoolAnswer } from "../../cluster/answers.ts";
import type { MergedAddress } from "../../cluster/merge.ts";
import type { Finding } from "../../doctor/finding.ts";

/** The part of a verdict that is shown in a row; the rest comes with `explain`. */
export interface RowVerdict extends Pick<Verdict, "state" | "cause" | "message"> {
  /** ISO 8601. */
  readonly since: string;
}

export interface AddressRow extends MergedAddress<RowVerdict> {
  /** Nodes that go on with connections to the address, which another one announces now; null until those have been counted. */
  readonly kept: readonly { readonly node: string; readonly connections: number | null }[];
}

export interface ServiceRow {
  /** `namespace/name` */
  readonly id: string;
  readonly addresses: readonly AddressRow[];
  readonly verdict: RowVerdict;
}

/** The controller's facts about a pool; left out while no controller answers. */
export interface PoolRow extends Omit<PoolAnswer, "pool" | "verdict"> {
  readonly id: string;
  /** In the order of the configuration. */
  readonly place: number;
  readonly verdict: RowVerdict;
}

/** An address of a pool that another host uses. */
export interface OccupiedRow extends Omit<ConflictsAnswer["occupied"][number], "address"> {
  readonly id: string;
}

export interface NodeRow {
  readonly id: string;
  readonly verdict: RowVerdict;
  /** Addresses that it announces. */
  readonly announces: number;
  /** Open connections to addresses that others announce now. */
  readonly kept: number;
  /** Where its speaker knows the others from, and at which pace it looks for failures. */
  readonly source: string | undefined;
  readonly timing: string | undefined;
  /** Nodes whose speakers it counts on, in order. */
  readonly sees: readonly string[];
  /** Milliseconds that an answer of another node's speaker took the last time. */
  readonly roundTrips: Readonly<Record<string, number>>;
}

export interface PeerRow {
  /** Peer and node. */
  readonly id: string;
  readonly peer: string;
  readonly node: string;
  readonly name: string | undefined;
  readonly verdict: RowVerdict;
  readonly session: string;
  readonly prefixesWanted: number;
  readonly prefixesAnnounced: number;
  readonly flaps: number;
}

export interface BfdRow {
  readonly id: string;
  readonly node: string;
  readonly peer: string;
  readonly interface: string | undefined;
  readonly profile: string;
  /** `unknown`, `up`, `failed` or `adminDown`. */
  readonly verdict: string;
  readonly reason: string;
  readonly since: string | undefined;
  readonly detectionMs: number | undefined;
  /** The mean of its echo packets; undefined without any. */
  readonly roundTripMs: number | undefined;
}

/** A controller or speaker. */
export interface ProcessRow {
  /** Name of its Pod. */
  readonly id: string;
  readonly program: string;
  readonly node: string;
  readonly version: string;
  /** Whether a controller leads. */
  readonly leads: boolean;
  /** Hash of the configuration in force; null without a configuration. */
  readonly hash: string | null;
  /** On the ConfigMap. */
  readonly configuration: RowVerdict | undefined;
  /** Why it does not answer, or does not answer everything. */
  readonly problem: string | undefined;
  /** ISO 8601, of its last answer; undefined while it answers. */
  readonly silentSince: string | undefined;
}

/** One cause of something that is not well, as `ingotctl doctor` has it. */
export interface CauseRow extends Omit<Finding, "since"> {
  readonly id: string;
  /** Since when it is so, or was noticed. ISO 8601. */
  readonly since: string;
}

/** A change. */
export interface EventRow {
  /** A number that grows. */
  readonly id: string;
  /** When it was noticed, or since when it is so. ISO 8601. */
  readonly at: string;
  /** What `explain` takes. */
  readonly subject: string;
  readonly what: string;
  readonly why: string;
  readonly state: Verdict["state"];
}

/** Values in the course of time, the latest last; null: not known. */
export interface TrendRow {
  readonly id: "moved" | "sessions" | "roundTrip";
  readonly values: readonly (number | null)[];
}

/** The cluster that is shown. */
export interface AboutRow {
  readonly id: "about";
  /** The kubeconfig's context. */
  readonly cluster: string;
  /** Whether all that answers has been asked once. */
  readonly isComplete: boolean;
  /** Milliseconds between two questions to one process. */
  readonly everyMs: number;
  /** When the program began to look, before which only processes know what happened. ISO 8601. */
  readonly startedAt: string;
  /** While the API server does not answer, all rows are as they were before. */
  readonly outage: Outage | undefined;
  /** While no speaker answers that runs, what speakers say is as the last of them said it. */
  readonly silence: Outage | undefined;
}

/** Nobody answers: the API server, or a speaker. */
export interface Outage {
  /** ISO 8601. */
  readonly since: string;
  readonly why: string;
}

/** Everything that the page shows, as tables of rows by their `id`. A row is never changed, only replaced. */
export interface Model {
  readonly about: Table<AboutRow>;
  readonly services: Table<ServiceRow>;
  readonly pools: Table<PoolRow>;
  readonly occupied: Table<OccupiedRow>;
  readonly nodes: Table<NodeRow>;
  readonly peers: Table<PeerRow>;
  readonly bfd: Table<BfdRow>;
  readonly processes: Table<ProcessRow>;
  readonly causes: Table<CauseRow>;
  readonly events: Table<EventRow>;
  readonly trends: Table<TrendRow>;
}

export type Table<Row> = ReadonlyMap<string, Row>; // id -> row, in the order in which they are shown
export type TableName = keyof Model;
export type AnyRow = { readonly id: string };

export const tableNames = [
  "about",
  "services",
  "pools",
  "occupied",
  "nodes",
  "peers",
  "bfd",
  "processes",
  "causes",
  "events",
  "trends",
] as const;

export function emptyModel(): Model {
  return Object.fromEntries(tableNames.map((name) => [name, new Map()])) as unknown as Model;
}
