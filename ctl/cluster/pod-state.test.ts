import assert from "node:assert/strict";
import { test } from "node:test";
import type { RawObject } from "./api.ts";
import { endingOf, notRunning } from "./pod-state.ts";

const startedAt = "2026-01-02T03:00:00Z";
const finishedAt = "2026-01-02T03:03:00Z";
const terminated = (reason: string, exitCode: number, message?: string) => ({
  terminated: { reason, exitCode, startedAt, finishedAt, ...(message !== undefined && { message }) },
});
const running = { running: { startedAt } };
const waiting = (reason: string, message?: string) => ({ waiting: { reason, ...(message !== undefined && { message }) } });

/** As the kubelet writes it, with a container that someone else has added before ours. */
function pod(phase: string, state: object, more: { lastState?: object; restartCount?: number; limits?: object } = {}): RawObject {
  const { lastState = {}, restartCount = 0, limits } = more;
  const sidecar = { name: "mesh", state: running, lastState: terminated("Error", 9), restartCount: 2 };
  return {
    metadata: { name: "speaker-x", labels: { app: "metallb", component: "speaker" } },
    spec: { nodeName: "n1", containers: [{ name: "mesh" }, { name: "speaker", resources: { limits } }] },
    status: { phase, containerStatuses: [sidecar, { name: "speaker", state, lastState, restartCount }] },
  };
}

const killed = { lastState: terminated("OOMKilled", 137), restartCount: 7, limits: { memory: "100Mi" } };
const failed =
  '{"level":"info","msg":"starting"}\n{"level":"error","msg":"unexpected error, exiting","error":"EACCES: /var/run"}\n';

const cases: { name: string; of: RawObject; want: string | undefined; ended?: string }[] = [
  { name: "a process that runs", of: pod("Running", running), want: undefined },
  {
    name: "a Pod that waits for a node",
    of: {
      spec: {},
      status: { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", message: "0/3 nodes are available" }] },
    },
    want: "the Pod is on no node yet: 0/3 nodes are available",
  },
  { name: "a Pod of which nobody has said anything", of: { spec: {} }, want: "the Pod is on no node yet" },
  { name: "a Pod that ends", of: { metadata: { deletionTimestamp: finishedAt } }, want: "the Pod is terminating" },
  {
    name: "an image that is not there",
    of: pod("Pending", waiting("ImagePullBackOff", 'Back-off pulling image "ingot:9"')),
    want: 'the Pod is Pending: ImagePullBackOff: Back-off pulling image "ingot:9"',
  },
  {
    name: "an evicted Pod",
    of: {
      spec: { nodeName: "n1" },
      status: { phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory." },
    },
    want: "the Pod is Failed: Evicted: The node was low on resource: memory.",
  },
  {
    name: "a process that needs more memory than it may have, between two starts",
    of: pod("Running", waiting("CrashLoopBackOff", "back-off 5m0s restarting failed container"), killed),
    want: "it needed more memory than its limit of 100Mi (OOMKilled), and waits to be started again",
    ended: "memory 7: it needed more memory than its limit of 100Mi (OOMKilled)",
  },
  {
    name: "the same before the kubelet has seen that it is to be started again",
    of: pod("Running", terminated("OOMKilled", 137)),
    want: "it needed more memory than its node has (OOMKilled), and waits to be started again",
    ended: "memory 0: it needed more memory than its node has (OOMKilled)",
  },
  {
    name: "the same while it runs",
    of: pod("Running", running, killed),
    want: undefined,
    ended: "memory 7: it needed more memory than its limit of 100Mi (OOMKilled)",
  },
  {
    name: "a process that failed, with the last line of its log",
    of: pod("Running", waiting("CrashLoopBackOff"), { lastState: terminated("Error", 1, failed), restartCount: 3 }),
    want: "it ended with exit code 1 (Error): unexpected error, exiting: EACCES: /var/run, and waits to be started again",
    ended: "fault 3: it ended with exit code 1 (Error): unexpected error, exiting: EACCES: /var/run",
  },
  {
    name: "a process that was stopped, and one whose node was",
    of: pod("Running", running, { lastState: terminated("Completed", 0), restartCount: 1 }),
    want: undefined,
    ended: "stop 1: it ended with exit code 0 (Completed)",
  },
  {
    name: "a process whose node was started again",
    of: pod("Running", running, { lastState: terminated("Unknown", 255), restartCount: 1 }),
    want: undefined,
    ended: "stop 1: it ended with exit code 255 (Unknown)",
  },
  {
    name: "what steers a terminal",
    of: pod("Pending", waiting("\u001b[2J", "x".repeat(1_000))),
    want: `the Pod is Pending: \\u001b[2J: ${"x".repeat(300)}…`,
  },
  {
    name: "nonsense",
    of: { spec: { nodeName: "n1" }, status: { phase: "Running", containerStatuses: "none" } },
    want: undefined,
  },
];
for (const { name, of, want, ended } of cases)
  test(`the state of a Pod: ${name}`, () => {
    assert.equal(notRunning(of), want);
    const { cause, restarts, how, at } = endingOf(of) ?? {};
    assert.equal(how === undefined ? undefined : `${cause} ${restarts}: ${how}`, ended);
    assert.equal(at, ended === undefined ? undefined : finishedAt);
  });
