import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { loadAll } from "js-yaml";
import { SystemClock } from "#pkg/clock";
import { ExecPlugin, proxyFromEnvironment, readUser } from "#pkg/k8s";
import { withoutQuotation } from "#pkg/text";
import { fields, list } from "#pkg/untrusted";
import { UsageError } from "../command.ts";

/** Until the API server has a connection to a process, which may take it several ways to and fro. */
export const openMs = 2_500;
/** Until it lets go of a connection that is not needed any more. */
const closeMs = 1_000;
const contents = new Map<string, string>(); // path of a pipe, which gives its text once -> that text

/** Where the library looks in vain for a kubeconfig it makes one up, of a server that nobody has. */
const madeUp = "http://localhost:8080";

/** For each way to run one: what is read again for each question of a long command runs it once. */
const plugins = new Map<string, ExecPlugin>();
/** Files -> the context that was current when they were read first: a long command stays with its cluster when the person turns to another. */
const firstContexts = new Map<string, string>();

/** Adds what the library leaves out: files of tokens, the whole identity to act as, and what plugins are told and say. */
export class UserKubeconfig extends KubeConfig {
  #user: ReturnType<typeof readUser> | undefined;
  #plugin: ExecPlugin | undefined;

  /** @param users entries of `users` by name, each with the folder of its file @param show takes what a plugin says to the person */
  complete(users: ReadonlyMap<string, Parameters<typeof readUser>[0]>, show: (text: string) => void): void {
    const user = this.getCurrentUser();
    const entry = users.get(user?.name ?? "");
    if (user === null || entry === undefined) return;
    this.#user = readUser(entry);
    const { exec } = this.#user;
    const { server = "", skipTLSVerify, caData, caFile, tlsServerName, proxyUrl } = this.getCurrentCluster() ?? {};
    if (exec === undefined) return;
    const caller = {
      exec,
      server: new URL(server),
      serverName: tlsServerName,
      skipVerify: skipTLSVerify === true,
      authority: caData ? { data: Buffer.from(caData, "base64") } : caFile ? { file: caFile } : undefined,
      proxy: proxyUrl,
    };
    const isInteractive = process.stdin.isTTY === true;
    const terminal = process.stderr.isTTY === true ? { isInteractive, show } : undefined;
    const key = JSON.stringify(caller);
    this.#plugin = plugins.get(key) ?? new ExecPlugin(caller, new SystemClock(), terminal);
    plugins.set(key, this.#plugin);
    Object.assign(user, { exec: undefined }); // The library would run it, too.
  }

  /** The server refuses the credentials: a plugin gives others the next time. */
  refused(): void {
    this.#plugin?.forget();
  }

  override async applyToHTTPSOptions(options: Parameters<KubeConfig["applyToHTTPSOptions"]>[0]): Promise<void> {
    const { token, impersonate = {} } = this.#user ?? {};
    const user: { token?: string; certData?: string; keyData?: string } = this.getCurrentUser() ?? {};
    if (token !== undefined && "file" in token) user.token = readFileSync(token.file, "utf8").trim();
    const given = await this.#plugin?.credentials();
    if (given?.token !== undefined) user.token = given.token;
    if (given?.certificate !== undefined && given.key !== undefined) {
      const [certData, keyData] = [given.certificate, given.key].map((pem) => Buffer.from(pem).toString("base64"));
      // The library keeps the agent of a user, with its certificate.
      if (user.certData !== certData) Reflect.set(this, "agentCache", new Map());
      Object.assign(user, { certData, keyData, certFile: undefined, keyFile: undefined });
    }
    await super.applyToHTTPSOptions(options);
    options.headers = { ...options.headers, ...impersonate } as NonNullable<typeof options.headers>;
    // For the library's WebSockets: one that is never answered would keep the program from ending.
    Object.assign(options, { handshakeTimeout: openMs, closeTimeout: closeMs });
  }
}

/**
 * Reads the kubeconfig as kubectl finds it, or the one that is named.
 * @param context undefined: the current one
 * @param show takes what a credential plugin says to the person
 * @throws {UsageError} with a remedy if there is no kubeconfig, or no such context in it
 */
export function readKubeconfig({
  kubeconfig,
  context,
  show = (text) => process.stderr.write(text),
}: {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  readonly show?: ((text: string) => void) | undefined;
}): UserKubeconfig {
  const config = new UserKubeconfig();
  const found = kubeconfig === undefined ? filesOfKubectl() : [kubeconfig];
  const users = new Map<string, Parameters<typeof readUser>[0]>();
  try {
    const files = found.map(readFile).filter(({ content }) => content !== undefined && content !== null); // As kubectl leaves them out.
    if (found.length === 0) config.loadFromDefault();
    else mergeInto(config, files);
    for (const { directory, content } of files.toReversed())
      for (const { name, user } of list(fields(content).users).map(fields))
        users.set(`${name}`, { fields: fields(user), directory });
  } catch (error) {
    throw new UsageError(`cannot read the kubeconfig: ${withoutQuotation((error as Error).message)}`, { cause: error });
  }
  if (found.length === 0 && config.getCurrentContext() === "loaded-context" && config.getCurrentCluster()?.server === madeUp)
    throw new UsageError(
      "there is no kubeconfig: put the one of your cluster where kubectl looks for it, at ~/.kube/config, or name it by KUBECONFIG or --kubeconfig FILE",
    );
  const files = found.join(delimiter);
  const chosen = context ?? firstContexts.get(files);
  if (chosen !== undefined) {
    if (!config.contexts.some(({ name }) => name === chosen))
      throw new UsageError(
        `there is no context ${JSON.stringify(chosen)} in the kubeconfig: kubectl config get-contexts lists them`,
      );
    config.setCurrentContext(chosen);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null)
    throw new UsageError(
      "the kubeconfig has no current context with a cluster: name one by --context, or by kubectl config use-context NAME",
    );
  if (!/^https?:/.test(cluster.server) || !URL.canParse(cluster.server))
    throw new UsageError(`the server of the kubeconfig's context is ${JSON.stringify(cluster.server)}, not an http or https URL`);
  const proxyUrl = cluster.proxyUrl ?? proxyFromEnvironment(new URL(cluster.server), process.env);
  // The library wants to be told that there is no TLS.
  Object.assign(cluster, { proxyUrl, skipTLSVerify: cluster.skipTLSVerify || cluster.server.startsWith("http:") });
  config.complete(users, show);
  if (context === undefined) firstContexts.set(files, config.getCurrentContext());
  return config;
}

/** The files that exist of those that KUBECONFIG names. */
function filesOfKubectl(): readonly string[] {
  const { KUBECONFIG = "", HOME = homedir() } = process.env;
  const own = join(HOME, ".kube", "config");
  return (KUBECONFIG === "" ? [own] : KUBECONFIG.split(delimiter)).filter(existsSync);
}

/** Reads it once: it may be a pipe. Its content is undefined or null where the file says nothing. */
function readFile(file: string) {
  const text = contents.get(file) ?? readFileSync(file, "utf8");
  if (!statSync(file).isFile()) contents.set(file, text);
  return { directory: dirname(file), content: loadAll(text)[0] };
}

const entryLists = ["clusters", "users", "contexts"] as const;

/** Several files are one kubeconfig, as kubectl merges them: the first to name an entry, or the current context, wins. */
function mergeInto(config: KubeConfig, files: readonly ReturnType<typeof readFile>[]): void {
  const all = files.map(({ directory, content }) => {
    const one = new KubeConfig();
    const lists = entryLists.map((key) => [key, list(fields(content)[key]).filter((entry) => entry !== null)]);
    one.loadFromString(JSON.stringify({ ...fields(content), ...Object.fromEntries(lists) })); // It takes an entry that is null for a fault.
    one.makePathsAbsolute(directory);
    return one;
  });
  const first = <T extends { readonly name: string }>(entries: readonly T[]) =>
    entries.filter(({ name }, place) => entries.findIndex((entry) => entry.name === name) === place);
  config.loadFromOptions({
    clusters: first(all.flatMap(({ clusters }) => clusters)),
    users: first(all.flatMap(({ users }) => users)),
    contexts: first(all.flatMap(({ contexts }) => contexts)),
    currentContext: all.map(({ currentContext }) => currentContext).find((name) => name) ?? "",
  });
}
