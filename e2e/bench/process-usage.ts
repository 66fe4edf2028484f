import { readdirSync, readFileSync } from "node:fs";

/** What a process uses of the machine. */
export class ProcessUsage {
  readonly #pid: number;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Of all its threads so far. */
  get cpuSeconds(): number {
    const threads = readdirSync(`/proc/${this.#pid}/task`);
    const spent = threads.map((thread) => Number(this.#read(`task/${thread}/schedstat`).split(" ")[0]));
    return spent.reduce((sum, nanoseconds) => sum + nanoseconds, 0) / 1e9;
  }

  /** Resident memory now, and the most it ever was. */
  get megabytes(): { readonly now: number; readonly peak: number } {
    const status = this.#read("status");
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024;
    return { now: field("VmRSS"), peak: field("VmHWM") };
  }

  #read(file: string): string {
    return readFileSync(`/proc/${this.#pid}/${file}`, "utf8");
  }
}
