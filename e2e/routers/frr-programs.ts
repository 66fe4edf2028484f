import { existsSync, mkdirSync, rmSync } from "node:fs";
import { type LabProcess, waitFor } from "#e2e/lab";
import { type DaemonHost, exchange } from "./daemon.ts";

// Keeps the daemons' files in /var/tmp to themselves.
export const ownVarTmp = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o mode=1777 tmpfs /var/tmp && exec "$@"', "sh"];

export type FrrProgram = "zebra" | "bgpd" | "bfdd" | "ospfd" | "ospf6d" | "isisd" | "ripd" | "babeld";

/** FRR's programs on a host of a lab, which share a folder there. Only root may run them: they change their user. */
export class FrrPrograms {
  readonly #place: DaemonHost;
  readonly #folder: string;

  /** @param folder in the lab's /run */
  constructor(place: DaemonHost, folder: string) {
    this.#place = place;
    this.#folder = folder;
  }

  /** Makes a new folder: the socket of a program that was killed looks like one that listens. */
  async prepare(write: () => void): Promise<void> {
    const { lab, host } = this.#place;
    rmSync(lab.outside(this.#folder), { recursive: true, force: true });
    mkdirSync(lab.outside(this.#folder), { recursive: true });
    write();
    await host.output(["chown", "-R", "frr:frr", this.#folder]);
  }

  /** Starts a program with a configuration file. Resolves when it answers: one that does not find zebra retries after seconds only. */
  async start(program: FrrProgram, { file = "/dev/null", flags = [], logLevel = "info" }: FrrStart = {}): Promise<LabProcess> {
    const { lab, host } = this.#place;
    const inside = (name: string): string => `${this.#folder}/${name}`;
    const common = ["-f", file, "-z", inside("zserv.api"), "--vty_socket", this.#folder, "-i", inside(`${program}.pid`)];
    const own = program === "bfdd" ? ["--bfdctl", inside("bfdd.sock")] : [];
    const log = ["--log", "stdout", "--log-level", logLevel];
    const argv = [`/usr/lib/frr/${program}`, ...common, ...own, ...flags, "-P", "0", ...log];
    const process = await host.spawn(`${program}-${host.name}`, [...ownVarTmp, ...argv]);
    const answers = async (): Promise<unknown> =>
      program === "zebra" ? existsSync(lab.outside(inside("zserv.api"))) : this.command(program, "show version");
    await waitFor(`${process.name} to answer`, async () => process.exit !== undefined || (await answers()) !== false);
    if (process.exit !== undefined) throw new Error(`${process.name} has ended: ${process.lines.slice(-10).join("\n")}`);
    return process;
  }

  /** Gives a file to all programs, as the service of the package does at its start. @throws {Error} with vtysh's message */
  async configure(file: string): Promise<void> {
    await this.#place.host.output([...ownVarTmp, "vtysh", "--vty_socket", this.#folder, "-f", file]);
  }

  /**
   * Runs lines of FRR's command language as vtysh does: lines end with NUL, answers with three NULs and a status.
   * @returns the answer to the last @throws {Error} with the answer to a line that fails
   */
  async command(program: FrrProgram, ...lines: readonly string[]): Promise<string> {
    const { lab, host } = this.#place;
    const left = ["enable", ...lines];
    let current = left.shift() ?? "";
    const received = await exchange(lab.outside(`${this.#folder}/${program}.vty`), {
      request: `${current}\0`,
      next: (end) => {
        if (end.length < 4 || end.readUIntBE(end.length - 4, 3) !== 0) return "incomplete";
        if (end.at(-1) !== 0 || left.length === 0) return "complete";
        current = left.shift() ?? "";
        return { send: `${current}\0` };
      },
    });
    const answer = received.subarray(0, -4).toString();
    const last = answer.slice(answer.lastIndexOf("\0") + 1);
    if (received.at(-1) !== 0) throw new Error(`Cannot run ${JSON.stringify(current)} in ${program} on ${host.name}: ${last}`);
    return last;
  }
}

interface FrrStart {
  readonly file?: string;
  readonly flags?: readonly string[];
  readonly logLevel?: "info" | "debug";
}
