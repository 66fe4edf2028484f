import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import type { SocketAddress } from "./transport.ts";

// Bursts arrive when a large ring changes all at once, and while this process is stopped. The kernel grants what it allows.
const receiveBufferOctets = 2 * 1024 * 1024;

/** @returns a bound socket; @throws {Error} that names address and port */
export async function bindUdp({ address, port }: SocketAddress): Promise<Socket> {
  const socket = createSocket({ type: isIPv6(address) ? "udp6" : "udp4", recvBufferSize: receiveBufferOctets });
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
