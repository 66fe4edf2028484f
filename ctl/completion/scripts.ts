import type { Command, Completes, Option } from "../command.ts";

type Commands = readonly Command[];

/** The code that a shell evaluates to complete command lines; after the names of commands and options it offers files. */
export const scripts: Readonly<Record<string, (commands: Commands) => string>> = { bash, zsh, fish };

const programs = ["ingotctl", "kubectl-ingot"];

function bash(commands: Commands): string {
  const names = commands.map(({ name }) => name).join(" ");
  const cases = commands.map(({ name, options, subjects = [], completes }) => {
    const flags = Object.entries(options).flatMap(([option, { short }]) => [`--${option}`, ...letter(short)]);
    const names = completes === undefined ? "" : ` kind=${completes}`;
    return `    ${name}) words="${[...subjects, ...flags].join(" ")}"${names} ;;`;
  });
  const values = commands.flatMap(({ name, options }) =>
    Object.entries(options).flatMap(([option, { short, choices }]) =>
      choices === undefined
        ? []
        : [`--${option}`, ...letter(short)].map((flag) => `    ${name}:${flag}) words="${choices.join(" ")}" ;;`),
    ),
  );
  return `# bash completion for ingotctl
_ingotctl() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= word words= kind=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case $word in -*) ;; *) command=$word; break ;; esac
  done
  case $command in
    "") words="${names} help" ;;
${cases.join("\n")}
    help) words="${names}" ;;
  esac
  case $command:$previous in
${values.join("\n")}
  esac
  case $current in -*) kind= ;; esac
  case $kind in
    "") ;;
    *) words="$words $(ingotctl completion names "$kind" -- "\${COMP_WORDS[@]}" 2>/dev/null)" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case \${COMPREPLY[0]} in */) compopt -o nospace ;; esac
}
complete -o default -F _ingotctl ${programs.join(" ")}
`;
}

/** @param line the words that are typed so far */
function namesCommand(completes: Completes, line: string): string {
  return `ingotctl completion names ${completes} -- ${line} 2>/dev/null`;
}

function letter(short: string | undefined): string[] {
  return short === undefined ? [] : [`-${short}`];
}

function zsh(commands: Commands): string {
  const named = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`);
  const cases = commands.map(({ name, options, subjects, completes }) => {
    const specs = Object.entries(options).map((option) => `      ${zshSpec(option)}`);
    const named = completes === undefined ? "" : ` $(${namesCommand(completes, "$words")})`;
    const words = `${(subjects ?? []).join(" ")}${named}`.trim();
    const rest = words === "" ? "'*:file:_files'" : `'*:subject:{compadd -- ${words}}'`;
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

function zshSpec([name, { short, value, choices, help }]: [string, Option]): string {
  const text = help.replaceAll(/[[\]:]/g, "\\$&");
  const action = choices !== undefined ? `(${choices.join(" ")})` : value === "FILE" ? "_files" : " ";
  const after = value === undefined ? "" : `:${value.toLowerCase()}:${action}`;
  if (short === undefined) return quoted(`--${name}[${text}]${after}`);
  return `${quoted(`(-${short} --${name})`)}{-${short},--${name}}${quoted(`[${text}]${after}`)}`;
}

function fish(commands: Commands): string {
  const lines = programs.flatMap((program) => {
    const first = (name: string, summary: string) =>
      `complete -c ${program} -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`;
    return [
      ...commands.map(({ name, summary }) => first(name, summary)),
      first("help", "Show the list of commands, or the help of one"),
      ...commands.flatMap(({ name, options, subjects, completes }) => {
        const seen = `complete -c ${program} -n '__fish_seen_subcommand_from ${name}'`;
        const named = completes === undefined ? [] : [`(${namesCommand(completes, "(commandline -opc)")})`];
        const words = [...(subjects ?? []), ...named];
        const given = words.length === 0 ? [] : [`${seen} -f -a ${quoted(words.join(" "))}`];
        return [...given, ...Object.entries(options).map((option) => `${seen} ${fishOption(option)}`)];
      }),
    ];
  });
  return `# fish completion for ingotctl\n${lines.join("\n")}\n`;
}

function fishOption([name, { short, value, choices, help }]: [string, Option]): string {
  const flags = [...(short === undefined ? [] : [`-s ${short}`]), `-l ${name}`];
  if (value === "FILE") flags.push("-r", "-F");
  else if (value !== undefined) flags.push("-x", ...(choices !== undefined ? [`-a ${quoted(choices.join(" "))}`] : []));
  return `${flags.join(" ")} -d ${quoted(help)}`;
}

/** In single quotes, as all three shells read them. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "’")}'`;
}
