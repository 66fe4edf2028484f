import type { Command } from "./command.ts";
import { convertCommand } from "./convert/convert.ts";
import { takeover } from "./takeover/takeover.ts";
import { validate } from "./validate/validate.ts";
import { explain } from "./views/explain.ts";
import { members } from "./views/members.ts";
import { nodes } from "./views/nodes.ts";
import { owner } from "./views/owner.ts";
import { peers } from "./views/peers.ts";
import { pools } from "./views/pools.ts";
import { services } from "./views/services.ts";
import { status } from "./views/status.ts";

/** Every command, by name, in the order in which help lists them. Each is a file that exports its `Command`. */
export const commands: ReadonlyMap<string, Command> = new Map([
  ["status", status],
  ["services", services],
  ["explain", explain],
  ["pools", pools],
  ["nodes", nodes],
  ["peers", peers],
  ["members", members],
  ["owner", owner],
  ["validate", validate],
  ["convert", convertCommand],
  ["takeover", takeover],
]);
