import { readFileSync } from "node:fs";
import { endianness } from "node:os";
import { flag } from "#pkg/flags";
import { logLevels } from "#pkg/log";

/** Flags of both daemons. */
export const commonFlags = {
  config: flag.text({ help: "name of the ConfigMap that holds the configuration", fallback: "config" }),
  "config-source": flag.choice({
    help: "where the configuration is: in the ConfigMap of --config, or in MetalLB's custom resources (crds); the same for controller and speakers",
    fallback: "configmap",
    choices: ["configmap", "crds"] as const,
  }),
  namespace: flag.text({
    help: "namespace of the ConfigMap, the Secrets and the speaker Pods; default: that of this Pod",
    env: "METALLB_NAMESPACE",
  }),
  kubeconfig: flag.text({ help: "path of a kubeconfig; needed only outside a cluster" }),
  port: flag.integer({ help: "port of metrics, health and status over HTTP", fallback: 7472, min: 0, max: 65535 }),
  "lb-class": flag.text({
    help: "load balancer class whose Services are served, instead of those without a class; empty: only Services without a class; the same for controller and speakers",
  }),
  "lb-class-default": flag.boolean({ help: "with --lb-class, serve Services without a class too" }),
  "api-auth": flag.choice({
    help: "who may read /v1; loopback: clients on this host, as by kubectl port-forward; token: also bearers of a token of the cluster with the right to get the path",
    fallback: "loopback",
    choices: ["loopback", "token"] as const,
  }),
  "metrics-auth": flag.choice({
    help: "who may read /metrics; none: everybody; token: as with --api-auth=token",
    fallback: "none",
    choices: ["none", "token"] as const,
  }),
  "log-level": flag.choice({ help: "how much is logged", fallback: "info", choices: logLevels }),
  "enable-pprof": flag.boolean({ help: "no effect; accepted because MetalLB's manifests may have it" }),
} as const;

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

/** @returns why this machine cannot run Ingot: system calls and packets are laid out for 64-bit little-endian Linux */
export function machineProblem(
  { platform, arch }: { readonly platform: string; readonly arch: string } = process,
  order: "LE" | "BE" = endianness(),
): string | undefined {
  if (platform !== "linux") return `it is ${platform}, not Linux`;
  if (order !== "LE") return `its processor (${arch}) is big-endian, and only little-endian ones are supported`;
  if (["arm", "ia32", "mips", "mipsel", "ppc", "s390"].includes(arch))
    return `its processor, or this build of Node.js, is 32-bit (${arch}), and only 64-bit ones are supported`;
  return undefined;
}
