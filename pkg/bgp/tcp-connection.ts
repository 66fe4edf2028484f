import type { Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { parseAddress } from "#pkg/net";
import { connectionWords } from "./connection-words.ts";
import type { SessionSettings } from "./session/settings.ts";
import { socketEnd } from "./socket-end.ts";
import type { Connection, ConnectionEvents, SocketEnd } from "./transport.ts";

/** A connection on a socket of Node. */
export class TcpConnection implements Connection {
  readonly #socket: Socket;

  constructor(socket: Socket, peer: SessionSettings, events: ConnectionEvents) {
    this.#socket = socket;
    let because = "this side closed the connection";
    socket.on("connect", () => {
      const end = endOf(socket, peer);
      if (end !== undefined) events.connected(end); // Else it broke already, which is told next.
    });
    socket.on("data", (octets: Buffer) => events.received(octets));
    socket.on("end", () => {
      because = "the peer closed the connection";
    });
    socket.on("error", (error) => {
      because = connectionWords(error, peer);
    });
    socket.on("close", () => events.closed(because));
  }

  write(octets: Uint8Array, taken: () => void): void {
    this.#socket.write(octets, (error) => {
      if (error == null) taken();
    });
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

/** This side's end of a connected socket; undefined when it is not connected any more. */
export function endOf(socket: Socket, peer: SessionSettings): SocketEnd | undefined {
  const [text = "", zone] = (socket.localAddress ?? "").split("%");
  const local = parseAddress(text);
  return local === undefined ? undefined : socketEnd(local, peer.address, networkInterfaces(), peer.interface ?? zone);
}
