import { appsSchemas } from "./apps.ts";
import { autoscalingSchemas } from "./autoscaling.ts";
import { coordinationSchemas } from "./coordination.ts";
import { coreContainerStatusSchemas } from "./core-container-status.ts";
import { coreContainerSchemas } from "./core-container.ts";
import { coreNodeSchemas } from "./core-node.ts";
import { corePodSchemas } from "./core-pod.ts";
import { coreSecuritySchemas } from "./core-security.ts";
import { coreServiceSchemas } from "./core-service.ts";
import { coreVolumeDriverSchemas } from "./core-volume-driver.ts";
import { coreVolumeSchemas } from "./core-volume.ts";
import { coreSchemas } from "./core.ts";
import { discoverySchemas } from "./discovery.ts";
import { eventsSchemas } from "./events.ts";
import { metaSchemas } from "./meta.ts";
import { networkingSchemas } from "./networking.ts";
import { parseField } from "./notation.ts";
import { policySchemas } from "./policy.ts";
import type { Field, Schemas, TypeSchema } from "./types.ts";

const files: readonly Schemas[] = [
  metaSchemas,
  coreSchemas,
  corePodSchemas,
  coreContainerSchemas,
  coreContainerStatusSchemas,
  coreSecuritySchemas,
  coreVolumeSchemas,
  coreVolumeDriverSchemas,
  coreServiceSchemas,
  coreNodeSchemas,
  appsSchemas,
  networkingSchemas,
  discoverySchemas,
  coordinationSchemas,
  eventsSchemas,
  autoscalingSchemas,
  policySchemas,
];

const sources = new Map(
  files.flatMap((file) =>
    Object.entries(file.types).map(([name, lines]) => [`${file.package}.${name}`, { file, name, lines }]),
  ),
);
const parsed = new Map<string, TypeSchema>();

/** The schema of a type by its name with package (`core.v1.Service`); undefined when there is none. Read at first use. */
export function schemaOf(name: string): TypeSchema | undefined {
  const known = parsed.get(name);
  if (known) return known;
  const source = sources.get(name);
  if (!source) return undefined;
  const fields = Object.entries(source.lines).map(([field, line]): [string, Field] => [
    field,
    parseField(field, line, source.file.package),
  ]);
  const schema = {
    name,
    fields: new Map(fields),
    atomic: source.file.atomic?.includes(source.name) ?? false,
  };
  parsed.set(name, schema);
  return schema;
}
