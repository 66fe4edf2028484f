import type { Millis } from "#pkg/clock";
import { type Config, formatProblem, type ParsedConfig } from "#pkg/config";
import type { ConfigReader } from "#pkg/config-reader";
import { configKey, mayRenumber, renumberAnnotation } from "#pkg/live-config";
import { counted, escapeControls, list } from "#pkg/text";
import { type AddressState, doubtsOfNetbox, newTrial, type ServiceChange, serviceChanges, tryAddresses } from "#pkg/what-if";
import type { AdmissionRequest, AdmissionVerdict } from "./admission.ts";

/** The state to try a configuration on; `config` is the one in force, undefined without one. `refusal`: why the other would not be used. */
export type Trial = Omit<AddressState, "config"> & { readonly config: Config | undefined; readonly refusal?: string | undefined };

/** How long a trial may take: the API server waits for its answer. */
export interface Time {
  now(): Millis;
  readonly deadline: Millis;
  /** Lets the process do its other work. */
  nextTurn(): Promise<unknown>;
}

export interface ReviewOptions {
  /** Namespace of the ConfigMap with the configuration. */
  readonly namespace: string;
  /** Undefined where the configuration is no ConfigMap. */
  readonly configMap: string | undefined;
  readonly reader: Pick<ConfigReader, "read">;
  readonly terms: {
    readonly controller: { trial(after: ParsedConfig, until: Millis): Promise<Trial | undefined> };
  };
}

// Many Services take a while, and the controller has other work.
const stepsAtOnce = 50;
const wellAllowed: AdmissionVerdict = { allowed: true, warnings: [] };

/**
 * Judges a change of the ConfigMap: one whose text is not valid is refused, with the messages of `ingotctl validate`; which Services lose
 * or change addresses by it are warnings, also where the text stays and they may be given up from now on. A change that leaves the text as it is may
 * be made in any case, and so may all changes of other ConfigMaps.
 */
export async function reviewChange(request: AdmissionRequest, options: ReviewOptions, time: Time): Promise<AdmissionVerdict> {
  const { namespace, name, data, annotations, before } = request;
  if (namespace !== options.namespace || name !== options.configMap || data === undefined) return wellAllowed;
  const text = data[configKey];
  const mayMove = mayRenumber(annotations);
  const isSameText = before !== undefined && text === before[configKey];
  if (isSameText && !mayMove) return wellAllowed;
  if (typeof text !== "string")
    return { allowed: true, warnings: [`there is no key "${configKey}": the last good configuration stays in force`] };
  const parsed = await new Promise<ParsedConfig>((resolve) => options.reader.read(text, resolve));
  const { config, problems } = parsed;
  if (isSameText && config === undefined) return wellAllowed;
  const shown = problems.map((problem) => escapeControls(formatProblem(problem)));
  if (config === undefined)
    return { allowed: false, message: `the configuration is not valid:\n${shown.join("\n")}`, warnings: [] };
  const trial = await options.terms.controller.trial(parsed, (time.now() + time.deadline) / 2);
  const inForce = trial?.config;
  if (trial?.refusal !== undefined) return { allowed: true, warnings: [`not used: ${trial.refusal}`, ...shown] };
  if (trial === undefined || inForce === undefined) return { allowed: true, warnings: shown };
  const tried = { trial: { ...trial, config: inForce }, after: config, mayMove };
  return { allowed: true, warnings: [...(await blastRadius(tried, time)), ...shown] };
}

/** The effect on Services, in a line for each kind of change. */
async function blastRadius(
  tried: { readonly trial: Trial & { readonly config: Config }; readonly after: Config; readonly mayMove: boolean },
  { now, deadline, nextTurn }: Time,
): Promise<string[]> {
  const { trial, after, mayMove } = tried;
  const found = newTrial();
  const steps = tryAddresses(trial, after, found);
  let isWhole = false;
  for (let count = 1; !isWhole && now() < deadline; count++) {
    isWhole = steps.next().done === true;
    if (count % stepsAtOnce === 0) await nextTurn();
  }
  const warnings = isWhole ? [] : [unfinished(found, trial.services.length)];
  if (found.stranded.size > 0) {
    const those = list([...found.stranded].map(([key, addresses]) => `${key} (${addresses.join(", ")})`).sort());
    warnings.push(
      mayMove
        ? `moved, as ${renumberAnnotation} allows, since their addresses would be in no pool: ${those}`
        : `not used until these Services are gone or moved, whose addresses would be in no pool: ${those}`,
    );
  }
  const changes = serviceChanges(found);
  for (const [change, verb] of verbs) {
    const those = changes.filter((one) => one.change === change);
    if (those.length > 0) warnings.push(`${counted(those.length, "Service")} ${verb}: ${list(those.map(described))}`);
  }
  return [...warnings, ...doubtsOfNetbox(changes, after)].map(escapeControls);
}

function unfinished({ looked, decisions }: ReturnType<typeof newTrial>, all: number): string {
  const what =
    looked < all
      ? `Services that would be in the way were looked for among ${looked} of ${all}, those that would get other addresses not at all`
      : `Services that would get other addresses were looked for among ${decisions.size} of ${all}`;
  return `there was not the time for all: ${what}; see "ingotctl diff"`;
}

const verbs: readonly (readonly [ServiceChange["change"], string])[] = [
  ["loses", "would lose all addresses"],
  ["changes", "would get other addresses"],
  ["refused", "would not get what is requested"],
  ["pool", "would hold addresses of another pool"],
  ["gains", "would get an address"],
];

function described({ service, change, before, after }: ServiceChange): string {
  if (change === "changes") return `${service} (${before.join(", ")} to ${after.join(", ")})`;
  const addresses = change === "gains" ? after : before;
  return addresses.length === 0 ? service : `${service} (${addresses.join(", ")})`;
}
