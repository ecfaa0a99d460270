import { at, isJsonObject, listAt, textAt, type JsonObject } from "../json.ts";
import { ageSince } from "./age.ts";

const rolePrefix = "node-role.kubernetes.io/";

function nodeStatus(node: JsonObject): string {
  const ready = listAt(node, "status", "conditions").find((item) => at(item, "type") === "Ready");
  const words = [ready === undefined ? "Unknown" : at(ready, "status") === "True" ? "Ready" : "NotReady"];
  if (at(node, "spec", "unschedulable") === true) words.push("SchedulingDisabled");
  return words.join(",");
}

function nodeRoles(node: JsonObject): string {
  const labels = at(node, "metadata", "labels");
  if (!isJsonObject(labels)) return "<none>";
  const roles = Object.keys(labels).flatMap((key) => {
    if (key.startsWith(rolePrefix)) return [key.slice(rolePrefix.length)];
    return key === "kubernetes.io/role" ? [textAt(labels, key)] : [];
  });
  const named = [...new Set(roles.filter((role) => role !== ""))].toSorted();
  return named.join(",") || "<none>";
}

function nodeAddress(node: JsonObject, type: string): string {
  const found = listAt(node, "status", "addresses").find((item) => at(item, "type") === type);
  return textAt(found, "address") || "<none>";
}

const nodeInfo = (node: JsonObject, field: string): string =>
  textAt(node, "status", "nodeInfo", field) || "<unknown>";

/** The cells of a node after its name. */
export function nodeCells(node: JsonObject, now: Date): string[] {
  return [
    nodeStatus(node),
    nodeRoles(node),
    ageSince(at(node, "metadata", "creationTimestamp"), now),
    textAt(node, "status", "nodeInfo", "kubeletVersion"),
    nodeAddress(node, "InternalIP"),
    nodeAddress(node, "ExternalIP"),
    nodeInfo(node, "osImage"),
    nodeInfo(node, "kernelVersion"),
    nodeInfo(node, "containerRuntimeVersion"),
  ];
}
