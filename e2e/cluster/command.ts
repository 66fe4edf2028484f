import { spawn } from "node:child_process";

/** For `waitFor` what the cluster does: only a failure takes as long, on a machine of any speed. */
export const patience = { timeout: 300_000, every: 250 };

export interface RunOptions {
  /** Written to standard input, which is empty otherwise. */
  readonly input?: string;
  /** After this long it is killed and the promise rejects; 400 s unless given, longer than `patience`. */
  readonly timeoutMs?: number;
}

/** A command ended with anything but 0, or did not end in time. The message has the end of its output. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly stdout: string;
  readonly stderr: string;
  constructor(command: readonly string[], outcome: string, stdout: string, stderr: string) {
    const said = (stderr.trim() || stdout.trim()).slice(-2000);
    super(`Cannot run ${abbreviate(command.join(" "))}: ${outcome}${said === "" ? "" : `\n${said}`}`);
    this.stdout = stdout;
    this.stderr = stderr;
  }
}

/**
 * Runs a command to its end.
 * @returns what it wrote to standard output
 * @throws {CommandError}
 */
export function run(command: readonly [string, ...string[]], options: RunOptions = {}): Promise<string> {
  const { input = "", timeoutMs = 400_000 } = options;
  const [file, ...args] = command;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: "pipe" });
    let stdout = "";
    let stderr = "";
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      child.stdout.destroy(); // A process that it started may live on and hold the other end.
      child.stderr.destroy();
      reject(new CommandError(command, `not done after ${timeoutMs} ms`, stdout, stderr));
    }, timeoutMs);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.stdin.on("error", () => {}); // It may end without reading its input; its exit status says whether that matters.
    child.stdin.end(input);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(new CommandError(command, error.message, stdout, stderr));
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(stdout);
      else reject(new CommandError(command, signal ?? `exit status ${code}`, stdout, stderr));
    });
  });
}

function abbreviate(text: string): string {
  return text.length <= 300 ? text : `${text.slice(0, 300)}…`;
}
