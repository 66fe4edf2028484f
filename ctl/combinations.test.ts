import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { load } from "js-yaml";
import { SimulatedClock } from "#pkg/clock/testing";
import { PodAgent } from "./cluster/connect.ts";
import type { Processes, Target } from "./cluster/processes.ts";
import { Exit } from "./command.ts";
import { Collector } from "./dashboard/collector.ts";
import { emptyModel, type Model } from "./dashboard/model/rows.ts";
import { clusterProcesses } from "./dashboard/testing/cluster.ts";
import { fakeApi } from "./testing/api.ts";
import type { Given } from "./testing/ingotctl.ts";
import { stepMs, timedIngotctl, timeoutMs, turns } from "./testing/timed-ingotctl.ts";

// Commands beside processes that fail in several ways at once, judged by rules that hold for all of them.

/** Conditions of one process. */
const names = ["well", "hung", "refusing", "pending", "old", "garbled", "starting"] as const;
type Condition = (typeof names)[number];

const evil = "\u001b]0;owned\u0007\u001b[2J\u202e\r\n\u009b31m";
const forged = "All is well";
const commands = [
  ...["status", "check", "doctor", "doctor --wire", "services -A", "services -A --problems", "pools", "nodes", "peers"],
  ...["members", "version", "owner ADDRESS", "history ADDRESS", "history svc/web-0", "probe ADDRESS", "simulate lose n1"],
  ...["svc/web-0", "ADDRESS", "node/n1", "peer/10.0.0.1", "pool/lan", "config"].map((subject) => `explain ${subject}`),
] as const;
/** Commands that ask every process, and list what each says. */
const asksAll = /^(?:status|check|doctor|services|pools|version)\b/;
const isTable = /^[A-Z]+ {2}/;
const plain = stripVTControlCharacters;
const formats: Readonly<Record<string, (text: string) => unknown>> = { json: JSON.parse, yaml: (text) => load(text) };
const takesFormat = /^(?:status|services|pools|nodes|peers|members|explain|version|owner|history)\b/;

const worlds = fc.record({
  controllers: fc.array(fc.constantFrom(...names), { maxLength: 2 }),
  leader: fc.constantFrom(0, 1, 2), // Of two there is one or none.
  speakers: fc.array(fc.constantFrom(...names), { maxLength: 4 }),
  family: fc.constantFrom("IPv4", "IPv6"),
  isAttacked: fc.boolean(),
  isApiOut: fc.constantFrom(false, false, false, true),
  count: fc.constantFrom(0, 1, 5),
  columns: fc.constantFrom(undefined, 20, 40, 80),
  hasColor: fc.boolean(),
  format: fc.constantFrom("text", "wide", "json", "yaml"),
  command: fc.constantFrom(...commands),
});
type World = typeof worlds extends fc.Arbitrary<infer T> ? T : never;

/** The cluster of a world, and how often each process that hangs was asked. */
function clusterOf({ controllers, leader, speakers, family, isAttacked, count }: World) {
  const suffix = isAttacked ? `${evil}\n${forged}` : "";
  const nodes = speakers.map((_, index) => `n${index + 1}${index === 0 ? "" : suffix}`);
  const services = Array.from({ length: count }, (_, index) => ({
    key: `default/web-${index}${index === 0 ? "" : suffix}`,
    address: family === "IPv4" ? `10.0.0.${index}` : `fd00:ffff:ffff:ffff:ffff:ffff:ffff:fff${index}`,
    owner: nodes[index % Math.max(1, nodes.length)] ?? "",
  }));
  const well = clusterProcesses(() => ({ nodes, services, silent: {} }));
  const conditionOf = new Map<string, Condition>();
  const all = [
    ...controllers.map((condition, index) => ["controller", `controller-${index}`, nodes[0] ?? "n1", condition] as const),
    ...speakers.map((condition, index) => ["speaker", `speaker-${nodes[index]}`, nodes[index] ?? "", condition] as const),
  ];
  const targets = all.map(([program, pod, node, condition]): Target => {
    conditionOf.set(pod, condition);
    return { program, pod, node, notRunning: condition === "pending" ? "the Pod is Pending: ImagePullBackOff" : undefined };
  });
  const agents = new Map<string, PodAgent>();
  const questions = new Map<string, number>(); // pod that hangs -> how many
  const open = async (pod: string) => {
    const [ours, theirs] = duplexPair();
    theirs.setEncoding("latin1").on("data", (text: string) => {
      questions.set(pod, (questions.get(pod) ?? 0) + (text.match(/^GET /gm)?.length ?? 0));
    });
    return ours;
  };
  const processes: Processes = {
    targets,
    async get(target, path) {
      const { program, pod, node } = target;
      const condition = conditionOf.get(pod);
      if (condition === "hung") {
        const agent = agents.get(pod) ?? new PodAgent(() => open(pod));
        agents.set(pod, agent);
        return agent.get(path, processes);
      }
      if (condition === "refusing") throw new Error(`the connection was closed${suffix === "" ? "" : evil}`);
      if (condition === "garbled") return [null, { services: 7 }];
      if (condition === "old" && !path.startsWith("/v1/services"))
        throw new Error(`it has no ${path}: it is MetalLB, or another version of Ingot`);
      const as = well.targets.find((one) => one.program === program && (program === "controller" || one.node === node));
      const answer = await well.get(as ?? assert.fail(), path);
      if (Array.isArray(answer)) return answer;
      const body = Object.assign({}, answer);
      if (program === "controller") return Object.assign(body, { leader: pod === `controller-${leader}` });
      if (condition !== "starting") return body;
      return Object.assign(body, { missing: ["Services"] }, "services" in body && { services: [] });
    },
    async [Symbol.asyncDispose]() {
      for (const agent of agents.values()) agent.destroy();
    },
  };
  return { processes, questions, conditionOf, address: services[0]?.address ?? "10.0.0.0" };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there, but for the colours of states.
const steering = /(?!\u001b\[(?:3[1-3]|39|90)m)[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

/** The rules, whatever is wrong. */
function judge(
  world: World,
  { conditionOf, processes, questions }: ReturnType<typeof clusterOf>,
  result: Awaited<ReturnType<typeof timedIngotctl>>,
): void {
  const { status, out, err, waitedMs } = result;
  const { command, isApiOut } = world;
  const text = out + err;
  assert.ok((Object.values(Exit) as number[]).includes(status), `exit status ${status}`);
  assert.doesNotMatch(text, /^\s+at .*:\d+:\d+/m, "a stack trace");
  assert.doesNotMatch(text, steering, "a control character");
  assert.doesNotMatch(text, new RegExp(`^${forged}`, "m"), "a line of somebody else");
  assert.ok(waitedMs <= timeoutMs + stepMs, `it took ${waitedMs} ms`);
  for (const [pod, count] of questions) assert.ok(count <= 1, `${pod} hangs, and was asked ${count} times`);
  if (isApiOut) {
    assert.notEqual(status, Exit.ok);
    assert.match(text, /cannot ask the cluster for its Pods/);
    assert.doesNotMatch(text, /\b(?:Announced|Ready|live)\b|Nothing is wrong/);
    return;
  }
  const of = (program: string) =>
    processes.targets.filter((one) => one.program === program).map(({ pod }) => conditionOf.get(pod) ?? "well");
  const answers = (condition: Condition) => condition === "well" || condition === "starting";
  const [speakers, controllers] = [of("speaker"), of("controller")];
  const isSilent = [...speakers, ...controllers].some((condition) => !answers(condition));
  if (!speakers.some((condition) => answers(condition) || condition === "old")) {
    assert.doesNotMatch(text, /\bAnnounced\b/, "no speaker answers");
    assert.doesNotMatch(text, /^(?:Pool )?lan\b.*\bReady\b/m, "no speaker answers");
    assert.doesNotMatch(text, /^✓ (?:ring|peers|pools|Services|self-test)/m, "no speaker answers");
  }
  if (!controllers.some((condition) => answers(condition) || condition === "old"))
    assert.doesNotMatch(text, /\bAssigned\b|\bleads$/m, "no controller answers");
  if (isSilent || speakers.length === 0 || controllers.length === 0) {
    assert.doesNotMatch(out, /^Nothing is wrong\.$/m, "not all is known");
    assert.doesNotMatch(out, /^0 errors, 0 warnings/m, "not all is known");
  }
  if (speakers.every((condition) => condition === "pending")) assert.doesNotMatch(out, /\bassigned\b/i, "no speaker runs");
  const doesLead = world.leader < controllers.length;
  if (!isSilent && !doesLead) assert.doesNotMatch(out, /^Nothing is wrong\.$/m, "no controller leads");
  if (world.family === "IPv4" && !world.isAttacked && (world.columns ?? 0) >= 40 && isTable.test(out) && world.format === "text")
    for (const line of (out.split("\n\n")[0] ?? "").split("\n"))
      assert.ok(plain(line).length <= (world.columns ?? 0), `too wide: ${line}`);
  if (!controllers.some((condition) => answers(condition) || condition === "old"))
    assert.doesNotMatch(text, /^✓ pools/m, "no controller answers");
  if (isSilent)
    assert.doesNotMatch(text, /^✓ (?:ring|nodes|peers|pools|Services): (?!.*as far as there are answers$)/m, "not all is known");
  if (!asksAll.test(command)) return;
  for (const { pod } of processes.targets) {
    const condition = conditionOf.get(pod) ?? "well";
    if (answers(condition) || (condition === "old" && /^services|^version/.test(command))) continue;
    assert.ok(text.includes(pod.split("\u001b")[0] ?? ""), `${pod} is not named`);
    assert.notEqual(status, Exit.ok, `${pod} does not answer`);
  }
}

test("property: whatever is wrong at once, no command claims what it has not seen, and none takes longer than one time-out", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  await fc.assert(
    fc.asyncProperty(worlds, async (world) => {
      const cluster = clusterOf(world);
      await using processes = cluster.processes;
      const { format, columns, hasColor, isApiOut } = world;
      const isStructured = takesFormat.test(world.command) && Object.hasOwn(formats, format);
      const suffix = takesFormat.test(world.command) && format !== "text" ? ` -o ${format}` : "";
      const given: Given = {
        api: fakeApi({ "/api/v1/nodes": processes.targets.map(({ node }) => ({ metadata: { name: node } })) }),
        hasColor,
        ...(columns !== undefined && { columns }),
        ...(!isApiOut && { processes }),
      };
      const args = world.command.replace("ADDRESS", cluster.address) + suffix;
      const result = await timedIngotctl(args, given, (ms) => context.mock.timers.tick(ms));
      try {
        judge(world, cluster, result);
        if (isStructured && result.out !== "") formats[format]?.(result.out);
      } catch (error) {
        const shown = `${args}: exit status ${result.status}\n${result.out}\n-- standard error\n${result.err}`;
        throw new Error(`${(error as Error).message}\n${shown}`, { cause: error });
      }
    }),
    { numRuns: 2_000 },
  );
});

test("property: whatever is wrong at once, the dashboard keeps a row for each process, and calls nothing well that nobody said", async (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  await fc.assert(
    fc.asyncProperty(worlds, async (world) => {
      const { processes, conditionOf } = clusterOf(world);
      const clock = new SimulatedClock();
      await using collector = new Collector({
        namespace: "metallb-system",
        missing: async () => ({}),
        connect: async () => processes,
        cluster: "test",
        clock,
        date: () => new Date("2026-01-02T03:04:05Z"),
      });
      let model: Model = emptyModel();
      collector.onModel((next) => {
        model = next;
      });
      await collector.start();
      for (let waitedMs = 0; waitedMs <= timeoutMs + 2 * stepMs; waitedMs += stepMs) {
        clock.advanceBy(stepMs);
        context.mock.timers.tick(stepMs);
        for (let turn = 0; turn < turns; turn++) await setImmediate();
      }
      const speaks = ({ pod }: Target) => ["well", "starting", "old"].includes(conditionOf.get(pod) ?? "");
      for (const target of processes.targets) {
        const row = model.processes.get(target.pod);
        assert.equal(
          row?.problem === undefined,
          conditionOf.get(target.pod) === "well" || conditionOf.get(target.pod) === "starting",
        );
        if (target.program === "speaker" && !speaks(target))
          assert.equal(model.nodes.get(target.node)?.verdict.cause, "noAnswer");
      }
      const states = [...model.services.values(), ...model.pools.values()].map(({ verdict }) => verdict.state);
      const speakers = processes.targets.filter(({ program }) => program === "speaker");
      if (!speakers.some(speaks))
        assert.deepEqual(
          states.filter((state) => state === "Announced" || state === "Ready"),
          [],
        );
      const isSilent = speakers.some(({ notRunning }) => notRunning === undefined) && !speakers.some(speaks);
      assert.equal(model.about.get("about")?.silence !== undefined, isSilent);
    }),
    { numRuns: 300 },
  );
});
