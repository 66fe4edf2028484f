import { KubeConfig } from "@kubernetes/client-node";
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
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (error) {
    throw new UsageError(`cannot read the kubeconfig: ${(error as Error).message}`, { cause: error });
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
  if (config.getCurrentCluster() === null)
    throw new UsageError(
      "the kubeconfig has no current context with a cluster: name one by --context, or by kubectl config use-context NAME",
    );
  return config;
}
