/**
 * A setting of an interface as sysctl(8) and sysctl.d(5) take it: `net.ipv4.conf.eth0.rp_filter=2`. Dots that belong to the name of the
 * interface, such as a VLAN's, are written as slashes there.
 */
export function setting(family: "ipv4" | "ipv6", interfaceName: string, name: string, value: number): string {
  return `net.${family}.conf.${interfaceName.replaceAll(".", "/")}.${name}=${value}`;
}
