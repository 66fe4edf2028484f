import type { Millis } from "#pkg/clock";
import { type MemberStatus, type NodeName, nodeNameText } from "./codec/messages.ts";
import type { Evidence, Member } from "./ring/events.ts";
import { socketAddress } from "./transport.ts";

/** A member as people and Kubernetes know it. */
export interface MemberView {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly status: MemberStatus;
  /** Greater each time it refuted. */
  readonly incarnation: number;
  /** Its metadata, for `decodeMetadata` where it is one of ours. */
  readonly meta: string | undefined;
  readonly self: boolean;
}

/** See `Evidence`; whole milliseconds. */
export interface EvidenceView {
  readonly accusers: readonly string[];
  readonly suspectedMs: number | undefined;
  readonly silentMs: number | undefined;
  /** BFD found that it failed, before the ring alone would have. */
  readonly byBfd?: true;
  /** By how much this node itself ran late the last time... */
  readonly lateMs: number | undefined;
  /** ...and how long ago that was. */
  readonly lateAgoMs: number | undefined;
}

export function evidenceView({ accusers, suspectedFor, silentFor, isByPaths, stall }: Evidence): EvidenceView {
  const whole = (duration: Millis | undefined) => duration && Math.round(duration);
  return {
    accusers: accusers.map(nodeNameText),
    suspectedMs: whole(suspectedFor),
    silentMs: whole(silentFor),
    ...(isByPaths && { byBfd: true as const }),
    lateMs: whole(stall?.late),
    lateAgoMs: whole(stall?.ago),
  };
}

export function memberView({ node, endpoint, status, incarnation, meta }: Member, self: NodeName): MemberView {
  return { name: nodeNameText(node), ...socketAddress(endpoint), status, incarnation, meta, self: node === self };
}
