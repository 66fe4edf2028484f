import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { badRequest } from "./api-error.ts";
import { asText, at } from "./json.ts";
import type { KubeObject } from "./objects.ts";

/** Connects to a port on the loopback interface of a Pod, as its kubelet does. @throws {Error} when nobody listens there */
export type Dial = (pod: KubeObject, port: number) => Promise<Duplex>;

/** The protocol of streams in a WebSocket that a client for port forwarding offers; the server does not speak kubectl's SPDY. */
const protocol = "v4.channel.k8s.io";
const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => protocol, perMessageDeflate: false });

/** The ports that a request asks for. @throws {ApiError} 400 */
export function requestedPorts({ headers }: IncomingMessage, query: URLSearchParams): number[] {
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim());
  if (!offered.includes(protocol)) throw badRequest(`unable to upgrade: the only protocol here is ${protocol}`);
  const ports = query.getAll("ports").flatMap((list) => list.split(",").map(Number));
  if (ports.length === 0) throw badRequest("query parameter `ports` is required");
  if (ports.some((port) => !Number.isInteger(port) || port < 1 || port > 65535)) throw badRequest("ports must be 1-65535");
  return ports;
}

/** @throws {ApiError} 400 for a Pod that no kubelet has */
export function checkRuns(pod: KubeObject): void {
  const { name } = pod.metadata;
  if (asText(at(pod, "spec", "nodeName")) === "") throw badRequest(`pod ${name} does not have a host assigned`);
}

/**
 * Joins the streams of a WebSocket to ports of a Pod. For each port, by its place, there are two channels: 2n has the data, 2n+1
 * the reason of the end. The first message on either is the port, the lower octet first.
 */
export function forwardPorts(upgrade: Upgrade, ports: readonly number[], dial: (port: number) => Promise<Duplex>): void {
  const { request, socket, head } = upgrade;
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.on("error", () => client.terminate());
    for (const [place, port] of ports.entries()) void forward(client, place, port, dial);
  });
}

/** What Node tells of a request to speak another protocol. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  /** Octets that the client has sent already. */
  readonly head: Buffer;
}

async function forward(client: WebSocket, place: number, port: number, dial: (port: number) => Promise<Duplex>): Promise<void> {
  const [data, errors] = [2 * place, 2 * place + 1];
  for (const channel of [data, errors]) client.send(Buffer.from([channel, port & 0xff, port >> 8]));
  const early: Buffer[] = []; // Octets that came before there was a connection.
  let remote: Duplex | undefined;
  client.on("message", (message: Buffer) => {
    if (message[0] !== data) return;
    if (remote === undefined) early.push(message.subarray(1));
    else remote.write(message.subarray(1));
  });
  try {
    remote = await dial(port);
  } catch (error) {
    client.send(
      Buffer.concat([Buffer.from([errors]), Buffer.from(`an error occurred forwarding ${port}: ${(error as Error).message}`)]),
    );
    client.close();
    return;
  }
  client.on("close", () => remote.destroy());
  remote.on("data", (chunk: Buffer) => client.send(Buffer.concat([Buffer.from([data]), chunk])));
  // A kubelet closes all when the process has: also where the connection could still be written to.
  for (const end of ["error", "end", "close"]) remote.on(end, () => client.close());
  for (const chunk of early) remote.write(chunk);
}
