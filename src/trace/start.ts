/** Where a request begins: the first place, and the flow as it leaves the client. */
import { InroadError } from "#lib/errors";
import { addressAt, familyOf, isWithin, literalAddress } from "#lib/ip";
import { followPublicName, preferredAddresses } from "#model";
import type { Fault, Flow, NodeModel, Place, PodModel, Snapshot } from "#model";
import type { Here, ProxyFacts } from "#path";
import type { TraceRequest } from "./types.ts";

export interface PredictOptions {
  /** Addresses of the outside client, the primary one first; the embedded cluster's if not given. */
  readonly internetAddresses?: readonly string[];
  /** The client's port, once the connection exists. */
  readonly sourcePort?: number;
  readonly proxies?: ProxyFacts;
  /** What is broken on purpose. */
  readonly faults?: readonly Fault[];
}

/** Where the request begins. Throws InroadError `UnknownPlace` or `BadUrl`. */
export function startOf(snapshot: Snapshot, request: TraceRequest, options: PredictOptions): Here {
  const url = parseUrl(request.url);
  const address = literalAddress(url.hostname);
  const origin = originOf(snapshot, request, address ?? publicAddress(snapshot, request, url), options);
  const source = {
    address: origin.address,
    ...(options.sourcePort === undefined ? {} : { port: options.sourcePort }),
  };
  return {
    place: address === undefined ? origin.resolver(url.hostname) : origin.sender,
    flow: { protocol: "TCP", source, ...httpPart(url, address, request) },
  };
}

/** Where a client outside goes by the public DNS: it decides by which family it sends. */
function publicAddress(snapshot: Snapshot, { from }: TraceRequest, url: URL): string | undefined {
  const { end } = followPublicName(snapshot, url.hostname);
  return from === "internet" && end !== undefined ? preferredAddresses(end)[0] : undefined;
}

function httpPart(
  url: URL,
  address: string | undefined,
  request: TraceRequest,
): Omit<Flow, "protocol" | "source"> {
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  const secure = url.protocol === "https:";
  return {
    destination: {
      ...(address === undefined ? { name: url.hostname } : { address }),
      port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    },
    ...(secure ? { tls: { serverName: address === undefined ? url.hostname : "" } } : {}),
    http: {
      method: request.method,
      host: headers["host"] ?? url.host,
      path: `${url.pathname}${url.search}`,
      headers,
    },
  };
}

function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new InroadError("BadUrl", `${text} is not an http or https URL`, {
      mend: "write it as http://HOST/PATH or https://HOST/PATH",
    });
  }
  return url;
}

/** The client outside of an embedded cluster. */
const outside: readonly string[] = ["203.0.113.10", "2001:db8:203:113::10"];

interface Origin {
  readonly address: string;
  /** Where the client asks for a name. */
  readonly resolver: (name: string) => Place;
  /** Where its packets go first. */
  readonly sender: Place;
}

function originOf(
  snapshot: Snapshot,
  { from }: TraceRequest,
  destination: string | undefined,
  options: PredictOptions,
): Origin {
  const [kind, first = "", second = ""] = from.split("/");
  if (from === "internet") {
    const all = options.internetAddresses ?? outside;
    return {
      address: sameFamily(all, destination) ?? "",
      resolver: () => ({ at: "public-dns" }),
      sender: { at: "edge" },
    };
  }
  const node = kind === "node" && second === "" ? snapshot.nodes.get(first) : undefined;
  if (node !== undefined) {
    const sender: Place = { at: "proxy", node: node.name, from: "node" };
    return { address: nodeSource(snapshot, node, destination), resolver: noResolver(from), sender };
  }
  const pod = kind === "pod" ? snapshot.pods.get(`${first}/${second}`) : undefined;
  if (pod === undefined) throw unknownPlace(snapshot, from);
  return podOrigin(pod, from, destination);
}

/** The address a node itself sends from: over IPv4 that of its tunnel for pods of other nodes, else its own. */
function nodeSource(snapshot: Snapshot, node: NodeModel, destination: string | undefined): string {
  const tunnelled = [...snapshot.nodes.values()].some(
    (other) =>
      other.name !== node.name &&
      other.overlay !== "host-gw" &&
      destination !== undefined &&
      isWithin(destination, other.podCIDR),
  );
  return tunnelled ? addressAt(node.podCIDR, 0) : (sameFamily(node.addresses, destination) ?? node.address);
}

/** The address to reach a destination from; the first one for a name, or if there is none of that family. */
function sameFamily(own: readonly string[], destination: string | undefined): string | undefined {
  const family = familyOf(destination ?? own[0] ?? "");
  return own.find((address) => familyOf(address) === family) ?? own[0];
}

function podOrigin(pod: PodModel, from: string, destination: string | undefined): Origin {
  const address = sameFamily(pod.addresses, destination);
  if (pod.node === undefined || address === undefined) {
    throw new InroadError("UnknownPlace", `${from} does not run yet`, {
      mend: "wait until the pod has an address",
    });
  }
  const { namespace, name, node } = pod;
  return {
    address,
    resolver: () => ({ at: "cluster-dns", pod: { namespace, name } }),
    sender: { at: "proxy", node, from: pod.hostNetwork ? "node" : "pod" },
  };
}

function noResolver(from: string): (name: string) => Place {
  return (name) => {
    throw new InroadError("UnknownPlace", `${from} has no resolver for ${name} that could be predicted`, {
      mend: "give the address in the URL and the name by -H 'Host: NAME', or trace from a pod or from internet",
    });
  };
}

function unknownPlace(snapshot: Snapshot, from: string): InroadError {
  const nodes = [...snapshot.nodes.keys()].map((name) => `node/${name}`);
  const pods = [...snapshot.pods.keys()].slice(0, 5).map((key) => `pod/${key}`);
  return new InroadError("UnknownPlace", `there is no place ${from}`, {
    mend: `use one of: ${["internet", ...nodes, ...pods].join(", ")}`,
  });
}
