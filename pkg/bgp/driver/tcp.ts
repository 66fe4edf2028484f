import { Socket } from "node:net";
import type { SessionSettings } from "#pkg/config";
import { addressesByInterface, interfaceIndexOf, interfaceNameOf, TcpSocket, UdpSocket } from "#pkg/linux";
import { type Address, parseAddress } from "#pkg/net";
import {
  type Connection,
  type ConnectionEvents,
  type Interfaces,
  type SocketEnd,
  socketEnd,
  socketEndNow,
  sourceAmong,
  type Transport,
} from "./transport.ts";

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
      process.nextTick(() => events.closed(describeConnectionError(error, peer), codeOf(error)));
      return stillborn;
    }
  },
  endNow(end: SocketEnd, { address }: SessionSettings): SocketEnd {
    return socketEndNow(end, address, interfacesNow());
  },
};

/**
 * This side's address for a session from an interface of the node, as its addresses are now.
 * @param current that of the session, if there is one: it stays where its interface is down and still has it, and BFD or the hold time tells whether it works
 */
export function sourceNow(name: string, peer: Address, current: Address | undefined): Address | { readonly missing: string } {
  const interfaces = interfacesNow(); // Without those that are down.
  const own = nameNow(name, interfaces);
  const addresses = interfaces.get(own);
  if (addresses !== undefined)
    return (
      sourceAmong(addresses, peer, current) ?? { missing: `interface ${name} has no ${peer.family} address to connect from` }
    );
  const scope = interfaceIndexOf(name);
  if (scope === undefined) return { missing: `this node has no interface ${name}` };
  if (current !== undefined && canBind(current, scope)) return current;
  return { missing: `interface ${name} is down, or has no address` };
}

/** The name under which the interface is among these: the configuration may have its second one (altname). */
export function nameNow(name: string, interfaces: Interfaces = interfacesNow()): string {
  return interfaces.has(name) ? name : (interfaceNameOf(name) ?? name);
}

/** The address that a connection to the peer would come from; undefined where this node has no way to it. */
export function sourceTo({ address, interface: name }: Pick<SessionSettings, "address" | "interface">): Address | undefined {
  return UdpSocket.sourceTo(address, name === undefined ? undefined : interfaceIndexOf(name));
}

function canBind(address: Address, scope: number): boolean {
  using socket = TcpSocket.open(address.family);
  try {
    socket.bind(address, 0, scope);
    return true;
  } catch {
    return false; // The kernel takes IPv6 addresses from an interface that is down.
  }
}

let asked: Interfaces | undefined; // Until what is being done is done.

/**
 * The node's interfaces. The system is asked once for all that want to know at once: with those of a hundred Pods that takes milliseconds, and
 * there may be hundreds of peers.
 */
export function interfacesNow(): Interfaces {
  if (asked === undefined) {
    asked = addressesByInterface();
    process.nextTick(forgetInterfaces); // Not longer: what is done next may be to hear of other addresses.
  }
  return asked;
}

/** To be called by whoever hears of a change: several may be heard in one turn of the loop, and who asks then is to see the last. */
export function forgetInterfaces(): void {
  asked = undefined;
}

/** @throws {Error} in words, {SystemCallError} for `describeConnectionError` */
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

const stillborn: Connection = { write() {}, pause() {}, resume() {}, end() {}, destroy() {} };

/** A connection on a socket of Node. */
export class TcpConnection implements Connection {
  readonly #socket: Socket;

  constructor(socket: Socket, peer: SessionSettings, events: ConnectionEvents) {
    this.#socket = socket;
    let because = "this side closed the connection";
    let code: string | undefined;
    // Node remembers the first answer: before it connects there is no address yet.
    let source = socket.remoteAddress === undefined ? undefined : socket.localAddress;
    socket.once("connectionAttempt", () =>
      process.nextTick(() => {
        source = socket.localAddress;
      }),
    );
    socket.on("connect", () => {
      const end = endOf(socket, peer);
      if (end !== undefined) events.connected(end); // Else it broke already, and `closed` comes next.
    });
    socket.on("data", (octets: Buffer) => events.received(octets));
    socket.on("end", () => {
      because = "the peer closed the connection";
    });
    socket.on("error", (error) => {
      because = describeConnectionError(error, peer);
      code = codeOf(error);
    });
    socket.on("close", () => events.closed(source === undefined ? because : `${because} (from ${source})`, code));
  }

  write(octets: Uint8Array, written: () => void): void {
    this.#socket.write(octets, (error) => {
      if (error == null) written();
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
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
  const interfaces = interfacesNow();
  const name = peer.interface === undefined ? zone : nameNow(peer.interface, interfaces);
  return local === undefined ? undefined : socketEnd(local, peer.address, interfaces, name);
}

/** Network control, as routers mark BGP (RFC 4594, section 3.2). */
export const networkControl = 0xc0;
export const maxHopLimit = 255;

/** Sets the configured options of a peer's connection, opened by either side. @throws {SystemCallError} */
export function applyOptions(socket: TcpSocket, { ttl, ttlSecurityHops }: SessionSettings): void {
  socket.setTrafficClass(networkControl);
  if (ttl !== undefined) socket.setHopLimit(ttl);
  if (ttlSecurityHops === undefined) return;
  socket.setHopLimit(maxHopLimit);
  socket.setMinimumHopLimit(maxHopLimit + 1 - ttlSecurityHops);
}

/** The key of RFC 2385; undefined for none. */
export function md5Key({ password }: SessionSettings): Uint8Array | undefined {
  return password === undefined ? undefined : new TextEncoder().encode(password);
}

function codeOf(error: unknown): string | undefined {
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" ? code : undefined;
}

/** Why a connection failed or ended, in words. */
export function describeConnectionError(error: unknown, { address, port, sourceAddress }: SessionSettings): string {
  const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
  switch (code) {
    case "ECONNREFUSED":
      return `connection refused: nothing accepts connections from this node on ${address} port ${port}`;
    case "EHOSTUNREACH":
      return `${address} is unreachable: it does not answer on its link, or a router or firewall on the way reports it (EHOSTUNREACH)`;
    case "ENETUNREACH":
      return `there is no route to ${address} (ENETUNREACH)`;
    case "ETIMEDOUT":
      return `${address} does not answer any more (ETIMEDOUT)`;
    case "ECONNRESET":
      return "the peer reset the connection (ECONNRESET)";
    case "EPIPE":
      return "the peer closed the connection (EPIPE)";
    case "EADDRNOTAVAIL":
      return sourceAddress === undefined
        ? `this node has no address from which to reach ${address} (EADDRNOTAVAIL)`
        : `source-address ${sourceAddress} is on no interface of this node (EADDRNOTAVAIL)`;
    case "EPERM":
    case "EACCES":
      return `this node's firewall forbids connections to ${address} port ${port} (${code})`;
    case "EAFNOSUPPORT":
      return `this node has no ${address.family} (EAFNOSUPPORT)`;
    case "ENOPROTOOPT":
      return `this node's kernel cannot do what is configured, a password or ttl-security: ${message}`;
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
