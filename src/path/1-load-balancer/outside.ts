/** The world outside of the cluster: the edge, where the load balancer routes, and the internet, where clients live. */
import { familyOf, type IpFamily } from "#lib/ip";
import { closeNetNs, createNetNs, ipBatch, setSysctls, type NetNs } from "#kernel";

export interface OutsideOptions {
  /** The namespace with the nodes' bridge. */
  readonly home: NetNs;
  readonly bridge: string;
  /** `["IPv4"]` if not given. */
  readonly families?: readonly IpFamily[];
  /** Networks of load-balancer addresses: what of them is not balanced is refused. */
  readonly pools: readonly string[];
}

interface OutsideAddresses {
  /** Of the edge on the nodes' network, with prefix. */
  readonly edge: string;
  /** Of the edge on the outside network, with prefix; the internet's gateway. */
  readonly gateway: string;
  /** Of the client outside, with prefix. */
  readonly internet: string;
  /** Further addresses of the outside: of the public DNS. */
  readonly services: readonly string[];
}

export interface Outside {
  readonly edge: NetNs;
  readonly internet: NetNs;
  close(): Promise<void>;
}

export const outsideAddresses: Readonly<Record<IpFamily, OutsideAddresses>> = {
  IPv4: {
    edge: "172.30.0.2/24",
    gateway: "203.0.113.1/25",
    internet: "203.0.113.10/25",
    services: ["203.0.113.53/32"],
  },
  IPv6: {
    edge: "fd00:172:30::2/64",
    gateway: "2001:db8:203:113::1/65",
    internet: "2001:db8:203:113::10/65",
    services: [],
  },
};

/** The edge's end on the bridge. */
const bridgeEnd = "inroad-edge";

/** Makes both namespaces and their devices. Throws InroadError as the kernel's functions do. */
export async function createOutside(options: OutsideOptions): Promise<Outside> {
  const { home, bridge, families = ["IPv4"], pools } = options;
  const parts = families.map((family) => outsideAddresses[family]);
  const edge = createNetNs("edge");
  const internet = createNetNs("internet");
  const ipv6 = families.includes("IPv6");
  setSysctls(edge, {
    ...edgeSysctls,
    ...(ipv6 ? { ...quietIPv6, "net/ipv6/conf/all/forwarding": "1" } : {}),
  });
  setSysctls(internet, { ...openRouting, ...(ipv6 ? quietIPv6 : {}) });
  await ipBatch(edge, edgeLines(parts, pools, { home, internet }));
  await ipBatch(home, [`link set ${bridgeEnd} master ${bridge} up`]);
  await ipBatch(internet, internetLines(parts));
  return {
    edge,
    internet,
    async close() {
      await ipBatch(home, [`link delete ${bridgeEnd}`]).catch(() => undefined);
      closeNetNs(edge);
      closeNetNs(internet);
    },
  };
}

/** Packets and their answers take different ways here, and that is right. */
const openRouting: Readonly<Record<string, string>> = {
  "net/ipv4/conf/all/rp_filter": "0",
  "net/ipv4/conf/default/rp_filter": "0",
};

/** Without router solicitation and duplicate address detection an address is usable at once. */
const quietIPv6: Readonly<Record<string, string>> = {
  "net/ipv6/conf/all/accept_dad": "0",
  "net/ipv6/conf/default/accept_dad": "0",
  "net/ipv6/conf/default/accept_ra": "0",
  "net/ipv6/conf/default/router_solicitations": "0",
};

const edgeSysctls: Readonly<Record<string, string>> = {
  ...openRouting,
  "net/ipv4/ip_forward": "1",
  // A redirect would tell clients to go around the edge.
  "net/ipv4/conf/all/send_redirects": "0",
  "net/ipv4/conf/default/send_redirects": "0",
};

/** An address of IPv6 must not wait for duplicate address detection: nobody could use it at first. */
function addressLine(address: string, device: string): string {
  return `address add ${address} dev ${device}${familyOf(address) === "IPv6" ? " nodad" : ""}`;
}

function edgeLines(
  parts: readonly OutsideAddresses[],
  pools: readonly string[],
  { home, internet }: Readonly<Record<"home" | "internet", NetNs>>,
): string[] {
  return [
    "link set lo up",
    `link add eth0 type veth peer name ${bridgeEnd} netns ${home.path}`,
    `link add out0 type veth peer name eth0 netns ${internet.path}`,
    ...parts.flatMap(({ edge, gateway }) => [addressLine(edge, "eth0"), addressLine(gateway, "out0")]),
    "link set eth0 up",
    "link set out0 up",
    // What the load balancer did not steer belongs to nobody.
    ...pools.map((pool) => `route add unreachable ${pool}`),
  ];
}

function internetLines(parts: readonly OutsideAddresses[]): string[] {
  return [
    "link set lo up",
    ...parts.flatMap(({ services }) => services.map((address) => `address add ${address} dev lo`)),
    ...parts.map(({ internet }) => addressLine(internet, "eth0")),
    "link set eth0 up",
    ...parts.map(({ gateway }) => `route add default via ${gateway.split("/")[0]} dev eth0`),
  ];
}
