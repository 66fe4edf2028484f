import { readFileSync } from "node:fs";

const mounted = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/**
 * `given`, or else the namespace of the Pod this runs in, from the file where Kubernetes writes it.
 * @throws {Error} that says how to give it, outside a Pod
 */
export function podNamespace(given: string, file = mounted): string {
  if (given !== "") return given;
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    throw new Error(`Cannot tell the namespace: give --namespace or METALLB_NAMESPACE, or run in a Pod, which has ${file}`, {
      cause,
    });
  }
}
