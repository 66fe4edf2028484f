import { existsSync } from "node:fs";
import type { LabProcess } from "#e2e/lab";
import { type RouterConfiguration, scoped } from "./configuration.ts";
import { exchange } from "./control-socket.ts";
import { Daemon } from "./daemon.ts";
import { frrConfiguration, frrNeighbour } from "./frr-configuration.ts";
import { parseFrrNeighbours, parseFrrRoutes } from "./frr-output.ts";
import type { NeighbourStatus, Route } from "./router.ts";

// Keeps what the daemons leave in /var/tmp to themselves.
const ownVarTmp = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o mode=1777 tmpfs /var/tmp && exec "$@"', "sh"];

type Program = "zebra" | "bgpd" | "bfdd";

/** FRR: bgpd, zebra, which gives its routes to the kernel, and where a neighbour asks for it bfdd. */
export class Frr extends Daemon {
  readonly kind = "frr";

  async routes(): Promise<readonly Route[]> {
    const [v4, v6] = [
      await this.command("show bgp ipv4 unicast json detail"),
      await this.command("show bgp ipv6 unicast json detail"),
    ];
    return [v4, v6].flatMap(parseFrrRoutes).map((route) => ({ ...route, from: this.configured(route.from) }));
  }

  async neighbours(): Promise<readonly NeighbourStatus[]> {
    const neighbours = parseFrrNeighbours(await this.command("show bgp neighbors json"));
    return neighbours.map((status) => ({ ...status, address: this.configured(status.address) }));
  }

  async shut(address: string): Promise<void> {
    await this.#configure([`neighbor ${scoped(address).ip} shutdown`]);
  }

  async unshut(address: string): Promise<void> {
    await this.#configure([`no neighbor ${scoped(address).ip} shutdown`]);
  }

  async clear(address: string): Promise<void> {
    await this.command(`clear bgp ${scoped(address).ip}`);
  }

  async refresh(address: string): Promise<void> {
    await this.command(`clear bgp ${scoped(address).ip} soft in`);
  }

  /** What bgpd answers to lines of its command language, the answer to the last. @throws {Error} with what it says against one */
  async command(...lines: readonly string[]): Promise<string> {
    return this.#tell("bgpd", lines);
  }

  protected async launch(configuration: RouterConfiguration): Promise<readonly LabProcess[]> {
    const file = this.write("bgpd.conf", frrConfiguration(configuration));
    await this.host.output(["chown", "-R", "frr:frr", this.inside("")]);
    const programs: Program[] = configuration.neighbours.some(({ bfd }) => bfd !== undefined)
      ? ["zebra", "bfdd", "bgpd"]
      : ["zebra", "bgpd"];
    const processes: LabProcess[] = [];
    for (const program of programs) {
      const process = await this.#spawn(program, program === "bgpd" ? file : "/dev/null");
      processes.push(process);
      // One that does not find zebra asks again after seconds only.
      const ask = async () =>
        program === "zebra" ? existsSync(this.outside("zserv.api")) : this.#tell(program, ["show version"]);
      await this.answering(process, ask);
    }
    return processes;
  }

  protected async apply(after: RouterConfiguration, before: RouterConfiguration): Promise<void> {
    const lines = (configuration: RouterConfiguration) =>
      new Map(configuration.neighbours.map((neighbour) => [scoped(neighbour.address).ip, frrNeighbour(neighbour).join("\n")]));
    const [now, then] = [lines(after), lines(before)];
    const gone = [...then].filter(([ip, text]) => now.get(ip) !== text).map(([ip]) => `no neighbor ${ip}`);
    const added = [...now].filter(([ip, text]) => then.get(ip) !== text).flatMap(([, text]) => text.split("\n"));
    await this.#configure([...gone, ...added]);
  }

  async #configure(lines: readonly string[]): Promise<void> {
    const inside = lines.map((line) => line.trim());
    await this.command("configure terminal", `router bgp ${this.configuration.asn}`, ...inside);
  }

  async #spawn(program: Program, file: string): Promise<LabProcess> {
    const flags = [
      "-f",
      file,
      "-z",
      this.inside("zserv.api"),
      "--vty_socket",
      this.inside(""),
      "-i",
      this.inside(`${program}.pid`),
    ];
    const noKernel = this.configuration.kernel === false ? ["--no_kernel"] : [];
    const more = { zebra: [], bfdd: ["--bfdctl", this.inside("bfdd.sock")], bgpd: noKernel }[program];
    const argv = [`/usr/lib/frr/${program}`, ...flags, ...more, "-P", "0", "--log", "stdout", "--log-level", "info"];
    return this.host.spawn(`${program}-${this.host.name}`, [...ownVarTmp, ...argv]);
  }

  /** As vtysh does: lines that end with NUL, answers that end with three NULs and a status. */
  async #tell(program: Program, lines: readonly string[]): Promise<string> {
    const left = ["enable", ...lines];
    let current = left.shift() ?? "";
    const received = await exchange(this.outside(`${program}.vty`), {
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
    if (received.at(-1) !== 0) throw new Error(`Cannot run ${JSON.stringify(current)} in ${program} of ${this.name}: ${last}`);
    return last;
  }
}
