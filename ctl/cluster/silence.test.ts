import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { suite, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Exit } from "../command.ts";
import { smallCluster } from "../testing/small-cluster.ts";
import { stepMs, timedIngotctl, timeoutMs, turns } from "../testing/timed-ingotctl.ts";
import { PodAgent } from "./connect.ts";
import type { Processes, Target } from "./processes.ts";

const commands = [
  ...["status", "check", "doctor", "doctor --wire", "services -A", "pools", "nodes", "peers", "members", "version"],
  ...["owner 192.0.2.1", "owner 192.0.2.9", "history 192.0.2.1", "history svc/web", "probe 192.0.2.1", "simulate lose n1"],
  ...["svc/web", "192.0.2.1", "192.0.2.9", "node/n2", "peer/10.0.0.1", "pool/lan", "config"].map(
    (subject) => `explain ${subject}`,
  ),
];

/** The small cluster, in which the process of one Pod takes connections and answers nothing; and what it was asked. */
function withHung(pod: string) {
  const { api, processes } = smallCluster();
  const questions: string[] = [];
  const agent = new PodAgent(async () => {
    const [ours, theirs] = duplexPair();
    theirs.setEncoding("latin1").on("data", (text: string) => questions.push(...(text.match(/(?<=^GET )\S+/gm) ?? [])));
    return ours;
  });
  const asked = {
    ...processes,
    async get(target: (typeof processes.targets)[number], path: string): Promise<unknown> {
      return target.pod === pod ? agent.get(path, asked) : processes.get(target, path);
    },
  };
  return { api, processes: asked, questions, [Symbol.dispose]: () => agent.destroy() };
}

suite("a process that hangs", () => {
  for (const pod of ["controller", "speaker-n1", "speaker-n2"])
    for (const command of commands)
      test(`${pod} is asked one question by ${command}, which waits for one time-out`, async (context) => {
        using cluster = withHung(pod);
        context.mock.timers.enable({ apis: ["setTimeout"] });
        const { status, err, waitedMs } = await timedIngotctl(command, cluster, (ms) => context.mock.timers.tick(ms));
        assert.ok(cluster.questions.length <= 1, cluster.questions.join(" "));
        assert.ok(waitedMs <= timeoutMs + stepMs, `${waitedMs} ms`);
        if (cluster.questions.length > 0 && !/^(check|doctor)/.test(command)) {
          assert.match(err, new RegExp(`^ingotctl: ${pod}\\b.*no answer within 2 s$`, "m"));
          assert.notEqual(status, Exit.ok);
        }
      });
});

for (const command of ["status", "doctor", "services -A", "nodes", "explain svc/web", "drain n99"])
  test(`many processes that hang do not delay one another in ${command}`, async (context) => {
    const { api, processes } = smallCluster();
    const agents = new Map<string, PodAgent>();
    const [controller, speaker] = processes.targets as [Target, Target];
    const speakers = Array.from({ length: 100 }, (_, place) => ({ ...speaker, pod: `speaker-${place}`, node: `n${place}` }));
    const many: Processes = {
      ...processes,
      targets: [controller, ...speakers],
      async get(target, path) {
        if (target === controller || Number(target.node.slice(1)) >= 40)
          return processes.get({ ...target, pod: target === controller ? "controller" : "speaker-n1" }, path);
        const agent = agents.get(target.pod) ?? new PodAgent(async () => duplexPair()[0]);
        agents.set(target.pod, agent);
        return agent.get(path, many);
      },
    };
    api.stored["/api/v1/nodes/n99"] = { metadata: { name: "n99", labels: {} } };
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { err, waitedMs } = await timedIngotctl(command, { api, processes: many }, (ms) => context.mock.timers.tick(ms));
    assert.ok(waitedMs <= 1.5 * timeoutMs + stepMs, `${waitedMs} ms`);
    if (command !== "doctor") assert.equal(err.match(/no answer within 2 s/g)?.length, 40);
    for (const agent of agents.values()) agent.destroy();
  });

test("time that the API server takes to open a connection is not the process's", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const opened = Promise.withResolvers<void>();
  const agent = new PodAgent(async () => {
    await opened.promise;
    const [ours, theirs] = duplexPair();
    const body = '{"node":"n1"}';
    theirs.once("data", () =>
      setTimeout(() => theirs.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`), timeoutMs - 1),
    );
    return ours;
  });
  const asked = agent.get("/v1/node", {});
  const settle = async () => {
    for (let turn = 0; turn < turns; turn++) await setImmediate();
  };
  await settle();
  context.mock.timers.tick(2_400);
  opened.resolve();
  await settle();
  context.mock.timers.tick(timeoutMs - 1);
  await settle();
  assert.equal((await asked).status, 200);
  agent.destroy();
});
