import { setTimeout as sleep } from "node:timers/promises";
import { clusterProcesses, type FakeCluster } from "../../ctl/dashboard/testing/cluster.ts";
import { run } from "../../ctl/run.ts";
import { fakeIo } from "../../ctl/testing/ingotctl.ts";

/** `ingotctl dashboard` in this process, of a cluster whose processes answer as `cluster` is now. */
export class FakeDashboard implements AsyncDisposable {
  cluster: FakeCluster;
  readonly url: string;
  readonly #end: () => Promise<unknown>;

  private constructor(cluster: FakeCluster, url: string, end: () => Promise<unknown>) {
    this.cluster = cluster;
    this.url = url;
    this.#end = end;
  }

  static async start(cluster: FakeCluster): Promise<FakeDashboard> {
    const { promise: interrupted, resolve: interrupt } = Promise.withResolvers<void>();
    const now: { dashboard?: FakeDashboard } = {};
    const io = fakeIo({ processes: clusterProcesses(() => now.dashboard?.cluster ?? cluster), interrupted });
    const ended = run(["dashboard"], io);
    const url = () => /http:\S+/.exec(io.printed.out)?.[0];
    while (url() === undefined) {
      if (io.printed.err !== "") throw new Error(`Cannot start the dashboard: ${io.printed.err}`);
      await sleep(10);
    }
    now.dashboard = new FakeDashboard(cluster, url() ?? "", () => {
      interrupt();
      return ended;
    });
    return now.dashboard;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }
}
