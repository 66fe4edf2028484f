import { type Millis, type Random, wallClock } from "#pkg/clock";
import { DatagramBatch, interfaceIndexOf, type ReceivedDatagram, SystemCallError, socketAddress, UdpSocket } from "#pkg/linux";
import type { Family } from "#pkg/net";
import { echoPort } from "./codec/echo-codec.ts";
import type { SessionConfig } from "./messages.ts";

/** The purpose of a port: control packets (RFC 5881, section 4; RFC 5883, section 5), or others' echo packets. */
export type Purpose = "singleHop" | "multihop" | "echo";
export const portNumbers: Record<Purpose, number> = { singleHop: 3784, multihop: 4784, echo: echoPort };

// RFC 5881, section 4: of each session one of these is its own.
const firstSourcePort = 49_152;
const sourcePorts = 65_536 - firstSourcePort;
// RFC 5881, section 5; over several hops it lets the peer demand as high a TTL as it can know.
export const controlTtl = 255;
// An echo is returned as if it had been forwarded.
const ttls: Record<Purpose, number> = { singleHop: controlTtl, multihop: controlTtl, echo: controlTtl - 1 };
const trafficClass = 0xc0; // CS6, internetwork control: among what routers drop last.
const keptOctets = 128; // A control packet has 24; an echo is its sender's own affair, and short.
const batch = 64;
// The most batches that are read in one go, so that a flood cannot keep the thread from sending.
const maxBatches = 16;

interface Port {
  readonly purpose: Purpose;
  readonly socket: UdpSocket;
  users: number;
  /** When it was last seen empty. */
  emptyAt: Millis;
}

/** The sockets on which BFD packets arrive. A port is open while it has users, since another program may want it otherwise. */
export class Ports implements Disposable {
  readonly #ports = new Map<string, Port>(); // family and purpose -> port
  readonly #batch = new DatagramBatch(batch, keptOctets);

  /** The sockets of all ports, or of those of one purpose. */
  fds(purpose?: Purpose): number[] {
    return [...this.#ports.values()].flatMap((port) => (purpose === undefined || port.purpose === purpose ? port.socket.fd : []));
  }

  /** Opens the port, or uses it too; to be disposed by each user. @throws {SystemCallError} EADDRINUSE when another program has it */
  use(family: Family, purpose: Purpose): Disposable {
    const key = `${family} ${purpose}`;
    let port = this.#ports.get(key);
    if (port === undefined) {
      const socket = UdpSocket.open({ family, port: portNumbers[purpose], ttl: ttls[purpose], trafficClass });
      socket.stampArrivals();
      port = { purpose, socket, users: 0, emptyAt: -Infinity };
      this.#ports.set(key, port);
    }
    const used = port;
    used.users++;
    return {
      [Symbol.dispose]: () => {
        if (--used.users > 0) return;
        this.#ports.delete(key);
        used.socket[Symbol.dispose]();
      },
    };
  }

  /**
   * Hands over all that waits on the ports in `ready`, or on all of them, with when it arrived, and the socket to answer from.
   * @returns how many packets there were @throws {SystemCallError}
   */
  drain(
    ready: readonly number[] | "all",
    now: Millis,
    take: (datagram: ReceivedDatagram, arrivedAt: Millis, purpose: Purpose, socket: UdpSocket) => void,
  ): number {
    let total = 0;
    const date = wallClock().getTime();
    for (const port of this.#ports.values()) {
      const { socket, purpose } = port;
      if (ready !== "all" && !ready.includes(socket.fd)) continue;
      for (let turn = 0; turn < maxBatches; turn++) {
        const count = socket.receive(this.#batch);
        total += count;
        for (let i = 0; i < count; i++) {
          const datagram = this.#batch.datagram(i);
          if (datagram === undefined) continue;
          take(datagram, arrival(datagram.arrivedAt ?? date, date, { now, emptyAt: port.emptyAt }), purpose, socket);
        }
        if (count < batch) {
          port.emptyAt = now;
          break;
        }
      }
    }
    return total;
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#ports.values()) socket[Symbol.dispose]();
    this.#ports.clear();
  }
}

/**
 * When a packet arrived that the kernel stamped with a date, as an instant of the clock. The date may have been set since: a packet came
 * when the port was last seen empty, at the earliest, and now at the latest.
 */
export function arrival(
  stamp: Millis,
  date: Millis,
  { now, emptyAt }: { readonly now: Millis; readonly emptyAt: Millis },
): Millis {
  return Math.min(now, Math.max(emptyAt, now - (date - stamp)));
}

/** A socket to send a session's packets from, on a port that nobody has. @throws {SystemCallError} such as EADDRNOTAVAIL */
export function openSender(family: Family, address: Uint8Array | undefined, interfaceIndex: number, random: Random): UdpSocket {
  const first = Math.floor(random() * sourcePorts);
  for (let i = 0; ; i++)
    try {
      const port = firstSourcePort + ((first + i) % sourcePorts);
      return UdpSocket.open({ family, address, interfaceIndex, port, ttl: controlTtl, trafficClass });
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.code !== "EADDRINUSE" || i === sourcePorts - 1) throw error;
    }
}

/** The socket of a session, and where it sends. */
export interface SessionSocket extends Disposable {
  readonly udp: UdpSocket;
  readonly destination: Uint8Array;
  /** 0 where the session is for no interface in particular. */
  readonly interfaceIndex: number;
}

/** @returns why it cannot be had now, in words */
export function openSessionSocket(config: SessionConfig, ports: Ports, random: Random): SessionSocket | string {
  const { peer, local, interfaceName } = config;
  const purpose = purposeOf(config);
  try {
    using stack = new DisposableStack();
    const interfaceIndex = interfaceName === undefined ? 0 : interfaceIndexOf(interfaceName);
    if (interfaceIndex === undefined) return `there is no interface ${interfaceName}`;
    stack.use(ports.use(familyOf(peer), purpose));
    const udp = stack.use(openSender(familyOf(peer), local, interfaceIndex, random));
    const destination = socketAddress(peer, portNumbers[purpose], interfaceIndex);
    const owned = stack.move();
    return { udp, destination, interfaceIndex, [Symbol.dispose]: () => owned.dispose() };
  } catch (error) {
    return explain(error, purpose);
  }
}

/** The same socket, after another interface may have got the name. */
export function renewed(socket: SessionSocket, { peer, interfaceName, multihop }: SessionConfig): SessionSocket {
  const interfaceIndex = interfaceName === undefined ? 0 : interfaceIndexOf(interfaceName);
  if (interfaceIndex === undefined || interfaceIndex === socket.interfaceIndex) return socket;
  return { ...socket, interfaceIndex, destination: socketAddress(peer, portNumbers[purposeOf({ multihop })], interfaceIndex) };
}

/** Why a port cannot be had, in words with what to do. Throws what is no refusal of the system. */
export function explain(error: unknown, purpose: Purpose): string {
  if (!(error instanceof SystemCallError)) throw error;
  if (error.code !== "EADDRINUSE") return error.message;
  const advice = "stop it there, or remove bfd-profile from the peers";
  return `${error.message}: another program on this node runs BFD on port ${portNumbers[purpose]}; ${advice}`;
}

export function familyOf(address: Uint8Array): Family {
  return address.length === 4 ? "IPv4" : "IPv6";
}

function purposeOf({ multihop }: Pick<SessionConfig, "multihop">): Purpose {
  return multihop ? "multihop" : "singleHop";
}
