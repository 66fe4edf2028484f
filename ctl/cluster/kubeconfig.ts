import { existsSync } from "node:fs";
import { delimiter } from "node:path";
import { KubeConfig } from "@kubernetes/client-node";
import { proxyFromEnvironment } from "#pkg/k8s";
import { withoutQuotation } from "#pkg/text";
import { UsageError } from "../command.ts";

/** Where the library looks in vain for a kubeconfig it makes one up, of a server that nobody has. */
const madeUp = "http://localhost:8080";

/**
 * Reads the kubeconfig as kubectl finds it, or the one that is named.
 * @param context undefined: the current one
 * @throws {UsageError} with a remedy if there is no kubeconfig, or no such context in it
 */
export function readKubeconfig({
  kubeconfig,
  context,
}: {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}): KubeConfig {
  const config = new KubeConfig();
  const listed = (process.env.KUBECONFIG ?? "").split(delimiter).filter(existsSync);
  try {
    if (kubeconfig !== undefined) config.loadFromFile(kubeconfig);
    else if (listed.length > 0) loadAll(config, listed);
    else config.loadFromDefault();
  } catch (error) {
    throw new UsageError(`cannot read the kubeconfig: ${withoutQuotation((error as Error).message)}`, { cause: error });
  }
  if (
    kubeconfig === undefined &&
    config.getCurrentContext() === "loaded-context" &&
    config.getCurrentCluster()?.server === madeUp
  )
    throw new UsageError(
      "there is no kubeconfig: put the one of your cluster where kubectl looks for it, at ~/.kube/config, or name it by KUBECONFIG or --kubeconfig FILE",
    );
  if (context !== undefined) {
    if (!config.contexts.some(({ name }) => name === context))
      throw new UsageError(
        `there is no context ${JSON.stringify(context)} in the kubeconfig: kubectl config get-contexts lists them`,
      );
    config.setCurrentContext(context);
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
  return config;
}

/** Several files are one kubeconfig, as kubectl merges them: the first to name an entry, or the current context, wins. */
function loadAll(config: KubeConfig, files: readonly string[]): void {
  const all = files.map((file) => {
    const one = new KubeConfig();
    one.loadFromFile(file);
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
