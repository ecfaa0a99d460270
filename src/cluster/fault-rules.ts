/** Partition and loss as nftables rules of one node, in a table that holds nothing else. Pure. */
import { isIPv4 } from "#lib/ip";
import type { Fault, NodeModel } from "#model";

const table = "inet inroad-fault";
/** The node's link to all others. */
const device = "eth0";

/** The script that makes a node's rules be those of these faults, whatever is there; without faults nothing is left. */
export function faultScript(
  node: string,
  faults: readonly Fault[],
  nodes: ReadonlyMap<string, NodeModel>,
): string {
  const rules = faults.flatMap((fault) => rulesOf(node, fault, nodes));
  const remove = `add table ${table}\ndelete table ${table}\n`;
  if (rules.length === 0) return remove;
  const chain = (name: string, hook: string, way: Way): string =>
    [
      `  chain ${name} {`,
      `    type filter hook ${hook} priority raw; policy accept;`,
      ...rules.map((rule) => `    ${rule(way)}`),
      "  }",
    ].join("\n");
  const chains = [
    chain("entering", "prerouting", { interface: "iifname", address: "saddr" }),
    chain("leaving", "postrouting", { interface: "oifname", address: "daddr" }),
  ];
  return `${remove}table ${table} {\n${chains.join("\n")}\n}\n`;
}

interface Way {
  readonly interface: "iifname" | "oifname";
  readonly address: "saddr" | "daddr";
}

type Rule = (way: Way) => string;

function rulesOf(node: string, fault: Fault, nodes: ReadonlyMap<string, NodeModel>): Rule[] {
  if (fault.kind === "loss" && fault.node === node) {
    // Ten thousandths: a percentage may have two decimals.
    const share = Math.round(fault.percent * 100);
    return [
      (way) =>
        `${way.interface} "${device}" numgen random mod 10000 < ${share} counter drop comment "${commentOf(fault)}"`,
    ];
  }
  if (fault.kind !== "partition" || (fault.node !== node && fault.other !== node)) return [];
  const other = nodes.get(fault.node === node ? fault.other : fault.node);
  // Its pods, too: without encapsulation their addresses are on the wire.
  return [...(other?.addresses ?? []), ...(other?.podCIDRs ?? [])].map((address) => (way) => {
    const family = isIPv4(address.split("/")[0] ?? "") ? "ip" : "ip6";
    return `${way.interface} "${device}" ${family} ${way.address} ${address} counter drop comment "${commentOf(fault)}"`;
  });
}

function commentOf({ id, kind }: Fault): string {
  return `fault ${id}: ${kind}`;
}
