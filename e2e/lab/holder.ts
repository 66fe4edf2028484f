import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { explain, LabRefused, readSysctl } from "./refusal.ts";

// The pinned Node first, and the folders of ip and bridge, which are not in an ordinary user's PATH on Debian.
const path = [dirname(process.execPath), process.env.PATH, "/usr/sbin", "/sbin"].join(delimiter);

const { NODE_COMPILE_CACHE: compiled } = process.env;

/**
 * The environment of processes in a lab: nothing of the caller's but PATH, so that a lab is the same on every machine, and the folder where
 * Node keeps compiled code, which saves half of a speaker's start.
 */
export const environment: Readonly<Record<string, string>> = {
  PATH: path,
  HOME: "/run",
  LANG: "C.UTF-8",
  ...(compiled && { NODE_COMPILE_CACHE: compiled }),
};

// Process 1 of the lab. It ends when the other end of its standard input closes, which the kernel does for a parent killed in any way. With
// it the kernel kills every process of its PID namespace. To ignore SIGCHLD is to reap orphans.
const init = `
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/netns
ip link set lo up
echo ready
exec env --ignore-signal=CHLD cat >/dev/null`;

// Runs a command once the caller has learned its process id: a line out, a line in, on descriptor 3. The command leads a process
// group, which can then be killed whole.
const gate = `cd -- "$1" && shift && unset OLDPWD && echo >&3 && read -r _ <&3 && exec setsid "$@" 3>&-`;

/** A process inside a lab. `wrapper` carries its output and exit status; signals go to `pid`, which counts in our own PID namespace. */
export interface Inside {
  readonly wrapper: ChildProcess;
  readonly pid: number;
}

export interface Command {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Working directory; ours when unset. */
  readonly cwd?: string | undefined;
  readonly stdin: "ignore" | "pipe";
}

/** The namespaces of a lab, kept by one process in them. */
export class NamespaceHolder implements AsyncDisposable {
  /** Process 1 of the lab, as a number in our own PID namespace. */
  readonly pid: number;
  readonly #unshare: ChildProcess;
  readonly #root: boolean;
  readonly #wrappers = new Set<ChildProcess>();

  private constructor(unshare: ChildProcess, pid: number, root: boolean) {
    this.#unshare = unshare;
    this.pid = pid;
    this.#root = root;
  }

  /** @throws {LabRefused} when the machine does not allow it */
  static async start(): Promise<NamespaceHolder> {
    const root = process.getuid?.() === 0;
    const missing = ["unshare", "nsenter", "ip"].find((program) => !installed(program));
    if (missing !== undefined) throw new LabRefused(explain({ root, missing, stderr: "", sysctl: readSysctl }));
    const user = root ? [] : ["--user", "--map-root-user"];
    const unshare = spawn(
      "unshare",
      [...user, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", init],
      { stdio: ["pipe", "pipe", "pipe"], env: environment, detached: true },
    );
    const stderr = text(unshare.stderr);
    const ready = await Promise.race([once(unshare.stdout, "data").then(() => true), once(unshare, "exit").then(() => false)]);
    if (!ready) throw new LabRefused(explain({ root, stderr: await stderr, sysctl: readSysctl }));
    return new NamespaceHolder(unshare, childOf(unshare), root);
  }

  /** The nsenter command that enters a network namespace of the lab by name, or the lab's own. */
  nsenter(netns: string | undefined): string[] {
    const user = this.#root ? [] : ["--user", "--preserve-credentials"];
    const net = netns === undefined ? "--net" : `--net=${this.outside(`/run/netns/${netns}`)}`;
    return ["nsenter", "--target", String(this.pid), ...user, "--mount", "--pid", net];
  }

  /** The name from outside of a file in the lab's own /run. */
  outside(file: string): string {
    return `/proc/${this.pid}/root${file}`;
  }

  /**
   * Starts a command that is soon over. It leads a process group, which can be killed whole. Unlike with `enter` nobody knows its process id, which takes
   * fewer processes to start it.
   */
  command(netns: string | undefined, { argv, env, cwd = process.cwd(), stdin }: Command): ChildProcess {
    const [program = "", ...entering] = this.nsenter(netns);
    const child = spawn(program, [...entering, "env", "-C", cwd, ...argv], {
      stdio: [stdin, "pipe", "pipe"],
      env: { ...environment, PWD: cwd, ...env },
      detached: true,
    });
    this.#wrappers.add(child);
    child.once("close", () => this.#wrappers.delete(child));
    return child;
  }

  /** @throws {Error} when the namespace is gone or the working directory cannot be entered */
  async enter(netns: string | undefined, { argv, env, cwd, stdin }: Command): Promise<Inside> {
    const stdio: StdioOptions = [stdin, "pipe", "pipe", "pipe"];
    const inner = ["sh", "-c", gate, "sh", cwd ?? process.cwd(), ...argv];
    // nsenter must not fork, because it stops itself when its child does and then no longer reaps it. timeout (without a time) forks: it
    // only waits, and ends the way its child did.
    const [program = "", ...entering] = this.nsenter(netns);
    const wrapper = spawn(program, [...entering, "--no-fork", "timeout", "--foreground", "0", ...inner], {
      stdio,
      env: { ...environment, ...env },
      detached: true, // Ctrl-C reaches the caller alone, which then decides in what order things end.
    });
    this.#wrappers.add(wrapper);
    wrapper.once("close", () => this.#wrappers.delete(wrapper));
    const gateway = wrapper.stdio[3] as Duplex;
    gateway.on("error", () => {}); // It ends with its process; the exit status says why.
    let complaint = "";
    const listen = (data: Buffer): void => {
      complaint += data;
    };
    wrapper.stderr?.on("data", listen);
    const started = await Promise.race([once(gateway, "data").then(() => true), once(wrapper, "close").then(() => false)]);
    if (!started) {
      const why = complaint.trim() || wrapper.signalCode || `status ${wrapper.exitCode}`;
      throw new Error(`Cannot run ${argv.join(" ")} in ${netns ?? "the lab"}: ${why}`);
    }
    wrapper.stderr?.off("data", listen).pause(); // From here on it is the command's, and nothing of it may be lost.
    const pid = childOf(wrapper);
    gateway.end("\n");
    return { wrapper, pid };
  }

  /** Ends every process of the lab, and with them its namespaces. */
  async [Symbol.asyncDispose](): Promise<void> {
    const ends = [...this.#wrappers].map((wrapper) => once(wrapper, "close"));
    if (this.#unshare.exitCode === null && this.#unshare.signalCode === null) ends.push(once(this.#unshare, "exit"));
    this.#unshare.stdin?.end();
    await Promise.all(ends);
  }
}

/** The only child of `parent`, which must have one. Searches /proc, because not every kernel lists children. */
function childOf({ pid: parent = 0 }: ChildProcess): number {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const afterParent = (pid: string): number => (Number(pid) > parent ? 0 : 1); // Where it nearly always is.
  for (const pid of pids.sort((a, b) => afterParent(a) - afterParent(b) || Number(a) - Number(b))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      // The name, in parentheses, may hold anything; after it come the state and the parent.
      if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent) return Number(pid);
    } catch {
      // The process has ended meanwhile.
    }
  }
  throw new Error(`Cannot find the child of process ${parent}: none in /proc`);
}

function installed(program: string): boolean {
  return path.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
