/** Statements of a Dockerfile's last stage about its image. */
export interface Stage {
  /** Directories that it copies to the root, in order; without the slash at the end. */
  readonly copies: readonly string[];
  readonly config: ImageConfig;
}

/** Names of an image's configuration (OCI image specification, config.md). */
export interface ImageConfig {
  readonly User?: string;
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly Labels?: Readonly<Record<string, string>>;
}

/**
 * Reads the last stage of a Dockerfile, which has to be made from nothing by copying directories.
 * @param args values of the build arguments that it declares; a label that would be empty is left out
 * @throws {Error} for an instruction, or a form of one, that it does not know
 */
export function readLastStage(text: string, args: Readonly<Record<string, string | undefined>>): Stage {
  const lines = text
    .replace(/^#.*\n/gm, "")
    .replaceAll("\\\n", " ")
    .split("\n");
  const start = lines.findLastIndex((line) => line.startsWith("FROM "));
  if (lines[start] !== "FROM scratch")
    throw new Error(`Cannot read Dockerfile: its last stage is ${lines[start]}, not FROM scratch`);
  const copies: string[] = [];
  const config: { -readonly [key in keyof ImageConfig]: ImageConfig[key] } = {};
  const fill = (value: string) => value.replace(/\$\{?(\w+)\}?/g, (_, name) => args[name] ?? "");
  for (const line of lines.slice(start + 1).filter(Boolean)) {
    const [, instruction = "", rest = ""] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    const copied = /^--from=\w+ --chown=0:0 (\/\S+)\/ \/$/.exec(rest)?.[1];
    if (instruction === "COPY" && copied !== undefined) copies.push(copied);
    else if (instruction === "LABEL") config.Labels = { ...config.Labels, ...labels(rest, fill) };
    else if (instruction === "ENV" && /^\w+=\S+$/.test(rest)) config.Env = [...(config.Env ?? []), rest];
    else if (instruction === "WORKDIR") config.WorkingDir = rest;
    else if (instruction === "USER") config.User = rest;
    else if (instruction === "ENTRYPOINT" && rest.startsWith("[")) config.Entrypoint = JSON.parse(rest);
    else if (instruction === "CMD" && rest.startsWith("[")) config.Cmd = JSON.parse(rest);
    else if (instruction !== "ARG") throw new Error(`Cannot read Dockerfile: what to do with this is not known: ${line}`);
  }
  return { copies, config };
}

function labels(text: string, fill: (value: string) => string): Record<string, string> {
  const pairs = [...text.matchAll(/([\w.-]+)="([^"]*)"/g)].map(([, key = "", value = ""]) => [key, fill(value)] as const);
  return Object.fromEntries(pairs.filter(([, value]) => value !== ""));
}
