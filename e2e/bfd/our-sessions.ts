import { asPod } from "#e2e/demo-cluster";
import { type Host, type LabProcess, waitFor } from "#e2e/lab";
import type { BfdDescription, BfdSessionCounters, BfdVerdict, IgnoredReason } from "#pkg/bfd";
import type { BfdProfile } from "#pkg/config";

/** A session of ours with this peer. */
export interface OurSession {
  readonly peer: string;
  readonly local?: string;
  readonly interface?: string;
  readonly multihop?: boolean;
  /** Settings that differ from a profile without settings. */
  readonly settings?: Partial<BfdProfile>;
}

/** A change of status; `at` is microseconds since 1970. */
export interface StatusLine {
  readonly at: number;
  readonly peer: string;
  readonly verdict: BfdVerdict;
  readonly reason: string;
}

const url = "http://127.0.0.1:8080";

/** Our sessions on a host of a lab. */
export class OurSessions implements AsyncDisposable {
  readonly process: LabProcess;
  readonly #host: Host;

  private constructor(host: Host, process: LabProcess) {
    this.#host = host;
    this.process = process;
  }

  /** `busy`: the main thread has no time for anything else. */
  static async start(host: Host, sessions: readonly OurSession[], { busy = false } = {}): Promise<OurSessions> {
    const file = new URL("./sessions-process.ts", import.meta.url).pathname;
    const argv = ["node", file, JSON.stringify(sessions), busy ? "busy" : "idle"];
    const process = await host.spawn(`ours-${host.name}`, asPod("speaker", argv, { isLab: true }));
    await process.waitForLine(/^ready$/);
    return new OurSessions(host, process);
  }

  /** All statuses printed so far, of one peer where it is given. */
  statuses(peer?: string): StatusLine[] {
    const lines = this.process.lines.filter((line) => line.startsWith('{"at":')).map((line) => JSON.parse(line) as StatusLine);
    return peer === undefined ? lines : lines.filter((line) => line.peer === peer);
  }

  /** Waits until the last status of the peer has this verdict. */
  async reaches(peer: string, verdict: BfdVerdict, { timeout = 120_000 } = {}): Promise<StatusLine> {
    const last = () => this.statuses(peer).at(-1);
    return this.#find(`${peer} ${verdict}`, () => (last()?.verdict === verdict ? last() : undefined), timeout);
  }

  /** Waits for a status with this verdict, however short, beyond the first `seen` of the peer. */
  async passes(peer: string, verdict: BfdVerdict, { seen = 0, timeout = 120_000 } = {}): Promise<StatusLine> {
    const find = () => this.statuses(peer).slice(seen);
    return this.#find(`${peer} ${verdict}`, () => find().find((line) => line.verdict === verdict), timeout);
  }

  async describe(peer: string): Promise<BfdDescription | undefined> {
    const sessions = await this.#get<BfdDescription[]>("/sessions");
    return sessions.find((session) => session.peer === peer);
  }

  async counters(): Promise<{ sessions: BfdSessionCounters[]; ignored: Record<IgnoredReason, number> }> {
    return this.#get("/counters");
  }

  async configure(peer: string, settings: Partial<BfdProfile>): Promise<void> {
    await this.#get(`/configure?${encodeURIComponent(peer)}&${encodeURIComponent(JSON.stringify(settings))}`);
  }

  async remove(peer: string): Promise<void> {
    await this.#get(`/remove?${encodeURIComponent(peer)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.stop();
  }

  async #find(what: string, look: () => StatusLine | undefined, timeout: number): Promise<StatusLine> {
    try {
      return await waitFor(`${this.process.name} to find ${what}`, look, { timeout });
    } catch (cause) {
      throw new Error(`The last lines of ${this.process.name}: ${this.process.lines.slice(-6).join("\n")}`, { cause });
    }
  }

  async #get<T>(path: string): Promise<T> {
    return JSON.parse((await this.#host.get(url + path, { timeout: 10_000 })).body);
  }
}
