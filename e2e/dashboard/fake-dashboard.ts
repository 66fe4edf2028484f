import { setTimeout as sleep } from "node:timers/promises";
import { clusterApi, clusterProcesses, type FakeCluster } from "../../ctl/dashboard/testing/cluster.ts";
import { run } from "../../ctl/run.ts";
import { fakeIo } from "../../ctl/testing/ingotctl.ts";

/** `ingotctl dashboard` in this process, of a cluster whose processes answer as `cluster` is now. */
export class FakeDashboard implements AsyncDisposable {
  cluster: FakeCluster;
  readonly url: string;
  /** Outside world of the command. */
  readonly io: ReturnType<typeof fakeIo>;
  readonly #end: () => Promise<unknown>;

  private constructor(cluster: FakeCluster, url: string, io: ReturnType<typeof fakeIo>, end: () => Promise<unknown>) {
    this.cluster = cluster;
    this.url = url;
    this.io = io;
    this.#end = end;
  }

  /** @param args of `ingotctl dashboard` */
  static async start(cluster: FakeCluster, ...args: readonly string[]): Promise<FakeDashboard> {
    const { promise: interrupted, resolve: interrupt } = Promise.withResolvers<void>();
    const now: { dashboard?: FakeDashboard } = {};
    const present = () => now.dashboard?.cluster ?? cluster;
    const processes = clusterProcesses(present);
    const io = fakeIo({ processes, api: clusterApi(present), interrupted });
    io.cluster.connect = async () => {
      const { outage, slowMs = 0 } = present();
      await sleep(slowMs);
      if (outage !== undefined) throw new Error(outage);
      return processes;
    };
    const ended = run(["dashboard", ...args], io);
    const url = () => /http:\S+/.exec(io.printed.out)?.[0];
    while (url() === undefined) {
      const status = await Promise.race([sleep(10), ended]);
      if (status !== undefined || io.printed.err !== "") throw new Error(`Cannot start the dashboard: ${io.printed.err}`);
    }
    now.dashboard = new FakeDashboard(cluster, url() ?? "", io, () => {
      interrupt();
      return ended;
    });
    return now.dashboard;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}
