import { type ConfigChange, configChange } from "#pkg/what-if";
import type { Api } from "../cluster/api.ts";
import type { CommandInput, Found } from "../cluster/cluster-command.ts";
import { takePicture } from "../cluster/cluster-state.ts";
import { type Installation, readInstallation } from "../cluster/installation.ts";
import { checkInput, type NewConfiguration, readNewConfiguration } from "./new-configuration.ts";

/** A wanted configuration, and its effects on the present cluster. */
export interface Trial {
  readonly wanted: NewConfiguration;
  readonly change: ConfigChange;
  /** Facts that could not be taken into account, in words. */
  readonly doubts: readonly string[];
  readonly unreachable: Found["unreachable"];
  readonly client: Api;
  readonly installation: Installation;
}

/** Tries the configuration in a file, and changes nothing. @returns undefined where it has errors, which are printed */
export async function tryConfiguration(
  { processes, api, systemNamespace, io }: Pick<CommandInput, "processes" | "api" | "systemNamespace" | "io">,
  file: string,
): Promise<Trial | undefined> {
  checkInput(file, io);
  const wanted = await readNewConfiguration(file, io);
  if (wanted === undefined) return undefined;
  const client = await api();
  const installation = await readInstallation(client, systemNamespace);
  const { state, unreachable, doubts } = await takePicture(client, processes, installation);
  return { wanted, change: configChange(state, wanted.config), doubts, unreachable, client, installation };
}
