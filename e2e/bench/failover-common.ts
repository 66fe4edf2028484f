import type { DemoCluster, DemoNode } from "#e2e/demo-cluster";
import { type LabProcess, waitFor } from "#e2e/lab";
import { metric } from "../scenarios/observe.ts";
import { quantile } from "./measure.ts";

interface MembersAnswer {
  readonly timing?: string;
  readonly members: readonly { readonly status: string }[];
}

// A ring that the machine held up goes slowly for some minutes.
const paceMs = 300_000;

/** Waits until every speaker counts on every other, at the fast pace. */
export async function allKnowAll({ nodes }: DemoCluster): Promise<void> {
  for (const { speaker } of nodes)
    await waitFor(
      `${speaker.name} to know all`,
      async () => {
        const { timing, members } = JSON.parse((await speaker.get("/v1/members")).body) as MembersAnswer;
        return timing === "fast" && members.length === nodes.length && members.every(({ status }) => status === "alive");
      },
      { timeout: paceMs, every: 50 },
    );
}

/** Waits until BFD between each speaker and all those that it watches is up. */
export async function allPathsUp({ nodes }: DemoCluster): Promise<void> {
  const watched = Math.min(nodes.length - 1, 6);
  for (const { speaker } of nodes)
    await waitFor(
      `the BFD sessions of ${speaker.name} to be up`,
      async () => {
        const sessions: readonly { readonly verdict: string }[] = JSON.parse((await speaker.get("/v1/bfd/sessions")).body);
        return sessions.filter(({ verdict }) => verdict === "up").length === watched;
      },
      { timeout: paceMs, every: 50 },
    );
}

/** A metric of all speakers together. */
export async function sumOf(
  { nodes }: DemoCluster,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  const counts = await Promise.all(nodes.map(({ speaker }) => metric(speaker, name, labels)));
  return counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
}

/** How often speakers have taken another for gone by BFD that lived, as far as they know. For some minutes they do without BFD to that one. */
export function takenForGone(cluster: DemoCluster): Promise<number> {
  return sumOf(cluster, "ingot_memberlist_path_failures_false_total");
}

/** Ends a speaker, and waits until it has. */
export async function end(speaker: DemoNode["speaker"], signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  speaker.process.kill(signal);
  await speaker.process.exited;
}

/** The lines of one type that a client has printed. */
export function linesOf<Line extends { readonly type: string }, Type extends Line["type"]>(
  client: LabProcess,
  type: Type,
): Extract<Line, { readonly type: Type }>[] {
  const isOf = (line: Line): line is Extract<Line, { readonly type: Type }> => line.type === type;
  return client.lines.map((line): Line => JSON.parse(line)).filter(isOf);
}

export function printRow(cells: readonly string[]): void {
  console.log(cells.map((cell, column) => (column === 0 ? cell.padEnd(17) : cell.padStart(27))).join(""));
}

/** Least, median, 99th percentile and most, without decimals. */
export function spread(values: readonly number[]): string {
  return [0, 0.5, 0.99, 1].map((part) => quantile(values, part).toFixed(0)).join(" / ");
}
