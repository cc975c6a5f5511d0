import { type Field, type Fields, json } from "./fields.ts";
import { type Rejection, reject } from "./outcome.ts";

/** A record, by the names of its fields. */
export type Row = Record<string, unknown>;

/** Reads rows into records. */
export class Reader {
  private readonly names: readonly string[];
  /** The record of a row, or why it cannot be read. */
  readonly read: (row: readonly unknown[]) => Row | Rejection;

  constructor(fields: Fields) {
    this.names = Object.keys(fields);
    this.read = written(Object.entries(fields));
  }

  /** Fields of the batch, by the mapping's declaration or as they come. */
  expect(names: readonly string[]): Reader {
    if (this.names.length === 0) {
      return new Reader(Object.fromEntries(names.map((name) => [name, json.optional])));
    }
    if (names.length !== this.names.length) {
      throw new Error(`the host sent ${names.length} fields where the mapping reads ${this.names.length}`);
    }
    return this;
  }
}

/**
 * A function that reads rows of just these fields. It is written out and then evaluated, once, because the small engine
 * inside a component has no compiler that would unroll a loop over them: that loop took a sixth of a mapping's time.
 */
function written(fields: readonly (readonly [string, Field<unknown>])[]): Reader["read"] {
  const steps = fields.map(([, { nullable, raw, convert }], i) => {
    const type = raw === undefined ? "" : `if (typeof v${i} !== "${raw}") return mistyped(${i}, v${i});`;
    const value = convert === undefined ? "" : `if ((v${i} = convert[${i}](r = v${i})) === undefined) return unread(${i}, r);`;
    const none = nullable ? "" : `else return missing(${i});`;
    return `var v${i} = row[${i}]; if (v${i} !== null) { ${type} ${value} } ${none}`;
  });
  const members = fields.map(([name], i) => `${JSON.stringify(name)}: v${i}`);
  const source = `return (row) => { var r; ${steps.join("\n")} return { ${members.join(", ")} }; };`;
  const at = (i: number) => fields[i] as readonly [string, Field<unknown>];
  const helpers = {
    convert: fields.map(([, field]) => field.convert),
    missing: (i: number) => reject("field.missing", `${at(i)[0]} is empty, but the mapping needs it`, at(i)[0]),
    mistyped: (i: number, raw: unknown) => mismatch("field.type", ...at(i), raw),
    unread: (i: number, raw: unknown) => mismatch("field.value", ...at(i), raw),
  };
  return new Function(...Object.keys(helpers), source)(...Object.values(helpers)) as Reader["read"];
}

function mismatch(code: string, name: string, field: Field<unknown>, raw: unknown): Rejection {
  const shown = typeof raw === "string" ? raw : JSON.stringify(raw);
  const short = shown.length > 60 ? `${shown.slice(0, 60)}...` : shown;
  const type = typeof raw === "string" ? "text" : typeof raw === "object" ? "JSON" : typeof raw;
  return reject(code, `${name} must be ${field.expected}, but is the ${type} ${JSON.stringify(short)}`, name);
}
