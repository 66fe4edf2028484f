import { writeFileSync } from "node:fs";
import { type Host, type Lab, type LabProcess, waitFor } from "#e2e/lab";

/** BIRD with nothing but BFD, on a host of a lab. */
export class BirdBfd implements AsyncDisposable {
  readonly process: LabProcess;
  readonly #host: Host;
  readonly #socket: string;

  private constructor(host: Host, process: LabProcess, socket: string) {
    this.#host = host;
    this.process = process;
    this.#socket = socket;
  }

  /** `lines` stand inside `protocol bfd`. */
  static async start(lab: Lab, host: Host, ...lines: readonly string[]): Promise<BirdBfd> {
    const [file, socket] = [`/run/bird-${host.name}.conf`, `/run/bird-${host.name}.ctl`];
    const own = ["log stderr all;", "router id 192.0.2.255;", "protocol device { scan time 1; }"];
    writeFileSync(lab.outside(file), [...own, "protocol bfd {", ...lines, "}", ""].join("\n"));
    const argv = ["bird", "-f", "-c", file, "-s", socket, "-P", `/run/bird-${host.name}.pid`];
    const bird = new BirdBfd(host, await host.spawn(`bird-${host.name}`, argv), socket);
    await waitFor(`BIRD on ${host.name} (${bird.process.lines.join("; ")})`, () => bird.command("show status"));
    return bird;
  }

  async command(line: string): Promise<string> {
    return this.#host.output(["birdc", "-s", this.#socket, line]);
  }

  /** Up, Down, Init, … */
  async state(peer: string): Promise<string | undefined> {
    const line = (await this.command("show bfd sessions")).split("\n").find((each) => each.startsWith(`${peer} `));
    return line?.split(/\s+/)[2];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
  }
}
