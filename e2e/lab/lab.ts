import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { NamespaceHolder } from "./holder.ts";
import { Host, type HostOptions } from "./host.ts";
import { CommandError, type LabNamespaces, LabProcess, type RunOptions, result, type SpawnOptions } from "./process.ts";
import { LabRefused } from "./refusal.ts";
import { Switch, type SwitchNamespace } from "./switch.ts";

export interface LabOptions {
  /** Folder, made if absent, in which each process adds what it prints to `NAME.log`. */
  readonly logs?: string;
}

/** A network of its own, until it is disposed or this process ends. */
export class Lab implements AsyncDisposable {
  readonly #holder: NamespaceHolder;
  readonly #logs: string | undefined;
  readonly #namespaces: LabNamespaces;
  #last = 0;

  private constructor(holder: NamespaceHolder, logs: string | undefined) {
    this.#holder = holder;
    this.#logs = logs;
    this.#namespaces = {
      run: (netns, argv, options) => this.#run(netns, argv, options),
      spawn: (netns, name, argv, options) => this.#spawn(netns, name, argv, options),
      ip: (netns, lines) => this.#ip(netns, lines),
      nsenter: (netns) => holder.nsenter(netns).join(" "),
      outside: (file) => holder.outside(file),
      number: () => ++this.#last,
    };
  }

  /** @throws {LabRefused} when this user may not make one here, saying why and what to do */
  static async start({ logs }: LabOptions = {}): Promise<Lab> {
    if (logs !== undefined) mkdirSync(logs, { recursive: true });
    return new Lab(await NamespaceHolder.start(), logs);
  }

  /** Why this user may not make labs here and what to do, false where they may: what a test gives as its reason to be skipped. */
  static async refusal(): Promise<string | false> {
    try {
      await using _ = await NamespaceHolder.start();
      return false;
    } catch (error) {
      if (error instanceof LabRefused) return error.message;
      throw error;
    }
  }

  /** Process 1 of the lab, as a number in our own PID namespace. */
  get pid(): number {
    return this.#holder.pid;
  }

  /** An Ethernet switch that floods multicast and blocks nothing. */
  async switch(name: string): Promise<Switch> {
    const namespace: SwitchNamespace = {
      ip: (lines) => this.#ip(undefined, lines),
      cable: async (cable, argv) => {
        const process = await this.#spawn(undefined, cable, ["node", ...argv]);
        await process.waitForLine(/^connected$/);
        return process;
      },
      number: () => this.#namespaces.number(),
    };
    const lan = new Switch(namespace, checked(name));
    await lan.start();
    return lan;
  }

  /** A computer with a loopback interface and no other yet; a router when it forwards. */
  async host(name: string, options: HostOptions = {}): Promise<Host> {
    const host = new Host(this.#namespaces, checked(name), options);
    await host.start();
    return host;
  }

  /** The name from outside of a file that is in /run inside the lab; the file is gone with the lab. */
  outside(file: string): string {
    return this.#holder.outside(file);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#holder[Symbol.asyncDispose]();
  }

  async #run(netns: string | undefined, argv: readonly string[], options: RunOptions = {}): ReturnType<typeof result> {
    const { env, cwd, input } = options;
    const child = this.#holder.command(netns, { argv, env, cwd, stdin: input === undefined ? "ignore" : "pipe" });
    const done = await result(argv.join(" "), child, options);
    // nsenter and env print an error before the command begins.
    const refused = done.code !== 127 && /^(?:nsenter|env): .*/.exec(done.stderr)?.[0];
    if (refused) throw new Error(`Cannot run ${argv.join(" ")} in ${netns ?? "the lab"}: ${refused}`);
    return done;
  }

  async #spawn(
    netns: string | undefined,
    name: string,
    argv: readonly string[],
    { env, cwd }: SpawnOptions = {},
  ): Promise<LabProcess> {
    const inside = await this.#holder.enter(netns, { argv, env, cwd, stdin: "ignore" });
    return new LabProcess(name, inside, this.#logs === undefined ? undefined : join(this.#logs, `${name}.log`));
  }

  async #ip(netns: string | undefined, lines: readonly string[]): Promise<void> {
    const done = await this.#run(netns, ["ip", "-batch", "-"], { input: lines.map((line) => `${line}\n`).join("") });
    if (done.code !== 0) throw new CommandError(`ip on ${netns ?? "the switches"} (${lines.join("; ")})`, done);
  }
}

/** Names become names of interfaces and files. @throws {RangeError} */
function checked(name: string): string {
  if (!/^[a-z][a-z0-9-]{0,14}$/.test(name))
    throw new RangeError(`Cannot name a host or switch ${name}: wanted up to 15 of a-z, 0-9 and -, a letter first`);
  return name;
}
