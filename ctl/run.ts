import { type Command, Exit, type Io, UsageError, usageText, version } from "./command.ts";
import { commands } from "./commands.ts";

/** Runs `ingotctl` with these arguments. @returns the exit status */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
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

function help(args: readonly string[], io: Io): number {
  const [name] = args;
  return print(name === undefined ? overview() : find(name).help, io);
}

function find(name: string): Command {
  const command = commands.get(name);
  if (command === undefined) throw new UsageError(`there is no command ${JSON.stringify(name)}; "ingotctl help" lists them`);
  return command;
}

function print(text: string, io: Io): number {
  io.out(text);
  return Exit.ok;
}

function overview(): string {
  const lines = [...commands].map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`);
  return `Usage: ingotctl COMMAND [ARGUMENTS]

${lines.join("\n")}
  help       Show this list, or with a command its own help

  --version  Show the version
`;
}
