import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
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

type Caller = Pick<Access, "exec" | "server" | "serverName" | "authority" | "skipVerify" | "proxy">;

/** Where a person looks, who may have to sign in: the plugin gets the terminal, and all the time that this takes. */
interface Terminal {
  readonly isInteractive: boolean;
  /** Takes what the plugin says to the person, at once. */
  show(text: string): void;
}

/**
 * Runs the credential plugin of a kubeconfig (client.authentication.k8s.io) and keeps its credentials until they expire. Where
 * nobody looks, a plugin that has not ended after 25 s is killed with all processes that it started; likewise one that prints more
 * than 1 MiB.
 */
export class ExecPlugin {
  readonly #access: Caller;
  readonly #clock: Clock;
  readonly #terminal: Terminal | undefined;
  #given: PluginCredentials | undefined;
  #running: Promise<PluginCredentials> | undefined;
  #expiresAt = Infinity; // milliseconds since 1970

  constructor(access: Caller, clock: Clock, terminal?: Terminal) {
    this.#access = access;
    this.#clock = clock;
    this.#terminal = terminal;
  }

  /** @throws {Error} that says what went wrong with the plugin */
  async credentials(): Promise<PluginCredentials> {
    if (this.#given !== undefined && wallClock().getTime() < this.#expiresAt) return this.#given;
    this.#running ??= this.#obtain().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #obtain(): Promise<PluginCredentials> {
    const exec = this.#access.exec ?? {};
    const command = text(exec.command);
    if (command === "") throw new Error("Cannot run credential plugin: its command is not set");
    const output = await this.#run(command, list(exec.args).map(text), this.#environment());
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
    const stdin = this.#isInteractive ? "inherit" : "ignore";
    // In a process group of its own, so that what it started ends with it; but then it has no terminal.
    const child = spawn(command, args, { env, detached: this.#terminal === undefined, stdio: [stdin, "pipe", "pipe"] });
    let printed = "";
    let complaint = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      printed += chunk;
      if (printed.length > maxOutputBytes) reject(refuse(`it printed more than ${maxOutputBytes} bytes`));
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      if (this.#terminal !== undefined) this.#terminal.show(chunk);
      else complaint = (complaint + chunk).slice(0, maxMessageLength);
    });
    child.on("error", (cause) => reject(refuse("it could not be started", cause)));
    child.on("close", (code, signal) => {
      const said = complaint.trim().replaceAll(/\s+/g, " ");
      if (code === 0) resolve(printed);
      else reject(refuse(`it ended with ${signal ?? `exit code ${code}`}${said && `: ${said}`}`));
    });
    const tooLong = () => reject(refuse(`it did not end within ${maxRunMs / 1000} s`));
    const until = this.#terminal === undefined ? this.#clock.now() + maxRunMs : Infinity;
    using _timer = until < Infinity ? this.#clock.schedule("credential plugin", until, tooLong) : undefined;
    try {
      return await promise;
    } finally {
      kill(child);
    }
  }

  get #isInteractive(): boolean {
    return this.#terminal?.isInteractive === true && this.#access.exec?.interactiveMode !== "Never";
  }

  /** The plugin's own variables, and KUBERNETES_EXEC_INFO as the protocol has it. */
  #environment(): NodeJS.ProcessEnv {
    const { exec = {}, server, serverName, authority, skipVerify, proxy } = this.#access;
    const ca = authority && ("data" in authority ? authority.data : readFileSync(authority.file));
    const cluster = {
      server: server.href,
      "tls-server-name": serverName,
      "insecure-skip-tls-verify": skipVerify,
      "certificate-authority-data": ca?.toString("base64"),
      "proxy-url": proxy,
    };
    const spec = { interactive: this.#isInteractive, ...(exec.provideClusterInfo === true && { cluster }) };
    const own = list(exec.env).map(fields);
    return {
      ...process.env,
      ...Object.fromEntries(own.map(({ name, value }) => [text(name), text(value)])),
      KUBERNETES_EXEC_INFO: JSON.stringify({ apiVersion: exec.apiVersion, kind: "ExecCredential", spec }),
    };
  }
}

function kill(child: ChildProcess): void {
  child.stdout?.destroy();
  child.stderr?.destroy();
  if (child.pid === undefined || child.exitCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    child.kill("SIGKILL"); // It ended in between, or is in our own group.
  }
}
