import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";

/** A cgroup as a container has it, of which no thread may be real-time. */
export interface CgroupWithoutRealTime extends Disposable {
  /** The command that runs another one there. */
  readonly launcher: readonly string[];
}

/** The requirements of a cgroup without real time. */
export const noCgroupWithoutRealTime =
  "needs root, and a kernel that gives real time by cgroups (CONFIG_RT_GROUP_SCHED, cgroup v1)";

/**
 * @param cpuLimit how many processors all in it may take together; absent: no limit
 * @returns undefined where this user cannot make one, or the kernel has none; what runs there has to end before it is disposed of
 */
export function cgroupWithoutRealTime(cpuLimit?: number): CgroupWithoutRealTime | undefined {
  const folder = `/sys/fs/cgroup/cpu/ingot-test-${process.pid}`;
  if (!existsSync("/sys/fs/cgroup/cpu/cpu.rt_runtime_us")) return undefined;
  try {
    mkdirSync(folder);
  } catch {
    return undefined;
  }
  if (cpuLimit !== undefined) writeFileSync(`${folder}/cpu.cfs_quota_us`, `${Math.round(cpuLimit * 100_000)}`);
  const launcher = ["sh", "-c", `echo $$ >${folder}/tasks && exec "$@"`, "sh"];
  return { launcher, [Symbol.dispose]: () => rmdirSync(folder) };
}
