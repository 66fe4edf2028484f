import { join, resolve } from "node:path";
import { configurationKinds, parseConfiguration } from "#pkg/convert";
import { configKey, fingerprint, textVersion } from "#pkg/live-config";
import { maskControls } from "#pkg/text";
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
    if (installation.text === wanted.text && installation.mayRenumber === wanted.mayRenumber)
      return { value, text: "The cluster has this configuration already.\n", unreachable };
    if (!(await confirmed(io, yes === true, hurts(change))))
      return { value, text: "Nothing was changed.\n", unreachable, isMissing: true };
    const way = await keepFormer(question, backup, installation);
    if (installation.source === "crds") {
      for (const object of wanted.objects) await writeObject(client, object, installation);
      const { text } = await readInstallation(client, installation.namespace); // With the defaults of the API.
      const version = text && textVersion(text);
      const outcome = await watchUntilInForce(question, { hash: wanted.hash, version }, timeoutMs);
      return finish(question, { yes: true, timeoutMs, value, way, outcome, client, installation, wanted: wanted.text });
    }
    const version = await writeConfiguration(client, installation, wanted.text);
    const outcome = await watchUntilInForce(question, { hash: wanted.hash, version }, timeoutMs);
    return finish(question, { yes, timeoutMs, value, way, outcome, client, installation, wanted: wanted.text });
  },
});

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
  const { yes, timeoutMs, value, way, outcome, client, installation, wanted } = applied;
  const { io, systemNamespace } = question;
  const { unreachable, late } = outcome;
  const missing = late.map(({ target, why }) => `  ${maskControls(`${target.pod} on ${target.node}: ${why}`)}\n`);
  const inForce = isEverywhere(outcome);
  const text = inForce
    ? `In force in all ${outcome.count} processes that answer.\n`
    : late.length === 0
      ? "No process says which configuration it has in force.\n"
      : `Not in force in ${late.length} of ${outcome.count + late.length} processes that answer:\n${missing.join("")}`;
  const found = { value: { ...value, inForce, backup: way ?? null }, unreachable, isLossy: !inForce };
  const back = way === undefined ? "" : `The way back: ${commandLine(["ingotctl", "apply", ...question.clusterArgs, way])}\n`;
  if (io.ask === undefined || yes || installation.text === undefined) return { ...found, text: `${text}${back}` };
  io.err(text);
  const answer = await io.ask("Keep it? [Y/n] ");
  if (!/^no?$/i.test(answer.trim())) return { ...found, text: back };
  const now = await readInstallation(client, systemNamespace);
  if (now.text !== wanted)
    throw new UsageError(
      `somebody changed the ConfigMap meanwhile, so it is left as it is; the former configuration is in ${way}`,
    );
  const version = await writeConfiguration(client, now, installation.text);
  const former = parseConfiguration(installation.text).config;
  if (former === undefined) return { ...found, text: "The former configuration is back. It had errors.\n", isMissing: true };
  const again = await watchUntilInForce(question, { hash: fingerprint(former), version }, timeoutMs);
  return {
    ...found,
    text: isEverywhere(again) ? "The former configuration is back, everywhere.\n" : "The former configuration is back.\n",
    isMissing: true,
  };
}

function isEverywhere({ count, late }: InForce): boolean {
  return late.length === 0 && count > 0;
}

/** The words quoted for a shell. */
function commandLine(words: readonly string[]): string {
  return words.map((word) => (/^[\w./:@=+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
