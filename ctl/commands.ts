import type { Command } from "./command.ts";
import { convertCommand } from "./convert/convert.ts";
import { takeover } from "./takeover/takeover.ts";
import { validate } from "./validate/validate.ts";

/** Every command, by name, in the order in which help lists them. Each is a file that exports its `Command`. */
export const commands: ReadonlyMap<string, Command> = new Map([
  ["validate", validate],
  ["convert", convertCommand],
  ["takeover", takeover],
]);
