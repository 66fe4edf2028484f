import { flag } from "#pkg/flags";
import { logLevels } from "#pkg/log";

/** The flags and environment variables of MetalLB's controller (v0.12). */
export const flags = {
  config: flag.text({ help: "name of the ConfigMap with the configuration", fallback: "config" }),
  namespace: flag.text({
    help: "namespace of the ConfigMap and of the memberlist Secret; default: the Pod's own",
    env: "METALLB_NAMESPACE",
  }),
  kubeconfig: flag.text({ help: "path of a kubeconfig; needed only outside a cluster" }),
  port: flag.integer({ help: "port on which metrics and health are served", fallback: 7472, min: 0, max: 65535 }),
  "ml-secret-name": flag.text({
    help: "name of the Secret with the key of the speakers' ring, which is made if it is missing; empty: none is made",
    env: "METALLB_ML_SECRET_NAME",
  }),
  deployment: flag.text({ help: "name of the Deployment that owns the Secret", env: "METALLB_DEPLOYMENT" }),
  "log-level": flag.choice({ help: "how much is logged", fallback: "info", choices: logLevels }),
  "disable-epslices": flag.boolean({ help: "has no effect here: the controller reads no endpoints" }),
} as const;
