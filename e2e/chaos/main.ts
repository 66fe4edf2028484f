import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LabRefused } from "#e2e/lab";
import { agreeingParts, check } from "#e2e/ownership";
import { routerRefusal } from "#e2e/routers";
import { drawActs } from "./acts.ts";
import { gapsOf, spansOf } from "./chronicle.ts";
import { hasClocks } from "./clocks.ts";
import { startField } from "./field.ts";
import { picture } from "./picture.ts";
import { type Course, runChaos } from "./run.ts";
import { checkOut } from "./version.ts";

/** `make chaos`: faults drawn by a seed on real processes, watched from outside. */
const seed = Number(process.env.SEED || Date.now() % 1_000_000);
const minutes = Number(process.env.MINUTES || 5);
const beside = process.env.BESIDE ?? "";
const nodes = 3;
const folder = fileURLToPath(new URL(`../../.cache/chaos/${seed}/`, import.meta.url));

if (!(minutes > 0)) fail(`MINUTES has to be a number above 0, but is ${process.env.MINUTES}`);
const refusal = await routerRefusal("bird");
if (refusal !== false) fail(refusal);
mkdirSync(folder, { recursive: true });
try {
  const otherVersion = beside === "" ? undefined : checkOut(beside);
  const acts = drawActs(seed, minutes * 60_000, nodes, { mixes: otherVersion !== undefined, hasClocks });
  console.log(
    `seed ${seed}, ${minutes} minutes, ${acts.length} acts on ${nodes} nodes${beside && ` beside ${beside}`}; the report goes to ${folder}\n`,
  );
  await using field = await startField(nodes, `${folder}logs`, otherVersion);
  const course = await runChaos(field, acts, (line) => console.log(line));
  const report = tell(course);
  writeFileSync(`${folder}report.txt`, `${report.lines.join("\n")}\n`);
  console.log(`\n${report.lines.join("\n")}`);
  process.exitCode = report.isKept ? 0 : 1;
} catch (error) {
  if (!(error instanceof LabRefused)) throw error;
  fail(error.message);
}

function tell({ done, observer, settledAfter, unsettled, end }: Course): { lines: string[]; isKept: boolean } {
  const { samples, faults, requests } = observer;
  const spans = spansOf(samples, end);
  const gaps = gapsOf(spans, done);
  const violations = check(samples);
  const judged = samples.filter((sample) => agreeingParts(sample).length > 0).length;
  writeFileSync(
    `${folder}timeline.svg`,
    picture(
      spans,
      done,
      Array.from({ length: nodes }, (_, index) => `node${index + 1}`),
      end,
    ),
  );
  const second = (at: number) => (at / 1_000).toFixed(1);
  const lines = [
    `${done.length} acts in ${second(end)} s; ${samples.length} looks at the LAN, at ${judged} of which nodes agreed on who is there`,
    ...[...requests].map(([name, { sent, failed }]) => `${name}: ${failed} of ${sent} requests failed`),
    `\n${gaps.length} times nobody answered for an address:`,
    ...gaps.map(({ address, from, to, causes }) => {
      const why = causes.length === 0 ? "nothing was done then" : causes.join(", ");
      return `  ${address} from ${second(from)} s for ${second(to - from)} s: ${why}`;
    }),
    settledAfter === undefined ? `\nNot settled: ${unsettled}` : `\nSettled ${second(settledAfter)} s after the last act`,
    ...violations.map(
      ({ kind, address, since, found, what }) =>
        `BROKEN ${kind}: ${address} from ${second(since)} to ${second(found)} s: ${what}`,
    ),
    ...faults.map((fault) => `BROKEN ${fault}`),
  ];
  const isKept = settledAfter !== undefined && violations.length === 0 && faults.length === 0;
  return { lines: [...lines, isKept ? "All promises were kept." : "Promises were broken."], isKept };
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
