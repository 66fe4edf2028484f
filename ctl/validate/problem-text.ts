import { formatProblem, type Problem } from "#pkg/config";
import { maskControls } from "#pkg/text";

const maxLine = 160;

/** `file:line:column: …` as editors and terminals recognise it, then the line with a caret below the column. */
export function problemText(file: string, problem: Problem, source: string): string {
  const heading = `${file}:${maskControls(formatProblem(problem))}\n`;
  // A password must not end up in a terminal's history or a build's log.
  if (/passw/i.test(source) || problem.path.endsWith(".password")) return heading;
  const start = Math.max(0, problem.column - maxLine / 2);
  const shown = maskControls(source.slice(start, start + maxLine)).trimEnd();
  if (shown === "") return heading;
  return `${heading}  | ${shown}\n  | ${" ".repeat(problem.column - 1 - start)}^\n`;
}
