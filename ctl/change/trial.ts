import { type Config, readInput } from "#pkg/config";
import { fingerprint } from "#pkg/live-config";
import { type ConfigChange, configChange } from "#pkg/what-if";
import type { Api } from "../cluster/api.ts";
import type { CommandInput, CommandResult } from "../cluster/cluster-command.ts";
import { takePicture } from "../cluster/cluster-state.ts";
import { type Installation, readInstallation } from "../cluster/installation.ts";
import { UsageError } from "../command.ts";
import { problemsText, readInputText } from "../input.ts";
import type { Io } from "../io.ts";

/** A configuration that somebody wants, as a file has it. */
interface NewConfiguration {
  readonly text: string;
  readonly config: Config;
  /** The hash that processes give for their configuration in force. */
  readonly hash: string;
}

/** A wanted configuration, and its effects on the present cluster. */
export interface Trial {
  readonly wanted: NewConfiguration;
  readonly change: ConfigChange;
  /** Facts that could not be taken into account, in words. */
  readonly doubts: readonly string[];
  readonly unreachable: CommandResult["unreachable"];
  readonly client: Api;
  readonly installation: Installation;
}

/** Tries the configuration in a file, and changes nothing. @returns undefined where it has errors, which are printed */
export async function tryConfiguration(
  { processes, api, systemNamespace, io }: Pick<CommandInput, "processes" | "api" | "systemNamespace" | "io">,
  file: string,
): Promise<Trial | undefined> {
  if (file === "-" && io.stdinIsTerminal) throw new UsageError("name a file, or pipe it in");
  const wanted = await readNewConfiguration(file, io);
  if (wanted === undefined) return undefined;
  const client = await api();
  const installation = await readInstallation(client, systemNamespace);
  const { state, unreachable, doubts } = await takePicture(client, processes, installation);
  return { wanted, change: configChange(state, wanted.config), doubts, unreachable, client, installation };
}

async function readNewConfiguration(file: string, io: Io): Promise<NewConfiguration | undefined> {
  const input = await readInputText(file, io);
  const { config, text, problems } = readInput(input.text);
  io.err(problemsText(input.name, problems, input.text));
  if (config !== undefined && text !== undefined) return { text, config, hash: fingerprint(config) };
  io.err(`${input.name}: not valid\n`);
  return undefined;
}
