import { setImmediate } from "node:timers/promises";
import type { Registry } from "prom-client";
import { type Clock, type Millis, SystemClock, sleep } from "#pkg/clock";
import type { Route } from "#pkg/http";
import type { Pulled } from "./pulled.ts";

// However many ask, making pages takes at most a tenth of the main thread's time: between two of them is nine times what the first one took,
// which is longer on a busy thread.
const pauseFactor = 9;
const maxPauseMs: Millis = 1_000;
// A page of 10,000 Services has some 50,000 lines, which take 100 ms in all.
const linesAtOnce = 250;

/**
 * The answer of `/metrics`, in the Prometheus text format: made in slices, for all who ask meanwhile, at 10,000 Services at most once a second
 * and more often where it is less work. Every value is read after the request came: who asks too soon after a page waits for the next one.
 */
export function metricsRoute(registry: Registry, clock: Clock = new SystemClock()): () => Promise<Route> {
  let last: Promise<unknown> = Promise.resolve();
  let nextAt: Millis = -Infinity;
  let next: Promise<readonly Buffer[]> | undefined; // Not begun.
  const make = async (): Promise<readonly Buffer[]> => {
    await last;
    if (nextAt > clock.now()) await sleep(clock, "metrics page", nextAt - clock.now());
    next = undefined;
    const begunAt = clock.now();
    const made = render(registry);
    last = made.catch(() => {});
    try {
      return await made;
    } finally {
      const endedAt = clock.now();
      nextAt = endedAt + Math.min((endedAt - begunAt) * pauseFactor, maxPauseMs);
    }
  };
  return async () => {
    next ??= make();
    return { status: 200, contentType: registry.contentType, body: await next };
  };
}

async function render(registry: Registry): Promise<readonly Buffer[]> {
  const slices: Buffer[] = [];
  let separator = "";
  for (const metric of registry.getMetricsAsArray() as unknown as readonly (Pulled | { readonly name: string })[]) {
    const texts = isPulled(metric) ? pulledText(metric) : [`${await registry.getSingleMetricAsString(metric.name)}\n`];
    for (const text of texts) {
      slices.push(Buffer.from(separator + text));
      separator = "";
      await setImmediate(); // Ends the turn.
    }
    separator = "\n";
  }
  return slices;
}

function isPulled(metric: Pulled | object): metric is Pulled {
  return "series" in metric;
}

function* pulledText({ name, help, type, labelNames, series }: Pulled): Generator<string> {
  let slice = `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${type}\n`;
  let lines = 0;
  for (const one of series()) {
    if (one !== undefined) slice += sampleLine(name, labelNames, ...one);
    if (++lines < linesAtOnce) continue;
    yield slice;
    slice = "";
    lines = 0;
  }
  yield slice;
}

function sampleLine(
  name: string,
  labelNames: readonly string[],
  labels: Readonly<Record<string, string>>,
  value: number,
): string {
  let pairs = "";
  for (const label of labelNames) pairs += `${pairs === "" ? "" : ","}${label}="${escapeValue(labels[label] ?? "")}"`;
  return `${name}${pairs === "" ? "" : `{${pairs}}`} ${valueText(value)}\n`;
}

function escapeValue(text: string): string {
  return /["\\\n]/.test(text) ? text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"') : text;
}

function valueText(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return Number.isNaN(value) ? "NaN" : `${value}`;
  return value > 0 ? "+Inf" : "-Inf";
}
