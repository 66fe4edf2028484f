import type { BriefVerdict, VerdictAnswer } from "#pkg/verdict";
import type { ControllerServices, EndpointsOnNode, PoolsAnswer, SpeakerServices } from "./answers.ts";
import { isStarting, knowsMore, type MergedService, mergeServices, wellByName } from "./merge.ts";
import {
  type Answer,
  type Answers,
  askAll,
  isOtherVersion,
  isSlow,
  isWithoutSpeakers,
  only,
  type Processes,
  type Target,
  type Unreachable,
} from "./processes.ts";

export interface AskedServices<V extends BriefVerdict = VerdictAnswer> {
  readonly services: readonly MergedService<V>[];
  readonly unreachable: readonly Unreachable[];
}

export interface AskedService extends AskedServices {
  /** Why no controller decides; undefined where one does. */
  readonly undecided: string | undefined;
  /** As the first speaker has them that says it. */
  readonly endpoints: readonly EndpointsOnNode[] | undefined;
  /** The controller's verdict on a Service with addresses, where it says more than that these are assigned. */
  readonly note: VerdictAnswer | undefined;
}

/** Everything about one Service, by everybody. */
export async function askService(processes: Processes, service: string): Promise<AskedService> {
  const path = `/v1/services?service=${encodeURIComponent(service)}`;
  const [controllers, speakers] = await Promise.all([
    askAll<ControllerServices>(processes, path, "controller"),
    askAll<SpeakerServices>(processes, path, "speaker"),
  ]);
  const all = mergeServices({
    all: processes,
    unannounced: await unannouncedPools(processes),
    controllers: leaders(controllers.answers),
    whole: speakers.answers,
    problems: [],
  });
  const decided = leaders(controllers.answers).flatMap(({ body }) => body.services);
  return {
    services: all.filter((one) => one.service === service),
    note: decided
      .map(({ verdict }) => verdict)
      .find(({ state, cause }) => state === "Degraded" || (state === "Assigned" && cause !== "assigned")),
    undecided: processes.isNodeLocal === true ? undefined : whyUndecided(controllers),
    endpoints: speakers.answers
      .flatMap(({ body }) => body.services)
      .find((one) => one.service === service && one.endpoints !== undefined)?.endpoints,
    unreachable: [...controllers.unreachable, ...speakers.unreachable],
  };
}

/** Where no speaker runs, the pools that none is to announce: a Service has all that it asks for there. */
async function unannouncedPools(processes: Processes): Promise<ReadonlySet<string>> {
  if (!isWithoutSpeakers(processes)) return new Set();
  const { answers } = await askAll<PoolsAnswer>(processes, "/v1/pools", "controller");
  const pools = answers.flatMap(({ body }) => body.pools).filter(({ protocol }) => protocol === "none");
  return new Set(pools.map(({ pool }) => pool));
}

function whyUndecided({ answers, unreachable }: Answers<ControllerServices>): string | undefined {
  // One of MetalLB decides, and does not say what.
  if (leaders(answers).length > 0 || unreachable.some(({ why }) => isOtherVersion(why))) return undefined;
  if (answers.length > 0) return unreachable.length > 0 ? "none that answers leads" : "none leads";
  return unreachable.length > 0 ? "none answers" : "there is none";
}

// A speaker that works has made a list of 10,000 Services by then.
const slowMs = 1_000;

/** All Services. In a large ring each speaker says itself what it announces: the one that lists all does not know who else does. */
export function askServices(processes: Processes): Promise<AskedServices> {
  return askAllServices(processes, { all: "/v1/services", problems: "/v1/services?problems&own" });
}

/** The same with no more than a list shows: of thousands of Services that is a tenth. Earlier versions answer all the same. */
export function askServicesBriefly(processes: Processes): Promise<AskedServices<BriefVerdict>> {
  return askAllServices(processes, { all: "/v1/services?brief", problems: "/v1/services?brief&problems&own" });
}

export interface AskedProblems extends AskedServices {
  /** How many Services there are, by their states; also those that are not listed. */
  readonly states: Readonly<Record<string, number>>;
}

/**
 * Services that are not well, with whole verdicts, and the number of all. Processes say no more than the names of Services that are well: for 10,000
 * that is a twentieth of the octets. Earlier versions list them all, and leave all verdicts without a message.
 */
export async function askProblems(processes: Processes): Promise<AskedProblems> {
  const { names, ...asked } = await askAllServices(processes, {
    all: isWithoutSpeakers(processes) ? "/v1/services" : "/v1/services?brief=names", // Without speakers no Service is well.
    problems: "/v1/services?problems",
  });
  const services = asked.services.map(wholeOf);
  for (const { service } of services) names.delete(service);
  const states = [...services.map(({ verdict }) => verdict.state), ...names.values()];
  const counts = [...Map.groupBy(states, (state) => state)].map(([state, those]) => [state, those.length]);
  return { ...asked, services, states: Object.fromEntries(counts) };
}

/** With the fields of whole verdicts. */
function wholeOf({ service, verdict, addresses, also }: MergedService<BriefVerdict>): MergedService {
  const whole = (some: BriefVerdict) => ({ message: "", next: "", evidence: [], ...some });
  return {
    service,
    addresses: addresses.map((one) => ({ ...one, verdict: whole(one.verdict) })),
    verdict: whole(verdict),
    ...(also !== undefined && { also: whole(also) }),
  };
}

/**
 * One speaker is asked for all that it knows, the others for their problems: of thousands of Services on hundreds of nodes the rest would be
 * the same once for each node. Where another knows more, or the first one is starting, that other one is asked, too.
 */
async function askAllServices<V extends BriefVerdict>(
  processes: Processes,
  paths: { readonly all: string; readonly problems: string },
): Promise<AskedServices<V> & { readonly names: Map<string, BriefVerdict["state"]> }> {
  const speakers = processes.targets.filter(({ program }) => program === "speaker");
  const [first, second] = speakers.filter(({ notRunning }) => notRunning === undefined);
  const askForAll = (target: Target | undefined) =>
    askAll<SpeakerServices<V>>(
      only(processes, (one) => one === target),
      paths.all,
    );
  const asking = askForAll(first);
  const [controllers, asked, instead, others] = await Promise.all([
    askAll<ControllerServices<V>>(processes, paths.all, "controller"),
    asking,
    // One that hangs is known by its silence alone, and another one is asked meanwhile.
    isSlow(asking, slowMs).then((isSlow) => askForAll(isSlow ? second : undefined)),
    askAll<SpeakerServices<V>>(
      only(processes, (target) => target.program === "speaker" && target !== first),
      paths.problems,
    ),
  ]);
  const starting = [...asked.answers, ...others.answers].filter(isStarting);
  const [whole = []] = [asked, instead]
    .map(({ answers }) => answers.filter((one) => !isStarting(one)))
    .filter(({ length }) => length > 0);
  for (const { target } of others.answers.filter((one) => !isStarting(one))) {
    if (whole.length > 0) break;
    whole.push(...(await askForAll(target)).answers);
  }
  const [better] = others.answers
    .filter((other) => whole[0] !== undefined && other.target !== whole[0].target && knowsMore(other, whole[0]))
    .sort((a, b) => a.body.services.length - b.body.services.length);
  if (better !== undefined) whole.push(...(await askForAll(better.target)).answers);
  const all = new Set([...starting, ...others.answers]);
  const problems = [...all].filter(({ target }) => !whole.some((one) => one.target === target));
  const unannounced = await unannouncedPools(processes);
  const said = { all: processes, unannounced, controllers: leaders(controllers.answers), whole, problems };
  const services = mergeServices(said);
  return {
    services,
    names: wellByName(said),
    unreachable: [...controllers.unreachable, ...asked.unreachable, ...others.unreachable],
  };
}

function leaders<V extends BriefVerdict>(
  answers: readonly Answer<ControllerServices<V>>[],
): readonly Answer<ControllerServices<V>>[] {
  return answers.filter(({ body }) => body.leader);
}
