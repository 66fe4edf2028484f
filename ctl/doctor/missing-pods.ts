import { escapeControls, shorten } from "#pkg/text";
import { type Fields, fields, list, text } from "#pkg/untrusted";
import type { Api, RawObject } from "../cluster/api.ts";
import { programOf } from "../cluster/installation.ts";
import type { Processes, Target } from "../cluster/processes.ts";

/** Why there are fewer Pods of a program than its user would expect. */
export interface Missing {
  /** Such as `Deployment controller is scaled to 0 replicas`. */
  readonly because: string;
  /** Kubernetes' own words, where there are any. */
  readonly said?: string;
  readonly fix: string;
}

/** Absent for a program that has its Pods, or where the API does not say why. */
export type MissingPods = Readonly<Partial<Record<Target["program"], Missing>>>;

/**
 * Asks the Deployment or the DaemonSet that lacks Pods, and no other: nobody needs a right to read them only to be told that all is well.
 * @param nodes those that are Ready, as far as they are known
 */
export async function missingPods(
  { targets }: Pick<Processes, "targets">,
  api: Api | undefined,
  namespace: string,
  nodes: readonly string[] = [],
): Promise<MissingPods> {
  if (api === undefined) return {};
  const hasNo = (program: Target["program"], node?: string) =>
    !targets.some((target) => target.program === program && (node === undefined || target.node === node));
  const [controller, speaker] = await Promise.all([
    hasNo("controller") ? missingController(api, namespace) : undefined,
    hasNo("speaker") || nodes.some((node) => hasNo("speaker", node)) ? missingSpeakers(api, namespace) : undefined,
  ]);
  return { ...(controller && { controller }), ...(speaker && { speaker }) };
}

async function missingController(api: Api, namespace: string): Promise<Missing | undefined> {
  for (const one of await listed(api, `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/deployments`)) {
    if (programOf(one) !== "controller") continue;
    const name = `${one.metadata?.name}`;
    if (one.spec?.replicas === 0) {
      const fix = `kubectl -n ${namespace} scale deployment ${name} --replicas=1`;
      return { because: `Deployment ${name} is scaled to 0 replicas`, fix };
    }
    const failure = list(fields(one.status).conditions)
      .map(fields)
      .find(({ type, status }) => type === "ReplicaFailure" && status === "True");
    if (failure !== undefined) return refused(`Deployment ${name}`, text(failure.message), namespace);
  }
  return undefined;
}

async function missingSpeakers(api: Api, namespace: string): Promise<Missing | undefined> {
  for (const one of await listed(api, `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/daemonsets`)) {
    if (programOf(one) !== "speaker") continue;
    const { desiredNumberScheduled: wanted, currentNumberScheduled: there } = fields(one.status);
    if (!(Number(there) < Number(wanted))) continue;
    // A DaemonSet has no conditions: only its events say what it lacks.
    const name = `${one.metadata?.name}`;
    const selector = encodeURIComponent(`involvedObject.kind=DaemonSet,involvedObject.name=${name},reason=FailedCreate`);
    const events = await listed(api, `/api/v1/namespaces/${encodeURIComponent(namespace)}/events?fieldSelector=${selector}`);
    const last = events
      .map(fields)
      .sort((a, b) => (lastSeen(a) < lastSeen(b) ? -1 : 1))
      .at(-1);
    if (last !== undefined) return refused(`DaemonSet ${name}`, text(last.message), namespace);
  }
  return undefined;
}

function lastSeen({ lastTimestamp, eventTime }: Fields): string {
  return text(lastTimestamp) || text(eventTime);
}

async function listed(api: Api, path: string): Promise<readonly RawObject[]> {
  const answer = await api.list(path);
  return answer.type === "found" ? (answer.value as readonly RawObject[]) : [];
}

/** @param said Kubernetes' words, such as `Error creating: pods "speaker-" is forbidden: violates PodSecurity "baseline:latest": …` */
function refused(owner: string, said: string, namespace: string): Missing {
  const words = said.replace(/^Error creating: /, "");
  return {
    because: `Kubernetes refuses the Pods of ${owner}`,
    said: escapeControls(shorten(words, { most: maxSaid })),
    fix: /violates PodSecurity/.test(words)
      ? `kubectl label namespace ${namespace} pod-security.kubernetes.io/enforce=privileged --overwrite`
      : `let the namespace admit them: kubectl -n ${namespace} describe quota,limits; and see who else decides on its Pods`,
  };
}

const maxSaid = 400;
