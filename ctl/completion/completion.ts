import { type Command, Exit, type Io, UsageError } from "../command.ts";
import { scripts } from "./scripts.ts";

const shells = Object.keys(scripts);

const help = `Usage: ingotctl completion ${shells.join("|")}

Prints what completes command lines in a shell. To have it from now on:

  bash  ingotctl completion bash > ~/.local/share/bash-completion/completions/ingotctl
  zsh   ingotctl completion zsh > "\${fpath[1]}/_ingotctl"
  fish  ingotctl completion fish > ~/.config/fish/completions/ingotctl.fish

The exit status is 0, or 2 for another shell.
`;

/** @param commands all that there are, this one among them */
export function completion(commands: () => ReadonlyMap<string, Command>): Command {
  return {
    summary: "Print what completes command lines in bash, zsh or fish",
    help,
    async run([shell = "", ...more]: readonly string[], io: Io): Promise<number> {
      const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
      if (script === undefined || more.length > 0)
        throw new UsageError(`completion takes one of ${shells.join(", ")}; see "ingotctl help completion"`);
      io.out(script(commands()));
      return Exit.ok;
    },
  };
}
