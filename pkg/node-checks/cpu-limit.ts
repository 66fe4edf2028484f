/**
 * How many processors the threads of this process may take together on average, by its cgroup: `cpu.max` of version 2, or `cpu.cfs_quota_us` of version 1
 * (Documentation/admin-guide/cgroup-v2.rst, Documentation/scheduler/sched-bwc.rst). A container sees its own cgroup as the first one.
 * @param own text of /proc/self/cgroup @param read of /sys/fs/cgroup @returns undefined without a limit
 */
export function cpuLimit(own: string, read: (path: string) => string | undefined): number | undefined {
  const unified = /^0::(.*?)\/?$/m.exec(own)?.[1] ?? "";
  const ofCpu = /^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(.*?)\/?$/m.exec(own)?.[1] ?? "";
  const max = read(`${unified}/cpu.max`) ?? read("cpu.max");
  const quotas = [`cpu${ofCpu}`, "cpu"].map((at) => [read(`${at}/cpu.cfs_quota_us`), read(`${at}/cpu.cfs_period_us`)]);
  const [quota, period] = max?.split(" ") ?? quotas.find(([each]) => each !== undefined) ?? [];
  const processors = Number(quota) / Number(period);
  return processors > 0 ? processors : undefined; // "max", or -1: none.
}
