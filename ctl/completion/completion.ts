import { type Command, command, Exit, UsageError } from "../command.ts";
import { scripts } from "./scripts.ts";

const shells = Object.keys(scripts);

const help = `Prints the code that completes command lines in a shell. To have it from now on:

  bash  ingotctl completion bash > ~/.local/share/bash-completion/completions/ingotctl
  zsh   ingotctl completion zsh > "\${fpath[1]}/_ingotctl"
  fish  ingotctl completion fish > ~/.config/fish/completions/ingotctl.fish

The exit status is 0, or 2 for another shell.`;

/** @param others all commands but this one */
export function completion(others: readonly Command[]): Command {
  const self: Command = command({
    name: "completion",
    summary: "Print the code that completes command lines in bash, zsh or fish",
    usage: shells.join("|"),
    takes: "any",
    subjects: shells,
    options: {},
    help,
    notes: "",
    async run({ args: [shell = "", ...more] }, io) {
      const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
      if (script === undefined || more.length > 0)
        throw new UsageError(`completion takes one of ${shells.join(", ")}; see "ingotctl help completion"`);
      io.out(script([...others, self]));
      return Exit.ok;
    },
  });
  return self;
}
