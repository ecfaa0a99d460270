import { at, listAt, numberOf, objectAt, scalarText, textAt, textOf, type JsonObject } from "../json.ts";
import type { KindInfo } from "../kinds.ts";
import { labelMapText, selectorText } from "../selectors/object.ts";
import { ageSince } from "./age.ts";
import { eventCells } from "./event.ts";
import { nodeCells } from "./node.ts";
import { podCells } from "./pod.ts";
import * as service from "./service.ts";

/** One column of a Table answer. Priority 0 is always shown, 1 only with `-o wide`. */
export interface ColumnDefinition {
  readonly name: string;
  readonly type: "string" | "integer";
  readonly format: string;
  readonly description: string;
  readonly priority: number;
}

type Cell = string | number;
type Cells = (object: JsonObject, now: Date) => readonly Cell[];

interface TableOfKind {
  /** Names of the columns; `+` marks those of `-o wide`, `#` a column of numbers. */
  readonly columns: string;
  readonly cells: Cells;
}

const name = (object: JsonObject): string => textAt(object, "metadata", "name");
const age = (object: JsonObject, now: Date): string =>
  ageSince(at(object, "metadata", "creationTimestamp"), now);
const size = (object: JsonObject, ...path: readonly string[]): number =>
  Object.keys(objectAt(object, ...path)).length;
const status = (object: JsonObject, field: string): number => numberOf(at(object, "status", field));
const desired = (object: JsonObject): number => numberOf(at(object, "spec", "replicas"));
const templateContainers = (object: JsonObject): readonly unknown[] =>
  listAt(object, "spec", "template", "spec", "containers");
const containerNames = (object: JsonObject): string =>
  templateContainers(object)
    .map((item) => textAt(item, "name"))
    .join(",");
const images = (object: JsonObject): string =>
  templateContainers(object)
    .map((item) => textAt(item, "image"))
    .join(",");
const selector = (object: JsonObject): string => selectorText(at(object, "spec", "selector"));

const eventColumns = "Last Seen|Type|Reason|Object|+Subobject|+Source|Message|+First Seen|+Count|+Name";

const tables: Readonly<Record<string, TableOfKind>> = {
  "core.v1.Pod": {
    columns: "Name|Ready|Status|Restarts|Age|+IP|+Node|+Nominated Node|+Readiness Gates",
    cells: (o, now) => [name(o), ...podCells(o, now)],
  },
  "core.v1.Service": {
    columns: "Name|Type|Cluster-IP|External-IP|Port(s)|Age|+Selector",
    cells: (o, now) => [
      name(o),
      textAt(o, "spec", "type"),
      textOf(listAt(o, "spec", "clusterIPs")[0]) || "<none>",
      service.externalAddress(o),
      service.servicePorts(o),
      age(o, now),
      labelMapText(at(o, "spec", "selector")),
    ],
  },
  "core.v1.Endpoints": {
    columns: "Name|Endpoints|Age",
    cells: (o, now) => [name(o), service.endpointsText(o), age(o, now)],
  },
  "core.v1.Node": {
    columns:
      "Name|Status|Roles|Age|Version|+Internal-IP|+External-IP|+OS-Image|+Kernel-Version|+Container-Runtime",
    cells: (o, now) => [name(o), ...nodeCells(o, now)],
  },
  "core.v1.Namespace": {
    columns: "Name|Status|Age",
    cells: (o, now) => [name(o), textAt(o, "status", "phase"), age(o, now)],
  },
  "core.v1.Secret": {
    columns: "Name|Type|Data|Age",
    cells: (o, now) => [name(o), textAt(o, "type"), size(o, "data"), age(o, now)],
  },
  "core.v1.ConfigMap": {
    columns: "Name|Data|Age",
    cells: (o, now) => [name(o), size(o, "data") + size(o, "binaryData"), age(o, now)],
  },
  "core.v1.ServiceAccount": {
    columns: "Name|Secrets|Age",
    cells: (o, now) => [name(o), listAt(o, "secrets").length, age(o, now)],
  },
  "core.v1.PersistentVolumeClaim": {
    columns: "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|+VolumeMode",
    cells: (o, now) => [
      name(o),
      textAt(o, "metadata", "deletionTimestamp") === "" ? textAt(o, "status", "phase") : "Terminating",
      textAt(o, "spec", "volumeName"),
      textAt(o, "status", "capacity", "storage"),
      listAt(o, "status", "accessModes")
        .map((mode) => accessModes[String(mode)] ?? String(mode))
        .join(","),
      textAt(o, "spec", "storageClassName"),
      textAt(o, "spec", "volumeAttributesClassName") || "<unset>",
      age(o, now),
      textAt(o, "spec", "volumeMode") || "<unset>",
    ],
  },
  "core.v1.Event": { columns: eventColumns, cells: eventCells },
  "events.v1.Event": { columns: eventColumns, cells: eventCells },
  "apps.v1.Deployment": {
    columns: "Name|Ready|Up-to-date|Available|Age|+Containers|+Images|+Selector",
    cells: (o, now) => [
      name(o),
      `${status(o, "readyReplicas")}/${desired(o)}`,
      status(o, "updatedReplicas"),
      status(o, "availableReplicas"),
      age(o, now),
      containerNames(o),
      images(o),
      selector(o),
    ],
  },
  "apps.v1.ReplicaSet": {
    columns: "Name|#Desired|#Current|#Ready|Age|+Containers|+Images|+Selector",
    cells: (o, now) => [
      name(o),
      desired(o),
      status(o, "replicas"),
      status(o, "readyReplicas"),
      age(o, now),
      containerNames(o),
      images(o),
      selector(o),
    ],
  },
  "apps.v1.StatefulSet": {
    columns: "Name|Ready|Age|+Containers|+Images",
    cells: (o, now) => [
      name(o),
      `${status(o, "readyReplicas")}/${desired(o)}`,
      age(o, now),
      containerNames(o),
      images(o),
    ],
  },
  "apps.v1.DaemonSet": {
    columns:
      "Name|#Desired|#Current|#Ready|#Up-to-date|#Available|Node Selector|Age|+Containers|+Images|+Selector",
    cells: (o, now) => [
      name(o),
      status(o, "desiredNumberScheduled"),
      status(o, "currentNumberScheduled"),
      status(o, "numberReady"),
      status(o, "updatedNumberScheduled"),
      status(o, "numberAvailable"),
      labelMapText(at(o, "spec", "template", "spec", "nodeSelector")),
      age(o, now),
      containerNames(o),
      images(o),
      selector(o),
    ],
  },
  "apps.v1.ControllerRevision": {
    columns: "Name|Controller|Revision|Age",
    cells: (o, now) => [name(o), controller(o), numberOf(o["revision"]), age(o, now)],
  },
  "networking.v1.Ingress": {
    columns: "Name|Class|Hosts|Address|Ports|Age",
    cells: (o, now) => [
      name(o),
      textAt(o, "spec", "ingressClassName") || "<none>",
      service.ingressHosts(o),
      service.loadBalancerText(o),
      listAt(o, "spec", "tls").length > 0 ? "80, 443" : "80",
      age(o, now),
    ],
  },
  "networking.v1.IngressClass": {
    columns: "Name|Controller|Parameters|Age",
    cells: (o, now) => [name(o), textAt(o, "spec", "controller"), service.classParameters(o), age(o, now)],
  },
  "networking.v1.IPAddress": {
    columns: "Name|ParentRef|Age",
    cells: (o, now) => [name(o), service.parentText(o), age(o, now)],
  },
  "networking.v1.ServiceCIDR": {
    columns: "Name|CIDRs|Age",
    cells: (o, now) => [name(o), listAt(o, "spec", "cidrs").join(","), age(o, now)],
  },
  "networking.v1.NetworkPolicy": {
    columns: "Name|Pod-Selector|Age",
    cells: (o, now) => [name(o), selectorText(at(o, "spec", "podSelector")), age(o, now)],
  },
  "discovery.v1.EndpointSlice": {
    columns: "Name|AddressType|Ports|Endpoints|Age",
    cells: (o, now) => [
      name(o),
      textAt(o, "addressType"),
      service.slicePorts(o),
      service.sliceAddresses(o),
      age(o, now),
    ],
  },
  "policy.v1.PodDisruptionBudget": {
    columns: "Name|Min Available|Max Unavailable|#Allowed Disruptions|Age",
    cells: (o, now) => [
      name(o),
      scalarText(at(o, "spec", "minAvailable") ?? "N/A"),
      scalarText(at(o, "spec", "maxUnavailable") ?? "N/A"),
      status(o, "disruptionsAllowed"),
      age(o, now),
    ],
  },
  "coordination.v1.Lease": {
    columns: "Name|Holder|Age",
    cells: (o, now) => [name(o), textAt(o, "spec", "holderIdentity"), age(o, now)],
  },
};

const accessModes: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};

/** `kind.group/name` of the owner that manages the object; `<none>` without one. */
function controller(object: JsonObject): string {
  const owner = listAt(object, "metadata", "ownerReferences").find((item) => at(item, "controller") === true);
  if (owner === undefined) return "<none>";
  const [group = "", version] = textAt(owner, "apiVersion").split("/");
  const kind = textAt(owner, "kind").toLowerCase();
  return `${kind}${version === undefined ? "" : `.${group}`}/${textAt(owner, "name")}`;
}

/** What any object can show. */
const plain: TableOfKind = {
  columns: "Name|Created At",
  cells: (o) => [name(o), textAt(o, "metadata", "creationTimestamp")],
};

const tableOf = (kind: KindInfo): TableOfKind => tables[kind.schema] ?? plain;

function column(text: string): ColumnDefinition {
  const title = text.replace(/^[+#]/, "");
  return {
    name: title,
    type: text.startsWith("#") ? "integer" : "string",
    format: title === "Name" ? "name" : "",
    description: "",
    priority: text.startsWith("+") ? 1 : 0,
  };
}

/** The columns of a kind in a Table answer (`kubectl get`). */
export function tableColumns(kind: KindInfo): ColumnDefinition[] {
  return tableOf(kind).columns.split("|").map(column);
}

/** The cells of one object, one per column; ages are counted to `now`. */
export function tableCells(kind: KindInfo, object: JsonObject, now: Date): (string | number)[] {
  return [...tableOf(kind).cells(object, now)];
}

/** Conditions of a Table row: a pod that has ended is marked completed. */
export function tableRowConditions(kind: KindInfo, object: JsonObject): JsonObject[] {
  const phase = kind.schema === "core.v1.Pod" ? textAt(object, "status", "phase") : "";
  const messages: Readonly<Record<string, string>> = {
    Succeeded: "The pod has completed successfully.",
    Failed: "The pod failed.",
  };
  const message = messages[phase];
  return message === undefined ? [] : [{ type: "Completed", status: "True", reason: phase, message }];
}
