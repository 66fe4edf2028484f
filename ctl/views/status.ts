import { age, list, maskControls } from "#pkg/text";
import { isProblem } from "#pkg/verdict";
import { type ConfigurationAnswer, type Explained, titleOf, type VerdictsAnswer } from "../cluster/answers.ts";
import { askProblems } from "../cluster/ask-services.ts";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { table } from "../cluster/output.ts";
import { type Answer, asFarAsKnown, askAll, eachOnce, type Processes, type Unreachable } from "../cluster/processes.ts";
import { withoutConsequences } from "../doctor/roots.ts";
import { type Lagging, lagging } from "./lagging.ts";

const maxProblems = 20;
const maxAlike = 5; // Services of one cause: thousands that lack the same would hide all other problems.

export const status = clusterCommand({
  name: "status",
  summary: "All processes, their configurations, and problems",
  takes: 0,
  help: `Lists the processes, each with a hash of its configuration in force and its date, and names processes that lag behind: all should
have the same. Then it counts Services by state, and lists problems, at most ${maxProblems}, of them ${maxAlike} Services for each cause.`,
  examples: ["ingotctl status", "ingotctl status --watch", "ingotctl status -o json"],
  async find({ processes, screen, now }) {
    const [{ answers, unreachable: silent }, others, asked] = await Promise.all([
      askAll<ConfigurationAnswer>(processes, "/v1/configuration"),
      askAll<VerdictsAnswer>(processes, "/v1/verdicts?problems&service=-"), // No Service has this name.
      askProblems(processes),
    ]);
    const { services, states } = asked;
    const unreachable = eachOnce([...silent, ...others.unreachable, ...asked.unreachable]);
    const rows = answers.map(({ target: { program, node, pod }, body: { version, leader, hash, inForceSince, verdict } }) => [
      program,
      node,
      pod,
      version,
      hash ?? "none",
      age(inForceSince ?? verdict.since, now),
      leader === undefined ? verdict.state : leader ? `${verdict.state}, leads` : "stands by",
    ]);
    const problems = worstFirst([
      ...saidOnce(others.answers),
      ...services
        .filter(({ verdict }) => isProblem(verdict))
        .map(({ service, verdict }) => ({ about: `svc ${service}`, verdict })),
    ]);
    const behind = lagging(answers);
    const idle = processes.isNodeLocal === true ? [] : idleText(processes, answers, silent);
    const known = [
      table(["PROGRAM", "NODE", "POD", "VERSION", "CONFIGURATION", "SINCE", "STATE"], rows, screen),
      ...idle.map((one) => `\n${one}\n`),
      laggingText(behind),
      `\nServices: ${
        Object.entries(states)
          .map(([state, count]) => `${count} ${maskControls(state)}`)
          .join(", ") || "none"
      }\n`,
      idle.length + behind.length > 0 && problems.length === 0 ? "" : problemsText(problems, asFarAsKnown(unreachable), screen),
    ].join("");
    const text = answers.length === 0 && unreachable.length > 0 ? "No process answers.\n" : known;
    const all = answers.map(({ target, body }) => Object.assign({}, target, body));
    const value = { processes: all, idle, lagging: behind, services: states, problems };
    return { value, text, unreachable };
  },
});

/** Programs that do nothing in the whole cluster. */
function idleText(
  { targets }: Processes,
  answers: readonly Answer<ConfigurationAnswer>[],
  unreachable: readonly Unreachable[],
): string[] {
  const isRunning = (name: string) => targets.some(({ program, notRunning }) => program === name && notRunning === undefined);
  const controllers = targets.filter(({ program, notRunning }) => program === "controller" && notRunning === undefined);
  const standbys = answers.filter(({ body }) => body.leader === false);
  const isAll = ({ length }: readonly unknown[]) => length > 0 && length === controllers.length;
  const hanging = unreachable.filter(({ target, why }) => controllers.includes(target) && why.startsWith("no answer within "));
  return [
    ...(isRunning("controller") ? [] : ["No controller runs: no Service gets an address."]),
    ...(isAll(standbys) ? ["No controller leads: no Service gets an address."] : []),
    ...(isAll(hanging) ? ["No controller answers: if none works, no Service gets an address."] : []),
    ...(isRunning("speaker") ? [] : ["No speaker runs: no address is announced."]),
  ];
}

/**
 * Equal statements of several processes are one problem, with the names of the processes: each sees pools, peers and the
 * configuration for itself.
 */
function saidOnce(answers: readonly Answer<VerdictsAnswer>[]): Explained[] {
  const all = answers.flatMap(({ target, body }) =>
    withoutConsequences(body.verdicts.filter(isProblem)).map((verdict) => ({ target, verdict })),
  );
  const same = Map.groupBy(
    all,
    ({ verdict: { kind, name, state, cause, message } }) => `${kind} ${name} ${state} ${cause} ${message}`,
  );
  return [...same.values()].flatMap((those) => {
    const [first] = those;
    if (first === undefined) return [];
    const { kind, name, peerName, ...verdict } = first.verdict;
    const what = kind === "configuration" ? kind : `${kind} ${titleOf({ name, peerName })}`;
    const by = [...new Set(those.map(({ target }) => (target.program === "controller" ? "controller" : target.node)))];
    return [{ about: kind === "node" ? what : `${what} by ${list(by)}`, verdict }];
  });
}

function laggingText(behind: readonly Lagging[]): string {
  if (behind.length === 0) return "";
  const lines = behind.slice(0, maxProblems).map(({ pod, node, what }) => `  ${maskControls(`${pod} on ${node} ${what}`)}\n`);
  const more = behind.length > maxProblems ? `  and ${behind.length - maxProblems} more\n` : "";
  return `\nNot all have the same configuration:\n${lines.join("")}${more}`;
}

function worstFirst(problems: readonly Explained[]): Explained[] {
  const isPending = ({ verdict }: Explained) => (verdict.state === "Pending" ? 0 : 1);
  return problems.toSorted((a, b) => isPending(a) - isPending(b));
}

function problemsText(problems: readonly Explained[], doubt: string, screen: Parameters<typeof table>[2]): string {
  if (problems.length === 0) return `\nNothing is wrong${doubt}.\n`;
  const rows = alikeOnce(problems).map(({ about, verdict: { state, cause, message } }) => [about, state, cause, message]);
  const more = rows.length > maxProblems ? `and ${rows.length - maxProblems} more\n` : "";
  return `\n${table(["PROBLEM", "STATE", "CAUSE", "MESSAGE"], rows.slice(0, maxProblems), screen)}${more}`;
}

/** Of many Services with one cause the first ones, and how many more there are. */
function alikeOnce(problems: readonly Explained[]): Explained[] {
  const alike = Map.groupBy(problems, ({ about, verdict: { state, cause } }) =>
    about.startsWith("svc ") ? `${state} ${cause}` : about,
  );
  return [...alike.values()].flatMap((those) => {
    const [first] = those;
    if (first === undefined || !first.about.startsWith("svc ") || those.length <= maxAlike + 1) return those;
    const message = `ingotctl services -A --state=${first.verdict.state} --cause=${first.verdict.cause}`;
    const rest = { about: `svc, ${those.length - maxAlike} more`, verdict: { ...first.verdict, message } };
    return [...those.slice(0, maxAlike), rest];
  });
}
