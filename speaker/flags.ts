import { flag } from "#pkg/flags";
import { commonFlags } from "#pkg/process";

/** The flags and environment variables of MetalLB's speaker (v0.12), `--ignore-exclude-lb` of v0.14, and Ingot's own. */
export const flags = {
  ...commonFlags,
  host: flag.text({ help: "address of metrics, health and status over HTTP; default: all addresses", env: "METALLB_HOST" }),
  "node-name": flag.text({ help: "name of the node that this speaker runs on", env: "METALLB_NODE_NAME" }),
  "ml-bindaddr": flag.text({
    help: "address of this node in the speakers' ring; empty: no ring",
    env: "METALLB_ML_BIND_ADDR",
  }),
  "ml-bindport": flag.integer({
    help: "port of the speakers' ring, UDP and TCP",
    env: "METALLB_ML_BIND_PORT",
    fallback: 7946,
    min: 1,
    max: 65535,
  }),
  "ml-labels": flag.text({
    help: "labels of the speaker Pods; empty: no ring",
    env: "METALLB_ML_LABELS",
    fallback: "app=metallb,component=speaker",
  }),
  "ml-secret-key": flag.text({
    help: "key of the speakers' ring; empty: no ring, the nodes with a Ready speaker Pod are active",
    env: "METALLB_ML_SECRET_KEY",
  }),
  "ml-secret-key-path": flag.text({
    help: "folder with that key in the file secretkey, as MetalLB's manifests mount it from 0.13 on; --ml-secret-key goes first",
    env: "METALLB_ML_SECRET_KEY_PATH",
  }),
  "ml-secret-name": flag.text({
    help: "name of the Secret with that key; the speaker follows its changes; empty: only a restart reads the key again",
    env: "METALLB_ML_SECRET_NAME",
  }),
  "ml-timing": flag.choice({
    help: "pace of the speakers' ring; lan: MetalLB's; auto: fast if all members support it, else lan",
    fallback: "auto",
    choices: ["auto", "lan", "fast"] as const,
  }),
  "announce-for": flag.choice({
    help: "node: the node that it runs on; all: by BGP for all nodes, as a central speaker; node-without-bgp: central speakers have the BGP sessions",
    fallback: "node",
    choices: ["node", "node-without-bgp", "all"] as const,
  }),
  "bgp-port": flag.integer({
    help: "port on which BGP peers may connect, normally 179; 0: no peer may, and passive peers never have a session",
    fallback: 0,
    min: 0,
    max: 65535,
  }),
  "layer2-refresh": flag.duration({
    help: "how often gratuitous announcements of each address are repeated, give or take a quarter; 0: never",
    fallback: "60s",
  }),
  "connection-grace": flag.duration({
    help: "how long a speaker that stops on a node that goes stays while kept connections go on through the node; others keep them for 60s",
    fallback: "30s",
  }),
  "ignore-exclude-lb": flag.boolean({
    help: "announce also from nodes labelled node.kubernetes.io/exclude-from-external-load-balancers, or whose network is unavailable",
  }),
  "status-objects": flag.pod({
    help: "write MetalLB's status objects, as the Pod POD_NAME/POD_UID, which owns them; empty: write none",
  }),
  "disable-epslices": flag.boolean({ help: "read Endpoints instead of EndpointSlices" }),
} as const;
