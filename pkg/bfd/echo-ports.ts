import { readFileSync } from "node:fs";
import type { Millis } from "#pkg/clock";
import { CookedPacketSocket, EtherType, Neighbors, SystemCallError, udpPortFilter } from "#pkg/linux";
import type { Family } from "#pkg/net";
import { decodeEcho, echoOctets, echoPort, encodeEcho } from "./codec/echo-codec.ts";

// A peer may get another MAC address; a search for it costs some microseconds.
const macKeptFor: Millis = 1000;
// The most packets that are read in one go.
const maxPackets = 256;

/** Where echo packets of a session leave and come back. */
export interface EchoPath {
  readonly interfaceIndex: number;
  /** This side's address on the link, 4 or 16 octets. */
  readonly own: Uint8Array;
  readonly peer: Uint8Array;
}

/**
 * Sends echo packets to the MAC address of the peer although their IP address is this side's, and receives them when they come back, which the kernel
 * would take for forged (RFC 5881, section 2). Sockets are open while in use: each sees all that arrives on its interface.
 */
export class EchoPorts implements Disposable {
  readonly #token: number;
  readonly #sockets = new Map<string, CookedPacketSocket>(); // EtherType and interface -> socket
  readonly #macs = new Map<string, { mac: Uint8Array | undefined; until: Millis }>(); // interface and peer -> MAC
  #neighbors: Neighbors | undefined;

  /** `token`: 32 bits that nobody can guess. */
  constructor(token: number) {
    this.#token = token;
  }

  get fds(): number[] {
    return [...this.#sockets.values()].map(({ fd }) => fd);
  }

  /** @returns false when it could not leave: the kernel does not know the peer's MAC address @throws {SystemCallError} */
  send(path: EchoPath, discriminator: number, now: Millis): boolean {
    const mac = this.#macOf(path, now);
    if (mac === undefined) return false;
    return this.#socketOf(path).send(encodeEcho({ address: path.own, discriminator, token: this.#token }), mac);
  }

  /** Hands over the discriminators of our echoes that wait in the sockets in `ready`, or in all of them. @returns whether it closed one */
  drain(ready: readonly number[] | "all", take: (discriminator: number) => void): boolean {
    const { size } = this.#sockets;
    for (const [key, socket] of this.#sockets) {
      if (ready !== "all" && !ready.includes(socket.fd)) continue;
      try {
        for (let i = 0; i < maxPackets; i++) {
          const packet = socket.receive();
          if (packet === undefined) break;
          const echo = decodeEcho(packet);
          if (echo?.token === this.#token) take(echo.discriminator);
        }
      } catch (error) {
        if (!(error instanceof SystemCallError)) throw error;
        this.#sockets.delete(key); // The interface is down or gone; the next echo opens another.
        socket[Symbol.dispose]();
      }
    }
    return this.#sockets.size < size;
  }

  /** Closes everything until the next echo is sent. */
  close(): void {
    for (const socket of this.#sockets.values()) socket[Symbol.dispose]();
    this.#sockets.clear();
    this.#macs.clear();
    this.#neighbors?.[Symbol.dispose]();
    this.#neighbors = undefined;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #macOf({ interfaceIndex, peer }: EchoPath, now: Millis): Uint8Array | undefined {
    const key = `${interfaceIndex} ${peer}`;
    const known = this.#macs.get(key);
    if (known !== undefined && now < known.until) return known.mac;
    this.#neighbors ??= new Neighbors();
    const mac = this.#neighbors.find(interfaceIndex, peer) ?? known?.mac; // The kernel may forget it until it sends something itself.
    this.#macs.set(key, { mac, until: now + macKeptFor });
    return mac;
  }

  #socketOf({ interfaceIndex, own }: EchoPath): CookedPacketSocket {
    const [family, etherType] = own.length === 4 ? (["IPv4", EtherType.ipv4] as const) : (["IPv6", EtherType.ipv6] as const);
    const key = `${etherType} ${interfaceIndex}`;
    const known = this.#sockets.get(key);
    if (known !== undefined) return known;
    const filter = udpPortFilter(family, echoPort, echoOctets);
    const socket = CookedPacketSocket.open(interfaceIndex, etherType, filter, echoOctets);
    this.#sockets.set(key, socket);
    return socket;
  }
}

const settings: Record<Family, string> = { IPv4: "net.ipv4.ip_forward", IPv6: "net.ipv6.conf.all.forwarding" };

/** Why this machine does not return packets that others send to themselves by way of it; undefined where it does. */
export function whyNotForwarding(family: Family): string | undefined {
  const setting = settings[family];
  let value: string;
  try {
    value = readFileSync(`/proc/sys/${setting.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    value = "not to be read";
  }
  return Number(value) > 0 ? undefined : `the peer's echo packets would not come back: ${setting} is ${value}, and has to be 1`;
}
