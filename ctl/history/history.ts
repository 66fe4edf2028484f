import { maskControls } from "#pkg/text";
import { clusterCommand } from "../cluster/cluster-command.ts";
import { table } from "../cluster/output.ts";
import { asFarAsKnown, askAll, type Processes, type Unreachable } from "../cluster/processes.ts";
import { readSubject } from "../cluster/subject.ts";
import { type Moment, type RecorderAnswer, timeline } from "./timeline.ts";

// More than a Service holds at a time; it may have held others before.
const maxAddresses = 8;
// On a narrower terminal a table would cut what happened to a few words.
const minTableColumns = 100;

export const history = clusterCommand({
  name: "history",
  summary: "Events of an address or Service, when and why",
  usage: "SUBJECT",
  takes: "one or two",
  subjects: ["svc/"],
  completes: "svc/",
  help: `SUBJECT is an IP address, or svc/NAME or svc/NAMESPACE/NAME. Shows the records of controller and speakers about it in one time line:
the nodes that announced it, when, and why it moved. Each process remembers its last 2 MB. Times are those of the nodes' clocks.`,
  examples: ["ingotctl history 192.0.2.1", "ingotctl history svc web -n shop"],
  async find({ processes, args, namespace, screen }) {
    const { about, moments, unreachable } = await askHistory(processes, args.join("/"), namespace);
    const rows = moments.map(({ at, program, node, what, why }) => [
      at,
      node === "" ? program : node,
      why === "" ? what : `${what}: ${why}`,
    ]);
    const text =
      rows.length === 0
        ? `${maskControls(`nothing is recorded of ${about}${asFarAsKnown(unreachable)}`)}\n`
        : screen.columns !== undefined && screen.columns < minTableColumns
          ? narrow(rows)
          : table(["TIME", "BY", "WHAT"], rows, screen);
    return { value: { about, history: moments }, text, unreachable, isMissing: rows.length === 0 };
  },
});

/** A heading for each day, and lines that the terminal breaks. */
function narrow(rows: readonly (readonly string[])[]): string {
  const days = Map.groupBy(rows, ([at = ""]) => at.slice(0, 10));
  const lines = [...days].flatMap(([day, those]) => [
    day,
    ...those.map(([at = "", by, what]) => `  ${at.slice(11, 19)} ${by}: ${what}`),
  ]);
  return `${lines.map(maskControls).join("\n")}\n`;
}

/**
 * For a Service also the history of the addresses that it has, or had as far as anybody remembers.
 * @returns `about`: the address, or the Service as `namespace/name`
 * @throws {UsageError} for any other subject
 */
export async function askHistory(
  processes: Processes,
  subject: string,
  namespace: string,
): Promise<{ readonly about: string; readonly moments: readonly Moment[]; readonly unreachable: readonly Unreachable[] }> {
  const about = readSubject(subject, namespace, "there is no history of");
  const first = await ask(processes, about);
  const addresses = about.includes("/") ? addressesIn(first.answers) : [];
  const more = await Promise.all(addresses.map((address) => ask(processes, address)));
  return { about, moments: timeline(merged([first, ...more].flatMap(({ answers }) => answers))), unreachable: first.unreachable };
}

interface RecorderAnswers {
  readonly answers: readonly (RecorderAnswer & { readonly pod: string })[];
  readonly unreachable: readonly Unreachable[];
}

async function ask(processes: Processes, about: string): Promise<RecorderAnswers> {
  const { answers, unreachable } = await askAll<RecorderAnswer>(processes, `/v1/recorder?about=${encodeURIComponent(about)}`);
  return { answers: answers.map(({ target, body }) => ({ ...body, pod: target.pod })), unreachable };
}

/** The last ones that decisions name. */
function addressesIn(answers: RecorderAnswers["answers"]): readonly string[] {
  const found = new Set<string>();
  for (const { found: entries } of answers)
    for (const { decisions } of entries)
      for (const decision of decisions) {
        const { type, fields } = decision as { type?: string; fields?: { ips?: unknown } };
        const named = type === "log" ? fields?.ips : undefined;
        for (const one of Array.isArray(named) ? named : []) if (typeof one === "string") found.add(one);
      }
  return [...found].slice(-maxAddresses);
}

/** One answer of each process: what is about several addresses is in several. */
function merged(answers: RecorderAnswers["answers"]): readonly RecorderAnswer[] {
  return [...Map.groupBy(answers, ({ pod }) => pod).values()].map((all) => {
    const entries = new Map<string, RecorderAnswer["found"][number]>(); // instant and type of the input -> entry
    for (const { found } of all)
      for (const entry of found) {
        const key = `${entry.instant} ${(entry.input as { type?: string }).type}`;
        const known = entries.get(key);
        const decisions = [
          ...new Map([...(known?.decisions ?? []), ...entry.decisions].map((one) => [JSON.stringify(one), one])).values(),
        ];
        entries.set(key, { ...(known ?? entry), decisions });
      }
    const found = [...entries.values()].sort((a, b) => a.instant - b.instant);
    return { ...(all[0] as RecorderAnswer), found };
  });
}
