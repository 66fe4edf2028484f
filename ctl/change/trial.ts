import { type Config, type ParsedConfig, pathOfNamespaceSelectors } from "#pkg/config";
import { hasCustomResources, type LiveObject, liveObjectsIn, liveObjectText, liveText, parseConfiguration } from "#pkg/convert";
import { fingerprint, mayRenumber, problemText } from "#pkg/live-config";
import { maskControls, withoutQuotation } from "#pkg/text";
import { type ConfigChange, configChange, doubtsOfCentral, doubtsOfNetbox } from "#pkg/what-if";
import type { Api } from "../cluster/api.ts";
import type { CommandInput, CommandResult } from "../cluster/cluster-command.ts";
import { takePicture } from "../cluster/cluster-state.ts";
import { type Installation, readInstallation } from "../cluster/installation.ts";
import { UsageError } from "../command.ts";
import { problemsText, readConfiguration, readInputText } from "../input.ts";
import type { Io } from "../io.ts";

/** A configuration that somebody wants, as a file has it. */
interface NewConfiguration {
  readonly text: string;
  /** Objects of the file, where the configuration is custom resources. */
  readonly objects: readonly LiveObject[];
  readonly config: Config;
  readonly namespaceLabels: ParsedConfig["namespaceLabels"];
  /** The hash that processes give for their configuration in force. */
  readonly hash: string;
  /** It may leave no pool for addresses in use. */
  readonly mayRenumber: boolean;
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
  const input = await readInputText(file, io);
  const isOfObjects = hasCustomResources(input.text);
  const alone = isOfObjects ? undefined : readAlone(input, io);
  if (!isOfObjects && alone === undefined) return undefined;
  const client = await api();
  const installation = await readInstallation(client, systemNamespace);
  if (isOfObjects !== (installation.source === "crds"))
    throw new UsageError(
      isOfObjects
        ? "these are custom resources, and the cluster has its configuration in a ConfigMap: see ingotctl convert"
        : "the cluster has its configuration in MetalLB's custom resources: name a manifest of those",
    );
  const wanted = alone === undefined ? readOverlay(input, installation, io) : { ...alone, mayRenumber: installation.mayRenumber };
  if (wanted === undefined) return undefined;
  const { state, unreachable, doubts } = await takePicture(client, processes, installation);
  const change = configChange({ ...state, mayRenumber: wanted.mayRenumber }, wanted.config);
  const all = [
    ...doubts,
    ...doubtsOfCentral({ ...state, config: wanted.config }),
    ...doubtsOfNetbox(change.services, wanted.config),
    ...doubtsOfNamespaces(wanted, state.config),
  ];
  return { wanted, change, doubts: all, unreachable, client, installation };
}

/** A controller has the right to read labels of namespaces if the configuration in force asks for them, too. */
function doubtsOfNamespaces({ namespaceLabels }: NewConfiguration, inForce: Config): readonly string[] {
  if (namespaceLabels === undefined || pathOfNamespaceSelectors(inForce) !== undefined) return [];
  const { object, path } = namespaceLabels;
  return [
    `${object === undefined ? "" : `${object}, `}${path} asks for labels of Namespaces: without the right to read them the controller refuses the configuration (component namespaces)`,
  ];
}

interface Named {
  readonly name: string;
  readonly text: string;
}

function readAlone({ name, text: whole }: Named, io: Io): Omit<NewConfiguration, "mayRenumber"> | undefined {
  const { config, text, problems, namespaceLabels } = readConfiguration(whole);
  io.err(problemsText(name, problems, whole));
  if (config !== undefined && text !== undefined)
    return { text, objects: [], config, namespaceLabels, hash: fingerprint(config) };
  io.err(`${name}: not valid\n`);
  return undefined;
}

/** The cluster's objects with those of the file in their place. */
function readOverlay(
  { name, text: manifests }: Named,
  { namespace, objects: there }: Installation,
  io: Io,
): NewConfiguration | undefined {
  const objects = [...new Map(objectsOf(name, manifests, namespace).map((object) => [keyOf(object), object])).values()];
  const overlaid = new Map(there.map((object) => [keyOf(object), object]));
  for (const object of objects) overlaid.set(keyOf(object), inPlaceOf(overlaid.get(keyOf(object)), object));
  const all = [...overlaid.values()];
  const text = liveText(all.map(liveObjectText));
  const { config, problems, namespaceLabels }: ParsedConfig = parseConfiguration(text);
  for (const problem of problems) io.err(`${name}: ${problem.severity}: ${maskControls(problemText(problem))}\n`);
  const isAllowed = all.some(({ metadata }) => mayRenumber(metadata.annotations));
  if (config !== undefined) return { text, objects, config, namespaceLabels, hash: fingerprint(config), mayRenumber: isAllowed };
  io.err(`${name}: not valid, together with the objects in the cluster\n`);
  return undefined;
}

export function keyOf({ kind, metadata }: LiveObject): string {
  return `${kind}/${metadata.namespace}/${metadata.name}`;
}

/** An object of the file as it is to be in the cluster, where one of this name keeps its other labels and annotations. */
export function inPlaceOf(found: LiveObject | undefined, object: LiveObject): LiveObject {
  const labels = { ...found?.metadata.labels, ...object.metadata.labels };
  const annotations = { ...found?.metadata.annotations, ...object.metadata.annotations };
  const metadata = {
    ...object.metadata,
    ...found?.metadata,
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(Object.keys(annotations).length > 0 && { annotations }),
  };
  return { ...found, ...object, metadata };
}

/** @throws {UsageError} */
function objectsOf(name: string, manifests: string, namespace: string): LiveObject[] {
  try {
    return liveObjectsIn(manifests, namespace);
  } catch (error) {
    throw new UsageError(`${name} is not valid YAML: ${withoutQuotation((error as Error).message)}`, { cause: error });
  }
}
