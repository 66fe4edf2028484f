import { once } from "node:events";
import { createServer, type Server } from "node:net";
import type { SocketAddress } from "./transport.ts";

// Everything a member wants over TCP is over within seconds, and every member dials one other every 30 s.
const connectionsAtOnce = 128;

/** @returns a listening server; @throws {Error} that names address and port */
export async function listenTcp({ address, port }: SocketAddress): Promise<Server> {
  // Half-open: a peer may close its sending side before it has our answer.
  const server = createServer({ allowHalfOpen: true, noDelay: true });
  server.maxConnections = connectionsAtOnce;
  try {
    const listening = once(server, "listening");
    server.listen({ host: address, port });
    await listening;
  } catch (cause) {
    throw new Error(`Cannot listen for memberlist on ${address} port ${port} (TCP)`, { cause });
  }
  return server;
}
