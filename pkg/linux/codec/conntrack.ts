import { Address, type Family } from "#pkg/net";
import { encodeFilterMessage, filterAttributes, filterFamily, Subsystem } from "./netfilter-wire.ts";
import { decodeAttributes, flagRequest, messagesOf, resultOf } from "./netlink-wire.ts";

/** A message of a dump of tracked connections (linux/netfilter/nfnetlink_conntrack.h). */
export type ConntrackMessage = {
  readonly sequence: number;
} /** A TCP connection that is open, by the address that its client connected to. */ & (
  | { readonly type: "connection"; readonly to: Address }
  /** `errno` is positive where the dump could not be had. */
  | { readonly type: "done" | "error"; readonly errno: number }
);

const Message = { new: 0, get: 1 } as const;
const flagsDump = 0x300;
const Connection = { original: 1, protocolInfo: 4 } as const;
const Tuple = { addresses: 1, protocol: 2 } as const;
const destination = { IPv4: 2, IPv6: 4 } as const;
const protocolNumber = 1; // CTA_PROTO_NUM
const tcp = 6;
const tcpInfo = 1; // CTA_PROTOINFO_TCP
const tcpState = 1; // CTA_PROTOINFO_TCP_STATE
// Between them: established. Once both sides have closed, a connection has nothing to lose; the kernel tracks some for 30 s after that.
const State = { synReceived: 2, closeWait: 5 } as const;

export function encodeConntrackDump(family: Family, sequence: number): Uint8Array {
  const type = (Subsystem.conntrack << 8) | Message.get;
  return encodeFilterMessage({ type, flags: flagRequest | flagsDump, sequence, family: filterFamily[family] });
}

/** The messages of a datagram; connections of other protocols, and closed ones, are left out. @throws {NetlinkError} for a length that does not fit */
export function* decodeConntrack(datagram: Uint8Array): Iterable<ConntrackMessage> {
  for (const message of messagesOf(datagram)) {
    const { type, sequence, body } = message;
    const result = resultOf(message);
    if (result !== undefined) yield { sequence, ...result };
    else if (type === ((Subsystem.conntrack << 8) | Message.new)) {
      const to = openConnectionTo(filterAttributes(body));
      if (to !== undefined) yield { sequence, type: "connection", to };
    }
  }
}

function openConnectionTo(connection: Map<number, Uint8Array>): Address | undefined {
  const tuple = within(connection, Connection.original);
  if (within(tuple, Tuple.protocol).get(protocolNumber)?.[0] !== tcp) return undefined;
  const state = within(within(connection, Connection.protocolInfo), tcpInfo).get(tcpState)?.[0] ?? 0;
  if (state < State.synReceived || state > State.closeWait) return undefined;
  const addresses = within(tuple, Tuple.addresses);
  const octets = addresses.get(destination.IPv4) ?? addresses.get(destination.IPv6);
  return octets?.length === 4 || octets?.length === 16 ? Address.fromBytes(octets) : undefined;
}

function within(attributes: Map<number, Uint8Array>, type: number): Map<number, Uint8Array> {
  return decodeAttributes(attributes.get(type) ?? new Uint8Array());
}
