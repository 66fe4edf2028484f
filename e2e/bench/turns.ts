import { fileURLToPath } from "node:url";
import { type LabProcess, waitFor } from "#e2e/lab";

/** To be given to Node, so that a process prints how long its turns are. */
export const probeFlag = `--import=${fileURLToPath(new URL("./turn-probe.ts", import.meta.url))}`;

/** The longest turns of a thread in a time, in milliseconds: by the clock, and what the thread itself used of it. */
export interface LongestTurn {
  readonly wall: number;
  readonly cpu: number;
}

/** The longest turns of the main thread of processes with the probe, while something goes on, and three seconds more. */
export async function longestTurns(processes: readonly LabProcess[], act: () => Promise<void>): Promise<LongestTurn[]> {
  await Promise.all(processes.map((process) => printed(process, 1)));
  const from = processes.map(({ lines }) => lines.length);
  await act();
  await Promise.all(processes.map((process) => printed(process, 3)));
  return processes.map(({ lines }, index) => longest(lines.slice(from[index])));
}

function longest(lines: readonly string[]): LongestTurn {
  const turns = lines.flatMap((line) => {
    const [, wall, cpu] = /^longest turn ([\d.]+) ms, ([\d.]+) ms of it$/.exec(line) ?? [];
    return wall === undefined ? [] : { wall: Number(wall), cpu: Number(cpu) };
  });
  return turns.reduce((most, turn) => (turn.cpu > most.cpu ? turn : most), { wall: 0, cpu: 0 });
}

/** Waits until the probe has printed so often; it prints once a second, or when the thread is free again. */
async function printed(process: LabProcess, count: number): Promise<void> {
  const from = process.lines.length;
  const have = () => process.lines.slice(from).filter((line) => line.startsWith("longest turn")).length;
  await waitFor("the main thread to be free", () => have() >= count, { timeout: 120_000 });
}
