import { once } from "node:events";
import { request } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { programFile } from "./programs.ts";

/** A port on our own 127.0.0.1 that leads into the lab, until it is disposed. */
export interface Published extends AsyncDisposable {
  readonly port: number;
}

/** Makes TCP connections from a host, through a process there. */
export class Relay {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** @param path of its Unix socket, as it is called where the process runs and here @param launch starts the process; resolves when it listens */
  static async start(
    path: { readonly inside: string; readonly outside: string },
    launch: (argv: readonly string[]) => Promise<void>,
  ): Promise<Relay> {
    await launch([programFile("relay-process"), path.inside]);
    return new Relay(path.outside);
  }

  connect(address: string, port: number): Promise<Socket> {
    return connectThrough(this.#path, address, port);
  }

  /** HTTP GET over a connection of its own. @throws {Error} when connecting fails or `timeout` milliseconds pass */
  async get(url: string, timeout: number): Promise<HttpAnswer> {
    const { hostname, port } = new URL(url);
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    const late = new AbortController();
    const timer = setTimeout(() => {
      reject(new Error(`Cannot get ${url}: no answer within ${timeout} ms`));
      late.abort();
    }, timeout);
    const send = (socket: Socket): void => {
      if (late.signal.aborted) {
        socket.destroy();
        return;
      }
      request(url, { createConnection: () => socket, signal: late.signal })
        .on("response", (response) => {
          text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
        })
        .on("error", reject)
        .end();
    };
    this.connect(hostname.replace(/^\[|\]$/g, ""), Number(port || 80)).then(send, reject);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async publish(address: string, port: number): Promise<Published> {
    const open = new Set<Socket>();
    const server = createServer({ allowHalfOpen: true }, async (client) => {
      open.add(client);
      client.on("error", () => {}).once("close", () => open.delete(client));
      try {
        const remote = await this.connect(address, port);
        client.once("close", () => remote.destroy());
        remote.on("error", () => {}).once("close", () => client.destroy());
        client.pipe(remote).pipe(client);
      } catch {
        client.destroy(); // The nearest to "refused" that an accepted connection can get.
      }
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return {
      port: (server.address() as AddressInfo).port,
      async [Symbol.asyncDispose]() {
        for (const client of open) client.destroy();
        server.close();
        await once(server, "close");
      },
    };
  }
}

/**
 * Connects as from the host of that name, by the relay that it has once anything was asked of it. For processes in the lab: these know it
 * by its file in `/run`. @throws {Error} with the `code` that connecting failed with
 */
export function connectByRelay(folder: string, host: string, address: string, port: number): Promise<Socket> {
  return connectThrough(relayPath(folder, host), address, port);
}

/** Path of the relay on the host of that name. */
export function relayPath(folder: string, host: string): string {
  return `${folder}/relay-${host}`;
}

async function connectThrough(path: string, address: string, port: number): Promise<Socket> {
  const socket = connect({ path, allowHalfOpen: true });
  socket.write(`${JSON.stringify({ address, port })}\n`);
  try {
    const { code, message } = JSON.parse(await firstLine(socket));
    if (message !== undefined) throw Object.assign(new Error(message), { code });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Reads up to the first newline, and leaves what follows it in the socket. */
async function firstLine(socket: Socket): Promise<string> {
  let line = "";
  for (;;) {
    const byte = socket.read(1);
    if (byte === null) {
      if (socket.readableEnded || socket.destroyed) throw new Error("Cannot connect: the lab's relay is gone");
      await Promise.race([once(socket, "readable"), once(socket, "close")]);
    } else if (byte[0] === 10) return line;
    else line += byte;
  }
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}
