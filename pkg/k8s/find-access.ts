import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { Access } from "./access.ts";
import { CredentialsError } from "./errors.ts";
import { readKubeconfig } from "./kubeconfig.ts";
import { proxyFromEnvironment } from "./proxy.ts";

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
  // As kubectl does, files that do not exist are left out of the list.
  const present = named.filter((path) => existsSync(path));
  if (present.length > 0) return readKubeconfig(present);
  const own = join(env.HOME ?? homedir(), ".kube", "config");
  if (named.length === 0 && existsSync(own)) return readKubeconfig([own]);
  const variable = named.length === 0 ? "KUBECONFIG (not set)" : `KUBECONFIG (${named.join(", ")}: no such file)`;
  const tried = [`the service account (${inCluster})`, variable, ...(named.length === 0 ? [`${own} (no such file)`] : [])];
  throw new CredentialsError(`Cannot find credentials for Kubernetes: tried ${tried.join(", ")}`);
}

/** @returns why there is none, as text */
function findServiceAccount(env: Environment, directory: string): Access | string {
  const host = env.KUBERNETES_SERVICE_HOST;
  const port = env.KUBERNETES_SERVICE_PORT;
  if (!host || !port) return "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set";
  const token = join(directory, "token");
  if (!existsSync(token)) return `${token}: no such file`;
  const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
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
