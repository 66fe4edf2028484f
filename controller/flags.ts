import { flag } from "#pkg/flags";
import { controllerLease } from "#pkg/k8s";
import { commonFlags } from "#pkg/process";

/** The flags and environment variables of MetalLB's controller (v0.12). */
export const flags = {
  ...commonFlags,
  "ml-secret-name": flag.text({
    help: "name of the Secret with the key of the speakers' ring; the controller makes a key where the Secret is empty; empty: it makes no key",
    env: "METALLB_ML_SECRET_NAME",
  }),
  "service-conditions": flag.boolean({
    help: "write the conditions ingot.dev/Assigned and ingot.dev/Announced into the status of Services",
    fallback: true,
  }),
  "status-objects": flag.pod({
    help: "write the controller's ConfigurationState, MetalLB's object, as the Pod POD_NAME/POD_UID, which owns it, and with --config-source=crds the status of IPAddressPools; empty: write none",
  }),
  "pool-annotations": flag.boolean({
    help: "annotate Services with the pool of their addresses, as MetalLB does: ip-allocated-from-pool under metallb.io/ and metallb.universe.tf/",
  }),
  deployment: flag.text({ help: "no effect; accepted because MetalLB's manifests may have it", env: "METALLB_DEPLOYMENT" }),
  "leader-elect": flag.boolean({
    help: "elect one controller of several by a Lease; with false it works alone, whatever others do",
    fallback: true,
  }),
  "leader-elect-lease-duration": flag.duration({
    help: "how long the leader may be silent before another controller takes over, 1s to 10m; it renews the Lease four times as often",
    fallback: "4s",
    // The API takes whole seconds, and no 0. Nobody is to wait for longer for a leader that is gone: see `maxLeaseMs`.
    limits: { min: "1s", max: "10m" },
  }),
  "leader-elect-resource-name": flag.text({ help: "name of the Lease", fallback: controllerLease }),
  "webhook-port": flag.integer({
    help: "TCP port of the admission webhook, which checks changes of the configuration for the API server; 0: no webhook",
    fallback: 0,
    min: 0,
    max: 65535,
  }),
  "webhook-name": flag.text({
    help: "name of the webhook's Service, Secret and ValidatingWebhookConfiguration",
    fallback: "ingot-webhook",
  }),
  "disable-epslices": flag.boolean({ help: "no effect; accepted because MetalLB's manifests may have it" }),
} as const;
