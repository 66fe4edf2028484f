import { styleText } from "node:util";
import { counted, list, maskControls } from "#pkg/text";
import { isProblem } from "#pkg/verdict";
import { Connection, connectionOptions } from "../cluster/cluster-command.ts";
import { structured } from "../cluster/output.ts";
import { asFarAsKnown, type ClusterOptions } from "../cluster/processes.ts";
import { command, Exit, readSeconds, UsageError } from "../command.ts";
import type { Io, Screen } from "../io.ts";
import { hashOf } from "../views/lagging.ts";
import { type Examined, examine } from "./examine.ts";
import { type CheckName, checks, type Finding, findingLines, sumOf, withPage } from "./finding.ts";
import { findingsOf } from "./findings.ts";

/** One line of the list. */
interface Line {
  readonly check: CheckName;
  readonly state: "passed" | "warned" | "failed" | "skipped";
  readonly says: string;
  readonly findings: readonly Finding[];
}

const names = Object.keys(checks) as CheckName[];
const pauseMs = 2_000;

export const check = command({
  name: "check",
  summary: "Tick off everything that has to work, with a remedy for what does not",
  usage: "[OPTIONS]",
  takes: 0,
  options: {
    wait: { help: "until nothing fails and each process has one version and configuration" },
    timeout: { value: "SECONDS", help: "how long --wait waits; 300 by default" },
    output: { short: "o", value: "FORMAT", choices: ["text", "json", "junit"], help: "text (the default), json or junit" },
    ...connectionOptions,
  },
  help: `Looks, in this order, at: ${names.join(", ")}. What cannot be looked at because something before
it fails is skipped; "-" also stands before a self-test that has tried nothing. Under a line that is not well stand the causes, the Services that they hurt, what to do and the page that says more;
"ingotctl doctor" lists the same causes.`,
  examples: ["ingotctl check", "ingotctl check --wait", "ingotctl check -o junit > check.xml"],
  notes: "The exit status is 0, 1 if something fails, 2 if the arguments cannot be used, and 3 if there are warnings.",
  async run({ values: { wait = false, timeout, output = "text", kubeconfig, context, "system-namespace": system } }, io) {
    const cluster = { kubeconfig, context, systemNamespace: system ?? "metallb-system" };
    const until = io.now().getTime() + readSeconds(timeout ?? "300");
    await io.cluster.context(cluster); // A kubeconfig that cannot be used says nothing about the cluster, and no waiting helps.
    await using connection = new Connection(io, cluster);
    for (;;) {
      const lines = await look(connection, cluster, io);
      const unsettled = lines.find(isUnsettled);
      if (!wait || unsettled === undefined || io.now().getTime() >= until) {
        io.out(printed[output](lines, io.screen));
        return statusOf(lines);
      }
      const [finding] = unsettled.findings;
      io.progress(
        `waiting: ${unsettled.check}: ${finding === undefined ? unsettled.says : `${finding.where}: ${finding.found}`}`,
      );
      await io.sleep(pauseMs);
    }
  },
});

/** Whether it may be well after some time: in a rollout processes differ. */
function isUnsettled({ check, state, findings }: Line): boolean {
  if (check === "self-test" && state === "skipped") return false;
  return (
    state === "failed" || state === "skipped" || (findings.length > 0 && (check === "versions" || check === "configuration"))
  );
}

function statusOf(lines: readonly Line[]): number {
  if (lines.some(({ state }) => state === "failed")) return Exit.invalid;
  return lines.some(({ state }) => state === "warned") ? Exit.losses : Exit.ok;
}

async function look(connection: Connection, cluster: ClusterOptions, io: Io): Promise<Line[]> {
  try {
    const processes = await connection.renew();
    const api = await io.cluster.api(cluster);
    return linesOf(await examine(processes, api, cluster.systemNamespace), api.server);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return unreachable(error.message, cluster.systemNamespace);
  }
}

/** There is no list of Pods: nothing can be asked. */
function unreachable(why: string, namespace: string): Line[] {
  const isRefused = /: 40[13] /.test(why); // It answers, and does not tell this person.
  const failed = isRefused ? "rights" : "API server";
  const fix = isRefused
    ? `kubectl auth can-i list pods -n ${namespace}`
    : "kubectl cluster-info; on a node: ingotctl doctor --node-local";
  const finding: Finding = { check: failed, severity: "error", where: failed, found: why, fix };
  return names.map((check): Line => {
    if (check === failed) return { check, state: "failed", says: "", findings: [finding] };
    const isBefore = names.indexOf(check) < names.indexOf(failed);
    return {
      check,
      state: isBefore ? "passed" : "skipped",
      says: isBefore ? "it answers" : `skipped, after ${failed}`,
      findings: [],
    };
  });
}

function linesOf(examined: Examined, server: string): Line[] {
  const found = Map.groupBy(findingsOf(examined), ({ check }) => check);
  const answering = examined.configurations.map(({ target }) => target.program);
  return names.map((check): Line => {
    const findings = found.get(check) ?? [];
    const has = (severity: Finding["severity"]) => findings.some((finding) => finding.severity === severity);
    // Services whose cause stands in a line above are not well either.
    const isOfOthers = check === "Services" && examined.services.some(({ verdict }) => isProblem(verdict));
    const silent = whoIsSilent(check, answering);
    if (silent !== undefined && findings.every(({ severity }) => severity === "note") && !isOfOthers)
      return { check, state: "skipped", says: `skipped, no ${silent} answers`, findings };
    if (check === "self-test" && findings.length === 0 && !examined.verdicts.some(({ body }) => (body.selfTested ?? 0) > 0))
      return { check, state: "skipped", says: "not tested: no node has tried an address that another node announces", findings };
    const state = has("error") ? "failed" : has("warning") || isOfOthers ? "warned" : "passed";
    return { check, state, says: findings.length === 0 || state === "passed" ? wellText(check, examined, server) : "", findings };
  });
}

/** A program without an answer, without which the check knows nothing. */
function whoIsSilent(check: CheckName, answering: readonly string[]): string | undefined {
  const isAfter = (other: CheckName) => names.indexOf(check) > names.indexOf(other);
  if (isAfter("processes") && answering.length === 0) return "process";
  if (isAfter("configuration") && !answering.includes("speaker")) return "speaker";
  return check === "pools" && !answering.includes("controller") ? "controller" : undefined; // It knows how full they are.
}

/** The words for a check that finds nothing wrong. */
function wellText(
  check: CheckName,
  { targets, unreachable, configurations, members, services, serviceCount }: Examined,
  server: string,
): string {
  const those = (program: string) => counted(targets.filter((target) => target.program === program).length, program);
  const bodies = configurations.map(({ body }) => body);
  const each = (of: (body: (typeof configurations)[number]["body"]) => string | null) =>
    list([...new Set(configurations.flatMap(({ body }) => (body.leader === false ? [] : (of(body) ?? []))))]);
  switch (check) {
    case "API server":
      return `${server} answers`;
    case "rights":
      return "to list Pods and to ask each of them";
    case "processes":
      return `${those("controller")}, ${those("speaker")}`;
    case "versions":
      return each(({ version }) => version);
    case "configuration":
      return `${each((body) => hashOf(body, bodies))} is in force`;
    case "ring":
      return `${counted(members.length, "speaker")} in sight of each other${asFarAsKnown(unreachable)}`;
    case "Services": {
      const well = serviceCount - services.filter(({ verdict }) => isProblem(verdict)).length;
      return `${well} of ${serviceCount} are well${well === serviceCount ? "" : "; the causes stand above"}${asFarAsKnown(unreachable)}`;
    }
    case "nodes":
    case "peers":
    case "pools":
    case "self-test":
      return `nothing is wrong${asFarAsKnown(unreachable)}`;
    default:
      return check satisfies never;
  }
}

const marks = { passed: "✓", warned: "!", failed: "✗", skipped: "-" } as const;
const colors = { passed: "green", warned: "yellow", failed: "red", skipped: "gray" } as const;

const printed = {
  text(lines: readonly Line[], screen: Screen): string {
    const mark = (state: Line["state"]) =>
      screen.hasColor ? styleText(colors[state], marks[state], { validateStream: false }) : marks[state];
    const all = lines.flatMap(({ check, state, says, findings }) => [
      `${mark(state)} ${check}${says === "" ? "" : `: ${maskControls(says)}`}`,
      ...findings.flatMap((finding) => findingLines(finding, screen).map((line) => `    ${line}`)),
      ...(findings.length === 0 ? [] : [`    see ${checks[check]}`]),
    ]);
    return `${[...all, `${sumOf(lines.flatMap(({ findings }) => findings))}.`].join("\n")}\n`;
  },
  json: (lines: readonly Line[]): string =>
    structured("json", { checks: lines.map((line) => ({ ...line, findings: line.findings.map(withPage) })) }),
  junit(lines: readonly Line[]): string {
    const plain: Screen = { columns: undefined, hasColor: false };
    const cases = lines.map(({ check, state, says, findings }) => {
      const text = findings
        .flatMap((finding) => findingLines(finding, plain))
        .map(xml)
        .join("\n");
      const inside = {
        passed: text === "" ? "" : `<system-out>${text}</system-out>`,
        warned: `<system-out>${text}</system-out>`,
        failed: `<failure message="${xml(sumOf(findings))}">${text}\nsee ${checks[check]}</failure>`,
        skipped: `<skipped message="${xml(says)}"/>`,
      }[state];
      return `    <testcase classname="ingotctl.check" name="${xml(check)}">${inside}</testcase>`;
    });
    const count = (state: Line["state"]) => lines.filter((line) => line.state === state).length;
    const suite = `name="ingotctl check" tests="${lines.length}" failures="${count("failed")}" skipped="${count("skipped")}"`;
    return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n  <testsuite ${suite}>\n${cases.join("\n")}\n  </testsuite>\n</testsuites>\n`;
  },
};

const entities: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/** Text inside XML 1.0, which has no word for control characters, halves of characters and two others. */
function xml(text: string): string {
  const known = maskControls(text)
    .toWellFormed()
    .replaceAll(/[\ufffe\uffff]/g, "·");
  return known.replaceAll(/[&<>"]/g, (character) => entities[character] ?? "");
}
