import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { constants } from "node:os";
import { type Exit, type Host, type Lab, type LabProcess, waitFor } from "#e2e/lab";
import type { RouterConfiguration } from "./configuration.ts";
import { type KernelRoute, kernelRoute } from "./kernel-routes.ts";
import type { NeighborStatus, Route, Router, RouterKind } from "./router.ts";

/** Where a daemon runs. */
export interface DaemonHost {
  readonly lab: Lab;
  readonly host: Host;
}

/** The common part of all routers: processes of one host, and a folder in the lab's /run. */
export abstract class Daemon implements Router {
  abstract readonly kind: RouterKind;
  readonly #place: DaemonHost;
  #configuration: RouterConfiguration;
  #processes: readonly LabProcess[] = [];

  constructor(place: DaemonHost, configuration: RouterConfiguration) {
    this.#place = place;
    this.#configuration = configuration;
  }

  abstract routes(): Promise<readonly Route[]>;
  abstract neighbors(): Promise<readonly NeighborStatus[]>;
  abstract shut(address: string, text?: string): Promise<void>;
  abstract unshut(address: string): Promise<void>;
  abstract clear(address: string): Promise<void>;
  abstract refresh(address: string): Promise<void>;

  /** Writes files and starts processes, the one that speaks BGP last. Resolves when it answers commands. */
  protected abstract launch(configuration: RouterConfiguration): Promise<readonly LabProcess[]>;
  /** Makes the running daemon go over from one configuration to the other. */
  protected abstract apply(after: RouterConfiguration, before: RouterConfiguration): Promise<void>;

  async start(): Promise<void> {
    if (this.#processes.some(({ exit }) => exit === undefined)) throw new Error(`Cannot start ${this.name}: it is running`);
    mkdirSync(this.outside(""), { recursive: true });
    this.#processes = await this.launch(this.#configuration);
  }

  async reload(configuration: RouterConfiguration): Promise<void> {
    await this.apply(configuration, this.#configuration);
    this.#configuration = configuration;
  }

  async kernelRoute(prefix: string): Promise<KernelRoute | undefined> {
    return kernelRoute(this.host, prefix);
  }

  get process(): LabProcess {
    const last = this.#processes.at(-1);
    if (last === undefined) throw new Error(`Cannot give the process of ${this.name}: it has not been started`);
    return last;
  }

  freeze(): void {
    this.#signal("SIGSTOP");
  }

  thaw(): void {
    this.#signal("SIGCONT");
  }

  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<Exit> {
    for (const each of this.#processes) signalGroup(each, signal === "SIGKILL" ? signal : "SIGCONT");
    // The one that speaks BGP first: it closes its sessions while the others still run.
    for (const each of this.#processes.toReversed()) await each.stop();
    return this.process.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#processes.length > 0) await this.stop();
  }

  /** Waits until a process answers. @throws {Error} with its output, if it ends instead */
  protected async answering(process: LabProcess, ask: () => Promise<unknown>): Promise<void> {
    await waitFor(`${process.name} to answer`, async () => process.exit !== undefined || (await ask()) !== false);
    if (process.exit !== undefined) throw new Error(`${process.name} has ended: ${process.lines.slice(-10).join("\n")}`);
  }

  protected get name(): string {
    return `${this.kind}-${this.host.name}`;
  }

  protected get place(): DaemonHost {
    return this.#place;
  }

  protected get host(): Host {
    return this.#place.host;
  }

  protected get configuration(): RouterConfiguration {
    return this.#configuration;
  }

  /** The name inside the lab of a file of this router. */
  protected inside(file: string): string {
    return `/run/${this.name}/${file}`;
  }

  protected outside(file: string): string {
    return this.#place.lab.outside(this.inside(file));
  }

  protected write(file: string, text: string): string {
    writeFileSync(this.outside(file), text, { mode: 0o644 });
    return this.inside(file);
  }

  /** The neighbor's address as the configuration has it: daemons may leave the interface out. */
  protected configured(ip: string): string {
    return this.#configuration.neighbors.find(({ address }) => address.split("%")[0] === ip)?.address ?? ip;
  }

  #signal(name: "SIGSTOP" | "SIGCONT"): void {
    signalGroup(this.process, name);
  }
}

/** A process of a lab leads a group, which some daemons fill with more. */
function signalGroup({ pid, exit }: LabProcess, name: NodeJS.Signals): void {
  if (exit === undefined) process.kill(-pid, constants.signals[name]);
}

export interface Exchange {
  /** Sent as soon as connected. */
  readonly request: string;
  /** Looks at the end of the received text: whether the answer is complete, or the next text to send. */
  readonly next: (received: Buffer) => "complete" | "incomplete" | { readonly send: string };
}

const timeoutMs = 5_000;

/** Talks to a daemon over its Unix socket. @throws {Error} when it refuses, hangs up before it is done, or takes 5 s */
export async function exchange(path: string, { request, next }: Exchange): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  let received = Buffer.alloc(0);
  const chunks: Buffer[] = [];
  const socket = connect({ path });
  const fail = (why: string): void => reject(new Error(`Cannot ask ${JSON.stringify(request)} at ${path}: ${why}`));
  socket.setTimeout(timeoutMs, () => fail(`no answer within ${timeoutMs} ms`));
  socket.on("error", ({ message }) => fail(message));
  socket.on("close", () => fail("the connection was closed"));
  socket.on("data", (chunk) => {
    chunks.push(chunk);
    received = Buffer.concat([received.subarray(-tailBytes), chunk]);
    const what = next(received);
    if (what === "complete") resolve(Buffer.concat(chunks));
    else if (what !== "incomplete") socket.write(what.send);
  });
  socket.write(request);
  try {
    return await promise;
  } finally {
    socket.destroy();
  }
}

const tailBytes = 256; // Enough for the end of an answer in every protocol here; whole answers may have megabytes.
