/** Kernel switches of node and pod namespaces. To be set before any device exists, since new devices copy `default`. */
import type { NodeNetworkSettings } from "./settings.ts";

type Sysctls = Readonly<Record<string, string>>;

const quietDevices: Sysctls = {
  "net/ipv4/conf/all/rp_filter": "0",
  "net/ipv4/conf/default/rp_filter": "0",
  "net/ipv4/conf/all/send_redirects": "0",
  "net/ipv4/conf/default/send_redirects": "0",
  "net/ipv4/conf/all/accept_redirects": "0",
  "net/ipv4/conf/default/accept_redirects": "0",
};

/** Without router solicitation and duplicate address detection an address is usable at once. */
const quietIPv6: Sysctls = {
  "net/ipv6/conf/all/accept_dad": "0",
  "net/ipv6/conf/default/accept_dad": "0",
  "net/ipv6/conf/default/accept_ra": "0",
  "net/ipv6/conf/default/router_solicitations": "0",
  "net/ipv6/conf/all/accept_redirects": "0",
  "net/ipv6/conf/default/accept_redirects": "0",
};

/** Of nodes, and of the home namespace with the bridge. */
export function routerSysctls(settings: NodeNetworkSettings): Sysctls {
  const forwarding = { "net/ipv6/conf/all/forwarding": "1" };
  return {
    "net/ipv4/ip_forward": "1",
    ...quietDevices,
    ...(hasIPv6(settings) ? { ...forwarding, ...quietIPv6 } : {}),
  };
}

/** Of pods. Their processes may bind any port, as containers may (containerd sets the same). */
export function podSysctls(settings: NodeNetworkSettings): Sysctls {
  return {
    ...quietDevices,
    ...(hasIPv6(settings) ? quietIPv6 : {}),
    "net/ipv4/ip_unprivileged_port_start": "0",
  };
}

/**
 * Left out where the kernel lacks them. Liberal tracking: a segment out of window must not be marked invalid and so escape
 * the reverse translation (kubernetes/kubernetes #74839).
 */
export function optionalSysctls(settings: NodeNetworkSettings): Sysctls {
  return {
    "net/ipv6/conf/default/disable_ipv6": hasIPv6(settings) ? "0" : "1",
    "net/netfilter/nf_conntrack_tcp_be_liberal": "1",
  };
}

function hasIPv6({ podNetworks }: NodeNetworkSettings): boolean {
  return podNetworks.some((network) => network.includes(":"));
}
