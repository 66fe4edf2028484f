import { check, libc } from "../libc.ts";
import { PacketSocket } from "../packet-sockets.ts";

const everyEtherType = 0x0003; // ETH_P_ALL
const acceptAll = Uint8Array.of(0x06, 0, 0, 0, 0xff, 0xff, 0xff, 0xff); // struct sock_filter: BPF_RET | BPF_K, all octets.
const levelPacket = 263; // SOL_PACKET
const optionOffloadHeader = 15; // PACKET_VNET_HDR

/** Length of `struct virtio_net_hdr`, which comes before each frame. */
export const offloadHeaderLength = 10;
const flagNeedsChecksum = 1; // VIRTIO_NET_HDR_F_NEEDS_CSUM

/**
 * Receives and sends all frames of an interface. A header before each frame names the work that the kernel leaves to a network card: the
 * checksum, and to cut a long segment into frames. Received frames may be sent as they are. Frames that the machine itself sends on the
 * interface arrive as `outgoing`.
 * @throws {SystemCallError} as `PacketSocket.open`
 */
export function openForWholeFrames(interfaceIndex: number): PacketSocket {
  const socket = PacketSocket.open(interfaceIndex, everyEtherType, acceptAll);
  // Frames that wait already get the header too, when they are read.
  const result = libc.setsockopt(socket.fd, levelPacket, optionOffloadHeader, Int32Array.of(1), 4);
  check("setsockopt", `read whole frames from interface ${interfaceIndex}`, result);
  return socket;
}

/**
 * Computes, in place, the checksum that the kernel has left to a network card: from then on the receiver's kernel looks at it. A segment that is to be
 * cut stays as it is: each piece has a checksum of its own.
 * @param frame with its header
 * @returns false for such a segment
 */
export function completeChecksum(frame: Uint8Array): boolean {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const [flags, segmentation] = [view.getUint8(0), view.getUint8(1)];
  if (segmentation !== 0) return false;
  if ((flags & flagNeedsChecksum) === 0) return true;
  const start = offloadHeaderLength + view.getUint16(6, true);
  const at = start + view.getUint16(8, true);
  let sum = 0;
  for (let next = start; next < frame.length; next++) sum += (frame[next] ?? 0) << ((next - start) % 2 === 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(at, ~sum & 0xffff || 0xffff); // For UDP, 0 would mean that there is no checksum (RFC 768); for other protocols both values are the same.
  view.setUint8(0, 0);
  return true;
}
