import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
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

  #forward(client: Socket): void {
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
