import type { DemoCluster } from "#e2e/demo-cluster";

/** What to type in another terminal. */
export function waysToTry(cluster: DemoCluster, kubeconfig: string, address: string, logs: string): string {
  const [node] = cluster.nodes;
  return `
It stays until you press Ctrl-C. In another terminal:

    export KUBECONFIG=${kubeconfig}
    kubectl get nodes,services
    kubectl describe service web
    kubectl -n metallb-system get pods,configmaps
    kubectl -n metallb-system edit configmap config
    kubectl create service loadbalancer another --tcp=80:8080 && kubectl get services --watch

The client on the LAN, and a node:

    ${cluster.client.nsenter} ip neigh show ${address}
    ${cluster.client.nsenter} curl http://${address}/
    ${node?.host.nsenter} ip address

What the processes print: ${logs}`;
}
