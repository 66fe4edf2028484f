import { once } from "node:events";
import { createServer, type Server, Socket } from "node:net";
import type { Clock } from "#pkg/clock";
import type { SessionSettings } from "#pkg/config";
import { backlog, descriptorOf, type KnownSources, ServerGate } from "#pkg/connections";
import { SystemCallError, TcpSocket } from "#pkg/linux";
import type { Log } from "#pkg/log";
import { Address, type Family, families, isLinkLocal, parseAddress } from "#pkg/net";
import { applyOptions, endOf, maxHopLimit, md5Key, nameNow, networkControl, TcpConnection } from "./tcp.ts";
import type { Incoming } from "./transport.ts";

export interface ListenerOptions {
  /** On all addresses of the node; 0 takes any that is free. */
  readonly port: number;
  readonly clock: Clock;
  readonly log: Log;
}

interface Expected extends Disposable {
  readonly key: string; // see `keyOf`
  /** Of peers with one key the lowest gets the connections. */
  readonly place: number;
  readonly peer: SessionSettings;
  readonly accept: (incoming: Incoming) => void;
  /** Some of its connections may be from before the kernel asked for its password: they are closed. */
  mayBeUnsigned: boolean;
}

interface Listening {
  readonly socket: TcpSocket;
  readonly server: Server;
}

/** Takes the connections that peers begin. Others are closed at once; of many the kernel drops all that are not of peers. */
export class BgpListener implements Disposable {
  readonly #options: ListenerOptions;
  readonly #expected = new Map<string, readonly Expected[]>(); // see `keyOf` -> who wait for it, of whom the first gets it
  readonly #listening = new Map<Family, Listening>();
  readonly #gate: ServerGate;
  readonly #returned = new WeakMap<Disposable, Expected>(); // Also what is disposed.
  #places = 0;
  #port: number;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#port = options.port;
    const expected = this.#expected;
    const known: KnownSources = {
      has: (address) => known.addresses.includes(address),
      get addresses() {
        return Array.from(expected.values(), ([first]) => `${first?.peer.address}`);
      },
    };
    this.#gate = new ServerGate({
      clock: options.clock,
      log: options.log,
      op: "bgpAccept",
      advice: "look who connects to this port: only BGP peers have to reach it",
      known,
    });
  }

  /** The one that it listens on. */
  get port(): number {
    return this.#port;
  }

  /**
   * May be called again where it failed; a family that listens goes on with that.
   * @throws {Error} that names the port, when it cannot be had for a family that the machine has
   */
  async start(): Promise<void> {
    try {
      for (const family of families) if (!this.listens(family)) await this.#listen(family);
    } catch (cause) {
      throw new Error(`Cannot listen for BGP on port ${this.#port}`, { cause });
    }
  }

  /** Whether peers of this family can connect. */
  listens(family: Family): boolean {
    return this.#listening.has(family);
  }

  /**
   * From now on `accept` is given the connections of this peer, until what is returned is disposed. Of peers with one address it is the
   * one whose `sourceAddress` the connection is to, and of peers with the same addresses the one that came first.
   * @param former what an earlier call for this peer returned, whose place among peers with the same addresses this one takes, also later
   * @throws {SystemCallError} for a password that the kernel does not take
   */
  expect(peer: SessionSettings, accept: (incoming: Incoming) => void, former?: Disposable): Disposable {
    const key = keyOf(peer.address, peer.interface, peer.sourceAddress);
    const before = former && this.#returned.get(former);
    former?.[Symbol.dispose]();
    const others = this.#expected.get(key) ?? [];
    const isNew = before?.key !== key;
    const place = isNew ? this.#places++ : before.place;
    const expected: Expected = { key, place, peer, accept, mayBeUnsigned: false, [Symbol.dispose]: () => this.#forget(expected) };
    if (others.length > 0 && isNew)
      this.#options.log.warn("several peers have one address: the first gets the connections that the router begins", {
        op: "bgpListen",
        peer: `${peer.address}:${peer.port}`,
      });
    const all = [...others, expected].sort((a, b) => a.place - b.place);
    const isFirst = all[0] === expected;
    if (isFirst) this.#setMd5Key([expected, ...this.#first.filter((one) => one !== others[0])], others[0] ?? expected);
    this.#expected.set(key, all);
    this.#returned.set(expected, expected);
    if (isFirst) this.#closeUnsigned(expected);
    return expected;
  }

  #forget(expected: Expected): void {
    const { key } = expected;
    const all = this.#expected.get(key) ?? [];
    const left = all.filter((one) => one !== expected);
    const [next] = left;
    if (next !== undefined) this.#expected.set(key, left);
    else this.#expected.delete(key);
    if (all[0] !== expected) return;
    this.#setMd5Key(this.#first, expected);
    if (next !== undefined) this.#closeUnsigned(next);
  }

  /** The kernel has one key for an address, whatever the interface and this side's address. @param former who may have set it */
  #setMd5Key(first: readonly Expected[], { peer: former }: Expected): void {
    const { address } = former;
    const keys = first.map(({ peer }) => (peer.address.equals(address) ? md5Key(peer) : undefined));
    const key = keys.find((one) => one !== undefined);
    if (key === undefined && md5Key(former) === undefined) return;
    this.#listening.get(address.family)?.socket.setMd5Key(address, key);
  }

  /** The peers that get connections. */
  get #first(): readonly Expected[] {
    return [...this.#expected.values()].flatMap(([first]) => first ?? []);
  }

  /** Connections that were accepted go on. */
  [Symbol.dispose](): void {
    this.#gate[Symbol.dispose]();
    for (const { server } of this.#listening.values()) server.close();
    this.#listening.clear();
  }

  async #listen(family: Family): Promise<void> {
    let fd: number;
    try {
      fd = this.#bind(family);
    } catch (error) {
      if (error instanceof SystemCallError && error.code === "EAFNOSUPPORT") return;
      throw error;
    }
    const server = createServer({ noDelay: true }, (socket) => {
      this.#accept(socket);
      for (const one of this.#first) if (one.mayBeUnsigned) this.#closeUnsigned(one);
    });
    server.listen({ fd, backlog });
    // From now on, because peers that come before the event need their passwords here.
    this.#listening.set(family, { socket: TcpSocket.of(fd), server });
    try {
      await once(server, "listening");
    } catch (error) {
      this.#listening.delete(family);
      throw error;
    }
    const address = server.address();
    if (address !== null && typeof address === "object") this.#port = address.port; // The second family takes what the first was given.
    this.#gate.add(server);
  }

  /** Closes the connections of a peer that wait, where the kernel did not ask them for its password. Others are given to their peers. */
  #closeUnsigned(first: Expected): void {
    if (md5Key(first.peer) === undefined) return;
    first.mayBeUnsigned = true;
    first.mayBeUnsigned = !this.#acceptWaiting(first.peer.address.family);
  }

  /** @returns false where some may be left, as without a free descriptor */
  #acceptWaiting(family: Family): boolean {
    const { socket: listener } = this.#listening.get(family) ?? {};
    try {
      for (let left = backlog + 1; left > 0; left--) {
        const waiting = listener?.accept();
        if (waiting === undefined) break;
        this.#accept(new Socket({ fd: waiting.socket.release(), readable: true, writable: true }).setNoDelay());
      }
      return true;
    } catch (error) {
      if (!(error instanceof SystemCallError)) throw error;
      return false;
    }
  }

  /** @returns a descriptor that is the caller's to close. @throws {SystemCallError} */
  #bind(family: Family): number {
    using socket = TcpSocket.open(family);
    socket.reuseAddress();
    if (family === "IPv6") socket.ipv6Only(true);
    // These options count for the first answer, too, which leaves before it is known whose connection it is: a peer with GTSM accepts
    // nothing else.
    socket.setHopLimit(maxHopLimit);
    socket.setTrafficClass(networkControl);
    for (const { peer } of this.#first) {
      const md5 = md5Key(peer);
      if (md5 !== undefined && peer.address.family === family) socket.setMd5Key(peer.address, md5);
    }
    socket.bind(new Address(family, 0n), this.#port);
    return socket.release();
  }

  #accept(socket: Socket): void {
    const remote = this.#gate.admit(socket);
    if (remote === undefined) return;
    const [, zone] = (socket.remoteAddress ?? "").split("%");
    const of = (own?: Address) => this.#expected.get(keyOf(remote, zone, own))?.[0];
    const isIts = ({ peer }: Expected) => {
      if (!peer.address.equals(remote)) return false;
      return keyOf(remote, peer.interface && nameNow(peer.interface)) === keyOf(remote, zone);
    };
    const own = parseAddress(socket.localAddress?.split("%")[0] ?? "");
    const found = of(own) ?? of() ?? this.#first.find(isIts);
    const expected = found?.mayBeUnsigned === true ? undefined : found;
    const end = expected === undefined ? undefined : endOf(socket, expected.peer);
    if (expected === undefined || end === undefined) {
      if (expected === undefined)
        this.#options.log.debug("connection from an unknown address closed", { op: "bgpAccept", from: `${remote}` });
      socket.on("error", () => {}); // It is closed anyway.
      socket.destroy();
      return;
    }
    const { peer, accept } = expected;
    accept({
      end,
      open: (events) => {
        const connection = new TcpConnection(socket, peer, events);
        try {
          const fd = descriptorOf(socket);
          if (fd === undefined) throw new Error("Cannot set options of a connection: it is closed");
          applyOptions(TcpSocket.of(fd), peer);
        } catch (error) {
          socket.destroy(error instanceof Error ? error : undefined); // Reported by `closed`.
        }
        return connection;
      },
    });
  }
}

/** The peer's address, with its interface where it is link-local. @param own this side's address */
function keyOf(address: Address, zone: string | undefined, own?: Address): string {
  const host = isLinkLocal(address) && zone !== undefined ? `${address}%${zone}` : `${address}`;
  return own === undefined ? host : `${host} to ${own}`;
}
