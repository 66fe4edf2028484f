import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { asPod } from "#e2e/demo-cluster";
import { waitFor } from "#e2e/lab";
import type { MemberlistCounters } from "#pkg/memberlist";
import { type GoVersion, goPeer } from "./go-peer.ts";
import type { RingLine, RingMember } from "./ring-line.ts";

/** The program: one of HashiCorp's library at that version, or ours. All take the same flags and commands. */
export type ProgramKind = GoVersion | "ingot";

export interface RingProcessOptions {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Hex; when unset, no encryption of HashiCorp's, and always the same key of ours. */
  readonly key?: string;
  /** Text. */
  readonly meta?: string;
  readonly label?: string;
  /** Further flags; our own program has some that the others lack. */
  readonly flags?: readonly string[];
}

/** A node of a ring in a process of its own. It ends when this process does. */
export class RingProcess implements AsyncDisposable {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** Its metadata at the start. */
  readonly meta: string;
  /** Its output, oldest first. */
  readonly lines: RingLine[] = [];
  /** Its standard error: its log. */
  readonly log: string[] = [];
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  private constructor(child: ChildProcess, { name, address, port, meta }: RingProcessOptions) {
    this.name = name;
    this.meta = meta ?? "";
    this.address = address;
    this.port = port;
    this.#child = child;
    this.#closed = once(child, "close");
    const { stdin, stdout, stderr } = child;
    if (stdin === null || stdout === null || stderr === null) throw new Error(`Cannot start ${name}: no pipes`);
    stdin.on("error", () => {}); // It may have been killed.
    createInterface({ input: stdout }).on("line", (line) => this.lines.push(JSON.parse(line) as RingLine));
    createInterface({ input: stderr }).on("line", (line) => this.log.push(line));
  }

  /** Waits until it is bound. @throws {Error} with its log, when it cannot start */
  static async start(kind: ProgramKind, options: RingProcessOptions): Promise<RingProcess> {
    const { name, address, port, key, meta, label, flags } = options;
    const [program = "", ...first] =
      kind === "ingot"
        ? asPod("speaker", [process.execPath, join(import.meta.dirname, "node-process.ts")])
        : [await goPeer(kind)];
    const values = Object.entries({ name, address, port, key, meta, label }).filter(([, value]) => value !== undefined);
    const argv = [...first, ...values.map(([flag, value]) => `--${flag}=${value}`), ...(flags ?? [])];
    const child = spawn(program, argv, { stdio: ["pipe", "pipe", "pipe"] });
    const ring = new RingProcess(child, options);
    // Long enough for many at once on a busy machine.
    await waitFor(`${name} to start`, () => ring.has("ready") || child.exitCode !== null || child.signalCode !== null, {
      timeout: 60_000,
    });
    if (ring.has("ready")) return ring;
    await ring.#closed; // Then all of its log is there.
    throw new Error(`Cannot start ${kind} node ${name}: ${ring.log.join("\n")}`);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Whether it printed this event, of the node named `about` where that is given. */
  has(event: string, about?: string): boolean {
    return this.#find(event, about, 0) !== undefined;
  }

  /** The first line of this event (of the node named `about`) at or after line `from`, waiting for it. */
  async line(event: string, { about, from = 0, timeout = 120_000 }: LineOptions = {}): Promise<RingLine> {
    const what = `${this.name} to print ${event}${about === undefined ? "" : ` of ${about}`}`;
    return waitFor(what, () => this.#find(event, about, from), { timeout });
  }

  #find(event: string, about: string | undefined, from: number): RingLine | undefined {
    return this.lines.slice(from).find((line) => line.event === event && (about === undefined || line.member?.name === about));
  }

  /** Sends a command and waits for the line that answers it. */
  async request(command: string, answer: string, timeout = 120_000): Promise<RingLine> {
    const from = this.lines.length;
    this.#child.stdin?.write(`${command}\n`);
    return this.line(answer, { from, timeout });
  }

  /** Alive and suspect nodes as it sees them, sorted by name. */
  async members(): Promise<readonly RingMember[]> {
    const { members = [] } = await this.request("members", "members");
    return members.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Only our own program has them. */
  async counters(): Promise<MemberlistCounters> {
    const { counters } = await this.request("counters", "counters");
    if (counters === undefined) throw new Error(`Cannot count: ${this.name} printed nothing`);
    return counters;
  }

  /** @throws {Error} when nobody could be joined */
  async join(other: { readonly address: string; readonly port: number }): Promise<void> {
    const { joined, error } = await this.request(`join ${other.address}:${other.port}`, "joined");
    if (joined !== 1) throw new Error(`Cannot join ${other.address}: ${error}`);
  }

  /** Ends it at once, as a crash would, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

interface LineOptions {
  readonly about?: string;
  readonly from?: number;
  readonly timeout?: number;
}

/** Loopback addresses for the nodes of one ring, 127.x.y.1 to .254, by chance such that rings of several runs do not meet. */
export function ringAddresses(): (node: number) => string {
  const net = `127.${randomInt(1, 256)}.${randomInt(256)}`;
  return (node) => `${net}.${node}`;
}
