import type { Command } from "../command.ts";

/** An option of a command, as its help has it. */
export interface Option {
  /** Such as `--output`. */
  readonly name: string;
  /** Such as `-o`. */
  readonly short: string | undefined;
  /** What its value is called, such as `FILE`; undefined where it has none. */
  readonly value: string | undefined;
  /** Values to choose from; empty where there are others. */
  readonly choices: readonly string[];
  readonly description: string;
}

const formats = ["text", "wide", "json", "yaml"];

/** The options that a command's help lists, one a line. */
export function optionsOf({ help }: Pick<Command, "help">): Option[] {
  const lines = help.matchAll(/^ {2,}(?:(-\w), )?(--[\w-]+)(?: ([A-Z]+))? {2,}(\S.*)$/gm);
  return [...lines].map(([, short, name = "", value, description = ""]) => ({
    name,
    short,
    value,
    choices: value === "FORMAT" ? formats.filter((format) => new RegExp(`\\b${format}\\b`).test(description)) : [],
    description,
  }));
}

/** Beginnings of arguments that a command takes besides files. */
export const subjects: Readonly<Record<string, readonly string[]>> = {
  explain: ["svc/", "node/", "peer/", "pool/", "config"],
  history: ["svc/"],
  simulate: ["lose", "drain", "config"],
  completion: ["bash", "zsh", "fish"],
};
