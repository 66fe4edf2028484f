import { formatProblem, type Input, type Problem, readInput } from "#pkg/config";
import { hasCustomResources, parseCustomResources } from "#pkg/convert";
import { maskControls } from "#pkg/text";
import type { Io } from "./io.ts";

/** Reads a file, or standard input for `-`. @returns its text, and its name in messages @throws {UsageError} */
export async function readInputText(file: string, io: Io): Promise<{ readonly name: string; readonly text: string }> {
  return file === "-" ? { name: "<stdin>", text: await io.readStdin() } : { name: file, text: await io.readFile(file) };
}

/** Reads a configuration: its text, a ConfigMap with it, or MetalLB's custom resources. */
export function readConfiguration(text: string): Input {
  return hasCustomResources(text) ? { ...parseCustomResources(text), text } : readInput(text);
}

const maxLine = 160;

/** `file:line:column: …` as editors and terminals recognise it, then the line with a caret below the column. */
function problemText(file: string, problem: Problem, source: string): string {
  const heading = `${file}:${maskControls(formatProblem(problem))}\n`;
  // A password must not end up in a terminal's history or a build's log.
  if (/passw|:\/\/.*@/i.test(source) || problem.path.endsWith(".password")) return heading;
  const start = Math.max(0, problem.column - maxLine / 2);
  const shown = maskControls(source.slice(start, start + maxLine)).trimEnd();
  if (shown === "") return heading;
  return `${heading}  | ${shown}\n  | ${" ".repeat(problem.column - 1 - start)}^\n`;
}

/** Every problem of a text, in messages. */
export function problemsText(file: string, problems: readonly Problem[], text: string): string {
  const lines = text.split(/\r\n|\n|\r/);
  return problems.map((problem) => problemText(file, problem, lines[problem.line - 1] ?? "")).join("");
}
