/**
 * All Services of a cluster. Most changes of a large cluster are of a few EndpointSlices: then only their Services are
 * looked at, so that the change of one endpoint costs little more than a copy of the map.
 */
import type { KubeObject } from "#kube";
import type { EndpointSlice } from "kubernetes-types/discovery/v1.js";
import { compileService, groupSlices, serviceKeyOf, type SlicesByService } from "./compile-services.ts";
import { forEach } from "./each-object.ts";
import { serviceFindings } from "./findings-service.ts";
import { perObject } from "./memo.ts";
import { byText, keyOf } from "./objects.ts";
import type { PodIndex } from "./pod-index.ts";
import type { Finding, ServiceModel } from "./types.ts";
import { asEndpointSlice } from "./views.ts";

export interface CompiledServices {
  readonly services: ReadonlyMap<string, ServiceModel>;
  readonly findings: readonly Finding[];
}

interface Compilation {
  readonly slices: readonly KubeObject[];
  readonly pods: PodIndex;
  readonly groups: SlicesByService;
  readonly services: ReadonlyMap<string, ServiceModel>;
  /** Only of Services that have some. */
  readonly findings: ReadonlyMap<string, readonly Finding[]>;
}

/** The last compilation with each list of Services. */
const last = new WeakMap<readonly KubeObject[], Compilation>();

const objectsByKey = perObject(
  (objects: readonly KubeObject[]): ReadonlyMap<string, KubeObject> =>
    new Map(objects.map((object) => [keyOf(object), object])),
);

export function compileServices(
  objects: readonly KubeObject[],
  slices: readonly KubeObject[],
  pods: PodIndex,
): CompiledServices {
  const before = last.get(objects);
  const changed = before?.pods === pods ? changedSlices(before.slices, slices) : undefined;
  const compilation =
    before === undefined || changed === undefined
      ? compileEvery(objects, slices, pods)
      : compileSome(before, changed, objects, slices);
  last.set(objects, compilation);
  const findings = [...compilation.findings].sort(([a], [b]) => byText(a, b)).flatMap(([, some]) => some);
  return { services: compilation.services, findings };
}

/** By Service, the new slices by the old ones. */
type Changes = ReadonlyMap<string, ReadonlyMap<unknown, EndpointSlice>>;

/** By Service, the slices that are other objects now than before; undefined if more than that has changed. */
function changedSlices(before: readonly KubeObject[], after: readonly KubeObject[]): Changes | undefined {
  if (before.length !== after.length) return undefined;
  const changes = new Map<string, Map<unknown, EndpointSlice>>();
  for (const [index, slice] of after.entries()) {
    const old = before[index];
    if (old === slice) continue;
    const key = serviceKeyOf(slice);
    const same = old !== undefined && keyOf(old) === keyOf(slice) && serviceKeyOf(old) === key;
    if (!same) return undefined;
    if (key !== undefined) changes.set(key, (changes.get(key) ?? new Map()).set(old, asEndpointSlice(slice)));
  }
  return changes;
}

function compileEvery(
  objects: readonly KubeObject[],
  slices: readonly KubeObject[],
  pods: PodIndex,
): Compilation {
  const groups = groupSlices(slices);
  return compileOnto({ slices, pods, groups, services: new Map(), findings: new Map() }, objects);
}

function compileSome(
  before: Compilation,
  changed: Changes,
  objects: readonly KubeObject[],
  slices: readonly KubeObject[],
): Compilation {
  const known = objectsByKey(objects);
  const groups = new Map(before.groups);
  for (const [key, replaced] of changed) {
    const group = before.groups.get(key) ?? [];
    groups.set(
      key,
      group.map((slice) => replaced.get(slice) ?? slice),
    );
  }
  const affected = [...changed.keys()].map((key) => known.get(key)).filter((object) => object !== undefined);
  return compileOnto({ ...before, slices, groups }, affected);
}

/** The compilation with these Services compiled anew. */
function compileOnto(onto: Compilation, objects: readonly KubeObject[]): Compilation {
  const services = new Map(onto.services);
  const findings = new Map(onto.findings);
  const unreadable: Finding[] = [];
  forEach(objects, "Service", unreadable, (object, key) => {
    const service = compileService(object, onto.groups);
    services.set(key, service);
    const notes = serviceFindings(object, service, onto.pods);
    if (notes.length > 0) findings.set(key, notes);
    else findings.delete(key);
  });
  for (const finding of unreadable) {
    const key = `${finding.object.namespace}/${finding.object.name}`;
    services.delete(key);
    findings.set(key, [finding]);
  }
  return { ...onto, services, findings };
}
