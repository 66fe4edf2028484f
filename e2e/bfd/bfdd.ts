import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { type Host, type Lab, type LabProcess, waitFor } from "#e2e/lab";

// Keeps what the daemons leave in /var/tmp to themselves.
const ownVarTmp = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o mode=1777 tmpfs /var/tmp && exec "$@"', "sh"];

/** A session of bfdd: what identifies it, as its `peer` command wants it, and its settings. */
export interface BfddPeer {
  /** `192.0.2.1 local-address 192.0.2.2 interface eth0` */
  readonly peer: string;
  /** `transmit-interval 50`, … */
  readonly settings?: readonly string[];
}

/** What bfdd says of a session. */
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

/** FRR's bfdd, with the zebra that it needs, on a host of a lab. Only root may run it: it changes its user. */
export class Bfdd implements AsyncDisposable {
  readonly process: LabProcess;
  readonly #zebra: LabProcess;
  readonly #host: Host;
  readonly #folder: string;

  private constructor(host: Host, folder: string, processes: { zebra: LabProcess; bfdd: LabProcess }) {
    this.#host = host;
    this.#folder = folder;
    this.#zebra = processes.zebra;
    this.process = processes.bfdd;
  }

  static async start(lab: Lab, host: Host, peers: readonly BfddPeer[]): Promise<Bfdd> {
    const folder = `/run/bfdd-${host.name}`;
    rmSync(lab.outside(folder), { recursive: true, force: true }); // What one that was killed left behind looks like one that listens.
    mkdirSync(lab.outside(folder), { recursive: true });
    const text = ["log timestamp precision 6", "debug bfd peer", "debug bfd zebra"].join("\n");
    writeFileSync(lab.outside(`${folder}/bfdd.conf`), `${text}\n`);
    await host.output(["chown", "-R", "frr:frr", folder]);
    const spawn = (program: string, ...flags: readonly string[]) => {
      const common = ["-z", `${folder}/zserv.api`, "--vty_socket", folder, "-i", `${folder}/${program}.pid`, "-P", "0"];
      const argv = [`/usr/lib/frr/${program}`, ...common, ...flags, "--log", "stdout", "--log-level", "debug"];
      return host.spawn(`${program}-${host.name}`, [...ownVarTmp, ...argv]);
    };
    const zebra = await spawn("zebra", "-f", "/dev/null");
    await waitFor(`zebra on ${host.name}`, () => existsSync(lab.outside(`${folder}/zserv.api`)));
    const bfdd = await spawn("bfdd", "-f", `${folder}/bfdd.conf`, "--bfdctl", `${folder}/bfdd.sock`);
    const started = new Bfdd(host, folder, { zebra, bfdd });
    // A session on an interface that it does not know yet would never send anything; it learns of this one last.
    await bfdd.waitForLine(/add interface lo /);
    if (peers.length > 0) await started.configure(...peers);
    return started;
  }

  /** The answer to lines of FRR's command language. @throws {CommandError} when the shell fails */
  async command(...lines: readonly string[]): Promise<string> {
    const flags = lines.flatMap((line) => ["-c", line]);
    return this.#host.output(["vtysh", "--vty_socket", this.#folder, "-d", "bfdd", ...flags]);
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
