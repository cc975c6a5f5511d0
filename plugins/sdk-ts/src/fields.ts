/** How one Salesforce field is read: its type, and whether it may be empty. */
export interface Field<T> {
  /** What the value must be, for people. */
  readonly expected: string;
  /** Whether the field may be empty. */
  readonly nullable: boolean;
  /** The JavaScript type of the raw value; none: any. */
  readonly raw: "string" | "number" | "boolean" | "object" | undefined;
  /** From the raw value to the typed one; none: as it is. `undefined` says that it cannot be read. */
  readonly convert: ((raw: never) => T | undefined) | undefined;
}

/** A field that must not be empty, and the same as one that may be. */
export interface Required<T> extends Field<T> {
  /** The same field, which may be empty: `null` then. */
  readonly optional: Field<T | null>;
}

function field<T>(expected: string, raw: Field<T>["raw"], convert?: (raw: never) => T | undefined): Required<T> {
  const optional: Field<T | null> = { expected, nullable: true, raw, convert };
  return { expected, nullable: false, raw, convert, optional };
}

/** A Salesforce id, of 15 or 18 characters. */
export const id: Required<string> = field("text", "string");
/** Text: strings, pick lists, phones, addresses of pages and mail, long texts. */
export const text: Required<string> = field("text", "string");
/** True or false. */
export const bool: Required<boolean> = field("true or false", "boolean");
/** A number. It is a double: digits beyond the sixteenth are lost. */
export const number: Required<number> = field("a number", "number");
/** A whole number; `12.0` is one. */
export const integer: Required<number> = field("a whole number", "number", (raw: number) =>
  Number.isSafeInteger(raw) ? raw : undefined,
);
/** A day, such as `2024-02-29`. */
export const date: Required<string> = field("a date such as 2024-02-29", "string", (raw: string) =>
  /^\d{4}-\d\d-\d\d$/.test(raw) ? raw : undefined,
);
/** A moment in UTC, such as `2024-02-29T08:30:00Z`: Salesforce's `.000+0000` is read as `Z`. */
export const dateTime: Required<string> = field(
  "a date-time such as 2024-02-29T08:30:00.000+0000",
  "string",
  (raw: string) => utc(raw),
);
/** A time of the day, such as `08:30:00.000Z`. */
export const time: Required<string> = field("text", "string");
/** The choices of a multi-select pick list, which Salesforce spells `four;six`. */
export const choices: Required<string[]> = field("text", "string", (raw: string) =>
  raw.split(";").filter((it) => it !== ""),
);
/** A compound address. */
export const address: Required<Address> = field("an address", "object");
/** A compound location. */
export const location: Required<Location> = field("a location", "object");
/** Anything, as it is. */
export const json: Required<unknown> = field("JSON", undefined);

/** A compound address, as Salesforce sends it. */
export interface Address {
  street: string | null;
  city: string | null;
  state: string | null;
  postalCode: string | null;
  country: string | null;
  stateCode?: string | null;
  countryCode?: string | null;
  latitude: number | null;
  longitude: number | null;
  geocodeAccuracy?: string | null;
}

/** A compound location, in degrees. */
export interface Location {
  latitude: number;
  longitude: number;
}

/** The fields of an object by API name, parents as `"Account.Name"`. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** What a record of these fields is: `type Contact = RecordOf<typeof Contact>`. */
export type RecordOf<T> = T extends RecordType<infer R> ? ValuesOf<R> : never;

/** A record that a mapping reads. */
export interface RecordType<T extends Fields> {
  readonly fields: T;
}

/** What values of these fields are. */
export type ValuesOf<T> = { readonly [K in keyof T]: T[K] extends Field<infer V> ? V : never };

/** Declares what is read: these fields are selected from Salesforce, and no others. */
export function record<const T extends Fields>(fields: T): RecordType<T> {
  for (const name of Object.keys(fields)) {
    if (!/^[A-Za-z]\w*(\.[A-Za-z]\w*)*$/.test(name)) {
      throw new TypeError(`'${name}' is not a Salesforce field name; write such as FirstName, Score__c or Account.Name`);
    }
  }
  return { fields };
}

/** Every field that the sync selects, as it came: for mappings that take any object. */
export const anyRecord: RecordType<Readonly<Record<string, Required<unknown>["optional"]>>> = { fields: {} };

/** A moment as `2024-02-29T08:30:00Z`, from any of Salesforce's spellings; `undefined` when it is none. */
export function utc(text: string): string | undefined {
  if (text.length === 28 && text.endsWith(".000+0000") && text[10] === "T") {
    return `${text.slice(0, 19)}Z`;
  }
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)$/.test(text)) {
    return undefined;
  }
  const moment = new Date(text.replace(/([+-]\d\d)(\d\d)$/, "$1:$2"));
  return Number.isNaN(moment.getTime()) ? undefined : moment.toISOString().replace(".000Z", "Z");
}
