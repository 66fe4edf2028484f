import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { loadAll } from "js-yaml";
import { urlHost } from "#pkg/net";
import { withoutQuotation } from "#pkg/text";
import { type Fields, fields, list, optionalText, text } from "#pkg/untrusted";
import { CredentialsError } from "./errors.ts";
import { proxyFromEnvironment } from "./proxy.ts";

/** A certificate or key: in a file, which is read again as it may be replaced, or as given. */
export type Material = { readonly file: string } | { readonly data: Buffer };

/** The address of an API server and the identity to use there, from a kubeconfig or a service account. */
export interface Access {
  /** Where this was found, for messages. */
  readonly origin: string;
  readonly server: URL;
  /** Absent: the authorities that Node trusts. */
  readonly authority: Material | undefined;
  readonly skipVerify: boolean;
  readonly serverName: string | undefined;
  /** A URL with `http:` or `https:`. */
  readonly proxy: string | undefined;
  readonly certificate: Material | undefined;
  readonly key: Material | undefined;
  readonly token: Material | undefined;
  readonly basic: { readonly username: string; readonly password: string } | undefined;
  /** Headers `Impersonate-…`. */
  readonly impersonate: Readonly<Record<string, string | readonly string[]>>;
  /** The block `exec` of the user as it stands, with the path of its command resolved. */
  readonly exec: Readonly<Record<string, unknown>> | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Credentials from the kubeconfig if one is named, else those of the Pod's service account, else those that kubectl would use.
 * `serviceAccount` is the directory where Kubernetes mounts them.
 * @throws {CredentialsError} with all that was tried
 */
export function findAccess(
  kubeconfig: string | undefined,
  env: Environment = process.env,
  serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount",
): Access {
  const access = find(kubeconfig, env, serviceAccount);
  const proxy = access.proxy ?? proxyFromEnvironment(access.server, env);
  // Node has no SOCKS.
  // Only its scheme is quoted, because a password may follow.
  if (proxy !== undefined && !(/^https?:/.test(proxy) && URL.canParse(proxy)))
    throw new CredentialsError(
      `Cannot use proxy for ${access.origin}: it is "${proxy.split(":")[0]}:…", not an http or https URL`,
    );
  return { ...access, proxy };
}

function find(kubeconfig: string | undefined, env: Environment, serviceAccount: string): Access {
  if (kubeconfig !== undefined && kubeconfig !== "") return readKubeconfig([kubeconfig]);
  const inCluster = findServiceAccount(env, serviceAccount);
  if (typeof inCluster !== "string") return inCluster;
  const named = (env.KUBECONFIG ?? "").split(delimiter).filter((path) => path !== "");
  // Files that do not exist are left out of the list, as in kubectl.
  const present = named.filter((path) => existsSync(path));
  if (present.length > 0) return readKubeconfig(present);
  const own = join(env.HOME ?? homedir(), ".kube", "config");
  if (named.length === 0 && existsSync(own)) return readKubeconfig([own]);
  const variable = named.length === 0 ? "KUBECONFIG (not set)" : `KUBECONFIG (${named.join(", ")}: no such file)`;
  const tried = [`the service account (${inCluster})`, variable, ...(named.length === 0 ? [`${own} (no such file)`] : [])];
  throw new CredentialsError(`Cannot find credentials for Kubernetes: tried ${tried.join(", ")}`);
}

/** @returns why there is no service account, as text */
function findServiceAccount(env: Environment, directory: string): Access | string {
  const host = env.KUBERNETES_SERVICE_HOST;
  const port = env.KUBERNETES_SERVICE_PORT;
  if (!host || !port) return "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set";
  const token = join(directory, "token");
  if (!existsSync(token)) return `${token}: no such file`;
  const server = `https://${urlHost(host)}:${port}`;
  if (!URL.canParse(server)) return `${server} is not a URL`;
  return {
    origin: directory,
    server: new URL(server),
    authority: { file: join(directory, "ca.crt") },
    skipVerify: false,
    serverName: undefined,
    proxy: undefined,
    certificate: undefined,
    key: undefined,
    token: { file: token },
    basic: undefined,
    impersonate: {},
    exec: undefined,
  };
}

/** An entry of `clusters`, `users` or `contexts`, and the directory that its relative paths start from. */
interface KubeconfigEntry {
  readonly fields: Fields;
  readonly directory: string;
}

type Section = "contexts" | "clusters" | "users";

/**
 * Reads the current context of a kubeconfig. Several files are merged as kubectl does: the first to name an entry, or the
 * current context, wins.
 * @throws {CredentialsError} when a file cannot be read or the context is incomplete
 */
function readKubeconfig(paths: readonly string[]): Access {
  const origin = paths.join(", ");
  const refuse = (found: string): never => {
    throw new CredentialsError(`Cannot use kubeconfig ${origin}: ${found}`);
  };
  const files = paths.map((path) => ({ content: readFile(path), directory: dirname(path) }));

  const find = (section: Section, name: string): KubeconfigEntry => {
    for (const { content, directory } of files)
      for (const entry of list(content[section]).map(fields))
        if (entry.name === name) return { fields: fields(entry[section.slice(0, -1)]), directory };
    return refuse(`${section} has no entry named "${name}"`);
  };

  const current = files.map(({ content }) => text(content["current-context"])).find((name) => name !== "");
  const context = find("contexts", current ?? refuse("current-context is not set")).fields;
  const cluster = find("clusters", text(context.cluster));
  // A context without a user is anonymous, as a proxy such as `kubectl proxy` wants it.
  const name = optionalText(context.user);
  const user = name === undefined ? { fields: {}, directory: "" } : find("users", name);
  // Kubernetes 1.26 took most of them out of kubectl.
  const provider = text(block(user.fields["auth-provider"])?.name);
  if (provider !== "") refuse(`its user has auth-provider "${provider}"; give it a token, a certificate or an exec plugin`);
  return { origin, ...readCluster(cluster, refuse), ...readUser(user) };
}

function readFile(path: string): Fields {
  try {
    return fields(loadAll(readFileSync(path, "utf8"))[0]); // None where it is empty.
  } catch (error) {
    throw new CredentialsError(`Cannot read kubeconfig ${path}: ${withoutQuotation(String(error))}`);
  }
}

function readCluster(entry: KubeconfigEntry, refuse: (found: string) => never) {
  const cluster = entry.fields;
  const server = text(cluster.server);
  if (!/^https?:/.test(server) || !URL.canParse(server)) refuse(`server is "${server}", not an http or https URL`);
  return {
    server: new URL(server),
    authority: material(entry, "certificate-authority"),
    skipVerify: cluster["insecure-skip-tls-verify"] === true,
    serverName: optionalText(cluster["tls-server-name"]),
    proxy: optionalText(cluster["proxy-url"]),
  };
}

/** The identity that an entry of `users` gives, but for an `auth-provider`. */
export function readUser(entry: KubeconfigEntry) {
  const user = entry.fields;
  const tokenFile = text(user.tokenFile);
  const username = text(user.username);
  return {
    certificate: material(entry, "client-certificate"),
    key: material(entry, "client-key"),
    token: tokenFile === "" ? literal(text(user.token)) : { file: resolve(entry.directory, tokenFile) },
    basic: username === "" ? undefined : { username, password: text(user.password) },
    impersonate: impersonation(user),
    exec: execBlock(entry),
  };
}

/** The field `NAME-data` (base64) wins over the file that `NAME` names. */
function material(entry: KubeconfigEntry, name: string): Material | undefined {
  const data = text(entry.fields[`${name}-data`]);
  if (data !== "") return { data: Buffer.from(data, "base64") };
  const file = text(entry.fields[name]);
  return file === "" ? undefined : { file: resolve(entry.directory, file) };
}

function literal(value: string): Material | undefined {
  return value === "" ? undefined : { data: Buffer.from(value) };
}

function block(value: unknown): Fields | undefined {
  return value === undefined || value === null ? undefined : fields(value);
}

/** A command with a slash in it is a path from the kubeconfig's directory; others are looked up in PATH. */
function execBlock(entry: KubeconfigEntry): Fields | undefined {
  const exec = block(entry.fields.exec);
  const command = text(exec?.command);
  return exec !== undefined && command.includes("/") ? { ...exec, command: resolve(entry.directory, command) } : exec;
}

function impersonation(user: Fields): Record<string, string | readonly string[]> {
  const headers: Record<string, string | readonly string[]> = {};
  if (text(user.as) !== "") headers["Impersonate-User"] = text(user.as);
  if (text(user["as-uid"]) !== "") headers["Impersonate-Uid"] = text(user["as-uid"]);
  const groups = list(user["as-groups"]).map(text);
  if (groups.length > 0) headers["Impersonate-Group"] = groups;
  for (const [key, values] of Object.entries(fields(user["as-user-extra"])))
    headers[`Impersonate-Extra-${headerKey(key)}`] = list(values).map(text);
  return headers;
}

/** Such as `example.com%2Fteam`, as the API server decodes it. */
function headerKey(key: string): string {
  return encodeURIComponent(key).replace(/[()]/g, (mark) => (mark === "(" ? "%28" : "%29"));
}
