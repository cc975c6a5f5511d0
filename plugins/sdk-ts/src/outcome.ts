import type { Fields, ValuesOf } from "./fields.ts";

/** One document that a mapping makes. */
export interface Output {
  readonly kind: string;
  readonly key: string;
  readonly fields: object;
}

/** One kind of output; call it to make one. */
export interface Kind<T> {
  /** An output: what tells it from all others of its kind and sync, and its body. */
  (key: string, fields: T): Output;
  readonly kind: string;
  readonly names: readonly string[];
}

/** Declares a kind of output and what its bodies are: `output("person", { name: text, phone: text.optional })`. */
export function output<const T extends Fields>(kind: string, fields: T): Kind<ValuesOf<T>> {
  const make = (key: string, body: ValuesOf<T>): Output => ({ kind, key, fields: body });
  return Object.assign(make, { kind, names: Object.keys(fields) });
}

/** Declares a kind of output whose bodies are any objects. */
export function anyOutput(kind: string): Kind<object> {
  const make = (key: string, body: object): Output => ({ kind, key, fields: body });
  return Object.assign(make, { kind, names: ["*"] });
}

/** Why a record was not mapped; returned or thrown. */
export class Rejection {
  readonly code: string | null;
  readonly message: string;
  readonly field: string | null;

  constructor(code: string | null, message: string, field: string | null) {
    this.code = code;
    this.message = message;
    this.field = field;
  }
}

/** The record is not wanted, and that is no error. */
export function skip(reason: string): Rejection {
  return new Rejection(null, reason, null);
}

/** The record failed: a stable code such as `email.invalid`, a message for people, and the Salesforce field at fault. */
export function reject(code: string, message: string, field?: string): Rejection {
  return new Rejection(code, message, field ?? null);
}

/** What a mapping may return of a record; `null` and an empty list are a skip. */
export type Outcome = Output | readonly Output[] | Rejection | null;
