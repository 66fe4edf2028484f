import { join } from "node:path";
import { programFile } from "#e2e/lab";
import type { CommandError } from "../command.ts";
import type { InstalledCluster } from "./installed.ts";

const program = programFile("ingotctl");

export interface Printed {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

/** `ingotctl` as an administrator uses it, on a host of the cluster's LAN. */
export async function ingotctl(
  on: InstalledCluster,
  args: readonly string[],
  kubeconfig = on.cluster.kubeconfig,
): Promise<Printed> {
  const state = `XDG_STATE_HOME=${join(on.cluster.directory, "state")}`;
  try {
    const command = ["env", state, process.execPath, program, ...args, "--kubeconfig", kubeconfig];
    return { status: 0, out: await on.cluster.client.run(command), err: "" };
  } catch (error) {
    const { message, stdout, stderr } = error as CommandError;
    return { status: Number(/exit status (\d+)/.exec(message)?.[1]), out: stdout, err: stderr };
  }
}
