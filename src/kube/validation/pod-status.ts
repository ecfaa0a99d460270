import { listAt, textAt, type JsonObject } from "../json.ts";
import { addressErrors, addressFamily } from "./address.ts";
import { duplicate, invalid, type FieldError } from "./errors.ts";
import { metaUpdateErrors } from "./meta.ts";

/** The status subresource of a Pod: its addresses are at most one of each family. */
export function podStatusErrors(pod: JsonObject, old: JsonObject): FieldError[] {
  const path = "status.podIPs";
  const given = listAt(pod, "status", "podIPs");
  const addresses = given.map((item) => textAt(item, "ip"));
  const found = [
    ...metaUpdateErrors(pod, old),
    ...addresses.flatMap((address, index) => addressErrors(`${path}[${index}]`, address)),
  ];
  if (addresses.length < 2) return found;
  if (addresses.length > 2 || new Set(addresses.map(addressFamily)).size < 2) {
    found.push(invalid(path, given, "may specify no more than one IP for each IP family"));
  }
  const repeated = given.filter((_item, index) => addresses.indexOf(addresses[index] ?? "") < index);
  return [...found, ...repeated.map((item) => duplicate(path, item))];
}
