import { join, resolve } from "node:path";
import { configurationKinds, parseConfiguration } from "#pkg/convert";
import { configKey, fingerprint, textVersion } from "#pkg/live-config";
import { list, maskControls } from "#pkg/text";
import type { Api, RawObject } from "../cluster/api.ts";
import { type CommandInput, type CommandResult, clusterCommand } from "../cluster/cluster-command.ts";
import { done, type Installation, optional, readInstallation } from "../cluster/installation.ts";
import { type Options, readSeconds, UsageError } from "../command.ts";
import type { Io } from "../io.ts";
import { changeText, changeValue, hurts } from "./change-text.ts";
import { notValid } from "./diff.ts";
import { type InForce, watchUntilInForce } from "./in-force.ts";
import { inPlaceOf, keyOf, type Trial, tryConfiguration } from "./trial.ts";

const applyOptions = {
  yes: { short: "y", help: "do not ask" },
  backup: { value: "FILE", help: "keeps the former configuration there" },
  timeout: { value: "SECONDS", help: "how long to wait; 60 by default" },
} satisfies Options;

export const apply = clusterCommand({
  name: "apply",
  summary: "Change the configuration: show the effects, ask, and wait until it is in force everywhere",
  usage: "FILE",
  takes: 1,
  isOnce: true,
  needsApi: true,
  options: applyOptions,
  help: `Does what "ingotctl diff" does, asks, writes the configuration into the ConfigMap, and waits until every process has it in force. The
former ConfigMap is kept in a file, by default below $XDG_STATE_HOME or ~/.local/state; from a terminal you are asked at the end
whether to keep the new configuration, and it is changed back otherwise. A configuration that would be refused is not written. Somebody else's change in
the meantime is not overwritten. Where the configuration is MetalLB's custom resources, the objects of FILE are made or changed, one after the
other, and no others; their former state is kept in the file too.

Besides the rights for "ingotctl diff" it needs the right to update the ConfigMap, or to create it; of
custom resources, to get, update and create these.`,
  examples: ["ingotctl apply config.yaml", "ingotctl apply config.yaml --yes --timeout=120"],
  exits:
    "1 also means that the configuration is not valid, would be refused or is not wanted, and 3 that it is not in force everywhere in time.",
  async find(question, { yes, backup, timeout }) {
    const {
      args: [file = ""],
      screen,
      io,
    } = question;
    const timeoutMs = readSeconds(timeout ?? "60");
    if (backup !== undefined && resolve(backup) === resolve(file))
      throw new UsageError(`--backup names the file to apply, ${file}, which would be overwritten: name another one`);
    const trial = await tryConfiguration(question, file);
    if (trial === undefined) return notValid;
    const { wanted, change, doubts, unreachable, client, installation } = trial;
    io.err(changeText(change, doubts, screen));
    const value = changeValue(change);
    if (!change.isAccepted) return { value, text: "", unreachable, isMissing: true };
    if (installation.text === wanted.text && installation.mayRenumber === wanted.mayRenumber) {
      const outcome = await watchUntilInForce(question, { hash: wanted.hash, version: versionOf(installation) }, timeoutMs);
      const inForce = isEverywhere(outcome);
      const text = `The cluster has this configuration already.\n${inForce ? "" : outcomeText(outcome)}`;
      return { value: { ...value, inForce }, text, unreachable: outcome.unreachable, isLossy: !inForce };
    }
    if (!(await confirmed(io, yes === true, hurts(change))))
      return { value, text: "Nothing was changed.\n", unreachable, isMissing: true };
    const way = await keepFormer(question, backup, installation);
    const isOfObjects = installation.source === "crds";
    const written = isOfObjects
      ? await writeObjects(client, wanted.objects, installation)
      : await writeConfiguration(client, installation, wanted.text);
    io.err(isWritten);
    // Only then do custom resources have the defaults of the API.
    const version = written ?? versionOf(await readInstallation(client, installation.namespace));
    const outcome = await watchUntilInForce(question, { hash: wanted.hash, version }, timeoutMs);
    return finish(question, {
      yes: isOfObjects || yes,
      timeoutMs,
      value,
      way,
      outcome,
      client,
      installation,
      wanted: wanted.text,
    });
  },
});

/** For people who end the program while it waits. */
const isWritten = "The new configuration is written.\n";

/** The version of the configuration that processes say they have seen. */
function versionOf({ source, text, configMap }: Installation): string | undefined {
  if (source === "crds") return text && textVersion(text);
  return (configMap as RawObject | undefined)?.metadata?.resourceVersion as string | undefined;
}

async function confirmed(io: Io, yes: boolean, hurting: boolean): Promise<boolean> {
  if (yes) return true;
  if (io.ask === undefined) throw new UsageError("there is nobody to ask: give --yes to apply it");
  const answer = await io.ask(`\n${hurting ? "Services lose or change addresses. " : ""}Apply this? [y/N] `);
  return /^y(es)?$/i.test(answer.trim());
}

/** @returns the file with the former contents of the ConfigMap, if there were any */
async function keepFormer(
  { io, now }: CommandInput,
  backup: string | undefined,
  { text }: Installation,
): Promise<string | undefined> {
  if (text === undefined) return undefined;
  const file = backup ?? (await unusedFile(io, now, text));
  if (backup !== undefined) await io.writePrivateFile(backup, text);
  io.err(`The former configuration is in ${file}\n`);
  return file;
}

/** Writes it to a file below the state folder that was not there: other clusters may be changed at the same time. @returns its path */
async function unusedFile(io: Io, now: Date, text: string): Promise<string> {
  const time = now.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  for (let number = 1; ; number++) {
    const file = join(io.stateFolder, `config-before-${time}${number === 1 ? "" : `-${number}`}.yaml`);
    if (await io.writePrivateFile(file, text, true)) return file;
  }
}

/** Replaces the ConfigMap that was read, and no other version of it. @returns the new version @throws {UsageError} */
async function writeConfiguration(
  api: Api,
  { configMapPath, configMap }: Installation,
  text: string,
): Promise<string | undefined> {
  const [collection = "", name = ""] = /^(.*)\/([^/]+)$/.exec(configMapPath)?.slice(1) ?? [];
  const data = { ...configMap?.data, [configKey]: text };
  const kind = { apiVersion: "v1", kind: "ConfigMap" };
  const written =
    configMap === undefined
      ? api.write("POST", collection, { ...kind, metadata: { name: decodeURIComponent(name) }, data })
      : api.write("PUT", configMapPath, { ...configMap, ...kind, data });
  const { metadata } = (await done(written, "write the ConfigMap")) as RawObject;
  return metadata?.resourceVersion as string | undefined;
}

/** @throws {UsageError} naming the objects that are written, where another one is not */
async function writeObjects(api: Api, objects: readonly NewObject[], installation: Installation): Promise<void> {
  const written: string[] = [];
  for (const object of objects)
    try {
      await writeObject(api, object, installation);
      written.push(`${object.kind} ${object.metadata.namespace}/${object.metadata.name}`);
    } catch (error) {
      if (!(error instanceof UsageError) || written.length === 0) throw error;
      throw new UsageError(`${error.message}; written before it: ${list(written)}`, { cause: error });
    }
}

/** Makes the object, or gives the one that is there, and was there when the effects were shown, this spec, labels and annotations. @throws {UsageError} */
async function writeObject(api: Api, object: NewObject, { namespace, objects }: Installation): Promise<void> {
  const { kind, apiVersion, metadata } = object;
  const { plural } = configurationKinds.find((each) => each.kind === kind) ?? {};
  const what = `${kind} ${metadata.namespace}/${metadata.name}`;
  if (plural === undefined) throw new UsageError(`${what} is of no kind that is a configuration: apply it by kubectl`);
  const collection = `/apis/${apiVersion}/namespaces/${encodeURIComponent(metadata.namespace)}/${plural}`;
  const path = `${collection}/${encodeURIComponent(metadata.name)}`;
  const found = (await optional(api.read(path), what)) as NewObject | undefined;
  const shown = objects.find((one) => keyOf(one) === keyOf(object));
  if (metadata.namespace === namespace && generationOf(found) !== generationOf(shown))
    throw new UsageError(`cannot write ${what}: somebody changed it: try again`);
  const wanted = inPlaceOf(found, object);
  await done(found === undefined ? api.write("POST", collection, wanted) : api.write("PUT", path, wanted), `write ${what}`);
}

/** Differs where the object has another spec, or was deleted and made again. The version of an object changes with each status that the controller writes. */
function generationOf(object: NewObject | undefined): string | undefined {
  return object && `${object.metadata.uid} ${object.metadata.generation}`;
}

type NewObject = Trial["wanted"]["objects"][number];

interface Applied {
  readonly yes: boolean | undefined;
  readonly timeoutMs: number;
  readonly value: object;
  readonly way: string | undefined;
  readonly outcome: InForce;
  readonly client: Api;
  /** The former state. */
  readonly installation: Installation;
  /** The text that was written. */
  readonly wanted: string;
}

async function finish(question: CommandInput, applied: Applied): Promise<CommandResult> {
  const { yes, timeoutMs, value, way, outcome, client, installation } = applied;
  const { io, systemNamespace } = question;
  const { unreachable } = outcome;
  const inForce = isEverywhere(outcome);
  const text = outcomeText(outcome);
  const found = { value: { ...value, inForce, backup: way ?? null }, unreachable, isLossy: !inForce };
  const back = way === undefined ? "" : `The way back: ${commandLine(["ingotctl", "apply", ...question.clusterArgs, way])}\n`;
  if (io.ask === undefined || yes || installation.text === undefined) return { ...found, text: `${text}${back}` };
  io.err(text);
  const answer = await io.ask("Keep it? [Y/n] ");
  if (!/^no?$/i.test(answer.trim())) return { ...found, text: back };
  const version = await writeFormer(client, systemNamespace, installation.text, applied);
  const former = parseConfiguration(installation.text).config;
  const given = { ...found, value: { ...found.value, inForce: false }, isMissing: true };
  if (former === undefined) return { ...given, text: "The former configuration is back. It had errors.\n" };
  const again = await watchUntilInForce(question, { hash: fingerprint(former), version }, timeoutMs);
  return {
    ...given,
    text: isEverywhere(again)
      ? "The former configuration is back, everywhere.\n"
      : `The former configuration is written again.\n${outcomeText(again)}`,
    unreachable: again.unreachable,
  };
}

/** @returns the new version @throws {UsageError} saying what is left */
async function writeFormer(client: Api, namespace: string, former: string, { wanted, way }: Applied) {
  try {
    const now = await readInstallation(client, namespace);
    if (now.text === wanted) return await writeConfiguration(client, now, former);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message}; the former configuration is in ${way}`, { cause: error });
  }
  throw new UsageError(`somebody changed the ConfigMap meanwhile, so it is left as it is; the former configuration is in ${way}`);
}

function outcomeText(outcome: InForce): string {
  const { count, late } = outcome;
  if (isEverywhere(outcome)) return `In force in all ${count} processes that answer.\n`;
  if (late.length === 0) return "No process says which configuration it has in force.\n";
  const each = late.map(({ target, why }) => `  ${maskControls(`${target.pod} on ${target.node}: ${why}`)}\n`);
  return `Not in force in ${late.length} of ${count + late.length} processes that answer:\n${each.join("")}`;
}

function isEverywhere({ count, late }: InForce): boolean {
  return late.length === 0 && count > 0;
}

/** The words quoted for a shell. */
function commandLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w./:@=+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
