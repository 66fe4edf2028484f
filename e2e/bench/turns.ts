import { fileURLToPath } from "node:url";
import { type LabProcess, waitFor } from "#e2e/lab";

/** To be given to Node, so that a process prints how long its turns are. */
export const probeFlag = `--import=${fileURLToPath(new URL("./turn-probe.ts", import.meta.url))}`;

/** The longest turns of a thread in a time, in milliseconds: by the clock, and the thread's own part of it. */
export interface LongestTurn {
  readonly wall: number;
  readonly cpu: number;
  /** By the clock: in which V8 collected garbage. */
  readonly collecting: number;
}

export const nothing: LongestTurn = { wall: 0, cpu: 0, collecting: 0 };

/** The longest turns of the main thread of processes with the probe, while something goes on, and three seconds more. */
export async function longestTurns(processes: readonly LabProcess[], act: () => Promise<void>): Promise<LongestTurn[]> {
  const readers = processes.map((process) => new ProbeReader(process));
  await Promise.all(readers.map((reader) => reader.wait(1)));
  for (const reader of readers) reader.forget();
  // A process's output keeps only its last lines.
  const reading = setInterval(() => {
    for (const reader of readers) reader.read();
  }, 250);
  try {
    await act();
    await Promise.all(readers.map((reader) => reader.wait(3)));
  } finally {
    clearInterval(reading);
  }
  return readers.map(({ longest }) => longest);
}

/** Reads what the probe prints once a second, or when the thread is free again. */
class ProbeReader {
  readonly #process: LabProcess;
  #number = 0; // Number of the last line that was read.
  longest: LongestTurn = nothing;

  constructor(process: LabProcess) {
    this.#process = process;
  }

  forget(): void {
    this.read();
    this.longest = nothing;
  }

  read(): void {
    for (const line of this.#process.lines) {
      const printed = /^longest turn ([\d.]+) ms, ([\d.]+) ms of it, ([\d.]+) ms in collections, (\d+)$/.exec(line);
      if (printed === null) continue;
      const [wall = 0, cpu = 0, collecting = 0, number = 0] = printed.slice(1).map(Number);
      if (number <= this.#number) continue;
      this.#number = number;
      if (cpu > this.longest.cpu) this.longest = { wall, cpu, collecting };
    }
  }

  /** Waits until the probe has printed this many more lines. */
  async wait(count: number): Promise<void> {
    this.read();
    const until = this.#number + count;
    const isDone = () => {
      this.read();
      return this.#number >= until;
    };
    await waitFor("the main thread to be free", isDone, { timeout: 120_000 });
  }
}
