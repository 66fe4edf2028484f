import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import type { SocketAddress } from "./transport.ts";

// Bursts arrive when a large ring changes all at once, and while this process is stopped. The kernel grants what it allows.
const receiveBufferOctets = 2 * 1024 * 1024;

/** @returns a bound socket; @throws {Error} that names address and port */
export async function bindUdp({ address, port }: SocketAddress): Promise<Socket> {
  const family = isIPv6(address) ? 6 : 4;
  const socket = createSocket({
    type: `udp${family}`,
    recvBufferSize: receiveBufferOctets,
    // There are only IP addresses to look up, so that no packet has to wait for the answer.
    lookup: (ip, _options, callback) => callback(null, ip, family),
  });
  try {
    const listening = once(socket, "listening");
    socket.bind({ address, port });
    await listening;
  } catch (cause) {
    socket.close();
    throw new Error(`Cannot listen for memberlist on ${address} port ${port} (UDP)`, { cause });
  }
  return socket;
}
