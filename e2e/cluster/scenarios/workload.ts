import { ingotImage as image } from "#e2e/cluster";

// Answers packets and requests with the name of its node.
const echo = `
const node = process.env.NODE_NAME;
require("http").createServer((_, answer) => answer.end(node)).listen(8080, "::");
// The kernel deals out flows, so that each has a buffer of its own: while this process waits for a processor, none is to overflow.
for (let count = 0; count < 16; count++) {
  const socket = require("dgram").createSocket({ type: "udp6", reusePort: true, recvBufferSize: 1 << 20 });
  socket.on("message", (data, { port, address }) => socket.send(node + " " + data, port, address)).bind(9000);
}
`;

/** The Deployment `web`. */
export function echoDeployment(replicas: number): object {
  const container = {
    name: "web",
    image: `${image.name}:${image.tag}`,
    command: ["node", "-e", echo],
    env: [{ name: "NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }],
    // It is soon ready, and stays so however long it waits for a processor: when a Pod leaves its Services, packets are lost.
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 30 },
    resources: { requests: { cpu: "500m" } }, // Without any it stands still while others start.
  };
  const spread = {
    maxSkew: 1,
    topologyKey: "kubernetes.io/hostname",
    whenUnsatisfiable: "ScheduleAnyway",
    labelSelector: { matchLabels: { app: "web" } },
  };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web", namespace: "default" },
    spec: {
      replicas,
      strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: { terminationGracePeriodSeconds: 0, topologySpreadConstraints: [spread], containers: [container] },
      },
    },
  };
}

/** A Pod on each node that does nothing but wait for commands in it. */
export function waitingDaemonSet(name: string, namespace: string): object {
  const command = ["node", "-e", "setInterval(() => {}, 60_000)"];
  const containers = [{ name, image: `${image.name}:${image.tag}`, command }];
  return {
    apiVersion: "apps/v1",
    kind: "DaemonSet",
    metadata: { name, namespace },
    spec: {
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { terminationGracePeriodSeconds: 0, containers } },
    },
  };
}
