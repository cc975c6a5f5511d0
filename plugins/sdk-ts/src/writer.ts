import { type Kind, type Outcome, type Output, Rejection } from "./outcome.ts";

/** Spells outcomes as the contract has them. */
export class Writer {
  private readonly kinds = new Map<string, (output: Output) => string>();

  constructor(kinds: readonly Pick<Kind<never>, "kind" | "names">[]) {
    for (const { kind, names } of kinds) {
      if (names[0] !== "*") {
        this.kinds.set(kind, written(kind, names));
      }
    }
  }

  /** An outcome. */
  write(outcome: Outcome): string {
    if (outcome instanceof Rejection) {
      const { code, message, field } = outcome;
      return JSON.stringify(code === null ? { skipped: message } : { failed: { code, message, field } });
    }
    if (outcome === null || outcome === undefined || (Array.isArray(outcome) && outcome.length === 0)) {
      return '{"skipped":"the mapping made no output"}';
    }
    const outputs = Array.isArray(outcome)
      ? outcome.map((output: Output) => this.output(output)).join(",")
      : this.output(outcome as Output);
    return `{"mapped":[${outputs}]}`;
  }

  private output(output: Output): string {
    const write = this.kinds.get(output?.kind);
    return write === undefined ? (JSON.stringify(output) ?? "null") : write(output);
  }
}

/**
 * Spells outputs of one kind with the values alone, in the order in which its fields are declared: to spell the names
 * beside them takes the small engine inside a component as long again. Outputs that are not just what is declared are
 * spelled whole, and the host tells what is wrong with them.
 */
function written(kind: string, names: readonly string[]): (output: Output) => string {
  const values = new Function("it", `return [${names.map((name) => `it[${JSON.stringify(name)}]`).join(", ")}];`) as (
    it: object,
  ) => unknown[];
  const head = `{"kind":${JSON.stringify(kind)},"key":`;
  return (output) => {
    const { key, fields } = output;
    if (typeof key === "string" && typeof fields === "object" && fields !== null) {
      const found = values(fields);
      if (!found.includes(undefined) && Object.keys(fields).length === names.length) {
        return `${head}${JSON.stringify(key)},"fields":${JSON.stringify(found)}}`;
      }
    }
    return JSON.stringify(output);
  };
}
