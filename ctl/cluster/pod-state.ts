import { escapeControls, shorten } from "#pkg/text";
import { type Fields, fields, list, parsed, text } from "#pkg/untrusted";
import type { RawObject } from "./api.ts";
import { ownOf } from "./installation.ts";
import type { Ending } from "./processes.ts";

/** Why there is no process to be asked, as the Pod's status says; undefined while its container runs. */
export function notRunning(pod: RawObject): string | undefined {
  const { metadata, spec, status } = pod;
  if (metadata?.deletionTimestamp !== undefined) return "the Pod is terminating";
  const { phase = "unknown", conditions, reason, message } = fields(status);
  if (spec?.nodeName === undefined) {
    const scheduled = list(conditions)
      .map(fields)
      .find(({ type }) => type === "PodScheduled");
    return `the Pod is on no node yet${after(scheduled?.message)}`;
  }
  const { waiting, terminated } = fields(container(pod).state);
  if (phase === "Running" && waiting === undefined && terminated === undefined) return undefined;
  const ended = endingOf(pod);
  if (phase === "Running" && ended !== undefined) return `${ended.how}, and waits to be started again`;
  const { reason: why = reason, message: detail = message } = fields(waiting);
  return `the Pod is ${phase}${after(why)}${after(detail)}`;
}

/** How its container ended the last time; undefined where it never did, or it is not known. */
export function endingOf(pod: RawObject): Ending | undefined {
  const { state, lastState, restartCount } = container(pod);
  const terminated = fields(state).terminated ?? fields(lastState).terminated;
  if (terminated === undefined) return undefined;
  const { reason, exitCode, finishedAt, message } = fields(terminated);
  const code = Number(exitCode);
  const why = text(reason);
  return {
    how:
      why === outOfMemory
        ? needsMemory(memoryLimit(pod))
        : `it ended with exit code ${code}${inBrackets(why)}${after(lastLine(message))}`,
    at: Number.isNaN(Date.parse(text(finishedAt))) ? "" : text(finishedAt),
    restarts: Number(restartCount) || 0,
    cause: why === outOfMemory ? "memory" : faults.includes(why) && code !== 0 ? "fault" : "stop",
  };
}

const outOfMemory = "OOMKilled";
// The reasons that container runtimes give for a process that failed. An orderly end is `Completed`, and one with its node `Unknown`.
const faults = ["Error", "StartError", "ContainerCannotRun"];

function needsMemory(limit: string): string {
  if (limit === "") return "it needed more memory than its node has (OOMKilled)";
  return `it needed more memory than its limit of ${escapeControls(limit)} (OOMKilled)`;
}

function inBrackets(reason: string): string {
  return reason === "" ? "" : ` (${escapeControls(reason)})`;
}

/** A message of several lines, or the log that Kubernetes takes for one, ends with what matters: a line of our logs says what and why. */
function lastLine(message: unknown): string {
  const line = text(message).trim().split("\n").at(-1) ?? "";
  const { msg, error } = fields(parsed(line));
  return msg === undefined ? line : [text(msg), text(error)].filter((part) => part !== "").join(": ");
}

/** The rest of a sentence; none where the API says nothing. */
function after(said: unknown): string {
  const words = text(said).trim();
  return words === "" ? "" : `: ${escapeControls(shorten(words, { most: maxSaid }))}`;
}

const maxSaid = 300;

/** The status of our container. */
function container(pod: RawObject): Fields {
  return ownOf(pod, fields(pod.status).containerStatuses);
}

/** As the Pod has it; empty without one. */
function memoryLimit(pod: RawObject): string {
  return text(fields(fields(ownOf(pod, pod.spec?.containers).resources).limits).memory);
}
