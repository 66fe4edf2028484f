import assert from "node:assert/strict";
import { test } from "node:test";
import { cpuLimit } from "./cpu-limit.ts";

/** The files of a cgroup of version 1. */
function version1(folder: string, quota: number, period = 100_000): Readonly<Record<string, string>> {
  return { [`${folder}/cpu.cfs_quota_us`]: `${quota}\n`, [`${folder}/cpu.cfs_period_us`]: `${period}\n` };
}

const cases: readonly { name: string; own?: string; files: Readonly<Record<string, string>>; want: number | undefined }[] = [
  { name: "a kernel without cgroups", files: {}, want: undefined },
  { name: "a container, version 2", own: "0::/\n", files: { "/cpu.max": "10000 100000\n" }, want: 0.1 },
  { name: "a container, version 2, without a limit", own: "0::/\n", files: { "/cpu.max": "max 100000\n" }, want: undefined },
  {
    name: "a container, version 2, that sees where it is",
    own: "0::/kubepods/x\n",
    files: { "cpu.max": "150000 100000\n" },
    want: 1.5,
  },
  {
    name: "a process, version 2",
    own: "0::/kubepods/x\n",
    files: { "/kubepods/x/cpu.max": "5000 50000\n", "cpu.max": "max 100000\n" },
    want: 0.1,
  },
  {
    name: "a container, version 1",
    own: "12:memory:/kubepods/x\n4:cpu,cpuacct:/kubepods/x\n0::/\n",
    files: version1("cpu", 20_000),
    want: 0.2,
  },
  {
    name: "a process, version 1",
    own: "3:cpuset:/\n2:cpu:/kubepods/x\n",
    files: version1("cpu/kubepods/x", 20_000, 40_000),
    want: 0.5,
  },
  { name: "version 1 without a limit", own: "2:cpu:/\n", files: version1("cpu", -1), want: undefined },
];
for (const { name, own = "", files, want } of cases)
  test(`the CPU limit of ${name}`, () => {
    assert.equal(
      cpuLimit(own, (path) => files[path]),
      want,
    );
  });
