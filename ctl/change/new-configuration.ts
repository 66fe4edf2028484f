import { type Config, readInput } from "#pkg/config";
import { fingerprint } from "#pkg/live-config";
import { UsageError } from "../command.ts";
import type { Io } from "../io.ts";
import { problemText } from "../validate/problem-text.ts";

/** A configuration that somebody wants, as a file has it. */
export interface NewConfiguration {
  readonly text: string;
  readonly config: Config;
  /** The hash that processes give for their configuration in force. */
  readonly hash: string;
}

/** Reads a file, or standard input for `-`. @returns undefined where it has errors, which are printed with line and column */
export async function readNewConfiguration(file: string, io: Io): Promise<NewConfiguration | undefined> {
  const name = file === "-" ? "<stdin>" : file;
  const input = file === "-" ? await io.readStdin() : await io.readFile(file);
  const { config, text, problems } = readInput(input);
  const lines = input.split(/\r\n|\n|\r/);
  for (const problem of problems) io.err(problemText(name, problem, lines[problem.line - 1] ?? ""));
  if (config !== undefined && text !== undefined) return { text, config, hash: fingerprint(config) };
  io.err(`${name}: not valid\n`);
  return undefined;
}

/** @throws {UsageError} where standard input would be read and asked at once */
export function checkInput(file: string, io: Io): void {
  if (file === "-" && io.stdinIsTerminal) throw new UsageError("name a file, or pipe it in");
}
