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
const firstBytes = 64 << 10;

/** One page, for all who asked before it was begun. */
interface Page {
  readonly made: Promise<Buffer>;
  /** Number of readers that asked and did not give it back. */
  readers: number;
}

/**
 * The answer of `/metrics`, in the Prometheus text format: made in slices, for all who ask meanwhile, at 10,000 Services at most once a second
 * and more often where it is less work. Every value is read after the request came: who asks too soon after a page waits for the next one.
 * A page that everybody has given back is written over by a later one, because megabytes a second are more than garbage collection keeps up with.
 */
export function metricsRoute(registry: Registry, clock: Clock = new SystemClock()): () => Promise<Route> {
  let last: Promise<unknown> = Promise.resolve();
  let nextAt: Millis = -Infinity;
  let next: Page | undefined; // Not begun.
  let spare: Buffer | undefined;
  const make = async (): Promise<Buffer> => {
    await last;
    if (nextAt > clock.now()) await sleep(clock, "metrics page", nextAt - clock.now());
    next = undefined;
    const begunAt = clock.now();
    const text = new Text(spare);
    spare = undefined;
    const made = render(registry, text);
    last = made.catch(() => {});
    try {
      await made;
      return text.bytes;
    } finally {
      const endedAt = clock.now();
      nextAt = endedAt + Math.min((endedAt - begunAt) * pauseFactor, maxPauseMs);
    }
  };
  return async () => {
    next ??= { made: make(), readers: 0 };
    const page = next;
    page.readers++;
    const body = await page.made;
    const release = (): void => {
      if (--page.readers === 0 && body.length * 4 > body.buffer.byteLength) spare = Buffer.from(body.buffer);
    };
    return { status: 200, contentType: registry.contentType, body, release };
  };
}

/** A text that grows, in memory of its own. */
class Text {
  #memory: Buffer;
  #length = 0;

  constructor(memory: Buffer = Buffer.from(new ArrayBuffer(firstBytes))) {
    this.#memory = memory;
  }

  get bytes(): Buffer {
    return this.#memory.subarray(0, this.#length);
  }

  append(text: string): void {
    const needed = this.#length + 3 * text.length; // UTF-8 takes up to three octets for a unit of UTF-16.
    if (needed > this.#memory.length) {
      const larger = Buffer.from(new ArrayBuffer(Math.max(needed, 2 * this.#memory.length)));
      this.#memory.copy(larger, 0, 0, this.#length);
      this.#memory = larger;
    }
    this.#length += this.#memory.write(text, this.#length);
  }
}

async function render(registry: Registry, text: Text): Promise<void> {
  let separator = "";
  for (const metric of registry.getMetricsAsArray() as unknown as readonly (Pulled | { readonly name: string })[]) {
    text.append(separator);
    separator = "\n";
    if (!isPulled(metric)) text.append(`${await registry.getSingleMetricAsString(metric.name)}\n`);
    else
      for (const slice of pulledText(metric)) {
        text.append(slice);
        await setImmediate(); // Ends the turn.
      }
    await setImmediate();
  }
}

function isPulled(metric: Pulled | object): metric is Pulled {
  return "series" in metric;
}

function* pulledText({ name, help, type, labelNames, series }: Pulled): Generator<string> {
  let slice = `# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n# TYPE ${name} ${type}\n`;
  let lines = 0;
  for (const [labels, value] of series()) {
    slice += sampleLine(name, labelNames, labels, value);
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
