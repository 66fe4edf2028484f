import type { Millis } from "#pkg/clock";
import type { Alive, Endpoint, MemberState, MemberStatus, NodeName, Versions } from "../codec/messages.ts";
import { decodeMetadata, encodeMetadata, type MetadataFields, MetadataKey } from "../codec/metadata.ts";
import { placeOf } from "./choice.ts";
import type { Member } from "./events.ts";

/** A node as it is kept: one record per name, changed in place. */
export interface NodeRecord {
  readonly node: NodeName;
  status: MemberStatus;
  incarnation: number;
  endpoint: Endpoint;
  meta: string | undefined;
  versions: Versions;
  since: Millis;
  /** Whether its metadata offers the fast timing. */
  offersFast: boolean;
  /** Probes in a row, up to the last one, that took longer than the fast timing can do with. */
  slowProbes: number;
  /** Round-trip time of the last direct ping. */
  roundTrip: Millis | undefined;
  /** When a packet of its own arrived last: a ping, a heartbeat or a direct answer. */
  heardAt: Millis | undefined;
  /** Probes in a row, up to the last one, that it answered by way of others or on a stream, and not directly. */
  lostPackets: number;
  /** The last later life of it at another address that was announced while this one counted as alive. */
  successor: Alive | undefined;
  /** See `placeOf`. */
  readonly place: number;
  /** The part of it that counts for the ring as a whole; undefined while it is no member. */
  counted: { readonly endpoint: number | string; readonly digest: number } | undefined;
}

/** A record before anybody vouched for the node: dead, with incarnation 0. */
export function newRecord(
  node: NodeName,
  endpoint: Endpoint,
  versions: Versions,
  meta: string | undefined,
  now: Millis,
): NodeRecord {
  return {
    node,
    status: "dead",
    incarnation: 0,
    endpoint,
    meta,
    versions,
    since: now,
    offersFast: offersFast(meta),
    slowProbes: 0,
    roundTrip: undefined,
    heardAt: undefined,
    lostPackets: 0,
    successor: undefined,
    place: placeOf(node),
    counted: undefined,
  };
}

/** The second one is twice as fast as the first; the third has heartbeats. */
const timingVersion = 3;

export function ownMetadata(fields: MetadataFields, offer: boolean): string {
  return encodeMetadata(offer ? new Map([...fields, [MetadataKey.timing, Uint8Array.of(timingVersion)]]) : fields);
}

export function offersFast(meta: string | undefined): boolean {
  const [version = 0] = decodeMetadata(meta)?.get(MetadataKey.timing) ?? [];
  return version >= timingVersion;
}

export function isMember({ status }: NodeRecord): boolean {
  return status === "alive" || status === "suspect";
}

/** More slow answers than this in a row are the network's fault, not that of a process that stalled. */
export const slowProbesTolerated = 9;

/** Whether a node cannot be reached as quickly as the fast timing needs it. */
export function isSlow({ slowProbes }: NodeRecord): boolean {
  return slowProbes > slowProbesTolerated;
}

/** On a slow network each death is a mistake, and moves addresses: a return says as much as so many slow probes. */
const slowProbesOfReturn = 3;

/** It was taken for dead, and lives. Where an answer was quick since its last slow probe, it may have stood still, or started again. */
export function noteMistake(record: NodeRecord): void {
  if (record.slowProbes > 0 && !isSlow(record)) record.slowProbes += slowProbesOfReturn;
}

/** The current values, for a caller that keeps them. */
export function memberOf(record: NodeRecord): Member {
  const { node, status, incarnation, endpoint, meta, versions, since } = record;
  return { node, status, incarnation, endpoint, meta, versions, since };
}

export function stateOf(record: NodeRecord): MemberState {
  const { since, ...state } = memberOf(record);
  return state;
}
