import { flag } from "#pkg/flags";
import { logLevels } from "#pkg/log";

/** What both daemons take. */
export const commonFlags = {
  config: flag.text({ help: "name of the ConfigMap that holds the configuration", fallback: "config" }),
  namespace: flag.text({
    help: "namespace of the ConfigMap, the Secrets and the speaker Pods; default: that of this Pod",
    env: "METALLB_NAMESPACE",
  }),
  kubeconfig: flag.text({ help: "path of a kubeconfig; needed only outside a cluster" }),
  port: flag.integer({ help: "port of metrics, health and status over HTTP", fallback: 7472, min: 0, max: 65535 }),
  "log-level": flag.choice({ help: "how much is logged", fallback: "info", choices: logLevels }),
  "enable-pprof": flag.boolean({ help: "no effect; accepted because MetalLB's manifests may have it" }),
} as const;
