import { readFileSync } from "node:fs";
import { NetlinkSocket } from "#pkg/linux";

// Fills this network's table of connections with ones that nothing makes room for (ctnetlink, IPS_ASSURED).
const max = Number(readFileSync("/proc/sys/net/netfilter/nf_conntrack_max", "utf8"));
const batch = 100;

function attribute(type: number, value: Uint8Array): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt16LE(4 + value.length, 0);
  header.writeUInt16LE(type, 2);
  return Buffer.concat([header, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
}

const nested = (type: number, ...parts: Buffer[]) => attribute(type | 0x8000, Buffer.concat(parts));

function uint(value: number, octets: number): Buffer {
  const written = Buffer.alloc(octets);
  written.writeUIntBE(value, 0, octets);
  return written;
}

function tuple(type: number, from: Buffer, to: Buffer, fromPort: number, toPort: number): Buffer {
  const ip = nested(1, attribute(1, from), attribute(2, to)); // CTA_TUPLE_IP: CTA_IP_V4_SRC, CTA_IP_V4_DST
  const proto = nested(2, attribute(1, uint(17, 1)), attribute(2, uint(fromPort, 2)), attribute(3, uint(toPort, 2))); // CTA_TUPLE_PROTO
  return nested(type, ip, proto);
}

/** IPCTNL_MSG_CT_NEW of UDP that both sides have sent. */
function entry(index: number): Buffer {
  const client = Buffer.from([10, 99, index >> 16, 1]);
  const server = Buffer.from([10, 98, 0, 1]);
  const port = index & 0xffff;
  const body = Buffer.concat([
    Buffer.from([2, 0, 0, 0]), // AF_INET
    tuple(1, client, server, port, 9),
    tuple(2, server, client, 9, port),
    attribute(3, uint(0x0e, 4)), // CTA_STATUS: seen reply, assured, confirmed
    attribute(7, uint(600, 4)), // CTA_TIMEOUT
  ]);
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + body.length, 0);
  header.writeUInt16LE(1 << 8, 4); // NFNL_SUBSYS_CTNETLINK
  header.writeUInt16LE(0x1 | 0x400 | 0x200, 6); // NLM_F_REQUEST, CREATE, EXCL
  return Buffer.concat([header, body]);
}

using socket = NetlinkSocket.open({ protocol: "netfilter", groups: [] });
for (let from = 0; from < max; from += batch)
  socket.send(Buffer.concat(Array.from({ length: batch }, (_, index) => entry(from + index))));
