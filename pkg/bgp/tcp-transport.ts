import { Socket } from "node:net";
import { interfaceIndexOf, TcpSocket } from "#pkg/linux";
import { connectionWords } from "./connection-words.ts";
import type { SessionSettings } from "./session/settings.ts";
import { applyOptions, md5Key } from "./socket-options.ts";
import { TcpConnection } from "./tcp-connection.ts";
import type { Connection, ConnectionEvents, Transport } from "./transport.ts";

/** Connects by sockets of the system. */
export const tcpTransport: Transport = {
  dial(peer: SessionSettings, events: ConnectionEvents): Connection {
    try {
      const socket = openSocket(peer);
      const connection = new TcpConnection(socket, peer, events);
      const { address, port, interface: name } = peer;
      // Node connects the descriptor that it was given, in this turn of its loop.
      socket.connect({ host: name === undefined ? `${address}` : `${address}%${name}`, port });
      return connection;
    } catch (error) {
      process.nextTick(() => events.closed(connectionWords(error, peer)));
      return stillborn;
    }
  },
};

/** @throws {Error} in words, {SystemCallError} for `connectionWords` */
function openSocket(peer: SessionSettings): Socket {
  const { address, sourceAddress, interface: name } = peer;
  const scope = name === undefined ? 0 : interfaceIndexOf(name);
  // For an interface that is not there, libuv would take another.
  if (scope === undefined) throw new Error(`this node has no interface ${name}`);
  if (sourceAddress !== undefined && sourceAddress.family !== address.family)
    throw new Error(`source-address ${sourceAddress} is ${sourceAddress.family}, and the peer's address ${address} is not`);
  using socket = TcpSocket.open(address.family);
  applyOptions(socket, peer);
  const key = md5Key(peer);
  if (key !== undefined) socket.setMd5Key(address, key);
  if (sourceAddress !== undefined) socket.bind(sourceAddress, 0, scope);
  const stream = new Socket({ fd: socket.fd, readable: true, writable: true });
  socket.release();
  stream.setNoDelay();
  return stream;
}

const stillborn: Connection = { write() {}, end() {}, destroy() {} };
