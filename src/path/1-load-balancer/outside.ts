/** The world outside of the cluster: the edge, where the load balancer routes, and the internet, where clients live. */
import { closeNetNs, createNetNs, ipBatch, setSysctls, type NetNs } from "#kernel";

export interface OutsideOptions {
  /** The namespace with the nodes' bridge. */
  readonly home: NetNs;
  readonly bridge: string;
  /** Other addresses than the documented ones. */
  readonly addresses?: OutsideAddresses;
}

export interface OutsideAddresses {
  /** Of the edge on the nodes' network, with prefix. */
  readonly edge: string;
  /** Of the edge on the outside network, with prefix; the internet's gateway. */
  readonly gateway: string;
  /** Of the client outside, with prefix. */
  readonly internet: string;
  readonly publicDns: string;
  /** Load-balancer addresses: routed to the edge. */
  readonly pool: string;
}

export interface Outside {
  readonly edge: NetNs;
  readonly internet: NetNs;
  close(): Promise<void>;
}

export const outsideAddresses: OutsideAddresses = {
  edge: "172.30.0.2/24",
  gateway: "203.0.113.1/25",
  internet: "203.0.113.10/25",
  publicDns: "203.0.113.53",
  pool: "203.0.113.128/25",
};

/** The edge's end on the bridge. */
const bridgeEnd = "inroad-edge";

/** Makes both namespaces and their devices. Throws InroadError as the kernel's functions do. */
export async function createOutside(options: OutsideOptions): Promise<Outside> {
  const { home, bridge, addresses = outsideAddresses } = options;
  const edge = createNetNs("edge");
  const internet = createNetNs("internet");
  setSysctls(edge, edgeSysctls);
  setSysctls(internet, openRouting);
  await ipBatch(edge, edgeLines(addresses, home.path, internet.path));
  await ipBatch(home, [`link set ${bridgeEnd} master ${bridge} up`]);
  await ipBatch(internet, internetLines(addresses));
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

const edgeSysctls: Readonly<Record<string, string>> = {
  ...openRouting,
  "net/ipv4/ip_forward": "1",
  // A redirect would tell clients to go around the edge.
  "net/ipv4/conf/all/send_redirects": "0",
  "net/ipv4/conf/default/send_redirects": "0",
};

function edgeLines(addresses: OutsideAddresses, homePath: string, internetPath: string): string[] {
  return [
    "link set lo up",
    `link add eth0 type veth peer name ${bridgeEnd} netns ${homePath}`,
    `link add out0 type veth peer name eth0 netns ${internetPath}`,
    `address add ${addresses.edge} dev eth0`,
    `address add ${addresses.gateway} dev out0`,
    "link set eth0 up",
    "link set out0 up",
    // What the load balancer did not steer belongs to nobody.
    `route add unreachable ${addresses.pool}`,
  ];
}

function internetLines(addresses: OutsideAddresses): string[] {
  const [gateway = ""] = addresses.gateway.split("/");
  return [
    "link set lo up",
    `address add ${addresses.publicDns}/32 dev lo`,
    `address add ${addresses.internet} dev eth0`,
    "link set eth0 up",
    `route add default via ${gateway} dev eth0`,
  ];
}
