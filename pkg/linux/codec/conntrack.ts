import { Address, type Family } from "#pkg/net";
import { encodeFilterMessage, filterAttributes, filterFamily, nest, Subsystem } from "./netfilter-wire.ts";
import { decodeAttributes, encodeAttribute, flagRequest, flagsDump, messagesOf, resultOf } from "./netlink-wire.ts";

/** A message of a dump of tracked connections (linux/netfilter/nfnetlink_conntrack.h). */
export type ConntrackMessage = {
  readonly sequence: number;
} & /** A TCP connection, by the address that its client connected to. */ (
  | { readonly type: "connection"; readonly to: Address; readonly closed: ClosedConnection | undefined }
  /** `errno` is positive where the dump could not be had. */
  | { readonly type: "done" | "error"; readonly errno: number }
);

/** Names a connection that both sides have ended, or one of them by RST, in a request to forget it. */
export type ClosedConnection = Uint8Array;

const Message = { new: 0, get: 1, delete: 2 } as const;
const Connection = { original: 1, protocolInfo: 4, id: 12 } as const;
const Tuple = { addresses: 1, protocol: 2 } as const;
const destination = { IPv4: 2, IPv6: 4 } as const;
const protocolNumber = 1; // CTA_PROTO_NUM
const tcp = 6;
const tcpInfo = 1; // CTA_PROTOINFO_TCP
const tcpState = 1; // CTA_PROTOINFO_TCP_STATE
// Open from the first to the second. Before that a client is not connected yet, or only asks whether the port answers, as speakers do: if its reset
// takes another way, the kernel tracks that for a minute.
const State = { established: 3, lastAck: 6, timeWait: 7, close: 8 } as const;

export function encodeConntrackDump(family: Family, sequence: number): Uint8Array {
  const type = (Subsystem.conntrack << 8) | Message.get;
  return encodeFilterMessage({ type, flags: flagsDump, sequence, family: filterFamily[family] });
}

/** Each answers with an error alone, such as for a connection that is there no longer. */
export function encodeConntrackDeletions(family: Family, closed: readonly ClosedConnection[], sequence: number): Uint8Array {
  const head = { type: (Subsystem.conntrack << 8) | Message.delete, flags: flagRequest, sequence, family: filterFamily[family] };
  return Buffer.concat(closed.map((one) => encodeFilterMessage(head, one)));
}

/** The messages of a datagram; other protocols, and connections that only begin, are left out. @throws {NetlinkError} for a length that does not fit */
export function* decodeConntrack(datagram: Uint8Array): Iterable<ConntrackMessage> {
  for (const message of messagesOf(datagram)) {
    const { type, sequence, body } = message;
    const result = resultOf(message);
    if (result !== undefined) yield { sequence, ...result };
    else if (type === ((Subsystem.conntrack << 8) | Message.new)) {
      const found = decodeConnection(filterAttributes(body));
      if (found !== undefined) yield { sequence, type: "connection", ...found };
    }
  }
}

function decodeConnection(connection: Map<number, Uint8Array>) {
  const tuple = within(connection, Connection.original);
  if (within(tuple, Tuple.protocol).get(protocolNumber)?.[0] !== tcp) return undefined;
  const state = within(within(connection, Connection.protocolInfo), tcpInfo).get(tcpState)?.[0] ?? 0;
  const isOpen = state >= State.established && state <= State.lastAck;
  if (!isOpen && state !== State.timeWait && state !== State.close) return undefined;
  const addresses = within(tuple, Tuple.addresses);
  const octets = addresses.get(destination.IPv4) ?? addresses.get(destination.IPv6);
  if (octets?.length !== 4 && octets?.length !== 16) return undefined;
  return { to: Address.fromBytes(octets), closed: isOpen ? undefined : nameOf(connection) };
}

function nameOf(connection: Map<number, Uint8Array>): ClosedConnection {
  const of = (type: number) => connection.get(type) ?? new Uint8Array();
  return Buffer.concat([nest(Connection.original, of(Connection.original)), encodeAttribute(Connection.id, of(Connection.id))]);
}

function within(attributes: Map<number, Uint8Array>, type: number): Map<number, Uint8Array> {
  return decodeAttributes(attributes.get(type) ?? new Uint8Array());
}
