import type { TcpSocket } from "#pkg/linux";
import type { SessionSettings } from "./session/settings.ts";

/** Network control, as routers mark BGP (RFC 4594, section 3.2). */
export const networkControl = 0xc0;
export const mostHops = 255;

/** What the peer's configuration says of its connections, whoever begins them. @throws {SystemCallError} */
export function applyOptions(socket: TcpSocket, { ttl, ttlSecurityHops }: SessionSettings): void {
  socket.setTrafficClass(networkControl);
  if (ttl !== undefined) socket.setHopLimit(ttl);
  if (ttlSecurityHops === undefined) return;
  socket.setHopLimit(mostHops);
  socket.setMinimumHopLimit(mostHops + 1 - ttlSecurityHops);
}

/** The key of RFC 2385; undefined for none. */
export function md5Key({ password }: SessionSettings): Uint8Array | undefined {
  return password === undefined ? undefined : new TextEncoder().encode(password);
}
