import { nearestName } from "#pkg/config";
import { maskControls } from "#pkg/text";
import { type Command, Exit, UsageError, usageText, version } from "./command.ts";
import { commands } from "./commands.ts";
import type { Io } from "./io.ts";

/** Runs `ingotctl` with these arguments. @returns the exit status */
export async function run(args: readonly string[], outside: Io): Promise<number> {
  const [name, ...rest] = args;
  const io = masked(outside);
  try {
    if (name === undefined) throw new UsageError(`a command is missing\n\n${overview()}`);
    if (name === "--version") return print(`ingotctl ${version}\n`, io);
    if (name === "help" || name === "--help" || name === "-h") return help(rest, io);
    const command = find(name);
    if (rest.includes("--help") || rest.includes("-h")) return print(command.help, io);
    return await command.run(rest, io);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    io.err(`${usageText(error)}\n`);
    return Exit.usage;
  }
}

// Colors that `styleText` gives to states.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is let through.
const colors = /(\u001b\[(?:3[1-3]|39|90)m)/;

/**
 * All output passes here: of control characters, only ends of lines, tabs and the colours of states get to a terminal. Code that
 * puts texts of others into a line masks ends of lines in them, so that nobody forges a line.
 */
export function masked(io: Io): Io {
  const plain = (text: string) =>
    text
      .split(colors)
      .map((part) => (colors.test(part) ? part : part.replace(/[^\n\t]+/g, maskControls)))
      .join("");
  const { ask } = io;
  return {
    ...io,
    out: (text) => io.out(plain(text)),
    err: (text) => io.err(plain(text)),
    progress: (text) => io.progress(maskControls(text)),
    ask: ask && ((question) => ask(plain(question))),
  };
}

function help(args: readonly string[], io: Io): number {
  const [name] = args;
  return print(name === undefined ? overview() : find(name).help, io);
}

function find(name: string): Command {
  const command = commands.get(name);
  if (command === undefined) {
    const near = nearestName(name, [...commands.keys()]);
    const hint = near === undefined ? "" : `, did you mean ${JSON.stringify(near)}?`;
    throw new UsageError(`there is no command ${JSON.stringify(name)}${hint || ";"} "ingotctl help" lists them`);
  }
  return command;
}

function print(text: string, io: Io): number {
  io.out(text);
  return Exit.ok;
}

const helpSummary = "Show this list, or with a command its own help";

function overview(): string {
  const all = [...[...commands].map(([name, { summary }]) => [name, summary] as const), ["help", helpSummary] as const];
  const width = Math.max(...all.map(([name]) => name.length));
  const lines = all.map(([name, summary]) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: ingotctl COMMAND [ARGUMENTS]

${lines.join("\n")}

  --version  Show the version
`;
}
