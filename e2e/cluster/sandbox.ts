import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { type RunOptions, run } from "./command.ts";
import { Daemon } from "./daemon.ts";

// The first process in the namespaces. It ends, and with it every other, when standard input does.
const inside = `
set -e
read -r pid rest < /proc/self/stat # Before /proc is the new one: the process id that the outside knows.
mount -t proc proc /proc
# The kubelet sets these for the whole machine. They are private files here that hold what it wants already.
tunable() { echo "$2" > "$tunables/$(basename "$1")"; mount --bind "$tunables/$(basename "$1")" "/proc/sys/$1"; }
mount -t tmpfs none /run
tunables=/run/tunables; mkdir "$tunables"
tunable vm/overcommit_memory 1; tunable vm/panic_on_oom 0; tunable kernel/panic 10; tunable kernel/panic_on_oops 1
tunable kernel/keys/root_maxkeys 1000000; tunable kernel/keys/root_maxbytes 25000000
mount -t tmpfs none /var/log
mount -t tmpfs none /var/lib # Of CNI, the kubelet and container runtimes; nothing else in use here keeps state there.
mkdir /run/netns
ip link set lo up
echo "$pid"
cat > /dev/null
`;

// Around it: cleans up everything that outlives namespaces. It runs when the first process is gone, for any reason, and all others with it.
const outside = `
directory=$1; name=$2; inside=$3
unshare --mount --net --pid --fork --kill-child sh -c "$inside"
find /sys/fs/cgroup -mindepth 1 -depth -type d -path "*/$name*" -exec rmdir {} +
rm -rf "$directory"
`;

// A node's Pods together have twice as much of two processors as all that is no Pod, for which systemd has one cgroup. Here that has none: each of its
// processes would get as much as all Pods of the cluster. With this share, Pods have about a third beside eight busy processes; a larger one would starve
// etcd and the API server where Pods are busy.
const createCgroup = `
path=/sys/fs/cgroup
if [ -e "$path/cgroup.controllers" ]; then
  for part in "$0" "$1"; do # Version 2: a controller reaches as far down as it is passed on.
    for controller in $(cat "$path/cgroup.controllers"); do echo "+$controller" > "$path/cgroup.subtree_control"; done
    path=$path/$part; mkdir -p "$path"
  done
  echo 400 > "/sys/fs/cgroup/$0/cpu.weight"
else
  for hierarchy in "$path"/*/; do mkdir -p "$hierarchy$0/$1"; done
  echo 4096 > "$path/cpu/$0/cpu.shares"
fi
`;

/**
 * Mount, network and process namespaces of their own, with a private /run, /var/lib and /var/log, so that any number of them
 * work beside each other and beside what the machine runs. All of it, processes, mounts, links, cgroups and files, goes when
 * the sandbox is disposed of or the process that made it ends, even by SIGKILL.
 */
export class Sandbox implements AsyncDisposable {
  /** For files; a path that means the same inside and outside. */
  readonly directory: string;
  readonly #name: string; // Unique on the machine.
  readonly #keeper: ChildProcessByStdio<Writable, Readable, null>;
  readonly #pid: number;

  private constructor(directory: string, keeper: ChildProcessByStdio<Writable, Readable, null>, pid: number) {
    this.directory = directory;
    this.#name = basename(directory);
    this.#keeper = keeper;
    this.#pid = pid;
  }

  /** Needs root. @throws {Error} where namespaces cannot be made */
  static async start(): Promise<Sandbox> {
    const directory = await mkdtemp(join(tmpdir(), "ingot-cluster-"));
    // A process group of its own, so that Ctrl-C does not reach it: the end of its standard input is what it waits for.
    const keeper = spawn("sh", ["-c", outside, "sh", directory, basename(directory), inside], {
      detached: true,
      stdio: ["pipe", "pipe", "inherit"],
    });
    for await (const line of createInterface({ input: keeper.stdout })) return new Sandbox(directory, keeper, Number(line));
    throw new Error("Cannot start a cluster: making its namespaces failed, as said above");
  }

  /** Runs a command to its end in the network namespace named `host`, or in the sandbox's own; paths have to be absolute. See `run`. */
  run(host: string | undefined, command: readonly string[], options?: RunOptions): Promise<string> {
    return run(["nsenter", ...this.#enter(host), ...command], options);
  }

  /** Starts what runs until the sandbox goes, in the network namespace named `host`, or in the sandbox's own; its output is in `directory`, in a file of that name with `.log`. */
  daemon(host: string | undefined, name: string, command: readonly string[], startsAgain = false): Daemon {
    const daemon = new Daemon(join(this.directory, `${name}.log`), ["nsenter", ...this.#enter(host), ...command], startsAgain);
    daemon.start();
    return daemon;
  }

  /** Makes a cgroup, in every hierarchy. @returns its path in each */
  async createCgroup(name: string): Promise<string> {
    await this.run(undefined, ["sh", "-ec", createCgroup, this.#name, name]);
    return `/${this.#name}/${name}`;
  }

  /** The end of every daemon's output. */
  async logs(): Promise<string> {
    const files = (await readdir(this.directory)).filter((file) => file.endsWith(".log")).sort();
    const ends = files.map(async (file) => {
      const lines = (await readFile(join(this.directory, file), "utf8")).trimEnd().split("\n");
      const end = lines.slice(-10).map((line) => line.slice(0, 300));
      return `--- ${file} ---\n${end.join("\n")}`;
    });
    return (await Promise.all(ends)).join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const keeper = this.#keeper;
    keeper.stdin.end();
    if (keeper.exitCode === null && keeper.signalCode === null) await once(keeper, "exit");
  }

  #enter(host: string | undefined): string[] {
    // Not `ip netns exec`: that mounts another /sys, which hides the cgroups.
    const net = host === undefined ? `/proc/${this.#pid}/ns/net` : `/proc/${this.#pid}/root/run/netns/${host}`;
    return ["--target", String(this.#pid), "--mount", "--pid", `--net=${net}`, "--"];
  }
}
