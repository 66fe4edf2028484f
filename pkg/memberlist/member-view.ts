import { type MemberStatus, type NodeName, nodeNameText } from "./codec/messages.ts";
import type { Member } from "./ring/events.ts";
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
  readonly meta: Uint8Array | undefined;
  readonly self: boolean;
}

export function memberView({ node, endpoint, status, incarnation, meta }: Member, self: NodeName): MemberView {
  return { name: nodeNameText(node), ...socketAddress(endpoint), status, incarnation, meta, self: node === self };
}
