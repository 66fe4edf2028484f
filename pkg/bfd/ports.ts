import type { Random } from "#pkg/clock";
import { DatagramBatch, type ReceivedDatagram, SystemCallError, UdpSocket } from "#pkg/linux";

/** RFC 5881, section 4, and RFC 5883, section 5. */
const controlPort = { singleHop: 3784, multihop: 4784 } as const;
// RFC 5881, section 4: of each session one of these is its own.
const firstSourcePort = 49_152;
const sourcePorts = 65_536 - firstSourcePort;
// RFC 5881, section 5; with several hops it lets the peer ask for what it can know.
const ttl = 255;
const trafficClass = 0xc0; // CS6, internetwork control: among what routers drop last.
const keptOctets = 64; // A control packet has 24; more follows with authentication alone.
const batch = 64;
// What is read in one go at most, so that a flood cannot keep the thread from sending.
const mostBatches = 16;

/** What arrives on the control ports. A port is open while it has users, since another program may want it otherwise. */
export class ControlPorts implements Disposable {
  readonly #sockets = new Map<string, { socket: UdpSocket; multihop: boolean; users: number }>(); // family and hops -> socket
  readonly #batch = new DatagramBatch(batch, keptOctets);

  get fds(): number[] {
    return [...this.#sockets.values()].map(({ socket }) => socket.fd);
  }

  /** Opens the port, or uses it too; to be disposed by each user. @throws {SystemCallError} EADDRINUSE when another program has it */
  use(family: "IPv4" | "IPv6", multihop: boolean): Disposable {
    const key = `${family} ${multihop}`;
    const port = multihop ? controlPort.multihop : controlPort.singleHop;
    const known = this.#sockets.get(key);
    const entry = known ?? { socket: UdpSocket.open({ family, port, ttl, trafficClass }), multihop, users: 0 };
    this.#sockets.set(key, entry);
    entry.users++;
    return {
      [Symbol.dispose]: () => {
        if (--entry.users > 0) return;
        this.#sockets.delete(key);
        entry.socket[Symbol.dispose]();
      },
    };
  }

  /** Hands over all that waits on the ports in `ready`, or on all of them. @throws {SystemCallError} */
  drain(ready: readonly number[] | "all", take: (datagram: ReceivedDatagram, multihop: boolean) => void): void {
    for (const { socket, multihop } of this.#sockets.values()) {
      if (ready !== "all" && !ready.includes(socket.fd)) continue;
      for (let turn = 0; turn < mostBatches; turn++) {
        const count = socket.receive(this.#batch);
        for (let i = 0; i < count; i++) {
          const datagram = this.#batch.datagram(i);
          if (datagram !== undefined) take(datagram, multihop);
        }
        if (count < batch) break;
      }
    }
  }

  [Symbol.dispose](): void {
    for (const { socket } of this.#sockets.values()) socket[Symbol.dispose]();
    this.#sockets.clear();
  }
}

/** The port to which control packets are sent. */
export function destinationPort(multihop: boolean): number {
  return multihop ? controlPort.multihop : controlPort.singleHop;
}

/** A socket to send a session's packets from, on a port that nobody has. @throws {SystemCallError} such as EADDRNOTAVAIL */
export function openSender(
  family: "IPv4" | "IPv6",
  address: Uint8Array | undefined,
  interfaceIndex: number,
  random: Random,
): UdpSocket {
  const first = Math.floor(random() * sourcePorts);
  for (let i = 0; ; i++)
    try {
      const port = firstSourcePort + ((first + i) % sourcePorts);
      return UdpSocket.open({ family, address, interfaceIndex, port, ttl, trafficClass });
    } catch (error) {
      if (!(error instanceof SystemCallError) || error.code !== "EADDRINUSE" || i === sourcePorts - 1) throw error;
    }
}
