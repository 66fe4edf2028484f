import { flag } from "#pkg/flags";
import { logLevels } from "#pkg/log";

/** What both daemons take. */
export const commonFlags = {
  config: flag.text({ help: "name of the ConfigMap with the configuration", fallback: "config" }),
  namespace: flag.text({
    help: "namespace of that ConfigMap and of all else that is Ingot's; default: the Pod's own",
    env: "METALLB_NAMESPACE",
  }),
  kubeconfig: flag.text({ help: "path of a kubeconfig; needed only outside a cluster" }),
  port: flag.integer({ help: "port on which metrics and health are served", fallback: 7472, min: 0, max: 65535 }),
  "log-level": flag.choice({ help: "how much is logged", fallback: "info", choices: logLevels }),
  "enable-pprof": flag.boolean({ help: "has no effect: there is no Go profile to serve; MetalLB's manifests may name it" }),
} as const;
