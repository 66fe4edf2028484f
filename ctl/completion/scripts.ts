import type { Command } from "../command.ts";
import { type Option, optionsOf, subjects } from "./options.ts";

type Commands = ReadonlyMap<string, Pick<Command, "summary" | "help">>;

/** What a shell evaluates to complete command lines; after the names of commands and options it offers files. */
export const scripts: Readonly<Record<string, (commands: Commands) => string>> = { bash, zsh, fish };

const programs = ["ingotctl", "kubectl-ingot"];

function bash(commands: Commands): string {
  const cases = [...commands].map(([name, command]) => {
    const options = optionsOf(command).flatMap(({ name: long, short }) => [long, ...(short === undefined ? [] : [short])]);
    return `    ${name}) words="${[...(subjects[name] ?? []), ...options].join(" ")}" ;;`;
  });
  const choices = new Map(
    [...commands.values()]
      .flatMap(optionsOf)
      .filter((one) => one.choices.length > 0)
      .map(withFlags),
  );
  const values = [...choices].map(([flags, words]) => `    ${flags}) words="${words}" ;;`);
  return `# bash completion for ingotctl
_ingotctl() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= word words=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) command=$word; break ;; esac
  done
  case $command in
    "") words="${[...commands.keys(), "help"].join(" ")}" ;;
${cases.join("\n")}
    help) words="${[...commands.keys()].join(" ")}" ;;
  esac
  case $previous in
${values.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case \${COMPREPLY[0]} in */) compopt -o nospace ;; esac
}
complete -o default -F _ingotctl ${programs.join(" ")}
`;
}

/** All formats that any command has for the option. */
function withFlags({ name, short }: Option): [string, string] {
  return [[short, name].filter((flag) => flag !== undefined).join("|"), "text wide json yaml"];
}

function zsh(commands: Commands): string {
  const named = [...commands].map(([name, { summary }]) => `    ${quoted(`${name}:${summary}`)}`);
  const cases = [...commands].map(([name, command]) => {
    const specs = optionsOf(command).map((option) => `      ${zshSpec(option)}`);
    const own = subjects[name];
    const rest = own === undefined ? "'*:file:_files'" : `'*:subject:(${own.join(" ")})'`;
    return `    ${name})\n      _arguments -s \\\n${[...specs, `      ${rest}`].join(" \\\n")} ;;`;
  });
  return `#compdef ${programs.join(" ")}
_ingotctl() {
  local -a commands
  commands=(
${named.join("\n")}
    'help:Show the list of commands, or the help of one'
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  local command=$words[2]
  shift words; (( CURRENT-- ))
  case $command in
${cases.join("\n")}
    help) _describe command commands ;;
  esac
}
if [ "$funcstack[1]" = "_ingotctl" ]; then _ingotctl "$@"; else compdef _ingotctl ${programs.join(" ")}; fi
`;
}

function zshSpec({ name, short, value, choices, description }: Option): string {
  const text = description.replaceAll(/[[\]:]/g, "\\$&");
  const action = choices.length > 0 ? `(${choices.join(" ")})` : value === "FILE" ? "_files" : " ";
  const after = value === undefined ? "" : `:${value.toLowerCase()}:${action}`;
  if (short === undefined) return quoted(`${name}[${text}]${after}`);
  return `${quoted(`(${short} ${name})`)}{${short},${name}}${quoted(`[${text}]${after}`)}`;
}

function fish(commands: Commands): string {
  const lines = programs.flatMap((program) => {
    const first = (name: string, summary: string) =>
      `complete -c ${program} -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`;
    return [
      ...[...commands].map(([name, { summary }]) => first(name, summary)),
      first("help", "Show the list of commands, or the help of one"),
      ...[...commands].flatMap(([name, command]) => {
        const seen = `complete -c ${program} -n '__fish_seen_subcommand_from ${name}'`;
        const own = subjects[name];
        const given = own === undefined ? [] : [`${seen} -f -a ${quoted(own.join(" "))}`];
        return [...given, ...optionsOf(command).map((option) => `${seen} ${fishOption(option)}`)];
      }),
    ];
  });
  return `# fish completion for ingotctl\n${lines.join("\n")}\n`;
}

function fishOption({ name, short, value, choices, description }: Option): string {
  const flags = [...(short === undefined ? [] : [`-s ${short.slice(1)}`]), `-l ${name.slice(2)}`];
  if (value === "FILE") flags.push("-r", "-F");
  else if (value !== undefined) flags.push("-x", ...(choices.length > 0 ? [`-a ${quoted(choices.join(" "))}`] : []));
  return `${flags.join(" ")} -d ${quoted(description)}`;
}

/** In single quotes, as all three shells read them. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}
