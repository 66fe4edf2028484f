import type { ChildProcess } from "node:child_process";
import { type Clock, type Millis, wallClock } from "#pkg/clock";
import { fields, list, optionalText, text } from "#pkg/untrusted";
import type { Access } from "./access.ts";
import { parseJson } from "./untrusted.ts";

/** The credentials from a plugin: a token, a certificate with its key, or both. */
export interface PluginCredentials {
  readonly token: string | undefined;
  readonly certificate: string | undefined;
  readonly key: string | undefined;
}

// Less than a request waits for its answer, so that its error is the plugin's.
const maxRunMs: Millis = 25_000;
const maxOutputBytes = 1 << 20;
const maxMessageLength = 500;

/**
 * Runs the credential plugin of a kubeconfig (client.authentication.k8s.io) and keeps its credentials until they expire. A plugin
 * that has not ended after 25 s, or prints more than 1 MiB, is killed with all processes that it started.
 */
export class ExecPlugin {
  readonly #access: Access;
  readonly #clock: Clock;
  #given: PluginCredentials | undefined;
  #expiresAt = Infinity; // milliseconds since 1970

  constructor(access: Access, clock: Clock) {
    this.#access = access;
    this.#clock = clock;
  }

  /** @throws {Error} that says what went wrong with the plugin */
  async credentials(): Promise<PluginCredentials> {
    if (this.#given !== undefined && wallClock().getTime() < this.#expiresAt) return this.#given;
    const exec = this.#access.exec ?? {};
    const command = text(exec.command);
    if (command === "") throw new Error("Cannot run credential plugin: its command is not set");
    const output = await this.#run(command, list(exec.args).map(text), environment(this.#access));
    const { token, clientCertificateData, clientKeyData, expirationTimestamp } = fields(fields(parseJson(output)).status);
    const given = {
      token: optionalText(token),
      certificate: optionalText(clientCertificateData),
      key: optionalText(clientKeyData),
    };
    if (given.token === undefined && given.certificate === undefined)
      throw new Error(`Cannot use credential plugin ${command}: it printed no ExecCredential with a token or a certificate`);
    const expiresAt = Date.parse(text(expirationTimestamp));
    this.#expiresAt = Number.isNaN(expiresAt) ? Infinity : expiresAt;
    this.#given = given;
    return given;
  }

  /** The server refuses what the plugin gave: it runs again the next time. */
  forget(): void {
    this.#given = undefined;
  }

  async #run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
    const refuse = (found: string, cause?: unknown): Error =>
      new Error(`Cannot run credential plugin ${command}: ${found}`, { cause });
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const { spawn } = process.getBuiltinModule("node:child_process"); // Loaded by few.
    // In a process group of its own, so that what it started ends with it.
    const child = spawn(command, args, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let printed = "";
    let complaint = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      printed += chunk;
      if (printed.length > maxOutputBytes) reject(refuse(`it printed more than ${maxOutputBytes} bytes`));
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      complaint = (complaint + chunk).slice(0, maxMessageLength);
    });
    child.on("error", (cause) => reject(refuse("it could not be started", cause)));
    child.on("close", (code, signal) => {
      if (code === 0) resolve(printed);
      else reject(refuse(`it ended with ${signal ?? `exit code ${code}`}: ${complaint.trim()}`));
    });
    const tooLong = () => reject(refuse(`it did not end within ${maxRunMs / 1000} s`));
    using _timer = this.#clock.schedule("credential plugin", this.#clock.now() + maxRunMs, tooLong);
    try {
      return await promise;
    } finally {
      kill(child);
    }
  }
}

function kill(child: ChildProcess): void {
  child.stdout?.destroy();
  child.stderr?.destroy();
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // It ended in between.
  }
}

/** The plugin's own variables, and KUBERNETES_EXEC_INFO as the protocol has it. */
function environment({ exec = {}, server, authority, skipVerify }: Access): NodeJS.ProcessEnv {
  const ca =
    authority !== undefined && "data" in authority ? { "certificate-authority-data": authority.data.toString("base64") } : {};
  const cluster = { server: server.href, "insecure-skip-tls-verify": skipVerify, ...ca };
  const spec = { interactive: false, ...(exec.provideClusterInfo === true && { cluster }) };
  const own = list(exec.env).map(fields);
  return {
    ...process.env,
    ...Object.fromEntries(own.map(({ name, value }) => [text(name), text(value)])),
    KUBERNETES_EXEC_INFO: JSON.stringify({ apiVersion: exec.apiVersion, kind: "ExecCredential", spec }),
  };
}
