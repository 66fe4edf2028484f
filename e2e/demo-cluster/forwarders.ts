import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, isIPv6, type Server, type Socket as TcpSocket } from "node:net";
import type { Clock, Millis } from "#pkg/clock";
import type { Target } from "./forwarding.ts";

/** Passes TCP connections on, to the targets in turn. */
export class TcpForwarder implements Disposable {
  targets: readonly Target[];
  readonly #server: Server;
  #turn = 0;

  constructor(targets: readonly Target[]) {
    this.targets = targets;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#forward(client));
  }

  async listen({ address, port }: Target): Promise<void> {
    this.#server.listen(port, address);
    await once(this.#server, "listening");
  }

  /** Takes no new connections; those that there are go on, as they do when kube-proxy forgets a Service. */
  [Symbol.dispose](): void {
    this.#server.close();
  }

  #forward(client: TcpSocket): void {
    const target = this.targets[this.#turn++ % this.targets.length];
    if (target === undefined) {
      client.destroy();
      return;
    }
    const server = connect({ host: target.address, port: target.port, allowHalfOpen: true });
    client.on("error", () => {}).once("close", () => server.destroy());
    server.on("error", () => {}).once("close", () => client.destroy());
    client.pipe(server).pipe(client);
  }
}

const idleMs: Millis = 30_000;
const maxFlows = 1_000;
const bufferBytes = 1 << 20; // For when this process waits for a processor.

interface Flow {
  readonly target: Target;
  readonly upstream: UdpSocket;
  expiry: Disposable;
}

/** Passes datagrams on; all of one client's go to one target until it has been silent for 30 s. */
export class UdpForwarder implements Disposable {
  readonly #clock: Clock;
  readonly #flows = new Map<string, Flow>(); // client's address and port -> its flow, the longest known first
  #targets: readonly Target[];
  #socket: UdpSocket | undefined;
  #turn = 0;

  constructor(targets: readonly Target[], clock: Clock) {
    this.#targets = targets;
    this.#clock = clock;
  }

  /** Clients of a target that is gone go to another one. */
  set targets(targets: readonly Target[]) {
    this.#targets = targets;
    for (const [client, { target }] of [...this.#flows])
      if (!targets.some(({ address, port }) => address === target.address && port === target.port)) this.#drop(client);
  }

  async listen({ address, port }: Target): Promise<void> {
    const socket = socketFor(address);
    this.#socket = socket;
    socket.on("message", (data, client) => this.#forward(data, client));
    socket.bind(port, address);
    await once(socket, "listening");
  }

  [Symbol.dispose](): void {
    this.#socket?.close();
    for (const client of [...this.#flows.keys()]) this.#drop(client);
  }

  #forward(data: Buffer, client: Target): void {
    const key = `${client.address} ${client.port}`;
    const flow = this.#flows.get(key) ?? this.#open(key, client);
    if (flow === undefined) return;
    flow.expiry[Symbol.dispose]();
    flow.expiry = this.#expiry(key);
    flow.upstream.send(data, flow.target.port, flow.target.address, () => {}); // UDP may lose any.
  }

  #open(key: string, client: Target): Flow | undefined {
    const target = this.#targets[this.#turn++ % this.#targets.length];
    if (target === undefined) return undefined;
    const [oldest] = this.#flows.keys();
    if (this.#flows.size >= maxFlows && oldest !== undefined) this.#drop(oldest);
    const upstream = socketFor(target.address);
    upstream.on("message", (data) => this.#socket?.send(data, client.port, client.address, () => {}));
    const flow = { target, upstream, expiry: this.#expiry(key) };
    this.#flows.set(key, flow);
    return flow;
  }

  #expiry(key: string): Disposable {
    return this.#clock.schedule("UDP flow is idle", this.#clock.now() + idleMs, () => this.#drop(key));
  }

  #drop(key: string): void {
    const flow = this.#flows.get(key);
    if (flow === undefined) return;
    this.#flows.delete(key);
    flow.expiry[Symbol.dispose]();
    flow.upstream.close();
  }
}

function socketFor(address: string): UdpSocket {
  return createSocket({ type: isIPv6(address) ? "udp6" : "udp4", recvBufferSize: bufferBytes });
}
