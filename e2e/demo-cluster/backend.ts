import { type Host, type LabProcess, programFile } from "#e2e/lab";

export interface BackendOptions {
  readonly name: string;
  readonly host: Host;
  readonly node: string;
  /** One of each family. */
  readonly addresses: readonly string[];
  readonly port: number;
}

/** A Pod with a web and UDP server, on addresses of its own that only its node has: others reach them by the node's routes. */
export class Backend {
  readonly name: string;
  readonly node: string;
  readonly addresses: readonly string[];
  readonly process: LabProcess;

  private constructor({ name, node, addresses }: BackendOptions, process: LabProcess) {
    this.name = name;
    this.node = node;
    this.addresses = addresses;
    this.process = process;
  }

  /** Resolves when it serves. */
  static async start(options: BackendOptions): Promise<Backend> {
    const { name, host, node, addresses, port } = options;
    await host.ip(...addresses.map((address) => `addr replace ${address}/${address.includes(":") ? 128 : 32} dev lo`));
    const listen = addresses.flatMap((address) => ["--address", address]);
    const own = ["--name", name, "--node", node, "--port", String(port)];
    const process = await host.spawn(name, ["node", programFile("pod-process"), ...own, ...listen]);
    await process.waitForLine(/^serving$/);
    return new Backend(options, process);
  }

  get ready(): boolean {
    return this.process.exit === undefined;
  }
}
