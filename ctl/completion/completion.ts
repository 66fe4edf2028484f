import { homedir } from "node:os";
import { askServicesBriefly } from "../cluster/ask-services.ts";
import { type Command, command, Exit, UsageError } from "../command.ts";
import type { Io } from "../io.ts";
import { askPeers } from "../views/peers.ts";
import { askPools } from "../views/pools.ts";
import { scripts } from "./scripts.ts";

const shells = Object.keys(scripts);

const help = `Prints the code that completes command lines in a shell. To have it from now on:

  bash  ingotctl completion bash > ~/.local/share/bash-completion/completions/ingotctl
  zsh   ingotctl completion zsh > "\${fpath[1]}/_ingotctl"
  fish  ingotctl completion fish > ~/.config/fish/completions/ingotctl.fish

Names of Services, nodes, peers and pools are completed, too: the code asks the cluster by "ingotctl completion names".

kubectl's own code completes "kubectl ingot", where the release's kubectl_complete-ingot is beside ingotctl.

The exit status is 0, or 2 for another shell.`;

/**
 * Prints the arguments that shells offer, one a line: `svc/default/web`, or the bare names of one kind. Without a cluster it prints nothing.
 * @param line what is typed so far, whose options name the cluster; bash has `=` as a word
 */
async function printNames(kind: string, line: string, io: Io): Promise<number> {
  const given = (option: string) => new RegExp(`--${option}[ =]+([^ ]+)`).exec(line)?.[1];
  const options = {
    kubeconfig: given("kubeconfig")?.replace(/^~(?=\/)/, homedir()), // A shell does that when the line is run.
    context: given("context"),
    systemNamespace: given("system-namespace") ?? "metallb-system",
  };
  try {
    await using processes = await io.cluster.connect(options);
    const [{ services }, { pools }, { peers }] = await Promise.all([
      askServicesBriefly(processes),
      askPools(processes),
      askPeers(processes),
    ]);
    const names = {
      svc: services.map(({ service }) => service),
      node: processes.targets.flatMap(({ program, node }) => (program === "speaker" ? [node] : [])),
      peer: peers.map(({ peer, name }) => name ?? peer.replace(/:\d+$/, "")),
      pool: pools.map(({ pool }) => pool),
    };
    const lines = Object.entries(names).flatMap(([of, those]) =>
      kind === "all" || kind === `${of}/` ? those.map((name) => `${of}/${name}`) : of === kind ? those : [],
    );
    // A name that a shell reads as more than a word is no Kubernetes name.
    io.out(
      [...new Set(lines)]
        .filter((line) => /^[\w./:[\]-]+$/.test(line))
        .map((line) => `${line}\n`)
        .join(""),
    );
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
  }
  return Exit.ok;
}

/** @param others all commands but this one */
export function completion(others: readonly Command[]): Command {
  const self: Command = command({
    name: "completion",
    summary: "Print the code that completes command lines in bash, zsh or fish",
    usage: shells.join("|"),
    takes: "any",
    subjects: [...shells, "names"],
    options: {},
    help,
    examples: ["ingotctl completion bash > ~/.local/share/bash-completion/completions/ingotctl"],
    notes: "",
    async run({ args: [shell = "", ...more] }, io) {
      if (shell === "names") return printNames(more[0] ?? "all", more.join(" "), io);
      const script = Object.hasOwn(scripts, shell) ? scripts[shell] : undefined;
      if (script === undefined || more.length > 0)
        throw new UsageError(`completion takes one of ${shells.join(", ")}; see "ingotctl help completion"`);
      io.out(script([...others, self]));
      return Exit.ok;
    },
  });
  return self;
}
