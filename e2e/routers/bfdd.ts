import { writeFileSync } from "node:fs";
import type { Host, Lab, LabProcess } from "#e2e/lab";
import { FrrPrograms } from "./frr-programs.ts";

/** A session of bfdd: what identifies it, as its `peer` command wants it, and its settings. */
export interface BfddPeer {
  /** `192.0.2.1 local-address 192.0.2.2 interface eth0` */
  readonly peer: string;
  /** `transmit-interval 50`, … */
  readonly settings?: readonly string[];
}

/** A session as bfdd reports it. */
export interface BfddStatus {
  readonly peer: string;
  readonly status: "up" | "down" | "init" | "shutdown";
  readonly diagnostic: string;
  readonly "remote-diagnostic": string;
  readonly "remote-transmit-interval": number;
  readonly "remote-receive-interval": number;
  readonly "remote-echo-receive-interval": number;
  readonly "echo-transmit-interval": number;
}

export interface BfddCounters {
  readonly peer: string;
  readonly "session-up": number;
  readonly "session-down": number;
  readonly "echo-packet-input": number;
}

/** FRR's bfdd, with the zebra that it needs, on a host of a lab; no bgpd. */
export class Bfdd implements AsyncDisposable {
  readonly process: LabProcess;
  readonly #zebra: LabProcess;
  readonly #programs: FrrPrograms;

  private constructor(programs: FrrPrograms, processes: { zebra: LabProcess; bfdd: LabProcess }) {
    this.#programs = programs;
    this.#zebra = processes.zebra;
    this.process = processes.bfdd;
  }

  static async start(lab: Lab, host: Host, peers: readonly BfddPeer[]): Promise<Bfdd> {
    const folder = `/run/bfdd-${host.name}`;
    const file = `${folder}/bfdd.conf`;
    const programs = new FrrPrograms({ lab, host }, folder);
    const text = ["log timestamp precision 6", "debug bfd peer", "debug bfd zebra"].join("\n");
    await programs.prepare(() => writeFileSync(lab.outside(file), `${text}\n`));
    const zebra = await programs.start("zebra", { logLevel: "debug" });
    const bfdd = await programs.start("bfdd", { file, logLevel: "debug" });
    const started = new Bfdd(programs, { zebra, bfdd });
    // A session on an interface that it does not know yet would never send anything; it learns of this one last.
    await bfdd.waitForLine(/add interface lo /);
    if (peers.length > 0) await started.configure(...peers);
    return started;
  }

  /** The answer to lines of FRR's command language. @throws {Error} with the answer to a line that fails */
  async command(...lines: readonly string[]): Promise<string> {
    return this.#programs.command("bfdd", ...lines);
  }

  /** Changes a session, or begins one. */
  async configure(...peers: readonly BfddPeer[]): Promise<void> {
    await this.command("configure terminal", "bfd", ...peers.flatMap(peerLines).map((line) => line.trim()));
  }

  async statuses(): Promise<readonly BfddStatus[]> {
    return JSON.parse(await this.command("show bfd peers json"));
  }

  async status(peer: string): Promise<BfddStatus | undefined> {
    return (await this.statuses()).find((each) => each.peer === peer);
  }

  async allCounters(): Promise<readonly BfddCounters[]> {
    return JSON.parse(await this.command("show bfd peers counters json"));
  }

  async counters(peer: string): Promise<BfddCounters | undefined> {
    return (await this.allCounters()).find((each) => each.peer === peer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
    await this.#zebra.stop();
  }
}

function peerLines({ peer, settings = [] }: BfddPeer): string[] {
  return [` peer ${peer}`, ...settings.map((setting) => `  ${setting}`)];
}
