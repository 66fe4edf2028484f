/**
 * How soon BFD finds that a path is cut: ours and FRR's bfdd, each with the same FRR at the other end, on one switch, in the same cuts,
 * `--runs` of them (20), at 10, 50 and 300 ms times 3. The path loses packets without a link going down. For each side:
 * - from the cut until it knows, which also depends on when the last packet came: with jitter 2 to 3 intervals before;
 * - from the last packet until it knows, less the detection time: how late the timer is;
 * - times that it took the peer for silent, without a cut, although a packet had come within the detection time; and times that it was
 *   down because none had, since bfdd at the other end has no real time on a busy machine, or because the peer signalled it.
 * Then what 100 sessions at 50 ms cost a processor, beside the bfdd at their other end, and what the six cost that a node has with other nodes where
 * `failover` asks for them, however many nodes there are; `--runs 0` and `--sessions 0` leave out what is before. Needs root, since bfdd does; run it with
 * `node e2e/bench/bfd.bench.ts`. Times are milliseconds: least / median / most.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { every, losePackets, manySessions, OurSessions } from "#e2e/bfd";
import { type Host, Lab, type LabProcess, waitFor } from "#e2e/lab";
import { Bfdd } from "#e2e/routers";
import { loadNow, ProcessUsage } from "./measure.ts";

const { values } = parseArgs({
  options: { runs: { type: "string", default: "20" }, sessions: { type: "string", default: "100" } },
});
const runs = Number(values.runs);
const intervals = [10, 50, 300] as const;
const multiplier = 3;
const settleMs = 1_500; // Until polls have ended and timers are fast.
const costSeconds = 10;
// To three nodes on either side in the ring.
const pathsOfNode = 6;
const failoverIntervals = [10, 30, 50, 100];

/** Both ends of the session of an interval, by the last octet of the host. */
const address = (interval: number, host: number): string => `10.0.${interval % 251}.${host}`;
const [far, ourEnd, frrEnd] = [1, 2, 3];
const addresses = (host: number) => intervals.map((interval) => `${address(interval, host)}/24`);
const frrSettings = (interval: number) => [`transmit-interval ${interval}`, `receive-interval ${interval}`];
const frrPeer = (interval: number, from: number, to: number) => ({
  peer: `${address(interval, to)} local-address ${address(interval, from)} interface eth0`,
  settings: frrSettings(interval),
});

interface Down {
  /** Microseconds since 1970. */
  readonly at: number;
  /** It received nothing; otherwise the peer signalled it. */
  readonly silence: boolean;
}

type Downs = (interval: number) => readonly Down[];

interface Side {
  readonly name: string;
  readonly downs: Downs;
  readonly isUp: (interval: number) => Promise<boolean>;
  /** Packets that tcpdump sees there. */
  readonly capture: LabProcess;
}

interface Measures {
  readonly fromCut: number[];
  readonly late: number[];
}

/** When the packets from an address came, before an instant, all in microseconds since 1970. */
function packets(capture: LabProcess, from: string, before: number): number[] {
  const times = capture.lines.filter((line) => line.includes(` IP ${from}.`)).map((line) => Number(line.split(" ")[0]) * 1e6);
  return times.filter((at) => at < before);
}

/** The longest gap between packets shortly before an instant; one may have come since it was too late. */
function maxSilence(times: readonly number[], at: number): number {
  const last = [...times.slice(-5), at];
  return Math.max(...last.map((time, i) => time - (last[i - 1] ?? time)));
}

/** `2026/11/20 11:41:51.681331 BFD: … peer:10.0.0.1 … up -> down reason:…` */
function frrDowns(bfdd: Bfdd, peer: string): Down[] {
  const lines = bfdd.process.lines.filter((line) => line.includes(` peer:${peer} `) && line.includes("] up -> down"));
  return lines.map((line) => {
    const [, date = "", time = "", micros = ""] = /^(\S+) (\S+)\.(\d{6}) /.exec(line) ?? [];
    const at = new Date(`${date} ${time} UTC`).getTime() * 1000 + Number(micros);
    return { at, silence: line.endsWith("reason:control-expired") };
  });
}

function spread(samples: readonly number[]): string {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (part: number) => (sorted[Math.round(part * (sorted.length - 1))] ?? Number.NaN).toFixed(1);
  return `${at(0)} / ${at(0.5)} / ${at(1)}`;
}

function mean(samples: readonly number[]): number {
  return samples.reduce((sum, sample) => sum + sample, 0) / samples.length;
}

function row(...cells: readonly string[]): void {
  console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(16) : cell.padStart(26))).join(""));
}

async function capture(host: Host): Promise<LabProcess> {
  const argv = ["tcpdump", "-tt", "-n", "-l", "--immediate-mode", "-Q", "in", "-i", "eth0", "udp dst port 3784"];
  const process = await host.spawn(`tcpdump-${host.name}`, argv);
  await process.waitForLine(/^listening on /);
  return process;
}

async function detection(): Promise<void> {
  await using lab = await Lab.start();
  const lan = await lab.switch("lan");
  const hosts = { far: await lab.host("far"), ours: await lab.host("ours"), frr: await lab.host("frr") };
  await hosts.far.attach(lan, { addresses: addresses(far) });
  await hosts.ours.attach(lan, { addresses: addresses(ourEnd) });
  await hosts.frr.attach(lan, { addresses: addresses(frrEnd) });
  await Bfdd.start(
    lab,
    hosts.far,
    intervals.flatMap((interval) => [frrPeer(interval, far, ourEnd), frrPeer(interval, far, frrEnd)]),
  );
  const bfdd = await Bfdd.start(
    lab,
    hosts.frr,
    intervals.map((interval) => frrPeer(interval, frrEnd, far)),
  );
  const sessions = intervals.map((interval) => ({
    peer: address(interval, far),
    local: address(interval, ourEnd),
    settings: every(interval),
  }));
  const ours = await OurSessions.start(hosts.ours, sessions);
  const sides: Side[] = [
    {
      name: "Ingot",
      downs: (interval) =>
        ours
          .statuses(address(interval, far))
          .filter(({ verdict }) => verdict === "failed")
          .map(({ at, reason }) => ({ at, silence: reason === "control detection time expired" })),
      isUp: async (interval) => ours.statuses(address(interval, far)).at(-1)?.verdict === "up",
      capture: await capture(hosts.ours),
    },
    {
      name: "FRR bfdd",
      downs: (interval) => frrDowns(bfdd, address(interval, far)),
      isUp: async (interval) => (await bfdd.status(address(interval, far)))?.status === "up",
      capture: await capture(hosts.frr),
    },
  ];
  const measures = new Map(sides.map(({ name }) => [name, new Map(intervals.map((each) => [each, newMeasures()]))]));
  const uncaused = new Map(sides.map(({ name }) => [name, { wrong: 0, right: 0 }]));
  for (let run = 0; run < runs; run++) {
    for (const { isUp } of sides) for (const interval of intervals) await waitFor("all to be up", () => isUp(interval));
    const before = sides.map(({ downs }) => intervals.map((interval) => downs(interval).length));
    await sleep(settleMs + Math.random() * 300);
    const begin = (performance.timeOrigin + performance.now()) * 1000;
    await using _ = await losePackets(hosts.far, ["input", "output"]);
    const end = (performance.timeOrigin + performance.now()) * 1000;
    await sleep(multiplier * 300 + 400);
    for (const [i, { name, downs, capture }] of sides.entries())
      for (const [j, interval] of intervals.entries()) {
        const from = address(interval, far);
        const since = downs(interval).slice(before[i]?.[j]);
        const counted = uncaused.get(name);
        for (const { at, silence } of since.filter(({ at }) => at < begin)) {
          const received = silence && maxSilence(packets(capture, from, at), at) < multiplier * interval * 1000;
          if (counted !== undefined) counted[received ? "wrong" : "right"]++;
        }
        const down = since.find(({ at }) => at >= begin)?.at;
        const last = packets(capture, from, down ?? 0).at(-1) ?? Number.NaN;
        const measured = measures.get(name)?.get(interval);
        if (down === undefined || measured === undefined) continue; // It was not up when the path was cut.
        // The last packet may have left after the path was reported cut: then it was cut later.
        measured.fromCut.push((down - Math.max(begin, Math.min(end, last))) / 1000);
        measured.late.push((down - last) / 1000 - multiplier * interval);
      }
  }
  for (const interval of intervals) {
    row(`${interval} ms x ${multiplier}`, "from the cut", "mean", "late");
    const means = sides.map(({ name }) => {
      const { fromCut, late } = measures.get(name)?.get(interval) ?? newMeasures();
      row(`  ${name}`, spread(fromCut), mean(fromCut).toFixed(1), spread(late));
      return mean(fromCut);
    });
    row("  ratio", "", ((means[0] ?? 0) / (means[1] ?? 0)).toFixed(2), "");
  }
  for (const [name, { wrong, right }] of uncaused)
    console.log(
      `${name}, without a cut: down ${wrong} times although the peer was received, ${right} times because it was not or said so`,
    );
}

function newMeasures(): Measures {
  return { fromCut: [], late: [] };
}

async function cost(count: number): Promise<void> {
  await using lab = await Lab.start();
  const { ours, theirs } = await manySessions(lab, { count, intervalMs: 50, peer: "frr", busy: false });
  await sleep(settleMs);
  const processes = { Ingot: new ProcessUsage(ours.pid), "FRR bfdd": new ProcessUsage(theirs.pid) };
  const spent = () => Object.values(processes).map(({ cpuSeconds }) => cpuSeconds);
  const before = spent();
  await sleep(costSeconds * 1000);
  const after = spent();
  row(`${count} x 50 ms`, "% of a processor", "megabytes");
  for (const [i, [name, usage]] of Object.entries(processes).entries()) {
    const percent = (100 * ((after[i] ?? 0) - (before[i] ?? 0))) / costSeconds;
    row(`  ${name}`, percent.toFixed(1), usage.megabytes.now.toFixed(0));
  }
}

/** Packets that a node sends for `failover`, and its processor time. */
async function costOfFailover(): Promise<void> {
  row(`${pathsOfNode} sessions between nodes`, "packets sent a second", "% of a processor");
  for (const intervalMs of failoverIntervals) {
    await using lab = await Lab.start();
    const { ours } = await manySessions(lab, { count: pathsOfNode, intervalMs, peer: "ours", busy: false });
    await sleep(settleMs);
    const process = new ProcessUsage(ours.pid);
    const sent = async () => (await ours.sessions.counters()).sessions.reduce((sum, { controlOut }) => sum + controlOut, 0);
    const [packetsBefore, cpuBefore] = [await sent(), process.cpuSeconds];
    await sleep(costSeconds * 1000);
    const [packets, cpu] = [(await sent()) - packetsBefore, process.cpuSeconds - cpuBefore];
    row(`  every ${intervalMs} ms`, (packets / costSeconds).toFixed(0), ((100 * cpu) / costSeconds).toFixed(1));
  }
}

console.log(`${runs} cuts, ${loadNow()}`);
if (runs > 0) await detection();
if (Number(values.sessions) > 0) await cost(Number(values.sessions));
await costOfFailover();
console.log(loadNow());
