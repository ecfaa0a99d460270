import { objectAt, textOf, type JsonObject } from "../json.ts";
import { invalid, notSupported, type FieldError } from "./errors.ts";
import { metaErrors, metaUpdateErrors } from "./meta.ts";
import { dnsSubdomainErrors, percentErrors } from "./names.ts";
import { countOrPercentErrors } from "./ports.ts";
import { selectorErrors } from "./selector.ts";

const policies = ["AlwaysAllow", "IfHealthyBudget"];

/** PodDisruptionBudget (KEP-85, policy/v1): it says how many pods must be healthy, or how many may not be. */
export function disruptionBudgetErrors(budget: JsonObject, old?: JsonObject): FieldError[] {
  const spec = objectAt(budget, "spec");
  const found = old ? metaUpdateErrors(budget, old) : metaErrors(budget, dnsSubdomainErrors, true);
  const { minAvailable, maxUnavailable, unhealthyPodEvictionPolicy: policy } = spec;
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    found.push(invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set"));
  }
  found.push(
    ...countOrPercentErrors(minAvailable, "spec.minAvailable", percentErrors),
    ...countOrPercentErrors(maxUnavailable, "spec.maxUnavailable", percentErrors),
    ...selectorErrors(spec["selector"], "spec.selector"),
  );
  if (policy !== undefined && !policies.includes(textOf(policy))) {
    found.push(notSupported("spec.unhealthyPodEvictionPolicy", policy, policies));
  }
  return found;
}
