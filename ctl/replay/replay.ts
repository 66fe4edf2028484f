import { isDeepStrictEqual } from "node:util";
import { controllerCore } from "#controller/core";
import { coreOf, type Entry, type Plain, type Recording, RecordingError, type ReplayedCore, readRecording } from "#pkg/core";
import { escapeControls, maskControls } from "#pkg/text";
import { speakerCore } from "#speaker/core";
import { command, Exit, outputOption, version as ownVersion, UsageError } from "../command.ts";
import { readInputText } from "../input.ts";
import type { Io } from "../io.ts";

const help = `Runs a recording again: its inputs, one after another, through the same code that decided on them, and compares the decisions.
A recording that has lost its first inputs has a checkpoint instead: the state that they led to, from which it is run.
FILE is the answer of /v1/recorder of a controller or speaker, such as a file of a support bundle. The cluster is not contacted.`;

const notes = `The exit status is 0 if all decisions are the same, 1 if one is not, 2 if the file is no recording, and 3 if the recording has lost
its beginning and has no checkpoint that can be used, so that it cannot be run, or if its checkpoint is not certain.`;

export const replay = command({
  name: "replay",
  summary: "Run a recording of a process again, and compare the decisions",
  usage: "[-o text|json] FILE|-",
  takes: 1,
  help,
  examples: [
    "kubectl -n metallb-system port-forward speaker-x2x9k 7472 &",
    "curl -s localhost:7472/v1/recorder | ingotctl replay -",
  ],
  notes,
  options: { output: outputOption },
  run: ({ values, args: [file = ""] }, io) => run(file, values.output, io),
});

/** An input on which something else was decided than was recorded. */
interface Difference {
  readonly entry: number;
  readonly at: string;
  readonly input: string;
  readonly recorded: readonly Plain[];
  readonly now: readonly Plain[] | { readonly error: string };
}

const maxShown = 5;

async function run(file: string, output: "text" | "json" | undefined, io: Io): Promise<number> {
  const recording = read(file, (await readInputText(file, io)).text);
  const core = begin(recording);
  const whyNot = typeof core === "string" ? core : undefined;
  const differences = typeof core === "string" ? [] : compare(recording, core);
  const { program, node, version, entries, dropped, checkpoint } = recording;
  const { otherwise = 0 } = checkpoint ?? {};
  const found = { program, node, version, inputs: entries.length, dropped, otherwise, whyNot, differences };
  io.out(output === "json" ? `${escapeControls(JSON.stringify(found))}\n` : text(recording, differences, whyNot));
  if (version !== ownVersion)
    io.err(`ingotctl: recorded by version ${maskControls(version)}, run by ${ownVersion}: they may decide otherwise\n`);
  if (differences.length > 0) return Exit.invalid;
  return whyNot !== undefined || otherwise > 0 ? Exit.losses : Exit.ok;
}

/** The core that the first input goes to, or why it cannot be made. */
function begin({ program, version, format = 1, options, dropped, checkpoint, whyLost }: Recording): ReplayedCore | string {
  if (dropped > 0 && checkpoint === undefined) return whyLost ?? `version ${version} made no checkpoints`;
  if (program === "controller" && format < 3)
    return `a controller of version ${version} recorded other inputs; the ingotctl of version ${version} can run them`;
  try {
    return coreOf(program === "speaker" ? speakerCore : controllerCore, options, checkpoint);
  } catch (error) {
    if (!(error instanceof RecordingError)) throw error;
    return `${error.message}; the ingotctl of version ${version} can`;
  }
}

function read(file: string, text: string): Recording {
  try {
    return readRecording(text);
  } catch (error) {
    if (!(error instanceof RecordingError)) throw error;
    throw new UsageError(`${file} is no recording: ${escapeControls(error.message)}`, { cause: error });
  }
}

function compare(recording: Recording, core: ReplayedCore): Difference[] {
  const differences: Difference[] = [];
  for (const [index, entry] of recording.entries.entries()) {
    const found = difference(recording, index, entry, (one) => core.run(one));
    if (found === undefined) continue;
    differences.push(found);
    if ("error" in found.now) break; // The next inputs depend on it.
  }
  return differences;
}

function difference(
  { epoch }: Recording,
  index: number,
  entry: Entry,
  runAgain: (entry: Entry) => readonly Plain[],
): Difference | undefined {
  const now = attempt(() => runAgain(entry));
  if (isDeepStrictEqual(JSON.parse(JSON.stringify(now)), entry.decisions)) return undefined;
  const { type } = entry.input as { type?: unknown };
  return {
    entry: index + 1,
    at: dateAt(epoch, entry.at),
    input: typeof type === "string" ? type : "unknown",
    recorded: entry.decisions,
    now,
  };
}

/** The file may be anything. */
function attempt<T>(work: () => T): T | { readonly error: string } {
  try {
    return work();
  } catch (error) {
    return { error: (error as Error).message };
  }
}

function dateAt(epoch: string, at: number): string {
  return new Date(Math.round(Date.parse(epoch) + at)).toISOString();
}

function text(
  { program, node, version, epoch, dropped, entries, checkpoint }: Recording,
  differences: readonly Difference[],
  whyNot: string | undefined,
): string {
  const who = `${program}${node === undefined ? "" : ` of node ${maskControls(node)}`}, version ${maskControls(version)}`;
  const span =
    entries.length === 0 ? "" : ` from ${dateAt(epoch, entries[0]?.at ?? 0)} to ${dateAt(epoch, entries.at(-1)?.at ?? 0)}`;
  const from = checkpoint === undefined ? "" : `It begins with a checkpoint of the state after the first ${dropped} inputs.\n`;
  const { otherwise = 0 } = checkpoint ?? {};
  const doubt =
    otherwise === 0
      ? ""
      : `The checkpoint is not certain: ${otherwise} inputs before it were decided otherwise when it was made.\n`;
  const heading = `${who}: ${entries.length} inputs${span}\n${from}${doubt}`;
  if (whyNot !== undefined) {
    const lost =
      dropped === 0 ? "It cannot be run" : `It has lost its first ${dropped} inputs, and the others cannot be run without`;
    return `${heading}${lost}: ${maskControls(whyNot)}.\n"ingotctl history" still shows those that are left.\n`;
  }
  if (differences.length === 0) return `${heading}All decisions are the same.\n`;
  const shown = differences.slice(0, maxShown).map(({ entry, at, input, recorded, now }) => {
    const lines = [
      `input ${entry} (${input}) at ${at}`,
      `  recorded: ${JSON.stringify(recorded)}`,
      `  now:      ${JSON.stringify(now)}`,
    ];
    return `${lines.map(escapeControls).join("\n")}\n`;
  });
  const more = differences.length > maxShown ? `and ${differences.length - maxShown} more\n` : "";
  return `${heading}${differences.length} decided otherwise:\n${shown.join("")}${more}`;
}
